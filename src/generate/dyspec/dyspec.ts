/**
 * DySpec: draft trees that take the shape of the draft's confidence (Xiong et al., 2024,
 * arXiv 2410.11744).
 *
 * The hypothesis: a drafted token is accepted about as often as the draft thought it probable. So the
 * chance that verification ever tests a place of the tree is a product of draft probabilities, and a
 * budget of nodes is best spent on the places with the largest chance. Names here and in the paper:
 * `reach` is v, the remaining law of a node is R, `threshold` is theta, `maximumNodes` is N.
 *
 * Children are drawn from the remaining law, without replacement, *after* the place was chosen:
 * nothing that decides about a place knows the token that will be drawn there, and no drawn token is
 * ever dropped. That is what keeps verification exact under sampling.
 */
import type { Random } from "../../core/index.ts";
import type { DraftTree } from "../drafter.ts";
import type { TokenDistribution } from "../sampler.ts";
import { SlotHeap } from "./slot-heap.ts";

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

export interface GrowOptions {
  /** Most nodes of the tree (N). */
  readonly maximumNodes: number;
  /** Most nodes on a path. Default: no limit. */
  readonly maximumDepth?: number;
  /**
   * Draws the children; its stream is forked by path, so that a place gets the same token whatever
   * the order in which the tree grows. Absent: children are the most probable tokens in order.
   */
  readonly random?: Random;
  /**
   * How places are ordered. `"reach"` is the paper's: the chance that the place is tested.
   * `"gain"`: the chance that it is tested and its token accepted, as far as that is known before
   * the draw (reach times the largest remaining probability, or, where children are drawn, the sum
   * of squares of the remaining law). Default `"reach"` with `random`, otherwise `"gain"`.
   */
  readonly order?: "reach" | "gain";
  /** Places whose gain is below are left empty. Default 0. */
  readonly leastGain?: number;
  /** From a draft probability to a probability of acceptance, monotone. Default: the identity. */
  readonly acceptance?: (chance: number) => number;
}

export interface GrowByLayerOptions extends GrowOptions {
  /** Places are filled while their reach is at least this (theta). About 1/N gives about N nodes. */
  readonly threshold: number;
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

/**
 * Algorithm 1: fills the place with the largest key until the tree has `maximumNodes` nodes.
 *
 * With `order: "reach"` places are filled in order of non-increasing reach, and the tree has the
 * largest sum of expected acceptances of all trees of its size. The paper asks the draft once per
 * node; here a node's law is asked for when its first place comes up, together with the laws of all
 * other places that could still come up: the same tree in about as many passes as it has layers.
 */
export async function growTree(laws: DraftLaws, options: GrowOptions): Promise<DynamicTree> {
  const tree = new GrowingTree(laws, options);
  const heap = new SlotHeap();
  const order = options.order ?? (options.random ? "reach" : "gain");
  const least = options.leastGain ?? 0;
  let slots = 0;
  const open = (node: number, reach: number): void => {
    const known = order === "gain" && tree.knows(node);
    heap.push({ node, reach, key: known ? tree.gain(node, reach) : reach, order: slots++ });
  };
  open(-1, 1);
  while (tree.size < options.maximumNodes) {
    const slot = heap.pop();
    if (!slot) break;
    const { node, reach } = slot;
    if (!tree.knows(node)) {
      // Keys only fall, so a place that is not among the first `left` now is never filled.
      const left = options.maximumNodes - tree.size;
      const others = node === -1 ? [] : heap.first(left - 1).map((other) => other.node);
      await tree.ask([node, ...others.filter((other) => !tree.knows(other))]);
    }
    const gain = tree.gain(node, reach);
    if (gain === 0 || gain < least) continue;
    if (order === "gain" && gain < slot.key) {
      // The key was an upper bound, made before the law was known: the place goes back in line.
      slot.key = gain;
      heap.push(slot);
      continue;
    }
    const child = tree.add(node, reach);
    const accepted = tree.expected[child]!;
    open(node, reach - accepted);
    if (tree.depthOf(child) < (options.maximumDepth ?? Infinity)) open(child, accepted);
  }
  return tree.finish();
}

/**
 * Algorithm 2: one pass of the draft per layer. Every place of a layer is filled while its reach is
 * at least `threshold`; children whose own chance falls below it stay in the tree as leaves.
 */
export async function growTreeByLayer(
  laws: DraftLaws,
  options: GrowByLayerOptions,
): Promise<DynamicTree> {
  const { threshold, maximumNodes, maximumDepth = Infinity, leastGain = 0 } = options;
  const tree = new GrowingTree(laws, options);
  let layer = [-1];
  for (let depth = 1; layer.length > 0 && depth <= maximumDepth; depth++) {
    await tree.ask(layer);
    const next: number[] = [];
    for (const node of layer) {
      let reach = node === -1 ? 1 : tree.expected[node]!;
      while (reach >= threshold && tree.size < maximumNodes) {
        const gain = tree.gain(node, reach);
        if (gain === 0 || gain < leastGain) break;
        const child = tree.add(node, reach);
        reach -= tree.expected[child]!;
        if (tree.expected[child]! >= threshold) next.push(child);
      }
    }
    if (tree.size >= maximumNodes) break;
    layer = next;
  }
  return tree.finish();
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

class GrowingTree {
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

  constructor(source: DraftLaws, options: GrowOptions) {
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
