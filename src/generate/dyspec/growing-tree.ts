/**
 * The bookkeeping of a tree that grows: laws of its nodes, what is left of each while its children
 * are chosen without replacement, and the chances of the chosen ones.
 */
import type { Random } from "../../core/index.ts";
import type { DraftTree } from "../drafter.ts";
import type { TokenDistribution } from "../sampler.ts";

/** Laws of the next token after nodes of a tree that is still growing. */
export interface DraftLaws {
  /**
   * The draft's laws after each of `nodes`; -1 is the root, always asked for alone and first. One
   * call is one pass of the draft. A law without tokens closes its node.
   */
  after(
    nodes: readonly number[],
    tree: { readonly ids: readonly number[]; readonly parents: readonly number[] },
  ): readonly TokenDistribution[] | Promise<readonly TokenDistribution[]>;
}

/** A grown tree, with what it was grown by. */
export interface DynamicTree extends DraftTree {
  readonly ids: readonly number[];
  readonly parents: readonly number[];
  /** Estimated probability that each node is accepted. */
  readonly expected: readonly number[];
  /** Reach of each node's place: expected probability that the node is tested at all. */
  readonly reaches: readonly number[];
  /** Remaining probability of each node's token when it was chosen: `R[y]`. */
  readonly chances: readonly number[];
  /** Passes of the draft that the tree took. */
  readonly draftCalls: number;
}

/** What is left of a node's law while its children are chosen one after another. */
interface Remaining {
  readonly law: TokenDistribution;
  /** 1 for tokens that were chosen or have no probability. */
  readonly taken: Uint8Array;
  /** Probability that is left, of the law's own total. */
  mass: number;
  /** Where children are drawn: the stream of draws. */
  readonly random: Random | undefined;
  /** Where they are not: indices of the law, the most probable last; chosen ones are gone. */
  readonly ranking: number[];
}

/** A tree to which one node at a time is added, wherever its laws are known. */
export class GrowingTree {
  readonly ids: number[] = [];
  readonly parents: number[] = [];
  readonly expected: number[] = [];
  readonly #reaches: number[] = [];
  readonly #chances: number[] = [];
  readonly #depths: number[] = [];
  /** By node + 1: entry 0 is the root's. */
  readonly #remaining: (Remaining | undefined)[] = [];
  readonly #source: DraftLaws;
  readonly #random: Random | undefined;
  readonly #acceptance: (chance: number) => number;
  #draftCalls = 0;

  /**
   * @param options `random` draws children, otherwise they are the most probable tokens in order;
   *   `acceptance` maps a draft probability to one of acceptance
   */
  constructor(
    source: DraftLaws,
    options: { readonly random?: Random; readonly acceptance?: (chance: number) => number },
  ) {
    this.#source = source;
    this.#random = options.random;
    this.#acceptance = options.acceptance ?? ((chance) => chance);
  }

  get size(): number {
    return this.ids.length;
  }

  depthOf(node: number): number {
    return this.#depths[node]!;
  }

  knows(node: number): boolean {
    return this.#remaining[node + 1] !== undefined;
  }

  /** Asks the draft for the laws after `nodes`. */
  async ask(nodes: readonly number[]): Promise<void> {
    this.#draftCalls++;
    const laws = await this.#source.after(nodes, this);
    for (const [index, node] of nodes.entries()) {
      const law = laws[index]!;
      const { probabilities } = law;
      const taken = Uint8Array.from(probabilities, (probability) => (probability > 0 ? 0 : 1));
      const random = this.#random?.fork(...this.#path(node));
      const ranking = random ? [] : rank(law);
      this.#remaining[node + 1] = { law, taken, mass: massOf(law, taken), random, ranking };
    }
  }

  /**
   * Chance that the next child of `node` is tested and accepted, from what is known before it is
   * drawn; 0 where the law is used up.
   */
  gain(node: number, reach: number): number {
    const { law, taken, mass, random, ranking } = this.#remaining[node + 1]!;
    const { probabilities } = law;
    if (mass <= 0) return 0;
    if (!random) {
      const best = ranking.at(-1);
      return best === undefined ? 0 : reach * this.#acceptance(probabilities[best]! / mass);
    }
    let sum = 0;
    for (let index = 0; index < probabilities.length; index++) {
      if (taken[index]) continue;
      const chance = probabilities[index]! / mass;
      sum += chance * this.#acceptance(chance);
    }
    return reach * sum;
  }

  /** Chooses the next child of a node whose `gain` is not 0. */
  add(node: number, reach: number): number {
    const remaining = this.#remaining[node + 1]!;
    const { law, taken, random, ranking } = remaining;
    const at = random ? drawRemaining(remaining, random.uniform()) : ranking.pop()!;
    const chance = Math.min(1, law.probabilities[at]! / remaining.mass);
    taken[at] = 1;
    // Summed anew: what is left after subtracting nearly everything would be rounding error.
    remaining.mass = massOf(law, taken);
    this.ids.push(law.ids[at]!);
    this.parents.push(node);
    this.expected.push(reach * this.#acceptance(chance));
    this.#reaches.push(reach);
    this.#chances.push(chance);
    this.#depths.push(node === -1 ? 1 : this.#depths[node]! + 1);
    return this.ids.length - 1;
  }

  finish(): DynamicTree {
    const { ids, parents, expected } = this;
    const tree = {
      ids,
      parents,
      expected,
      reaches: this.#reaches,
      chances: this.#chances,
      draftCalls: this.#draftCalls,
    };
    if (!this.#random) return tree;
    const laws: (TokenDistribution | undefined)[] = new Array(ids.length + 1).fill(undefined);
    for (const parent of parents) laws[parent + 1] = this.#remaining[parent + 1]!.law;
    return { ...tree, laws };
  }

  #path(node: number): number[] {
    const path: number[] = [];
    for (let at = node; at !== -1; at = this.parents[at]!) path.push(this.ids[at]!);
    return path.reverse();
  }
}

/** Probability of the tokens that are not taken. */
function massOf({ probabilities }: TokenDistribution, taken: Uint8Array): number {
  let mass = 0;
  for (let index = 0; index < taken.length; index++) {
    if (!taken[index]) mass += probabilities[index]!;
  }
  return mass;
}

/** Indices of the tokens that have a probability, ascending by it; among equals the first id last. */
function rank({ ids, probabilities }: TokenDistribution): number[] {
  return [...probabilities.keys()]
    .filter((index) => probabilities[index]! > 0)
    .sort((a, b) => probabilities[a]! - probabilities[b]! || ids[b]! - ids[a]!);
}

/** The token at which the cumulative remaining law passes `draw`. */
function drawRemaining({ law, taken, mass }: Remaining, draw: number): number {
  let sum = 0;
  let last = 0;
  for (let index = 0; index < taken.length; index++) {
    if (taken[index]) continue;
    sum += law.probabilities[index]!;
    last = index;
    if (draw * mass < sum) break;
  }
  return last;
}
