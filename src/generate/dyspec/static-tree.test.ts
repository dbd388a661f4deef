import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import type { TokenDistribution } from "../sampling/sampler.ts";
import { pathTo } from "./draft-source.ts";
import type { DraftDistributions } from "./growing-tree.ts";
import {
  branchingShape,
  chainShape,
  fillShape,
  sequoiaShape,
  type TreeShape,
} from "./static-tree.ts";

/** Depth of each node, 1 for the root's children. */
function depthsOf(shape: TreeShape): number[] {
  const depths: number[] = [];
  for (const parent of shape) depths.push(parent < 0 ? 1 : depths[parent]! + 1);
  return depths;
}

/** Number of each node's earlier siblings. */
function ranksOf(shape: TreeShape): number[] {
  return shape.map((parent, node) => shape.slice(0, node).filter((p) => p === parent).length);
}

/** Expected accepted tokens where a k-th child is accepted with probability `acceptance[k]`. */
function expectationOf(shape: TreeShape, acceptance: readonly number[]): number {
  const ranks = ranksOf(shape);
  const chances: number[] = [];
  for (const [node, parent] of shape.entries()) {
    chances.push((parent < 0 ? 1 : chances[parent]!) * (acceptance[ranks[node]!] ?? 0));
  }
  return chances.reduce((a, b) => a + b, 0);
}

/** Every tree of a number of nodes, each with parents before children. */
function* everyShape(nodes: number): Generator<number[]> {
  if (nodes === 0) return yield [];
  for (const shape of everyShape(nodes - 1)) {
    for (let parent = -1; parent < nodes - 1; parent++) yield [...shape, parent];
  }
}

/** Acceptance probabilities by rank, together at most 1. */
const acceptances = fc
  .array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 1, maxLength: 4 })
  .map((raw) => {
    const total = Math.max(1, 1.05 * raw.reduce((a, b) => a + b, 0));
    return raw.map((value) => value / total);
  });

describe("shapes", () => {
  test("a chain has one child everywhere; branching follows its numbers layer by layer", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60 }),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
        (nodes, branching) => {
          expect(depthsOf(chainShape(nodes))).toEqual(
            Array.from({ length: nodes }, (_, i) => i + 1),
          );
          const shape = branchingShape(branching, nodes);
          const depths = depthsOf(shape);
          expect(shape).toHaveLength(nodes);
          expect(depths).toEqual([...depths].sort((a, b) => a - b));
          const wanted = (depth: number): number =>
            branching[Math.min(depth, branching.length - 1)]!;
          for (let node = -1; node < nodes; node++) {
            const children = shape.filter((parent) => parent === node).length;
            const depth = node < 0 ? 0 : depths[node]!;
            expect(children).toBeLessThanOrEqual(wanted(depth));
            // Only the last layers lack children.
            if (depth < (depths.at(-1) ?? 0) - 1) expect(children).toBe(wanted(depth));
          }
        },
      ),
    );
  });

  test("no tree of the same size and depth has a larger expectation than Sequoia's", () => {
    fc.assert(
      fc.property(
        acceptances,
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        (acceptance, nodes, maxDepth) => {
          const shape = sequoiaShape(acceptance, nodes, maxDepth);
          expect(shape.length).toBeLessThanOrEqual(nodes);
          expect(Math.max(...depthsOf(shape))).toBeLessThanOrEqual(maxDepth);
          for (const [node, parent] of shape.entries()) expect(parent).toBeLessThan(node);
          let best = 0;
          for (const other of everyShape(nodes)) {
            if (Math.max(...depthsOf(other)) > maxDepth) continue;
            best = Math.max(best, expectationOf(other, acceptance));
          }
          // Where depth and ranks allow fewer nodes, only smaller trees exist.
          if (shape.length === nodes)
            expect(expectationOf(shape, acceptance)).toBeCloseTo(best, 10);
          else expect(expectationOf(shape, acceptance)).toBeGreaterThanOrEqual(best - 1e-10);
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** A draft whose distributions are a function of the path alone; some of them are short. */
function keyedDraft(seed: number, vocabulary: number): DraftDistributions {
  return {
    after: (nodes, tree) =>
      nodes.map((node): TokenDistribution => {
        const random = createRandom(seed, "distribution", ...pathTo(node, tree));
        const size = random.integer(vocabulary + 1);
        const mass = Float64Array.from({ length: size }, () => 0.01 + random.uniform());
        const total = mass.reduce((a, b) => a + b, 0);
        return {
          ids: Int32Array.from({ length: size }, (_, id) => id),
          probabilities: mass.map((value) => value / total),
        };
      }),
  };
}

test("a filled shape is a part of the shape, with distinct siblings and multiplied probabilities", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        seed: fc.nat(),
        branching: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
        nodes: fc.integer({ min: 1, max: 30 }),
        vocabulary: fc.integer({ min: 1, max: 6 }),
        maxNodes: fc.integer({ min: 1, max: 30 }),
        maxDepth: fc.integer({ min: 1, max: 8 }),
        sampled: fc.boolean(),
      }),
      async ({ seed, branching, nodes, vocabulary, maxNodes, maxDepth, sampled }) => {
        const shape = branchingShape(branching, nodes);
        const tree = await fillShape(keyedDraft(seed, vocabulary), shape, {
          maxNodes,
          maxDepth,
          ...(sampled && { random: createRandom(seed, "draws") }),
        });
        expect(tree.ids.length).toBeLessThanOrEqual(Math.min(nodes, maxNodes));
        const depths = depthsOf(tree.parents);
        expect(Math.max(0, ...depths)).toBeLessThanOrEqual(maxDepth);
        expect(tree.draftCalls).toBeLessThanOrEqual(1 + Math.max(0, ...depths));
        expect(tree.ranks).toEqual(ranksOf(tree.parents));
        expect(tree.draftDistributions !== undefined).toBe(sampled);
        const left = new Map<number, number>();
        for (const [node, parent] of tree.parents.entries()) {
          const depth = Math.min(depths[node]! - 1, branching.length - 1);
          expect(tree.ranks[node]).toBeLessThan(branching[depth]!);
          const reach =
            left.get(parent) ?? (parent < 0 ? 1 : tree.acceptanceProbabilities[parent]!);
          expect(tree.acceptanceProbabilities[node]).toBeCloseTo(reach * tree.chances[node]!, 12);
          left.set(parent, reach - tree.acceptanceProbabilities[node]!);
          const siblings = tree.ids.filter((_, other) => tree.parents[other] === parent);
          expect(new Set(siblings).size).toBe(siblings.length);
        }
        if (sampled) return;
        // The best tokens in order: siblings have descending acceptance probabilities.
        for (const [node, parent] of tree.parents.entries()) {
          const next = tree.parents.indexOf(parent, node + 1);
          if (next >= 0)
            expect(tree.acceptanceProbabilities[next]).toBeLessThanOrEqual(
              tree.acceptanceProbabilities[node]! + 1e-12,
            );
        }
      },
    ),
  );
});
