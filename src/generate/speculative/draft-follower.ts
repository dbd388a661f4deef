/** A sequence of a draft model that follows the text of a request. */
import type { LoadedModel, OpenSequence, StepResult } from "../../model/index.ts";
import { prefill } from "../prefill.ts";
import type { rowRequest } from "../sampling/sampler.ts";
import { canRead } from "./draft-vocabulary.ts";

/** What each step of the draft model returns. */
export type DraftStep = ReturnType<typeof rowRequest>;

/** Keeps the draft's cache in step with the text: rejected draft tokens are dropped before each draft. */
export class DraftFollower {
  readonly #draft: LoadedModel;
  #sequence: OpenSequence | undefined;
  /** Tokens in the draft's cache, draft tokens included. */
  #held: number[] = [];
  #released = false;

  constructor(draft: LoadedModel) {
    this.#draft = draft;
  }

  /**
   * Brings the cache to `ids` and returns the step over the last of them; undefined where the draft's
   * context or vocabulary is too small, all its slots are taken, or the request has ended.
   *
   * @param reserved draft tokens that must fit into the context behind the text
   */
  async follow(
    ids: readonly number[],
    reserved: number,
    step: DraftStep,
  ): Promise<StepResult | undefined> {
    const draft = this.#draft;
    if (ids.length + reserved > draft.contextLength || this.#released) return undefined;
    if (!this.#sequence) {
      // Waiting for a slot would take longer than a draft saves.
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

  /** Runs one draft token; undefined after the request's end. */
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
