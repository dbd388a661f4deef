/**
 * The bookkeeping of a tree that grows: laws of its nodes, what is left of each while its children
 * are chosen without replacement, and the chances of the chosen ones.
 */
import type { Random } from "../../core/index.ts";
import type { TokenDistribution } from "../sampling/sampler.ts";
import type { DraftTree } from "../speculative/drafter.ts";

/** Laws of the next token after nodes of a tree that is still growing. */
export interface DraftDistributions {
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
  readonly acceptanceProbabilities: readonly number[];
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
  distribution: KnownDistribution | undefined;
  /** One token longer. */
  readonly longer: Map<number, KnownPath>;
}

/**
 * A law that the draft gave for a path, and the children that are chosen from it one after another,
 * without replacement. Which they are depends on the path alone: a tree that is grown again from the
 * root finds them here.
 */
interface KnownDistribution {
  readonly distribution: TokenDistribution;
  /** Indices of the tokens that have a probability, the most probable first. */
  readonly ranking: Int32Array;
  /** Probability of the tokens from each rank on. */
  readonly tails: Float64Array;
  /** The stream of draws below the path, where children are drawn. */
  readonly samples: Samples | undefined;
  readonly choices: Choice[];
  /** By number of earlier children: chance that one more is accepted, before it is known which. */
  readonly gains: number[];
}

/** One child of a path. */
interface Choice {
  readonly id: number;
  /** Its share of what its earlier siblings left. */
  readonly chance: number;
  /** Probability that is left after it, of the law's own total. */
  readonly left: number;
}

/** The stream of draws below a node, and what they took. */
interface Samples {
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
  readonly #paths: KnownPath[] = [{ distribution: undefined, longer: new Map() }];
  /** Children of each node so far. */
  readonly #children: number[] = [];
  readonly #source: DraftDistributions;
  readonly #random: Random | undefined;
  readonly #acceptance: (chance: number, rank: number) => number;
  #draftCalls = 0;

  /**
   * @param options `random` draws children, otherwise they are the most probable tokens in order;
   *   `acceptance` maps a draft probability and a number of earlier siblings to one of acceptance
   */
  constructor(
    source: DraftDistributions,
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
    return this.#paths[node + 1]!.distribution !== undefined;
  }

  /** Asks the draft for the laws after `nodes`. */
  async ask(nodes: readonly number[]): Promise<void> {
    this.#draftCalls++;
    const distributions = await this.#source.after(nodes, this);
    for (const [index, node] of nodes.entries()) {
      const distribution = distributions[index]!;
      const samples = this.#random && {
        random: this.#random.fork(this.#nameOf(node)),
        taken: new Uint8Array(distribution.ids.length),
      };
      this.#paths[node + 1]!.distribution = {
        distribution,
        ...rank(distribution),
        samples,
        choices: [],
        gains: [],
      };
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
      this.#children,
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
    const known = this.#paths[node + 1]!.distribution!;
    return reach * this.#nextGain(known, this.#children[node + 1] ?? 0);
  }

  /** Chooses the next child of a node whose `gain` is not 0. */
  add(node: number, reach: number): number {
    const { distribution: known, longer } = this.#paths[node + 1]!;
    const earlier = this.#children[node + 1] ?? 0;
    const { id, chance } = this.#choice(known!, earlier);
    this.#children[node + 1] = earlier + 1;
    let path = longer.get(id);
    if (!path) {
      path = { distribution: undefined, longer: new Map() };
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
      acceptanceProbabilities: expected,
      reaches: this.#reaches,
      chances: this.#chances,
      ranks: this.#ranks,
      draftCalls: this.#draftCalls,
    };
    if (!this.#random) return tree;
    const distributions: (TokenDistribution | undefined)[] = new Array(ids.length + 1).fill(
      undefined,
    );
    for (const parent of parents)
      distributions[parent + 1] = this.#paths[parent + 1]!.distribution!.distribution;
    return { ...tree, draftDistributions: distributions };
  }

  /** A path as the key of its draws. */
  #nameOf(node: number): string {
    let name = "";
    for (let at = node; at >= 0; at = this.parents[at]!) name = ` ${this.ids[at]}${name}`;
    return name;
  }

  #nextGain(known: KnownDistribution, children: number): number {
    let gain = known.gains[children];
    if (gain === undefined) {
      gain = this.#computeGain(known, children);
      known.gains[children] = gain;
    }
    return gain;
  }

  #computeGain(
    { distribution, ranking, tails, samples, choices }: KnownDistribution,
    children: number,
  ): number {
    const mass = children === 0 ? tails[0]! : choices[children - 1]!.left;
    if (mass <= 0 || children === ranking.length) return 0;
    const { probabilities } = distribution;
    if (!samples) return this.#acceptance(probabilities[ranking[children]!]! / mass, children);
    let sum = 0;
    for (const index of ranking) {
      if (samples.taken[index]) continue;
      const chance = probabilities[index]! / mass;
      sum += chance * this.#acceptance(chance, children);
    }
    return sum;
  }

  /** The child of a path after `children` others. */
  #choice(known: KnownDistribution, children: number): Choice {
    let choice = known.choices[children];
    if (!choice) {
      const { distribution, ranking, tails, samples, choices } = known;
      // It is asked for before the draw, and knows what was taken until then.
      this.#nextGain(known, children);
      const mass = children === 0 ? tails[0]! : choices[children - 1]!.left;
      const at = samples ? sampleRemaining(distribution, mass, samples) : ranking[children]!;
      if (samples) samples.taken[at] = 1;
      choice = {
        id: distribution.ids[at]!,
        chance: Math.min(1, distribution.probabilities[at]! / mass),
        // Never by subtracting: what is left after nearly everything would be rounding error.
        left: samples ? massOf(distribution, samples.taken) : tails[children + 1]!,
      };
      choices.push(choice);
    }
    return choice;
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

function rank({
  ids,
  probabilities,
}: TokenDistribution): Pick<KnownDistribution, "ranking" | "tails"> {
  let count = 0;
  for (const probability of probabilities) if (probability > 0) count++;
  const ranking = roughRanking(probabilities, count);
  const comesAfter = (a: number, b: number): boolean =>
    probabilities[a]! < probabilities[b]! ||
    (probabilities[a] === probabilities[b] && ids[a]! > ids[b]!);
  for (let at = 1; at < count; at++) {
    const index = ranking[at]!;
    let hole = at;
    for (; hole > 0 && comesAfter(ranking[hole - 1]!, index); hole--) {
      ranking[hole] = ranking[hole - 1]!;
    }
    ranking[hole] = index;
  }
  const tails = new Float64Array(count + 1);
  for (let at = count - 1; at >= 0; at--) {
    tails[at] = tails[at + 1]! + probabilities[ranking[at]!]!;
  }
  return { ranking, tails };
}

/**
 * Indices of the positive probabilities, the largest first but for those that agree in all but their
 * last bits. These hold the index while the numbers are sorted: without a function to compare by, that
 * is many times as fast, and laws are ranked for every node that a draft is asked about.
 */
function roughRanking(probabilities: Float64Array, count: number): Int32Array {
  const size = probabilities.length;
  const mask = 2 ** Math.ceil(Math.log2(Math.max(2, size))) - 1;
  const keys = new Float64Array(count);
  const words = new Uint32Array(keys.buffer);
  for (let index = 0, at = 0; at < count; index++) {
    if (!(probabilities[index]! > 0)) continue;
    keys[at] = probabilities[index]!;
    const low = 2 * at++ + lowWord;
    words[low] = (words[low]! & ~mask) | (mask - index);
  }
  keys.sort();
  const ranking = new Int32Array(count);
  for (let at = 0; at < count; at++) {
    ranking[at] = mask - (words[2 * (count - 1 - at) + lowWord]! & mask);
  }
  return ranking;
}

/** Where the less significant half of a number lies: 0 on all machines of today but a few. */
const lowWord: number = new Uint32Array(Float64Array.of(1).buffer)[0] === 0 ? 0 : 1;

/** The next token at which the cumulative remaining law passes a draw; in the law's own order. */
function sampleRemaining(
  { probabilities }: TokenDistribution,
  mass: number,
  { random, taken }: Samples,
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
