/**
 * A smaller model with the same tokenizer guesses a chain of tokens.
 *
 * Greedy requests get its most probable tokens; requests that sample get draws from its distribution
 * under the request's own sampling options, or the most probable tokens too. Its cache follows the text:
 * what was rejected is forgotten when the next chain begins.
 */
import type { LoadedModel, OpenSequence, StepResult } from "../../model/index.ts";
import { prefill } from "../prefill.ts";
import {
  isGreedy,
  pickToken,
  rowDistribution,
  rowRequest,
  type TokenDistribution,
} from "../sampling/sampler.ts";
import { createCalibrationMap } from "./calibration-map.ts";
import { canRead, checkDraftVocabulary } from "./draft-vocabulary.ts";
import {
  type DraftContext,
  type Drafter,
  type DraftRequest,
  type DraftSequence,
  type DraftTree,
  draftRandom,
  emptyTree,
} from "./drafter.ts";

export interface DraftModelOptions {
  /** Most tokens of one chain. Default 16. */
  length?: number;
  /** A chain ends with the first token that the draft finds less probable. Default 0.4. */
  minConfidence?: number;
  /**
   * What a request that samples gets: `"drawn"` tokens of the draft's distribution (the default), more of which
   * are accepted; the text then has the model's distribution, but it is another one than without drafts. Or the
   * `"best"`, the most probable ones: the text is that of the same seed without drafts.
   */
  tokens?: "drawn" | "best";
  /** True: the draft is closed with the drafter. Default false. */
  closeDraft?: boolean;
}

/**
 * A drafter that asks a smaller model.
 *
 * @example
 * await using draft = await loadModel("small-folder");
 * const result = await complete(model, prompt, { drafter: createDraftModelDrafter(model, draft) });
 *
 * @throws JetonError `draft-model-vocabulary`: the draft's tokens are not the model's
 */
export function createDraftModelDrafter(
  model: Pick<LoadedModel, "tokenizer" | "config" | "name">,
  draft: LoadedModel,
  options: DraftModelOptions = {},
): Drafter {
  checkDraftVocabulary(model, draft);
  const { length = 16, minConfidence = 0.4, tokens = "drawn", closeDraft = false } = options;
  const acceptance = createCalibrationMap();

  const begin = ({ sampling: asked }: DraftRequest): DraftSequence => {
    const follower = new DraftFollower(draft);
    const sampling = tokens === "best" ? { ...asked, temperature: 0 } : asked;
    const request = rowRequest(sampling);
    const greedy = isGreedy(sampling);
    let chances: number[] = [];

    /** The draft's law and, where it is greedy, its probability of its best token. */
    const distributionOf = (result: StepResult, seen: ReadonlySet<number>): TokenDistribution => {
      if (!greedy || sampling.repetitionPenalty !== 1) {
        return rowDistribution(result, 0, sampling, seen);
      }
      return { ids: result.topIds.subarray(0, 1), probabilities: certain };
    };

    const propose = async (context: DraftContext): Promise<DraftTree> => {
      const { ids, maxNodes, maxDepth, minAcceptanceProbability } = context;
      const most = Math.min(length, maxNodes, maxDepth);
      const drafts: number[] = [];
      const expected: number[] = [];
      const distributions: (TokenDistribution | undefined)[] = [];
      chances = [];
      const random = draftRandom(sampling, context);
      const seen = new Set(sampling.repetitionPenalty === 1 ? [] : ids);
      let result = await follower.follow(ids, most, request);
      if (!result) return emptyTree;
      let chance = 1;
      for (;;) {
        const distribution = distributionOf(result, seen);
        const id =
          distribution.ids.length === 1
            ? distribution.ids[0]!
            : pickToken(distribution, random.uniform());
        const confidence = greedy
          ? Math.exp(result.topLogits[0]! - result.logSumExp[0]!)
          : distribution.probabilities[distribution.ids.indexOf(id)]!;
        chance *= acceptance.estimate(confidence);
        // A greedy guess may still be dropped; a drawn one stays, and ends the chain.
        if (greedy && chance < minAcceptanceProbability) break;
        drafts.push(id);
        expected.push(chance);
        chances.push(confidence);
        distributions.push(distribution);
        if (
          drafts.length === most ||
          confidence < minConfidence ||
          chance < minAcceptanceProbability
        ) {
          break;
        }
        if (sampling.repetitionPenalty !== 1) seen.add(id);
        const next = await follower.extend(id, request);
        if (!next) break;
        result = next;
      }
      const parents = drafts.map((_, node) => node - 1);
      if (greedy || drafts.length === 0)
        return { ids: drafts, parents, acceptanceProbabilities: expected };
      return {
        ids: drafts,
        parents,
        acceptanceProbabilities: expected,
        draftDistributions: [...distributions, undefined],
      };
    };

    return {
      propose,
      observe({ verdict }) {
        if (!verdict) return;
        for (const node of verdict.accepted) acceptance.observe(chances[node]!, true);
        for (const node of verdict.rejected) acceptance.observe(chances[node]!, false);
      },
      end: () => follower.release(),
    };
  };

  return {
    name: "draft-model",
    candidates: 0,
    runsModel: true,
    begin,
    async close() {
      if (closeDraft) await draft.close();
    },
  };
}

const certain: Float64Array = Float64Array.of(1);

/** What a draft's forward returns. */
type DraftStep = ReturnType<typeof rowRequest>;

/** A sequence of the draft that is brought to the text before every chain. */
class DraftFollower {
  readonly #draft: LoadedModel;
  #sequence: OpenSequence | undefined;
  /** Tokens in the draft's cache, guesses included. */
  #held: number[] = [];
  #released = false;

  constructor(draft: LoadedModel) {
    this.#draft = draft;
  }

  /**
   * Brings the cache to `ids` and runs the last of them; undefined where the draft has no room, or no
   * row for one of them.
   *
   * @param room guesses that must fit behind the text
   */
  async follow(
    ids: readonly number[],
    room: number,
    step: DraftStep,
  ): Promise<StepResult | undefined> {
    const draft = this.#draft;
    if (ids.length + room > draft.contextLength || this.#released) return undefined;
    if (!this.#sequence) {
      // Whoever waited for a slot of the draft would lose more than the draft brings.
      if (draft.openSequences >= draft.slots) return undefined;
      const sequence = await draft.openSequence({ prefix: ids });
      this.#sequence = sequence;
      this.#held = ids.slice(0, sequence.reused);
      if (this.#released) {
        await sequence.release();
        return undefined;
      }
    }
    const sequence = this.#sequence;
    let common = 0;
    const most = Math.min(this.#held.length, ids.length - 1);
    while (common < most && this.#held[common] === ids[common]) common++;
    if (common < this.#held.length) await sequence.truncate(common);
    this.#held.length = common;
    const rest = ids.slice(common);
    if (!canRead(draft, rest)) return undefined;
    const result = await prefill(sequence, rest, step);
    for (const id of rest) this.#held.push(id);
    return result;
  }

  /** Runs one guess; undefined after the request's end. */
  async extend(id: number, step: DraftStep): Promise<StepResult | undefined> {
    if (this.#released) return undefined;
    const result = await this.#sequence!.step({ ids: [id], ...step });
    this.#held.push(id);
    return result;
  }

  async release(): Promise<void> {
    this.#released = true;
    await this.#sequence?.release();
  }
}
