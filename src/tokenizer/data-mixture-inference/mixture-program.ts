/**
 * The linear program of the inference, solved with lazily generated constraints.
 *
 * Variables: the share of each category, a slack for each merge, a slack for each competing pair.
 * Least sum of slacks such that, before every merge, the merged pair counts in the mixture at least
 * as much as every other pair. Of the millions of constraints almost none bind: only those that a
 * simulation of the merges finds violated are given to the solver.
 */
import type { Highs, Model } from "highs";
import { JetonError } from "../../core/error.ts";
import type { PairHistory } from "./count-pairs.ts";

/** The samples of one category, counted; the sums over its histories count. */
export interface CountedCategory {
  readonly histories: readonly PairHistory[];
}

export interface MixtureProgramOptions {
  /** Most competitors of one merge that a round looks at. Default 1,000. */
  competitorsPerMerge?: number;
  /** Most merges before which constraints are asked for, see `chooseSteps`. Default 3,000. */
  constrainedMerges?: number;
  /** False leaves the slack of pairs out, an ablation. Default true. */
  pairSlack?: boolean;
  /** What the sum of slacks is weighed against. Default `"merge"`. */
  slackPer?: SlackWeight;
  /** Violations up to this are ignored, in pairs per million. Default 1e-4. */
  tolerance?: number;
  /** Constraints to start from: those of a similar program. */
  start?: readonly Constraint[];
  onRound?: (round: MixtureRound) => void;
  signal?: AbortSignal | undefined;
}

/**
 * What the least sum of slacks is weighed against: occurrences of the merged pairs, or of all pairs as
 * in the paper. The slacks are in proportion to the categories that cause them, so that per pair a category
 * in which hardly any merge occurs makes them smaller by its mere presence, and gets a share for it.
 */
export type SlackWeight = "merge" | "pair";

/** Before merge `step` (from 0), the merged pair must count at least as much as `pair`. */
export interface Constraint {
  readonly step: number;
  readonly pair: number;
}

export interface MixtureRound {
  readonly round: number;
  readonly constraints: number;
  /** Constraints that the last simulation found violated and added. */
  readonly added: number;
}

export interface MixtureSolution {
  /** Share of each category, in pairs. */
  readonly shares: Float64Array;
  /** Sum of all slacks, in pairs per million. */
  readonly objective: number;
  /** Slack of each merge, 0 for most, in pairs per million. */
  readonly mergeSlack: Float64Array;
  /** Slack of competing pairs by number, where it is not 0. */
  readonly pairSlack: ReadonlyMap<number, number>;
  /** Merges whose pair occurs in no category. */
  readonly missing: readonly number[];
  readonly constraints: readonly Constraint[];
  readonly rounds: number;
}

/** Shares of pairs are tiny; solvers have absolute tolerances. Counts enter as pairs per million. */
const perMillion = 1e6;

/**
 * The solver, loaded. Of an unknown type to the outside: declarations that named the package's own
 * types would not compile where the package, which is optional, is not installed.
 */
export interface MixtureSolver {
  /** What `highs` exports. */
  readonly highs: unknown;
}

/** Loads the solver, an optional package. Throws `mixture-solver-missing` when it is not installed. */
export async function loadSolver(): Promise<MixtureSolver> {
  try {
    // The declarations describe the CommonJS build, whose exports are one level deeper.
    const loaded = (await import("highs")) as unknown as { default: () => Promise<Highs> };
    return { highs: await loaded.default() };
  } catch (cause) {
    throw new JetonError(
      "inferring a mixture needs the solver HiGHS, expected the package `highs`: npm install highs",
      { code: "mixture-solver-missing", details: { expected: "highs" }, cause },
    );
  }
}

/**
 * Solves the program to its optimum (up to the tolerance).
 *
 * Throws `mixture-no-merge` when no merge occurs in any sample, `mixture-not-solved` when the solver
 * gives up, `aborted` when the signal says so.
 */
export function solveMixture(
  solver: MixtureSolver,
  categories: readonly CountedCategory[],
  merges: Int32Array,
  options: MixtureProgramOptions = {},
): MixtureSolution {
  const { tolerance = 1e-4, competitorsPerMerge = 1000, signal } = options;
  const simulation = new Simulation(categories, merges, options.start ?? []);
  const isAsked = chooseSteps(merges.length, options.constrainedMerges ?? 3000);
  if (simulation.missing.length === merges.length) {
    throw new JetonError("no merge of the tokenizer occurs in any sample", {
      code: "mixture-no-merge",
      details: { merges: merges.length, categories: categories.length },
    });
  }
  const { explained } = simulation;
  const weights = options.slackPer === "pair" ? explained.map(() => 1) : explained;
  const program = new Program(solver.highs as Highs, weights, options.pairSlack ?? true);
  try {
    const constraints: Constraint[] = [];
    const add = (found: readonly Constraint[]): void => {
      program.add(found.map((constraint) => ({ ...constraint, row: simulation.row(constraint) })));
      constraints.push(...found);
    };
    if (options.start !== undefined && options.start.length > 0) {
      simulation.prepareRows(options.start);
      add(options.start);
    }
    for (let round = 1; ; round++) {
      if (signal?.aborted) {
        throw new JetonError("the inference was stopped", {
          code: "aborted",
          cause: signal.reason,
        });
      }
      const solution = program.solve();
      const found = simulation.findViolations(solution, {
        tolerance,
        perMerge: competitorsPerMerge,
        isAsked,
        isKnown: (step, pair) => program.has(step, pair),
      });
      options.onRound?.({ round, constraints: constraints.length, added: found.length });
      if (found.length === 0) {
        const total = solution.shares.reduce((sum, share) => sum + share, 0);
        const slackOf = (step: number): number => solution.mergeSlack.get(step) ?? 0;
        return {
          shares: solution.shares.map((share) => share / total),
          objective: solution.objective / total,
          mergeSlack: Float64Array.from(merges, (_, step) => slackOf(step) / total),
          pairSlack: new Map([...solution.pairSlack].map(([pair, slack]) => [pair, slack / total])),
          missing: simulation.missing,
          constraints,
          rounds: round,
        };
      }
      add(found);
    }
  } finally {
    program.dispose();
  }
}

/**
 * 1 for the merges before which constraints are asked for: the first of a long list, which are about
 * most of the text, and as many more at equal distances through the rest, which bound rare categories. Every
 * inequality holds for the true mixture by itself, so that leaving some out costs precision alone.
 */
export function chooseSteps(merges: number, most: number): Uint8Array {
  const chosen = new Uint8Array(merges);
  if (merges <= most) return chosen.fill(1);
  const first = Math.ceil(most / 2);
  chosen.fill(1, 0, first);
  for (let place = 1; place <= most - first; place++) {
    chosen[first - 1 + Math.floor((place * (merges - first)) / (most - first))] = 1;
  }
  return chosen;
}

/** Where the solver stands; amounts of the categories and slacks in the program's own measure. */
interface Point {
  readonly shares: Float64Array;
  readonly objective: number;
  readonly mergeSlack: ReadonlyMap<number, number>;
  readonly pairSlack: ReadonlyMap<number, number>;
}

/** A constraint with the difference of the two counts in each category. */
interface Row extends Constraint {
  readonly row: Float64Array;
}

/** The program as the solver holds it; grows by rows and keeps the last basis. */
class Program {
  readonly #highs: Highs;
  readonly #model: Model;
  readonly #categories: number;
  readonly #hasPairSlack: boolean;
  #columns: number;
  readonly #stepColumns: Map<number, number> = new Map();
  readonly #pairColumns: Map<number, number> = new Map();
  readonly #known: Set<string> = new Set();

  /** @param weights the weighted sum of the amounts of the categories is 1 */
  constructor(highs: Highs, weights: Float64Array, hasPairSlack: boolean) {
    this.#highs = highs;
    const categories = weights.length;
    this.#categories = categories;
    this.#hasPairSlack = hasPairSlack;
    this.#columns = categories;
    this.#model = highs.createModel();
    this.#model.options.set({ output_flag: false, presolve: "off", solver: "simplex" });
    this.#model.addVars(
      new Float64Array(categories),
      new Float64Array(categories).fill(this.#highs.infinity),
    );
    this.#model.addRow(1, 1, {
      indices: Int32Array.from({ length: categories }, (_, i) => i),
      values: weights,
    });
  }

  has(step: number, pair: number): boolean {
    return this.#known.has(`${step} ${pair}`);
  }

  add(rows: readonly Row[]): void {
    if (rows.length === 0) return;
    const indices: number[] = [];
    const values: number[] = [];
    const starts: number[] = [];
    const before = this.#columns;
    for (const { step, pair, row } of rows) {
      this.#known.add(`${step} ${pair}`);
      starts.push(indices.length);
      for (const [category, difference] of row.entries()) {
        if (difference === 0) continue;
        indices.push(category);
        values.push(difference);
      }
      indices.push(this.#column(this.#stepColumns, step));
      values.push(1);
      if (this.#hasPairSlack) {
        indices.push(this.#column(this.#pairColumns, pair));
        values.push(1);
      }
    }
    starts.push(indices.length);
    const added = this.#columns - before;
    if (added > 0) {
      this.#model.addVars(
        new Float64Array(added),
        new Float64Array(added).fill(this.#highs.infinity),
      );
      this.#model.changeColsCost(
        { kind: "range", from: before, to: this.#columns - 1 },
        new Float64Array(added).fill(1),
      );
    }
    this.#model.addRows({
      lower: new Float64Array(rows.length),
      upper: new Float64Array(rows.length).fill(this.#highs.infinity),
      matrix: {
        format: "csr",
        numRows: rows.length,
        numCols: this.#columns,
        starts: Int32Array.from(starts),
        indices: Int32Array.from(indices),
        values: Float64Array.from(values),
      },
    });
  }

  #column(columns: Map<number, number>, key: number): number {
    let column = columns.get(key);
    if (column === undefined) {
      column = this.#columns++;
      columns.set(key, column);
    }
    return column;
  }

  solve(): Point {
    this.#model.run();
    const status = this.#model.getModelStatus();
    if (status !== this.#highs.constants.modelStatus.optimal) {
      throw new JetonError(`the solver ended with status ${status}, expected an optimum`, {
        code: "mixture-not-solved",
        details: { status },
      });
    }
    const { colValue } = this.#model.getSolution();
    const read = (columns: ReadonlyMap<number, number>): Map<number, number> => {
      const values = new Map<number, number>();
      for (const [key, column] of columns) {
        if (colValue[column]! > 0) values.set(key, colValue[column]!);
      }
      return values;
    };
    return {
      shares: colValue.slice(0, this.#categories),
      objective: this.#model.getObjectiveValue(),
      mergeSlack: read(this.#stepColumns),
      pairSlack: read(this.#pairColumns),
    };
  }

  dispose(): void {
    this.#model.dispose();
  }
}

/** The changes of all categories, step by step, and the counts at the step reached. */
class Simulation {
  readonly missing: number[] = [];
  /** Occurrences of the merged pairs for each pair of a category. */
  readonly explained: Float64Array;
  readonly #merges: Int32Array;
  readonly #categories: number;
  readonly #pairs: number;
  /** Changes of all categories sorted by step: pair, category, change in pairs per million. */
  readonly #starts: Int32Array;
  readonly #changedPairs: Int32Array;
  readonly #changedCategories: Uint16Array;
  readonly #changes: Float64Array;
  /** Counts of pair × category in pairs per million. */
  readonly #counts: Float64Array;
  readonly #rows: Map<string, Float64Array> = new Map();

  constructor(
    categories: readonly CountedCategory[],
    merges: Int32Array,
    start: readonly Constraint[],
  ) {
    this.#merges = merges;
    this.#categories = categories.length;
    const steps = merges.length;
    const sizes = new Int32Array(steps + 2);
    // Constraints of a similar program may name pairs that do not occur here.
    let pairs = start.reduce((most, { pair }) => Math.max(most, pair + 1), 0);
    for (const pair of merges) pairs = Math.max(pairs, pair + 1);
    for (const { histories } of categories) {
      for (const { starts, changedPairs } of histories) {
        for (let step = 0; step <= steps; step++)
          sizes[step + 1]! += starts[step + 1]! - starts[step]!;
        for (let i = 0; i < starts[steps + 1]!; i++) pairs = Math.max(pairs, changedPairs[i]! + 1);
      }
    }
    for (let step = 0; step <= steps; step++) sizes[step + 1]! += sizes[step]!;
    this.#starts = sizes;
    this.#pairs = pairs;
    const length = sizes[steps + 1]!;
    this.#changedPairs = new Int32Array(length);
    this.#changedCategories = new Uint16Array(length);
    this.#changes = new Float64Array(length);
    const at = sizes.slice();
    for (const [category, { histories }] of categories.entries()) {
      const total = histories.reduce((sum, history) => sum + history.total, 0);
      const scale = total > 0 ? perMillion / total : 0;
      for (const { starts, changedPairs, changes } of histories) {
        for (let step = 0; step <= steps; step++) {
          for (let i = starts[step]!; i < starts[step + 1]!; i++) {
            const place = at[step]!++;
            this.#changedPairs[place] = changedPairs[i]!;
            this.#changedCategories[place] = category;
            this.#changes[place] = changes[i]! * scale;
          }
        }
      }
    }
    this.#counts = new Float64Array(pairs * categories.length);
    this.explained = new Float64Array(categories.length);
    this.#run((step) => {
      const counts = this.#countsOf(merges[step]!);
      for (const [category, count] of counts.entries())
        this.explained[category]! += count / perMillion;
      if (counts.every((count) => count < countNoise)) this.missing.push(step);
    });
  }

  /** Goes through the steps; `visit` sees the counts before each merge. */
  #run(visit: (step: number) => void, changed?: (pair: number) => void): void {
    const counts = this.#counts;
    const categories = this.#categories;
    const starts = this.#starts;
    const changedPairs = this.#changedPairs;
    const changedCategories = this.#changedCategories;
    const changes = this.#changes;
    counts.fill(0);
    for (let step = 0; step < this.#merges.length; step++) {
      for (let i = starts[step]!; i < starts[step + 1]!; i++) {
        counts[changedPairs[i]! * categories + changedCategories[i]!]! += changes[i]!;
      }
      if (changed !== undefined) {
        for (let i = starts[step]!; i < starts[step + 1]!; i++) changed(changedPairs[i]!);
      }
      visit(step);
    }
  }

  #countsOf(pair: number): Float64Array {
    return this.#counts.subarray(pair * this.#categories, (pair + 1) * this.#categories);
  }

  #difference(step: number, pair: number): Float64Array {
    const merged = this.#countsOf(this.#merges[step]!);
    const other = this.#countsOf(pair);
    return merged.map((count, category) => count - other[category]!);
  }

  /** The row of a constraint that `findViolations` or `prepareRows` has met. */
  row({ step, pair }: Constraint): Float64Array {
    const key = `${step} ${pair}`;
    const row = this.#rows.get(key)!;
    this.#rows.delete(key);
    return row;
  }

  prepareRows(constraints: readonly Constraint[]): void {
    const byStep = new Map<number, Constraint[]>();
    for (const constraint of constraints) {
      const those = byStep.get(constraint.step);
      if (those === undefined) byStep.set(constraint.step, [constraint]);
      else those.push(constraint);
    }
    this.#run((step) => {
      for (const { pair } of byStep.get(step) ?? []) {
        this.#rows.set(`${step} ${pair}`, this.#difference(step, pair));
      }
    });
  }

  /**
   * Simulates the merges under a mixture and returns constraints that it violates: for each pair the
   * merge before which it is furthest ahead, and for each merge the pair that is. One slack often
   * settles all other violations of the pair or the merge, so these few rows do the work of many.
   */
  findViolations(
    point: Point,
    options: {
      readonly tolerance: number;
      readonly perMerge: number;
      readonly isAsked: Uint8Array;
      readonly isKnown: (step: number, pair: number) => boolean;
    },
  ): Constraint[] {
    const merges = this.#merges;
    const counts = this.#counts;
    const categories = this.#categories;
    const { shares, mergeSlack, pairSlack } = point;
    const countInMixture = (pair: number): number => {
      let value = 0;
      for (let i = 0, at = pair * categories; i < categories; i++, at++) {
        value += shares[i]! * counts[at]!;
      }
      return value;
    };
    const queue = new PairQueue(this.#pairs);
    const missing = new Set(this.missing);
    const worstOfPair = new Map<number, { step: number; lead: number; row: Float64Array }>();
    const found = new Map<string, Constraint>();
    const note = (step: number, pair: number, row: Float64Array): void => {
      const key = `${step} ${pair}`;
      found.set(key, { step, pair });
      this.#rows.set(key, row);
    };
    this.#run(
      (step) => {
        if (options.isAsked[step] === 0 || missing.has(step)) return;
        const merged = merges[step]!;
        const limit = countInMixture(merged) + (mergeSlack.get(step) ?? 0) + options.tolerance;
        let first = -1;
        for (const pair of queue.above(limit, options.perMerge)) {
          if (pair === merged || options.isKnown(step, pair)) continue;
          if (first < 0 || queue.keyOf(pair) > queue.keyOf(first)) first = pair;
          const lead = queue.keyOf(pair) - limit;
          const worst = worstOfPair.get(pair);
          if (worst === undefined || lead > worst.lead) {
            worstOfPair.set(pair, { step, lead, row: this.#difference(step, pair) });
          }
        }
        if (first >= 0) note(step, first, this.#difference(step, first));
      },
      (pair) => queue.update(pair, countInMixture(pair) - (pairSlack.get(pair) ?? 0)),
    );
    for (const [pair, { step, row }] of worstOfPair) note(step, pair, row);
    return [...found.values()];
  }
}

/** Sums of scaled counts that are really zero stay below this. */
const countNoise = 1e-7;

/** A priority queue of pairs by their count in the mixture, less their slack. */
class PairQueue {
  readonly #heap: Int32Array;
  readonly #places: Int32Array;
  readonly #keys: Float64Array;
  #length = 0;

  constructor(pairs: number) {
    this.#heap = new Int32Array(pairs);
    this.#places = new Int32Array(pairs).fill(-1);
    this.#keys = new Float64Array(pairs);
  }

  update(pair: number, key: number): void {
    this.#keys[pair] = key;
    let place = this.#places[pair]!;
    if (place < 0) {
      place = this.#length++;
      this.#heap[place] = pair;
      this.#places[pair] = place;
    }
    this.#sink(this.#rise(place));
  }

  /** The key that a pair was last given. */
  keyOf(pair: number): number {
    return this.#keys[pair]!;
  }

  /** Pairs whose keys are above a limit: all, or `most` of them with the largest among these. */
  above(limit: number, most: number): number[] {
    const found: number[] = [];
    const open: number[] = [0];
    // Level by level from the top: no key is above that of its parent.
    for (let next = 0; next < open.length && found.length < most; next++) {
      const place = open[next]!;
      if (place >= this.#length || this.#keys[this.#heap[place]!]! <= limit) continue;
      found.push(this.#heap[place]!);
      open.push(place * 2 + 1, place * 2 + 2);
    }
    return found;
  }

  #rise(place: number): number {
    const heap = this.#heap;
    const keys = this.#keys;
    const places = this.#places;
    const pair = heap[place]!;
    const key = keys[pair]!;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const other = heap[parent]!;
      if (keys[other]! >= key) break;
      heap[place] = other;
      places[other] = place;
      place = parent;
    }
    heap[place] = pair;
    places[pair] = place;
    return place;
  }

  #sink(place: number): void {
    const heap = this.#heap;
    const keys = this.#keys;
    const places = this.#places;
    const pair = heap[place]!;
    const key = keys[pair]!;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.#length) break;
      if (child + 1 < this.#length && keys[heap[child + 1]!]! > keys[heap[child]!]!) child++;
      const other = heap[child]!;
      if (keys[other]! <= key) break;
      heap[place] = other;
      places[other] = place;
      place = child;
    }
    heap[place] = pair;
    places[pair] = place;
  }
}
