/**
 * Speculative decoding with a draft model: a smaller model with the same tokenizer drafts a chain.
 *
 * Greedy requests get its most probable tokens. Requests that sample get samples of its distribution under
 * the request's own sampling options, or with `tokens: "best"` the most probable tokens too.
 */
import type { LoadedModel, StepResult } from "../../model/index.ts";
import { hasPenalties, TokenCounter, type TokenCounts } from "../sampling/penalties.ts";
import {
  isGreedy,
  pickToken,
  rowDistribution,
  rowRequest,
  type TokenDistribution,
} from "../sampling/sampler.ts";
import { type CalibrationMap, createCalibrationMap } from "./calibration-map.ts";
import { DraftFollower, type DraftStep } from "./draft-follower.ts";
import { checkDraftVocabulary } from "./draft-vocabulary.ts";
import {
  type DraftContext,
  type Drafter,
  type DraftOutcome,
  type DraftRequest,
  type DraftSequence,
  type DraftTree,
  draftRandom,
  emptyTree,
} from "./drafter.ts";

/** Options of `createDraftModelDrafter`. */
export interface DraftModelOptions {
  /** Most tokens of one chain. Default 16. */
  length?: number;
  /** A chain ends with the first token that the draft model finds less probable. Default 0.4. */
  minConfidence?: number;
  /**
   * Drafts of requests that sample. `"sampled"` from the draft model's distribution (default): more tokens are
   * accepted, and the text keeps the model's distribution but differs from the one without drafts. `"best"`,
   * the most probable tokens: the text equals that of the same seed without drafts.
   */
  tokens?: "sampled" | "best";
  /** True: the draft model is closed with the drafter. Default false. */
  closeDraft?: boolean;
}

/**
 * A drafter that runs a smaller model.
 *
 * @example
 * const draft = await loadModel("small-folder");
 * const result = await complete(model, prompt, { drafter: createDraftModelDrafter(model, draft) });
 *
 * @throws JetonError `draft-model-vocabulary`: the draft model's tokens are not the model's
 */
export function createDraftModelDrafter(
  model: Pick<LoadedModel, "tokenizer" | "config" | "name">,
  draft: LoadedModel,
  options: DraftModelOptions = {},
): Drafter {
  checkDraftVocabulary(model, draft);
  const { length = 16, minConfidence = 0.4, tokens = "sampled", closeDraft = false } = options;
  const calibration = createCalibrationMap();
  return {
    name: "draft-model",
    candidates: 0,
    runsModel: true,
    begin({ sampling: asked, ...request }) {
      const sampling = tokens === "best" ? { ...asked, temperature: 0 } : asked;
      const chain = { length, minConfidence, calibration };
      return new DraftChainSequence(draft, { ...request, sampling }, chain);
    },
    async close() {
      if (closeDraft) await draft.close();
    },
  };
}

interface ChainOptions {
  readonly length: number;
  readonly minConfidence: number;
  /** From the draft model's probability of a token to that of its acceptance. */
  readonly calibration: CalibrationMap;
}

/** A chain that grows. */
interface Chain {
  readonly ids: number[];
  readonly acceptanceProbabilities: number[];
  readonly distributions: (TokenDistribution | undefined)[];
}

class DraftChainSequence implements DraftSequence {
  readonly #options: ChainOptions;
  readonly #request: DraftRequest;
  readonly #follower: DraftFollower;
  readonly #step: DraftStep;
  readonly #isGreedy: boolean;
  readonly #hasPenalties: boolean;
  /** Tokens of prompt and emitted text, and how many of them are counted. */
  readonly #counter: TokenCounter;
  #counted: number;
  /** The draft model's probabilities of the last chain's tokens. */
  #confidences: number[] = [];

  constructor(draft: LoadedModel, request: DraftRequest, options: ChainOptions) {
    const { sampling, promptIds } = request;
    this.#options = options;
    this.#request = request;
    this.#follower = new DraftFollower(draft);
    this.#step = rowRequest(sampling);
    this.#isGreedy = isGreedy(sampling);
    this.#hasPenalties = hasPenalties(sampling);
    this.#counter = new TokenCounter(this.#hasPenalties ? promptIds : []);
    this.#counted = promptIds.length;
  }

  async propose(context: DraftContext): Promise<DraftTree> {
    const { ids, maxNodes, maxDepth } = context;
    const length = Math.min(this.#options.length, maxNodes, maxDepth);
    this.#confidences = [];
    const result = await this.#follower.follow(ids, length, this.#step);
    if (!result) return emptyTree;
    const chain: Chain = { ids: [], acceptanceProbabilities: [], distributions: [] };
    await this.#grow(chain, length, context, result);
    const parents = chain.ids.map((_, node) => node - 1);
    const { acceptanceProbabilities } = chain;
    if (this.#isGreedy || chain.ids.length === 0) {
      return { ids: chain.ids, parents, acceptanceProbabilities };
    }
    return {
      ids: chain.ids,
      parents,
      acceptanceProbabilities,
      draftDistributions: [...chain.distributions, undefined],
    };
  }

  observe({ verdict }: DraftOutcome): void {
    if (!verdict) return;
    const { calibration } = this.#options;
    for (const node of verdict.accepted) calibration.observe(this.#confidences[node]!, true);
    for (const node of verdict.rejected) calibration.observe(this.#confidences[node]!, false);
  }

  end(): Promise<void> {
    return this.#follower.release();
  }

  /** Adds tokens to a chain until one is too improbable or the length is reached. */
  async #grow(
    chain: Chain,
    length: number,
    context: DraftContext,
    first: StepResult,
  ): Promise<void> {
    const { minConfidence, calibration } = this.#options;
    const random = draftRandom(this.#request.sampling, context);
    const counts = this.#countsOf(context.ids);
    let result = first;
    let probability = 1;
    for (;;) {
      const distribution = this.#distribution(result, counts);
      const id =
        distribution.ids.length === 1
          ? distribution.ids[0]!
          : pickToken(distribution, random.uniform());
      const confidence = this.#isGreedy
        ? Math.exp(result.topLogits[0]! - result.logSumExp[0]!)
        : distribution.probabilities[distribution.ids.indexOf(id)]!;
      probability *= calibration.estimate(confidence);
      const pays = probability >= context.minAcceptanceProbability;
      // A greedy token may still be dropped; a sampled one must stay and ends the chain.
      if (this.#isGreedy && !pays) return;
      chain.ids.push(id);
      chain.acceptanceProbabilities.push(probability);
      chain.distributions.push(distribution);
      this.#confidences.push(confidence);
      if (chain.ids.length === length || confidence < minConfidence || !pays) return;
      if (this.#hasPenalties) counts.push(id);
      const next = await this.#follower.extend(id, this.#step);
      if (!next) return;
      result = next;
    }
  }

  /** Counts of the text so far, to go on with the chain's tokens. */
  #countsOf(ids: readonly number[]): TokenCounter {
    if (!this.#hasPenalties) return this.#counter;
    for (; this.#counted < ids.length; this.#counted++) this.#counter.push(ids[this.#counted]!);
    return this.#counter.after([]);
  }

  /** The draft model's distribution; of greedy requests without penalties only the best token. */
  #distribution(result: StepResult, counts: TokenCounts): TokenDistribution {
    if (!this.#isGreedy || this.#hasPenalties) {
      return rowDistribution(result, 0, { sampling: this.#request.sampling, counts });
    }
    return { ids: result.topIds.subarray(0, 1), probabilities: certain };
  }
}

const certain: Float64Array = Float64Array.of(1);
