/**
 * The static tree of Token Recycling: the ranks of successors that are drafted below each node.
 *
 * A node is a path of ranks: `[0, 2]` is the third successor of the most probable successor of the
 * last token. The tree is fixed; the tokens on it change from step to step.
 */
import { JetonError } from "../../core/index.ts";

/** A tree of rank paths, level by level; entry 0 of every array is the root's first child. */
export interface DraftTemplate {
  /** Node that each node follows, -1 for the root. */
  readonly parents: Int32Array;
  /** Rank of each node among the successors of its parent's token. */
  readonly ranks: Int32Array;
  /** 1 for the root's children. */
  readonly depths: Int32Array;
  /**
   * The nodes by descending acceptance, each after its parent. The first n are the template for a budget of
   * n nodes.
   */
  readonly order: Int32Array;
}

/**
 * The paper's template of 80 nodes in six levels: path of ranks of each node → number of its children. Nodes
 * that are not listed have none.
 */
const publishedTree: Readonly<Record<string, number>> = {
  "": 8,
  // The root's children.
  "0": 8,
  "1": 4,
  "2": 3,
  "3": 2,
  "4": 1,
  "5": 1,
  "6": 1,
  "7": 1,
  // Two deep.
  "00": 8,
  "01": 3,
  "02": 2,
  "03": 1,
  "04": 1,
  "05": 1,
  "06": 1,
  "07": 1,
  "10": 2,
  "11": 1,
  "20": 1,
  "30": 1,
  "40": 1,
  "50": 1,
  // Three deep.
  "000": 5,
  "001": 2,
  "002": 1,
  "003": 1,
  "004": 1,
  "010": 1,
  "020": 1,
  "100": 1,
  "200": 1,
  "300": 1,
  // Four deep.
  "0000": 3,
  "0001": 1,
  "0002": 1,
  "0010": 1,
  "0100": 1,
  "1000": 1,
  // Five deep.
  "00000": 2,
  "00010": 1,
};

/**
 * Acceptance rate of each rank below an accepted node, measured by the reproduction. Only the order of a
 * template's nodes depends on it.
 */
const rankShares: readonly number[] = [0.46, 0.13, 0.07, 0.045, 0.03, 0.023, 0.018, 0.015];

/** Rank paths of a tree that is given as the number of children of each node. */
function pathsOf(children: Readonly<Record<string, number>>): number[][] {
  const paths: number[][] = [];
  for (let level: number[][] = [[]]; level.length > 0; ) {
    level = level.flatMap((path) =>
      Array.from({ length: children[path.join("")] ?? 0 }, (_, rank) => [...path, rank]),
    );
    paths.push(...level);
  }
  return paths;
}

/**
 * Makes a template of rank paths. Each path without its last rank must be a path too.
 *
 * @example
 * const chain = createTemplate([[0], [0, 0], [0, 0, 0]]);
 *
 * @throws JetonError `drafter-option-invalid` for no path, a path twice, or one without its beginning
 */
export function createTemplate(paths: readonly (readonly number[])[]): DraftTemplate {
  const sorted = [...paths].sort((a, b) => a.length - b.length || compareRanks(a, b));
  const nodes = new Map<string, number>([["", -1]]);
  const count = sorted.length;
  const parents = new Int32Array(count);
  const ranks = new Int32Array(count);
  const depths = new Int32Array(count);
  const weights = new Float64Array(count);
  for (const [node, path] of sorted.entries()) {
    const name = path.join(" ");
    const parent = nodes.get(path.slice(0, -1).join(" "));
    const rank = path.at(-1);
    if (rank === undefined || parent === undefined || nodes.has(name)) {
      throw new JetonError(
        `the template holds the path [${path}], expected each once, after its own beginning`,
        { code: "drafter-option-invalid", details: { name: "template", path } },
      );
    }
    if (!(Number.isInteger(rank) && rank >= 0 && rank < 64)) {
      throw new JetonError(`the template holds the rank ${rank}, expected an integer below 64`, {
        code: "drafter-option-invalid",
        details: { name: "template", path },
      });
    }
    nodes.set(name, node);
    parents[node] = parent;
    ranks[node] = rank;
    depths[node] = path.length;
    const share = rankShares[rank] ?? rankShares.at(-1)! / (rank - rankShares.length + 2);
    weights[node] = (parent < 0 ? 1 : weights[parent]!) * share;
  }
  if (count === 0) {
    throw new JetonError("the template has no path", {
      code: "drafter-option-invalid",
      details: { name: "template" },
    });
  }
  // A child weighs less than its parent, so it comes after it.
  const order = Int32Array.from(weights.keys()).sort((a, b) => weights[b]! - weights[a]! || a - b);
  return { parents, ranks, depths, order };
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((rank, index) => rank !== b[index]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

/** The template of the paper, "2.2.2" of its code: 80 nodes in 6 levels of 8, 21, 25, 15, 8 and 3. */
export const publishedTemplate: DraftTemplate = createTemplate(pathsOf(publishedTree));
