/**
 * DySpec: draft trees that take the shape of the draft's confidence (Xiong et al., 2024,
 * arXiv 2410.11744).
 *
 * The hypothesis: a drafted token is accepted about as often as the draft thought it probable. So the
 * chance that verification ever tests a place of the tree is a product of draft probabilities, and a
 * budget of nodes is best spent on the places with the largest chance. Names here and in the paper:
 * `reach` is v, the remaining law of a node is R, `threshold` is theta, `maxNodes` is N.
 *
 * Children are drawn from the remaining law, without replacement, *after* the place was chosen:
 * nothing that decides about a place knows the token that will be drawn there, and no drawn token is
 * ever dropped. That is what keeps verification exact under sampling.
 */
import type { Random } from "../../core/index.ts";
import { MaxHeap } from "../speculative/max-heap.ts";
import { type DraftDistributions, type DynamicTree, GrowingTree } from "./growing-tree.ts";

export interface GrowOptions {
  /** Most nodes of the tree (N). */
  readonly maxNodes: number;
  /** Most nodes on a path. Default: no limit. */
  readonly maxDepth?: number;
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
  readonly minGain?: number;
  /**
   * From a draft probability, and the number of earlier siblings that were refused before it is
   * tested, to a probability of acceptance. Default: the draft probability.
   */
  readonly acceptance?: (chance: number, rank: number) => number;
}

export interface GrowByLayerOptions extends GrowOptions {
  /** Places are filled while their reach is at least this (theta). About 1/N gives about N nodes. */
  readonly threshold: number;
}

/**
 * Algorithm 1: fills the place with the largest key until the tree has `maxNodes` nodes.
 *
 * With `order: "reach"` places are filled in order of non-increasing reach, and the tree has the
 * largest sum of expected acceptances of all trees of its size. The paper asks the draft once per
 * node. Here the tree is first filled with the laws at hand as if unknown nodes had no children;
 * where such a node's turn would have come, its law is asked for, all of them in one pass, and the
 * tree is filled anew. Laws and draws belong to paths, so the last filling, which meets no unknown
 * node, is the tree of the paper, in about as many passes as it has layers.
 */
export async function growTree(
  distributions: DraftDistributions,
  options: GrowOptions,
): Promise<DynamicTree> {
  const tree = new GrowingTree(distributions, options);
  for (;;) {
    const unknown = fillPlaces(tree, options);
    if (unknown.length === 0) return tree.finish();
    await tree.ask(unknown);
    tree.restart();
  }
}

/** Fills an empty tree; gives the nodes whose laws were missing when their first place came up. */
function fillPlaces(tree: GrowingTree, options: GrowOptions): number[] {
  const { maxNodes, maxDepth = Infinity, minGain = 0 } = options;
  const order = options.order ?? (options.random ? "reach" : "gain");
  const unknown: number[] = [];
  const open = new MaxHeap<Place>();
  const offer = (node: number, reach: number): void => {
    // Until its law is known, a place promises at most its reach.
    const key = order === "gain" && tree.knows(node) ? tree.gain(node, reach) : reach;
    open.push(key, { node, reach });
  };
  offer(-1, 1);
  while (tree.size + unknown.length < maxNodes) {
    const place = open.pop();
    if (!place) break;
    const { node, reach } = place;
    if (!tree.knows(node)) {
      if (reach >= minGain) unknown.push(node);
      continue;
    }
    const gain = tree.gain(node, reach);
    if (gain === 0 || gain < minGain) continue;
    const child = tree.add(node, reach);
    const accepted = tree.expected[child]!;
    offer(node, reach - accepted);
    if (tree.depthOf(child) < maxDepth) offer(child, accepted);
  }
  return unknown;
}

/** Where the tree may get one more node: the next child of `node`. */
interface Place {
  readonly node: number;
  /** Estimated probability that the child is tested. */
  readonly reach: number;
}

/**
 * Algorithm 2: one pass of the draft per layer. Every place of a layer is filled while its reach is
 * at least `threshold`; children whose own chance falls below it stay in the tree as leaves.
 */
export async function growTreeByLayer(
  distributions: DraftDistributions,
  options: GrowByLayerOptions,
): Promise<DynamicTree> {
  const { threshold, maxNodes, maxDepth = Infinity, minGain = 0 } = options;
  const tree = new GrowingTree(distributions, options);
  let layer = [-1];
  for (let depth = 1; layer.length > 0 && depth <= maxDepth; depth++) {
    await tree.ask(layer);
    const next: number[] = [];
    for (const node of layer) {
      let reach = node === -1 ? 1 : tree.expected[node]!;
      while (reach >= threshold && tree.size < maxNodes) {
        const gain = tree.gain(node, reach);
        if (gain === 0 || gain < minGain) break;
        const child = tree.add(node, reach);
        reach -= tree.expected[child]!;
        if (tree.expected[child]! >= threshold) next.push(child);
      }
    }
    if (tree.size >= maxNodes) break;
    layer = next;
  }
  return tree.finish();
}
