/**
 * ADED as a drafter: adapts the table to every emitted token, and searches it for drafts.
 */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import type { Sampling } from "../sampling/sampler.ts";
import { createCalibrationMap, observeVerdict } from "../speculative/calibration-map.ts";
import {
  type DraftContext,
  type Drafter,
  type DraftOutcome,
  type DraftSequence,
  type DraftTree,
  draftRandom,
  emptyTree,
} from "../speculative/drafter.ts";
import { invalidState, openState, sealState, tokenizerKey } from "../speculative/drafter-state.ts";
import { bestFirstPaths, randomWalkPaths } from "./draft-paths.ts";
import { DraftSearch, type DraftSearchOptions, type SearchedPath } from "./draft-search.ts";
import { type MergedTree, mergePaths } from "./draft-tree.ts";
import { countTrigrams, fillTable, TrigramTable } from "./trigram-table.ts";

/**
 * How the table adapts to the text.
 *
 * - `"window"`, as in the authors' program: after every forward pass, each triple of the last `window` tokens
 *   is raised by `increment` up to `maxWeight`, repeatedly while it is in the window.
 * - `"once"`: each new triple is raised by `increment` when it is emitted.
 * - `"average"`: each new triple moves its pair's weights toward itself by `rate`; rows stay normalized, and
 *   successors that do not recur decay.
 * - `"none"`: the table does not change.
 */
export interface Adaptation {
  readonly rule: "window" | "once" | "average" | "none";
  /** Default 16. */
  readonly window?: number;
  /** Default 0.04 for `"window"`, 0.3 for `"once"`. */
  readonly increment?: number;
  /** Largest weight that raising leads to. Default 3. */
  readonly maxWeight?: number;
  /** Default 0.2. */
  readonly rate?: number;
}

/** Options of `createAdedDrafter`. */
export interface AdedOptions {
  /** Documents whose triples fill the table, as token ids. Default: the table starts empty. */
  readonly corpus?: Iterable<readonly number[] | Int32Array>;
  /** Default `{ rule: "window" }`. */
  readonly adaptation?: Adaptation;
  /**
   * Weight by which each triple of a prompt is raised when its request begins. The authors' program has 0 and
   * learns from the prompt's last 16 tokens only. Default 0.3, about the sum that the window gives to an
   * emitted triple.
   */
  readonly promptIncrement?: number;
  /** Options of the search: `rollouts`, `depth`, … */
  readonly search?: DraftSearchOptions;
  /**
   * How drafts are made from the table: `"search"` (default), or as baselines the continuations with the
   * largest joint share, or random walks.
   */
  readonly construction?: "search" | "best-first" | "random-walks";
  /** Most nodes of a tree; the request may allow fewer. Default 64. */
  readonly maxNodes?: number;
  /** Most pairs of the table, about 150 bytes each. Default 131,072. */
  readonly maxPairs?: number;
}

/** State that all requests share. */
interface Shared {
  readonly table: TrigramTable;
  readonly acceptance: ReturnType<typeof createCalibrationMap>;
  readonly adaptation: Required<Adaptation>;
  readonly promptIncrement: number;
  readonly maxNodes: number;
  readonly depth: number;
  readonly findPaths: (
    before: number,
    root: number,
    context: DraftContext,
    sampling: Sampling,
  ) => SearchedPath[];
}

const kind = "aded";

/**
 * A drafter with a table of three-token statistics that learns from every text, searched by Monte Carlo
 * rollouts. Needs no draft model; starts empty or from a corpus.
 *
 * @example
 * const drafter = createAdedDrafter(model);
 * for await (const token of generate(model, prompt, { drafter })) process.stdout.write(token.text);
 *
 * @throws JetonError `aded-option-invalid`, `trigram-table-invalid`
 */
export function createAdedDrafter(
  model: Pick<LoadedModel, "tokenizer" | "config">,
  options: AdedOptions = {},
): Drafter {
  const shared = share(model.config.vocabSize, options);
  const { table, acceptance } = shared;
  const key = tokenizerKey(model);
  const { corpus } = options;
  if (corpus) fillTable(table, countTrigrams(corpus, table.vocabSize));
  return {
    name: "aded",
    candidates: 0,
    begin({ promptIds, sampling }) {
      learnPrompt(shared, promptIds);
      return new AdedSequence(shared, sampling, promptIds.length);
    },
    save() {
      const { accepted, tested } = acceptance.save();
      const levels = new Int32Array(Float64Array.of(...accepted, ...tested).buffer);
      const rows = table.save();
      const body = new Int32Array(levels.length + rows.length);
      body.set(levels);
      body.set(rows, levels.length);
      return sealState({ kind, key, fields: { levels: levels.length }, body });
    },
    load(bytes) {
      const { body, fields } = openState(bytes, { kind, key });
      const { accepted } = acceptance.save();
      const words = 4 * accepted.length;
      if (fields["levels"] !== words || body.length < words) {
        throw invalidState("levels", fields["levels"], `${words} words`);
      }
      const levels = new Float64Array(body.slice(0, words).buffer);
      if (!levels.every((value) => value >= 0 && value < 1e9)) {
        throw invalidState("levels", levels.join(), "counts");
      }
      table.load(body.slice(words));
      acceptance.load({
        accepted: levels.slice(0, accepted.length),
        tested: levels.slice(accepted.length),
      });
    },
    reset() {
      table.clear();
      acceptance.reset();
    },
    close() {},
  };
}

function share(vocabSize: number, options: AdedOptions): Shared {
  const { promptIncrement = 0.3, construction = "search", maxNodes = 64 } = options;
  const rule = options.adaptation?.rule ?? "window";
  const adaptation = {
    window: 16,
    increment: rule === "once" ? 0.3 : 0.04,
    maxWeight: 3,
    rate: 0.2,
    ...options.adaptation,
    rule,
  };
  const depth = options.search?.depth ?? 4;
  const sentences = options.search?.sentences ?? 24;
  for (const [name, value, min] of [
    ["promptIncrement", promptIncrement, 0],
    ["maxNodes", maxNodes, 1],
    ["depth", depth, 1],
    ["sentences", sentences, 1],
    ["rollouts", options.search?.rollouts ?? 150, 1],
    ["window", adaptation.window, 3],
    ["increment", adaptation.increment, 0],
    ["maxWeight", adaptation.maxWeight, 0],
    ["rate", adaptation.rate, 0],
  ] as const) {
    if (Number.isFinite(value) && value >= min && value <= 1e6) continue;
    throw new JetonError(`${name} is ${value}, expected a number of at least ${min}`, {
      code: "aded-option-invalid",
      details: { name, value, min },
    });
  }
  const table = new TrigramTable({
    vocabSize,
    ...(options.maxPairs !== undefined && { maxPairs: options.maxPairs }),
  });
  const search = new DraftSearch(table, options.search);
  return {
    table,
    acceptance: createCalibrationMap(),
    adaptation,
    promptIncrement,
    maxNodes,
    depth,
    findPaths(before, root, context, sampling) {
      const limits = { depth, count: construction === "best-first" ? maxNodes : sentences };
      if (construction === "best-first") return bestFirstPaths(table, before, root, limits);
      const random = draftRandom(sampling, context);
      return construction === "search"
        ? search.run(before, root, random)
        : randomWalkPaths(table, before, root, limits, random);
    },
  };
}

/** Raises the triples of a prompt; the window adaptation covers those of its end. */
function learnPrompt({ table, promptIncrement, adaptation }: Shared, ids: readonly number[]): void {
  if (promptIncrement === 0 || adaptation.rule === "none") return;
  for (let at = 2; at < ids.length; at++) {
    table.raise([ids[at - 2]!, ids[at - 1]!, ids[at]!], promptIncrement, adaptation.maxWeight);
  }
}

class AdedSequence implements DraftSequence {
  readonly #shared: Shared;
  readonly #sampling: Sampling;
  /** Tokens whose triples were learned. */
  #learned: number;
  #last: MergedTree | undefined;

  constructor(shared: Shared, sampling: Sampling, learned: number) {
    this.#shared = shared;
    this.#sampling = sampling;
    this.#learned = learned;
  }

  propose(context: DraftContext): DraftTree {
    const { ids } = context;
    const { table, acceptance, findPaths, maxNodes } = this.#shared;
    this.#last = undefined;
    const root = ids.at(-1)!;
    const before = ids.at(-2);
    if (before === undefined) return emptyTree;
    const paths = findPaths(before, root, context, this.#sampling);
    if (paths.length === 0) return emptyTree;
    const tree = mergePaths(paths, table, {
      before,
      root,
      acceptance,
      maxNodes: Math.min(maxNodes, context.maxNodes),
      maxDepth: context.maxDepth,
      minAcceptanceProbability: context.minAcceptanceProbability,
    });
    if (tree.ids.length === 0) return emptyTree;
    this.#last = tree;
    return tree;
  }

  observe({ ids, verdict }: DraftOutcome): void {
    const { acceptance } = this.#shared;
    if (verdict && this.#last) observeVerdict(acceptance, this.#last, this.#last.shares, verdict);
    this.#last = undefined;
    this.#adapt(ids);
  }

  end(): void {}

  #adapt(ids: readonly number[]): void {
    const { table, adaptation } = this.#shared;
    const { rule, window, increment, maxWeight, rate } = adaptation;
    if (rule === "none") return;
    const from =
      rule === "window" ? Math.max(2, ids.length - window + 2) : Math.max(2, this.#learned);
    for (let at = from; at < ids.length; at++) {
      const triple = [ids[at - 2]!, ids[at - 1]!, ids[at]!] as const;
      if (rule === "average") table.average(triple, rate);
      else table.raise(triple, increment, maxWeight);
    }
    this.#learned = ids.length;
  }
}
