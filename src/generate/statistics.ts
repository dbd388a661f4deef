/**
 * What guessing ahead brought: counted forward by forward.
 */
import type { DraftTree } from "./drafter.ts";
import type { DraftWalk } from "./verify.ts";

/** How the guesses at one depth fared. */
export interface DepthStatistics {
  /** 1: the token right after the last decided one. */
  readonly depth: number;
  /** Trees that were followed down to here and had guesses here. */
  readonly tried: number;
  /** Those of them in which a guess was accepted. */
  readonly accepted: number;
}

/** What one drafter contributed; `none` stands for plain forwards. */
export interface DrafterShare {
  readonly drafter: string;
  readonly forwards: number;
  readonly drafted: number;
  readonly accepted: number;
}

/** Statistics of the decoding of one request, without its prompt. */
export interface DraftStatistics {
  /** The drafter that the request asked for. */
  readonly drafter: string;
  readonly forwards: number;
  /** Tokens that these forwards decided. */
  readonly tokens: number;
  /** Nodes of all trees. */
  readonly drafted: number;
  readonly accepted: number;
  /** Mean accepted length: tokens for each forward, the model's own included. */
  readonly tokensPerForward: number;
  readonly byDepth: readonly DepthStatistics[];
  /** By the drafter that was chosen, most forwards first. */
  readonly byDrafter: readonly DrafterShare[];
  /** Where the time went: guessing and learning, the model, walking and keeping rows. */
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
  #forwards = 0;
  #tokens = 0;
  #drafted = 0;
  #accepted = 0;
  /** Milliseconds; the loop adds to them. */
  draftTime = 0;
  forwardTime = 0;
  verifyTime = 0;

  constructor(drafter: string) {
    this.#drafter = drafter;
  }

  /** Counts one forward. @param drafter whose tree it was */
  count(drafter: string, tree: DraftTree, walk: DraftWalk): void {
    const nodes = tree.ids.length;
    const accepted = walk.accepted.length;
    this.#forwards++;
    this.#tokens += walk.decided.length;
    this.#drafted += nodes;
    this.#accepted += accepted;
    const name = nodes === 0 ? "none" : drafter;
    let share = this.#shares.get(name);
    if (!share) {
      share = { drafter: name, forwards: 0, drafted: 0, accepted: 0 };
      this.#shares.set(name, share);
    }
    share.forwards++;
    share.drafted += nodes;
    share.accepted += accepted;
    // The walk tried one depth more than it was accepted at, unless the tree ended there.
    const tried = accepted + (walk.refused.length > 0 && this.#endedRefused(tree, walk) ? 1 : 0);
    for (let depth = 1; depth <= tried; depth++) {
      this.#byDepth[depth - 1] ??= { depth, tried: 0, accepted: 0 };
      const entry = this.#byDepth[depth - 1]!;
      entry.tried++;
      if (depth <= accepted) entry.accepted++;
    }
  }

  /** True where the last row that the walk reached had children, none of which was accepted. */
  #endedRefused(tree: DraftTree, walk: DraftWalk): boolean {
    const last = walk.accepted.at(-1) ?? -1;
    return tree.parents[walk.refused.at(-1)!] === last;
  }

  result(): DraftStatistics {
    return {
      drafter: this.#drafter,
      forwards: this.#forwards,
      tokens: this.#tokens,
      drafted: this.#drafted,
      accepted: this.#accepted,
      tokensPerForward: this.#forwards === 0 ? 0 : this.#tokens / this.#forwards,
      byDepth: this.#byDepth.map((entry) => ({ ...entry })),
      byDrafter: [...this.#shares.values()]
        .map((share) => ({ ...share }))
        .sort((a, b) => b.forwards - a.forwards),
      draftSeconds: this.draftTime / 1000,
      forwardSeconds: this.forwardTime / 1000,
      verifySeconds: this.verifyTime / 1000,
    };
  }
}
