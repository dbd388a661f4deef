/**
 * DySpec: draft trees shaped by the draft's confidence (Xiong et al., 2024, arXiv 2410.11744).
 *
 * The hypothesis: a draft token is accepted about as often as the draft's probability says. So the
 * probability that verification tests a place of the tree is a product of draft probabilities, and a budget
 * of nodes is best spent on the most probable places. Names in the paper: `reach` is v, the remaining
 * distribution of a node is R, `threshold` is theta, `maxNodes` is N.
 *
 * Children are sampled from the remaining distribution, without replacement, *after* their place was chosen,
 * and no sampled token is dropped: the choice of places does not depend on the tokens sampled there, which
 * keeps verification exact.
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
   * Samples the children. The stream is forked by path, so that the order in which the tree grows does not
   * change a place's token. Absent: children are the most probable tokens in order.
   */
  readonly random?: Random;
  /**
   * Order of the places. `"reach"` is the paper's: the probability that the place is tested. `"gain"`: the
   * probability that it is tested and its token accepted, before that is sampled: reach times the largest
   * remaining probability, or with `random` the sum of squares of the remaining distribution. Default
   * `"reach"` with `random`, otherwise `"gain"`.
   */
  readonly order?: "reach" | "gain";
  /** Places with a lower gain stay empty. Default 0. */
  readonly minGain?: number;
  /**
   * From a draft probability and the number of earlier siblings, all rejected by then, to an acceptance
   * probability. Default: the draft probability.
   */
  readonly acceptance?: (chance: number, rank: number) => number;
}

export interface GrowByLayerOptions extends GrowOptions {
  /** Places are filled while their reach is at least this (theta); 1/N gives about N nodes. */
  readonly threshold: number;
}

/**
 * Algorithm 1: fills the place with the largest key until the tree has `maxNodes` nodes.
 *
 * With `order: "reach"` places are filled in order of non-increasing reach, and the tree has the largest
 * expected number of accepted tokens of all trees of its size. The paper runs the draft once per node. Here
 * the tree is filled with the known distributions, treating nodes without one as leaves; the distributions of
 * those that would have got children are computed in one pass, and the tree is filled again. Distributions
 * and samples depend on paths only, so the last filling is the paper's tree, after about as many passes as it
 * has layers.
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

/** Fills an empty tree. @returns nodes whose distribution was missing when their first child was due */
function fillPlaces(tree: GrowingTree, options: GrowOptions): number[] {
  const { maxNodes, maxDepth = Infinity, minGain = 0 } = options;
  const order = options.order ?? (options.random ? "reach" : "gain");
  const unknown: number[] = [];
  const open = new MaxHeap<Place>();
  const offer = (node: number, reach: number): void => {
    // The reach is an upper bound of the gain of a node whose distribution is unknown.
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
    const accepted = tree.reachOf(child);
    offer(node, reach - accepted);
    if (tree.depthOf(child) < maxDepth) offer(child, accepted);
  }
  return unknown;
}

/** A place for one more node: the next child of `node`. */
interface Place {
  readonly node: number;
  /** Estimated probability that the child is tested. */
  readonly reach: number;
}

/**
 * Algorithm 2: one pass of the draft per layer. Every place of a layer is filled while its reach is at least
 * `threshold`; children with a lower acceptance probability stay in the tree as leaves.
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
      let reach = tree.reachOf(node);
      while (reach >= threshold && tree.size < maxNodes) {
        const gain = tree.gain(node, reach);
        if (gain === 0 || gain < minGain) break;
        const child = tree.add(node, reach);
        reach -= tree.reachOf(child);
        if (tree.reachOf(child) >= threshold) next.push(child);
      }
    }
    if (tree.size >= maxNodes) break;
    layer = next;
  }
  return tree.finish();
}
