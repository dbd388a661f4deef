/**
 * DySpec as a drafter: grows a tree from a draft's distributions at every step; with `calibrate` it learns
 * acceptance probabilities from the draft's.
 */
import type { LoadedModel } from "../../model/index.ts";
import { isGreedy, type Sampling } from "../sampling/sampler.ts";
import {
  type CalibrationMap,
  createCalibrationMap,
  observeVerdict,
} from "../speculative/calibration-map.ts";
import { checkDraftVocabulary } from "../speculative/draft-vocabulary.ts";
import {
  type DraftContext,
  type Drafter,
  type DraftOutcome,
  type DraftRequest,
  type DraftSequence,
  type DraftTree,
  draftRandom,
  emptyTree,
} from "../speculative/drafter.ts";
import { invalidState, openState, sealState, tokenizerKey } from "../speculative/drafter-state.ts";
import { type DraftSource, type DraftSourceSequence, modelDraft } from "./draft-source.ts";
import { type GrowOptions, growTree, growTreeByLayer } from "./dyspec.ts";
import type { DraftDistributions, DynamicTree } from "./growing-tree.ts";

/** Options of `createDyspecDrafter`. */
export interface DyspecOptions {
  /** The draft: a smaller model with the same vocabulary, or another source of distributions. */
  readonly draft: LoadedModel | DraftSource;
  /**
   * `"best-first"` (default) is the paper's algorithm 1, which fills the places with the largest reach;
   * `"by-layer"` is algorithm 2, which fills all places whose reach is at least `threshold`.
   */
  readonly algorithm?: "best-first" | "by-layer";
  /** For `"by-layer"`. Default: 1 / the most nodes of the tree. */
  readonly threshold?: number;
  /** Most nodes of a tree; the request may allow fewer. Default 32. */
  readonly maxNodes?: number;
  /** Most nodes on a path, about the number of passes of the draft. Default 8. */
  readonly maxDepth?: number;
  /** Order in which places are filled; see `GrowOptions`. Default with `calibrate`: `"gain"`. */
  readonly order?: GrowOptions["order"];
  /**
   * Children of requests that sample: `"sampled"` from the draft's distribution as in the paper (default), or
   * its `"best"` tokens, which are compared with the model's own sample. Greedy requests always get the best.
   */
  readonly children?: "sampled" | "best";
  /** Temperature of the draft's distributions for greedy requests. Default 1; 0 would give chains. */
  readonly draftTemperature?: number;
  /** True: acceptance probabilities are learned; false: the draft's own are used. Default false. */
  readonly calibrate?: boolean;
}

/** Parts of a drafter over any way to grow a tree. */
export interface TreeDrafterParts {
  readonly name: string;
  readonly source: DraftSource;
  /** True where the source is a model. */
  readonly runsModel?: boolean;
  readonly children: "sampled" | "best";
  readonly draftTemperature: number;
  readonly maxNodes: number;
  readonly maxDepth: number;
  /** @param options limits, randomness and, where calibrated, acceptance probabilities */
  readonly grow: (distributions: DraftDistributions, options: GrowOptions) => Promise<DynamicTree>;
  /** Learned acceptance probabilities, of greedy requests and of those that sample. */
  readonly calibration?: Readonly<Record<"greedy" | "sampled", RankTables>>;
}

/**
 * Acceptance probabilities of first, second and later children. They differ with sampling: the first child is
 * accepted with the overlap of both distributions, however improbable it is; later ones have only the rest.
 */
type RankTables = readonly [CalibrationMap, CalibrationMap, CalibrationMap];

const rankTables = (): RankTables => [
  createCalibrationMap(),
  createCalibrationMap(),
  createCalibrationMap(),
];

/**
 * A drafter with dynamic trees over a draft's distributions. It does not close the draft.
 *
 * @example
 * const drafter = createDyspecDrafter(model, { draft: await loadModel("models/jeton-nano-draft") });
 * for await (const token of generate(model, prompt, { drafter })) process.stdout.write(token.text);
 *
 * @throws JetonError `draft-model-vocabulary`
 */
export function createDyspecDrafter(model: LoadedModel, options: DyspecOptions): Drafter {
  const { algorithm = "best-first", threshold, calibrate = false } = options;
  // The order by reach ignores whether a tested token is accepted, so learned probabilities need `"gain"`.
  const order = options.order ?? (calibrate ? "gain" : undefined);
  const kind = "dyspec";
  const key = tokenizerKey(model);
  const calibration = { greedy: rankTables(), sampled: rankTables() };
  const tables = [...calibration.greedy, ...calibration.sampled];
  const drafter = createTreeDrafter({
    name: "dyspec",
    source: resolveSource(model, options.draft),
    runsModel: "openSequence" in options.draft,
    children: options.children ?? "sampled",
    draftTemperature: options.draftTemperature ?? 1,
    maxNodes: options.maxNodes ?? 32,
    maxDepth: options.maxDepth ?? 8,
    grow: (distributions, limits) =>
      algorithm === "best-first"
        ? growTree(distributions, { ...limits, ...(order && { order }) })
        : growTreeByLayer(distributions, {
            ...limits,
            threshold: threshold ?? 1 / limits.maxNodes,
          }),
    ...(calibrate && { calibration }),
  });
  if (!calibrate) return drafter;
  return {
    ...drafter,
    save() {
      const numbers = tables.flatMap((table) => {
        const { accepted, tested } = table.save();
        return [...accepted, ...tested];
      });
      const body = new Int32Array(Float64Array.from(numbers).buffer);
      return sealState({ kind, key, fields: {}, body });
    },
    load(bytes) {
      const { body } = openState(bytes, { kind, key });
      const numbers = new Float64Array(body.slice().buffer);
      const size = numbers.length / (2 * tables.length);
      const expected = tables[0]!.save().tested.length;
      const plausible = numbers.every((value) => value >= 0 && value < 1e9);
      if (size !== expected || !plausible) {
        throw invalidState(
          "body",
          `${numbers.length} numbers`,
          `${2 * tables.length * expected} counts`,
        );
      }
      for (const [index, table] of tables.entries()) {
        const from = 2 * size * index;
        table.load({
          accepted: numbers.slice(from, from + size),
          tested: numbers.slice(from + size, from + 2 * size),
        });
      }
    },
    reset() {
      for (const table of tables) table.reset();
    },
  };
}

/** The source over a draft model, after a check of its vocabulary. */
function resolveSource(model: LoadedModel, draft: LoadedModel | DraftSource): DraftSource {
  if (!("openSequence" in draft)) return draft;
  checkDraftVocabulary(model, draft);
  return modelDraft(draft);
}

/** A drafter over any way to grow a tree. */
export function createTreeDrafter(parts: TreeDrafterParts): Drafter {
  return {
    name: parts.name,
    candidates: 0,
    runsModel: parts.runsModel ?? false,
    begin: (request) => new TreeDraftSequence(parts, request),
    close() {},
  };
}

class TreeDraftSequence implements DraftSequence {
  readonly #parts: TreeDrafterParts;
  readonly #sampling: Sampling;
  readonly #samples: boolean;
  readonly #source: DraftSourceSequence;
  readonly #calibration: RankTables | undefined;
  #last: DynamicTree | undefined;

  constructor(parts: TreeDrafterParts, request: DraftRequest) {
    const { sampling } = request;
    const greedy = isGreedy(sampling);
    // Distributions of temperature 0 would make every tree a chain.
    const shaping = greedy
      ? { ...sampling, temperature: parts.draftTemperature, topK: 0, topP: 1, minP: 0 }
      : sampling;
    this.#parts = parts;
    this.#sampling = sampling;
    this.#samples = !greedy && parts.children === "sampled";
    this.#source = parts.source.begin(request, shaping);
    this.#calibration = parts.calibration?.[this.#samples ? "sampled" : "greedy"];
  }

  async propose(context: DraftContext): Promise<DraftTree> {
    const { grow, maxNodes, maxDepth } = this.#parts;
    const calibration = this.#calibration;
    const tree = await grow(this.#source.distributionsBelow(context.ids), {
      maxNodes: Math.min(maxNodes, context.maxNodes),
      maxDepth: Math.min(maxDepth, context.maxDepth),
      minGain: context.minAcceptanceProbability,
      ...(this.#samples && { random: draftRandom(this.#sampling, context) }),
      ...(calibration && {
        acceptance: (chance: number, rank: number) =>
          calibration[Math.min(rank, calibration.length - 1)]!.estimate(chance),
      }),
    });
    this.#last = tree;
    return tree.ids.length === 0 ? emptyTree : tree;
  }

  observe({ verdict }: DraftOutcome): void {
    const calibration = this.#calibration;
    const own = this.#last;
    this.#last = undefined;
    if (!calibration || !own || !verdict) return;
    for (const [at, table] of calibration.entries()) {
      const belongs = (rank: number): boolean => Math.min(rank, calibration.length - 1) === at;
      const chances = own.chances.map((chance, node) =>
        belongs(own.ranks[node]!) ? chance : undefined,
      );
      observeVerdict(table, own, chances, verdict);
    }
  }

  end(): void | Promise<void> {
    return this.#source.end();
  }
}
