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
  /** Number of each node's earlier siblings. */
  readonly ranks: readonly number[];
  /** Passes of the draft that the tree took. */
  readonly draftCalls: number;
}

/** A path that the draft was asked about, or that was on the way. */
interface KnownPath {
  law: KnownLaw | undefined;
  /** One token longer. */
  readonly longer: Map<number, KnownPath>;
}

/** A law that the draft gave for a path. */
interface KnownLaw {
  readonly law: TokenDistribution;
  /** Indices of the tokens that have a probability, the most probable first. */
  readonly ranking: Int32Array;
  /** Probability of the tokens from each rank on. */
  readonly tails: Float64Array;
}

/** What is left of a node's law while its children are chosen one after another. */
interface Remaining {
  readonly known: KnownLaw;
  /** Children chosen so far. */
  children: number;
  /** Probability that is left, of the law's own total. */
  mass: number;
  /** Where children are drawn. */
  readonly draws: Draws | undefined;
}

/** The stream of draws below a node, and what they took. */
interface Draws {
  readonly random: Random;
  /** By index of the law: 1 for tokens that were drawn. */
  readonly taken: Uint8Array;
}

/**
 * A tree to which one node at a time is added, wherever its laws are known.
 *
 * A node's law and the draws below it depend on its path alone. So a tree may be grown again from the
 * root with more laws, and every place gets the token that it had.
 */
export class GrowingTree {
  readonly ids: number[] = [];
  readonly parents: number[] = [];
  readonly expected: number[] = [];
  readonly #reaches: number[] = [];
  readonly #chances: number[] = [];
  readonly #ranks: number[] = [];
  readonly #depths: number[] = [];
  /** By node + 1, like what is below. */
  readonly #paths: KnownPath[] = [{ law: undefined, longer: new Map() }];
  readonly #remaining: (Remaining | undefined)[] = [];
  readonly #source: DraftLaws;
  readonly #random: Random | undefined;
  readonly #acceptance: (chance: number, rank: number) => number;
  #draftCalls = 0;

  /**
   * @param options `random` draws children, otherwise they are the most probable tokens in order;
   *   `acceptance` maps a draft probability and a number of earlier siblings to one of acceptance
   */
  constructor(
    source: DraftLaws,
    options: {
      readonly random?: Random;
      readonly acceptance?: (chance: number, rank: number) => number;
    },
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

  /** Whether the law after a node is known. */
  knows(node: number): boolean {
    return this.#paths[node + 1]!.law !== undefined;
  }

  /** Asks the draft for the laws after `nodes`. */
  async ask(nodes: readonly number[]): Promise<void> {
    this.#draftCalls++;
    const laws = await this.#source.after(nodes, this);
    for (const [index, node] of nodes.entries()) {
      const law = laws[index]!;
      this.#paths[node + 1]!.law = { law, ...rank(law) };
    }
  }

  /** Takes all nodes away and keeps the laws. */
  restart(): void {
    for (const list of [
      this.ids,
      this.parents,
      this.expected,
      this.#reaches,
      this.#chances,
      this.#ranks,
      this.#depths,
      this.#remaining,
    ]) {
      list.length = 0;
    }
    this.#paths.length = 1;
  }

  /**
   * Chance that the next child of `node` is tested and accepted, from what is known before it is
   * drawn; 0 where the law is used up.
   */
  gain(node: number, reach: number): number {
    const { known, children, mass, draws } = this.#remainingAt(node);
    const { ranking } = known;
    const { probabilities } = known.law;
    if (mass <= 0 || children === ranking.length) return 0;
    if (!draws) {
      return reach * this.#acceptance(probabilities[ranking[children]!]! / mass, children);
    }
    let sum = 0;
    for (const index of ranking) {
      if (draws.taken[index]) continue;
      const chance = probabilities[index]! / mass;
      sum += chance * this.#acceptance(chance, children);
    }
    return reach * sum;
  }

  /** Chooses the next child of a node whose `gain` is not 0. */
  add(node: number, reach: number): number {
    const remaining = this.#remainingAt(node);
    const { mass, draws } = remaining;
    const { law, ranking, tails } = remaining.known;
    const at = draws ? drawRemaining(law, mass, draws) : ranking[remaining.children]!;
    const chance = Math.min(1, law.probabilities[at]! / mass);
    const earlier = remaining.children++;
    // Never by subtracting: what is left after nearly everything would be rounding error.
    if (draws) draws.taken[at] = 1;
    remaining.mass = draws ? massOf(law, draws.taken) : tails[remaining.children]!;
    const id = law.ids[at]!;
    const { longer } = this.#paths[node + 1]!;
    let path = longer.get(id);
    if (!path) {
      path = { law: undefined, longer: new Map() };
      longer.set(id, path);
    }
    this.#paths.push(path);
    this.ids.push(id);
    this.parents.push(node);
    this.expected.push(reach * this.#acceptance(chance, earlier));
    this.#ranks.push(earlier);
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
      ranks: this.#ranks,
      draftCalls: this.#draftCalls,
    };
    if (!this.#random) return tree;
    const laws: (TokenDistribution | undefined)[] = new Array(ids.length + 1).fill(undefined);
    for (const parent of parents) laws[parent + 1] = this.#paths[parent + 1]!.law!.law;
    return { ...tree, laws };
  }

  /** A path as the key of its draws. */
  #nameOf(node: number): string {
    let name = "";
    for (let at = node; at >= 0; at = this.parents[at]!) name = ` ${this.ids[at]}${name}`;
    return name;
  }

  #remainingAt(node: number): Remaining {
    let remaining = this.#remaining[node + 1];
    if (!remaining) {
      const known = this.#paths[node + 1]!.law!;
      const draws = this.#random && {
        random: this.#random.fork(this.#nameOf(node)),
        taken: new Uint8Array(known.law.ids.length),
      };
      remaining = { known, children: 0, mass: known.tails[0]!, draws };
      this.#remaining[node + 1] = remaining;
    }
    return remaining;
  }
}

/** Probability of the tokens that are not taken. */
function massOf({ probabilities }: TokenDistribution, taken: Uint8Array): number {
  let mass = 0;
  for (let index = 0; index < taken.length; index++) {
    if (!taken[index]) mass += Math.max(0, probabilities[index]!);
  }
  return mass;
}

function rank({ ids, probabilities }: TokenDistribution): Omit<KnownLaw, "law"> {
  const ranking = Int32Array.from(probabilities.keys())
    .filter((index) => probabilities[index]! > 0)
    .sort((a, b) => probabilities[b]! - probabilities[a]! || ids[a]! - ids[b]!);
  const tails = new Float64Array(ranking.length + 1);
  for (let at = ranking.length - 1; at >= 0; at--) {
    tails[at] = tails[at + 1]! + probabilities[ranking[at]!]!;
  }
  return { ranking, tails };
}

/** The next token at which the cumulative remaining law passes a draw; in the law's own order. */
function drawRemaining(
  { probabilities }: TokenDistribution,
  mass: number,
  { random, taken }: Draws,
): number {
  const least = random.uniform() * mass;
  let sum = 0;
  let last = 0;
  for (let index = 0; index < taken.length; index++) {
    if (taken[index] || !(probabilities[index]! > 0)) continue;
    sum += probabilities[index]!;
    last = index;
    if (least < sum) break;
  }
  return last;
}
