/**
 * Statistics of speculative decoding: drafted and accepted tokens, forward passes, time.
 */
import type { DraftTree } from "./drafter.ts";
import type { Verification } from "./verify.ts";

/** Acceptance at one depth of the draft trees. */
export interface DepthStatistics {
  /** 1: the token right after the last emitted one. */
  readonly depth: number;
  /** Trees that were accepted down to the depth above and had draft tokens here. */
  readonly tried: number;
  /** Those of them in which a draft token of this depth was accepted. */
  readonly accepted: number;
}

/** Share of one drafter; `none` stands for autoregressive steps. */
export interface DrafterShare {
  /** Name of the drafter. */
  readonly drafter: string;
  /** Forward passes over its drafts. */
  readonly forwardPasses: number;
  /** Draft tokens that it proposed. */
  readonly drafted: number;
  /** Draft tokens of its that were accepted. */
  readonly accepted: number;
}

/** Statistics of the decoding of one request, without its prompt. */
export interface DraftStatistics {
  /** The request's drafter. */
  readonly drafter: string;
  /** Forward passes after the prompt. */
  readonly forwardPasses: number;
  /** Tokens that these forward passes emitted. */
  readonly tokens: number;
  /** Nodes of all trees. */
  readonly drafted: number;
  /** Draft tokens that were accepted. */
  readonly accepted: number;
  /** Mean acceptance length: emitted tokens per forward pass, the model's own included. */
  readonly meanAcceptanceLength: number;
  /** Acceptance by depth, depth 1 first. */
  readonly byDepth: readonly DepthStatistics[];
  /** By the chosen drafter, most forward passes first. */
  readonly byDrafter: readonly DrafterShare[];
  /** Seconds of drafting and learning, of the model, of verification and cache updates. */
  readonly draftSeconds: number;
  readonly forwardSeconds: number;
  readonly verifySeconds: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Collects the statistics of one request. */
export class DraftCounter {
  readonly #drafter: string;
  readonly #byDepth: Mutable<DepthStatistics>[] = [];
  readonly #shares: Map<string, Mutable<DrafterShare>> = new Map();
  #forwardPasses = 0;
  #tokens = 0;
  #drafted = 0;
  #accepted = 0;
  /** Milliseconds, which the decoding loop adds to. */
  draftTime = 0;
  forwardTime = 0;
  verifyTime = 0;

  constructor(drafter: string) {
    this.#drafter = drafter;
  }

  /** Counts one forward pass. @param drafter whose tree it was */
  count(drafter: string, tree: DraftTree, walk: Verification): void {
    const nodes = tree.ids.length;
    const accepted = walk.accepted.length;
    this.#forwardPasses++;
    this.#tokens += walk.emitted.length;
    this.#drafted += nodes;
    this.#accepted += accepted;
    const name = nodes === 0 ? "none" : drafter;
    let share = this.#shares.get(name);
    if (!share) {
      share = { drafter: name, forwardPasses: 0, drafted: 0, accepted: 0 };
      this.#shares.set(name, share);
    }
    share.forwardPasses++;
    share.drafted += nodes;
    share.accepted += accepted;
    // One depth more was tried than accepted, unless the tree ended there.
    const tried = accepted + (walk.rejected.length > 0 && this.#endedRejected(tree, walk) ? 1 : 0);
    for (let depth = 1; depth <= tried; depth++) {
      this.#byDepth[depth - 1] ??= { depth, tried: 0, accepted: 0 };
      const entry = this.#byDepth[depth - 1]!;
      entry.tried++;
      if (depth <= accepted) entry.accepted++;
    }
  }

  /** True where the last visited row had children, none of which was accepted. */
  #endedRejected(tree: DraftTree, walk: Verification): boolean {
    const last = walk.accepted.at(-1) ?? -1;
    return tree.parents[walk.rejected.at(-1)!] === last;
  }

  result(): DraftStatistics {
    return {
      drafter: this.#drafter,
      forwardPasses: this.#forwardPasses,
      tokens: this.#tokens,
      drafted: this.#drafted,
      accepted: this.#accepted,
      meanAcceptanceLength: this.#forwardPasses === 0 ? 0 : this.#tokens / this.#forwardPasses,
      byDepth: this.#byDepth.map((entry) => ({ ...entry })),
      byDrafter: [...this.#shares.values()]
        .map((share) => ({ ...share }))
        .sort((a, b) => b.forwardPasses - a.forwardPasses),
      draftSeconds: this.draftTime / 1000,
      forwardSeconds: this.forwardTime / 1000,
      verifySeconds: this.verifyTime / 1000,
    };
  }
}
