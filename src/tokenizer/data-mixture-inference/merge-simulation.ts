/** Replays a merge list over the counts of the categories and finds the pairs that outrank the merge chosen. */
import type { PairHistory } from "./count-pairs.ts";
import type { Constraint, Point } from "./linear-program.ts";
import { PairQueue } from "./pair-queue.ts";

/** The samples of one category, counted; the sums over its histories count. */
export interface CountedCategory {
  readonly histories: readonly PairHistory[];
}

/** Shares of pairs are tiny; solvers have absolute tolerances. Counts enter as pairs per million. */
const perMillion = 1e6;

/** The changes of all categories, step by step, and the counts at the step reached. */
export class Simulation {
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
