/**
 * A growing draft tree: the distributions after its nodes, from which children are chosen without
 * replacement, and the acceptance probabilities of the chosen ones.
 */
import type { Random } from "../../core/index.ts";
import type { TokenDistribution } from "../sampling/sampler.ts";
import { type BuiltTree, DraftTreeBuilder } from "../speculative/draft-tree-builder.ts";

/** A draft's distributions of the next token after nodes of a growing tree. */
export interface DraftDistributions {
  /**
   * The distributions after each of `nodes`; -1 is the root, which is asked for first and alone. One call is
   * one pass of the draft. A node with an empty distribution gets no children.
   */
  after(
    nodes: readonly number[],
    tree: { readonly ids: readonly number[]; readonly parents: readonly number[] },
  ): readonly TokenDistribution[] | Promise<readonly TokenDistribution[]>;
}

/** A grown tree, with the numbers that it was grown by. */
export interface DynamicTree extends BuiltTree {
  /** Reach of each node: estimated probability that verification tests it. */
  readonly reaches: readonly number[];
  /** Probability of each node's token in the remaining distribution when it was chosen: `R[y]`. */
  readonly chances: readonly number[];
  /** Number of each node's earlier siblings. */
  readonly ranks: readonly number[];
  /** Passes of the draft. */
  readonly draftCalls: number;
}

/** A path from the root, and the paths that are one token longer. */
interface KnownPath {
  distribution: KnownDistribution | undefined;
  readonly longer: Map<number, KnownPath>;
}

/**
 * A draft's distribution after a path, and the children chosen from it one after another without replacement.
 * They depend on the path alone, so a tree that is grown again from the root reuses them.
 */
interface KnownDistribution {
  readonly distribution: TokenDistribution;
  /** Indices of the tokens with a positive probability, the most probable first. */
  readonly ranking: Int32Array;
  /** Probability of the tokens from each rank on. */
  readonly tails: Float64Array;
  /** Random stream of the path, where children are sampled. */
  readonly samples: Samples | undefined;
  readonly choices: Choice[];
  /** By number of earlier children: probability that the next one is accepted, before it is chosen. */
  readonly gains: number[];
}

/** One child of a path. */
interface Choice {
  readonly id: number;
  /** Its probability in the distribution that its earlier siblings left. */
  readonly chance: number;
  /** Probability mass that is left after it. */
  readonly left: number;
}

/** Random stream of a node, and the tokens sampled so far. */
interface Samples {
  readonly random: Random;
  /** By index of the distribution: 1 for tokens that were sampled. */
  readonly taken: Uint8Array;
}

/**
 * A tree to which one node at a time is added, below nodes whose distribution is known.
 *
 * A node's distribution and its sampled children depend on its path alone. So a tree may be grown again from
 * the root with more distributions, and gets the same tokens at the same places.
 */
export class GrowingTree {
  readonly #builder: DraftTreeBuilder = new DraftTreeBuilder();
  readonly #reaches: number[] = [];
  readonly #chances: number[] = [];
  readonly #ranks: number[] = [];
  /** By node + 1. */
  readonly #paths: KnownPath[] = [{ distribution: undefined, longer: new Map() }];
  /** Number of children so far, by node + 1. */
  readonly #children: number[] = [];
  readonly #source: DraftDistributions;
  readonly #random: Random | undefined;
  readonly #acceptance: (chance: number, rank: number) => number;
  #draftCalls = 0;

  /**
   * @param options `random` samples the children; without it they are the most probable tokens in order.
   *   `acceptance` maps a draft probability and a number of earlier siblings to an acceptance probability
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
    return this.#builder.size;
  }

  depthOf(node: number): number {
    return this.#builder.depthOf(node);
  }

  /** Estimated probability that a node is accepted; 1 for the root. */
  reachOf(node: number): number {
    return this.#builder.reachOf(node);
  }

  /** Whether the distribution after a node is known. */
  knows(node: number): boolean {
    return this.#paths[node + 1]!.distribution !== undefined;
  }

  /** Asks the draft for the distributions after `nodes`. */
  async ask(nodes: readonly number[]): Promise<void> {
    this.#draftCalls++;
    const distributions = await this.#source.after(nodes, this.#builder);
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

  /** Removes all nodes and keeps the distributions. */
  restart(): void {
    this.#builder.clear();
    for (const list of [this.#reaches, this.#chances, this.#ranks, this.#children]) {
      list.length = 0;
    }
    this.#paths.length = 1;
  }

  /**
   * Probability that the next child of `node` is tested and accepted, by what is known before it is sampled;
   * 0 where the distribution has no token left.
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
    this.#ranks.push(earlier);
    this.#reaches.push(reach);
    this.#chances.push(chance);
    return this.#builder.add(node, id, reach * this.#acceptance(chance, earlier));
  }

  finish(): DynamicTree {
    const { ids, parents } = this.#builder;
    const tree = {
      ...this.#builder.tree,
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

  /** A path as the key of its random stream. */
  #nameOf(node: number): string {
    let name = "";
    const { ids, parents } = this.#builder;
    for (let at = node; at >= 0; at = parents[at]!) name = ` ${ids[at]}${name}`;
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
      // The gain is a function of the tokens taken so far: compute it before the next one is taken.
      this.#nextGain(known, children);
      const mass = children === 0 ? tails[0]! : choices[children - 1]!.left;
      const at = samples ? sampleRemaining(distribution, mass, samples) : ranking[children]!;
      if (samples) samples.taken[at] = 1;
      choice = {
        id: distribution.ids[at]!,
        chance: Math.min(1, distribution.probabilities[at]! / mass),
        // Summed, not subtracted: a small remainder would be rounding error.
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
 * Indices of the positive probabilities, the largest first; probabilities that agree in all but their last
 * bits may be in any order. The last bits hold the index during the sort: the native numeric sort is many
 * times as fast as one with a comparison function, and every asked node's distribution is ranked.
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

/** Index of the less significant word of a float64: 0 on little-endian machines. */
const lowWord: number = new Uint32Array(Float64Array.of(1).buffer)[0] === 0 ? 0 : 1;

/** Index at which the cumulative remaining distribution passes a random number, in the given order. */
function sampleRemaining(
  { probabilities }: TokenDistribution,
  mass: number,
  { random, taken }: Samples,
): number {
  const target = random.uniform() * mass;
  let sum = 0;
  let last = 0;
  for (let index = 0; index < taken.length; index++) {
    if (taken[index] || !(probabilities[index]! > 0)) continue;
    sum += probabilities[index]!;
    last = index;
    if (target < sum) break;
  }
  return last;
}
