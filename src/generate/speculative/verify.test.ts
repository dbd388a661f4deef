import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom, type Random } from "../../core/index.ts";
import { complete } from "../generate.ts";
import { createDistributionModel } from "../measure/distribution-model.ts";
import { type GTestResult, gTest } from "../measure/g-test.ts";
import { pickToken, type TokenDistribution } from "../sampling/sampler.ts";
import {
  describeDrafterDistribution,
  testDrafterDistribution,
} from "../testing/drafter-distribution.ts";
import { checkTree } from "./check-tree.ts";
import type { Drafter, DraftTree } from "./drafter.ts";
import { type Verification, verifyExactMatch, verifyRejectionSampling } from "./verify.ts";

const vocabulary = 5;
const length = 3;
const runs = 20_000;

type Path = readonly number[];

/** Distributions that depend on the whole path. */
function keyedDistribution(world: string, temperature: number): (path: Path) => TokenDistribution {
  const known = new Map<string, TokenDistribution>();
  return (path) => {
    const key = path.join(" ");
    let distribution = known.get(key);
    if (!distribution) {
      const random = createRandom(7, world, ...path);
      const mass = Float64Array.from({ length: vocabulary }, () =>
        Math.exp((1.3 * random.normal()) / temperature),
      );
      const total = mass.reduce((a, b) => a + b, 0);
      distribution = {
        ids: Int32Array.from(mass.keys()),
        probabilities: mass.map((value) => value / total),
      };
      known.set(key, distribution);
    }
    return distribution;
  };
}

interface World {
  target(path: Path): TokenDistribution;
  draft(path: Path): TokenDistribution;
}

/** Samples trees without replacement from the draft's distributions: `widths[depth]` children per node. */
function sampleTree(
  world: World,
  path: Path,
  widths: readonly number[],
  random: Random,
): DraftTree {
  const ids: number[] = [];
  const parents: number[] = [];
  const distributions: (TokenDistribution | undefined)[] = [undefined];
  let level: { node: number; path: Path }[] = [{ node: -1, path }];
  for (const width of widths) {
    const next: typeof level = [];
    for (const { node, path: above } of level) {
      const distribution = world.draft(above);
      distributions[node + 1] = distribution;
      const rest = distribution.probabilities.slice();
      for (let child = 0; child < width; child++) {
        const left = rest.reduce((a, b) => a + b, 0);
        const id = pickToken(
          { ids: distribution.ids, probabilities: rest },
          random.uniform() * left,
        );
        rest[id] = 0;
        ids.push(id);
        parents.push(node);
        distributions.push(undefined);
        next.push({ node: ids.length - 1, path: [...above, id] });
      }
    }
    level = next;
  }
  return { ids, parents, draftDistributions: distributions };
}

/** The most probable tokens of the draft: a deterministic tree. */
function bestTree(world: World, path: Path, widths: readonly number[]): DraftTree {
  const ids: number[] = [];
  const parents: number[] = [];
  let level: { node: number; path: Path }[] = [{ node: -1, path }];
  for (const width of widths) {
    const next: typeof level = [];
    for (const { node, path: above } of level) {
      const { probabilities } = world.draft(above);
      const order = [...probabilities.keys()].sort((a, b) => probabilities[b]! - probabilities[a]!);
      for (const id of order.slice(0, width)) {
        ids.push(id);
        parents.push(node);
        next.push({ node: ids.length - 1, path: [...above, id] });
      }
    }
    level = next;
  }
  return { ids, parents };
}

function pathOf(tree: DraftTree, row: number): number[] {
  const path: number[] = [];
  for (let node = row - 1; node >= 0; node = tree.parents[node]!) path.unshift(tree.ids[node]!);
  return path;
}

type Verify = (
  tree: DraftTree,
  distribution: (row: number) => TokenDistribution,
  random: Random,
) => Verification;

const matching: Verify = (tree, distribution, random) =>
  verifyExactMatch(tree, (row) => pickToken(distribution(row), random.uniform()));

const residual: Verify = (tree, distribution, random) =>
  verifyRejectionSampling(tree, {
    distribution,
    draw: () => random.uniform(),
    test: () => random.uniform(),
  });

/** Wrong: every branch samples for itself, and the longest agreement wins. */
const independent: Verify = (tree, distribution, random) => {
  const leaves = [...tree.ids.keys()].filter((node) => !tree.parents.includes(node));
  let best: number[] = [];
  for (const leaf of leaves) {
    const nodes: number[] = [];
    for (let node = leaf; node >= 0; node = tree.parents[node]!) nodes.unshift(node);
    const agreed: number[] = [];
    for (const node of nodes) {
      const drawn = pickToken(distribution(tree.parents[node]! + 1), random.uniform());
      if (drawn !== tree.ids[node]) break;
      agreed.push(node);
    }
    if (agreed.length > best.length) best = agreed;
  }
  const own = pickToken(distribution((best.at(-1) ?? -1) + 1), random.uniform());
  return { accepted: best, rejected: [], emitted: [...best.map((node) => tree.ids[node]!), own] };
};

/** Wrong: improbable nodes are cut from the tree after they were sampled. */
function prune(tree: DraftTree): DraftTree {
  const kept = new Map<number, number>([[-1, -1]]);
  const ids: number[] = [];
  const parents: number[] = [];
  const distributions: (TokenDistribution | undefined)[] = [tree.draftDistributions![0]];
  for (let node = 0; node < tree.ids.length; node++) {
    const parent = kept.get(tree.parents[node]!);
    const distribution = tree.draftDistributions![tree.parents[node]! + 1]!;
    if (parent === undefined || distribution.probabilities[tree.ids[node]!]! < 0.25) continue;
    kept.set(node, ids.length);
    ids.push(tree.ids[node]!);
    parents.push(parent);
    distributions.push(tree.draftDistributions![node + 1]);
  }
  return { ids, parents, draftDistributions: distributions };
}

/** Decodes texts of `length` tokens and tests their distribution. */
function distributionOf(
  world: World,
  propose: (path: Path, random: Random) => DraftTree,
  verify: Verify,
): GTestResult {
  const counts = new Map<string, number>();
  const random = createRandom(20, "verify");
  for (let run = 0; run < runs; run++) {
    const text: number[] = [];
    while (text.length < length) {
      const tree = propose(text, random);
      const distribution = (row: number) => world.target([...text, ...pathOf(tree, row)]);
      text.push(...verify(tree, distribution, random).emitted);
    }
    const key = text.slice(0, length).join(" ");
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  let exact = new Map<string, number>([["", 1]]);
  for (let step = 0; step < length; step++) {
    exact = new Map(
      [...exact].flatMap(([key, probability]) => {
        const path = key === "" ? [] : key.split(" ").map(Number);
        const { probabilities } = world.target(path);
        return Array.from(probabilities, (share, id): [string, number] => [
          [...path, id].join(" "),
          probability * share,
        ]);
      }),
    );
  }
  return gTest(counts, exact);
}

describe.each([1, 0.5])("verification at temperature %d", (temperature) => {
  const world: World = {
    target: keyedDistribution("target", temperature),
    draft: keyedDistribution("draft", temperature),
  };
  const close: World = { ...world, draft: world.target };
  const report = (name: string, { statistic, pValue }: GTestResult): number => {
    console.log(`${name}, temperature ${temperature}: G ${statistic.toFixed(1)}, p ${pValue}`);
    return pValue;
  };

  test.each([[[1, 1]], [[3, 2]], [[5, 2]]])(
    "sampled trees of widths %j keep the distribution",
    (widths) => {
      const propose = (path: Path, random: Random) => sampleTree(world, path, widths, random);
      expect(report(`sampled ${widths}`, distributionOf(world, propose, residual))).toBeGreaterThan(
        1e-3,
      );
    },
  );

  test("sampled trees of the target's own distribution keep it, and the first child is accepted", () => {
    const propose = (path: Path, random: Random) => sampleTree(close, path, [2, 2], random);
    let rejected = 0;
    const verify: Verify = (tree, distribution, random) => {
      const walk = residual(tree, distribution, random);
      rejected += walk.rejected.length + 2 - walk.accepted.length;
      return walk;
    };
    expect(report("own distribution", distributionOf(close, propose, verify))).toBeGreaterThan(
      1e-3,
    );
    expect(rejected).toBe(0);
  });

  test("deterministic trees keep the distribution", () => {
    const propose = (path: Path) => bestTree(world, path, [3, 2]);
    expect(report("deterministic", distributionOf(world, propose, matching))).toBeGreaterThan(1e-3);
  });

  test("exact matching keeps the distribution with a sampled tree too", () => {
    const propose = (path: Path, random: Random) => sampleTree(world, path, [3, 2], random);
    expect(report("matched", distributionOf(world, propose, matching))).toBeGreaterThan(1e-3);
  });

  test("wrong verifications are detected: independent samples, pruning after sampling, fixed trees as samples", () => {
    const fixed = (path: Path) => bestTree(world, path, [3, 2]);
    expect(report("wrong: independent", distributionOf(world, fixed, independent))).toBeLessThan(
      1e-9,
    );
    const pruned = (path: Path, random: Random) => prune(sampleTree(world, path, [3, 2], random));
    expect(report("wrong: pruned", distributionOf(world, pruned, residual))).toBeLessThan(1e-9);
    const asSamples = (path: Path): DraftTree => {
      const tree = bestTree(world, path, [3]);
      const distributions = [world.draft(path), ...Array.from(tree.ids, () => undefined)];
      return { ...tree, draftDistributions: distributions };
    };
    expect(report("wrong: not drawn", distributionOf(world, asSamples, residual))).toBeLessThan(
      1e-9,
    );
  });
});

describe("verification in the decoding loop", () => {
  /** Samples two children and two grandchildren from its own distributions. */
  const sampler = (pruneAfter: boolean): Drafter => ({
    name: "sampler",
    candidates: 0,
    begin: ({ sampling }) => ({
      propose({ ids, maxDepth }) {
        const random = createRandom(sampling.seed, "sampler", ids.length);
        const distribution = (path: Path): TokenDistribution => {
          const keyed = createRandom(5, ids.at(-1)!, ...path);
          const mass = Float64Array.from({ length: 6 }, () => Math.exp(keyed.normal()));
          const total = mass.reduce((a, b) => a + b, 0);
          return {
            ids: Int32Array.from(mass.keys()),
            probabilities: mass.map((value) => value / total),
          };
        };
        const world: World = { target: distribution, draft: distribution };
        const tree = sampleTree(world, [], [2, 2].slice(0, maxDepth), random);
        return pruneAfter ? prune(tree) : tree;
      },
      observe() {},
      end() {},
    }),
    close() {},
  });

  describeDrafterDistribution({
    name: "a sampler of its own distributions",
    open: () => sampler(false),
  });

  test("pruning after sampling is detected there too", { timeout: 120_000 }, async () => {
    const subject = { name: "pruned", open: () => sampler(true) };
    const result = await testDrafterDistribution(subject, {
      runs: 20_000,
      sampling: { temperature: 1 },
    });
    expect(result.pValue).toBeLessThan(1e-9);
  });
});

describe("checkTree", () => {
  const limits = { vocabSize: 10, maxNodes: 6, maxDepth: 3 };
  const check = (tree: DraftTree) => expect(() => checkTree(tree, limits));

  test("accepts trees and rejects everything else", () => {
    check({ ids: [], parents: [] }).not.toThrow();
    const acceptanceProbabilities = [1, 0.5, 0];
    check({ ids: [1, 1, 9], parents: [-1, -1, 0], acceptanceProbabilities }).not.toThrow();
    for (const tree of [
      { ids: [1], parents: [] },
      { ids: [1], parents: [0] },
      { ids: [1], parents: [-2] },
      { ids: [10], parents: [-1] },
      { ids: [-1], parents: [-1] },
      { ids: [0.5], parents: [-1] },
      { ids: [Number.NaN], parents: [-1] },
      { ids: [1, 2], parents: [1, -1] },
      { ids: [1, 2, 3, 4], parents: [-1, 0, 1, 2] },
      { ids: [1, 2, 3, 4, 5, 6, 7], parents: [-1, -1, -1, -1, -1, -1, -1] },
      { ids: [1], parents: [-1], acceptanceProbabilities: [] },
      { ids: [1], parents: [-1], draftDistributions: [undefined] },
    ]) {
      check(tree).toThrowCode("drafter-proposal-invalid");
    }
  });

  test("an invalid proposal ends the request with its error, and releases the sequence", async () => {
    const model = createDistributionModel();
    const drafter: Drafter = {
      name: "hostile",
      candidates: 0,
      begin: () => ({ propose: () => ({ ids: [99], parents: [-1] }), observe() {}, end() {} }),
      close() {},
    };
    await expect(complete(model, [1], { drafter, maxTokens: 5 })).rejects.toMatchObject({
      code: "drafter-proposal-invalid",
    });
  });

  test("emitted tokens are those of the accepted nodes and one more", () => {
    const tree = fc
      .array(fc.record({ id: fc.nat(3), up: fc.nat(3) }), { maxLength: 12 })
      .map((nodes) => ({
        ids: nodes.map(({ id }) => id),
        parents: nodes.map(({ up }, node) => Math.max(-1, node - 1 - up)),
      }));
    fc.assert(
      fc.property(tree, fc.nat(), fc.option(fc.nat(3)), (drawn, seed, end) => {
        const ends = new Set(end === null ? [] : [end]);
        const choose = (row: number): number => createRandom(seed, row).integer(4);
        const walk = verifyExactMatch(drawn, choose, ends);
        let node = -1;
        const visited = [0];
        for (const [index, next] of walk.accepted.entries()) {
          expect(drawn.parents[next]).toBe(node);
          expect(drawn.ids[next]).toBe(walk.emitted[index]);
          expect(walk.emitted[index]).toBe(choose(node + 1));
          node = next;
          visited.push(node + 1);
        }
        const ended = walk.accepted.length > 0 && ends.has(drawn.ids[node]!);
        expect(walk.emitted).toHaveLength(walk.accepted.length + (ended ? 0 : 1));
        if (!ended) expect(walk.emitted.at(-1)).toBe(choose(node + 1));
        // A rejected node is a child of a visited row and has another token than the chosen one.
        for (const rejected of walk.rejected) {
          expect(visited).toContain(drawn.parents[rejected]! + 1);
          expect(drawn.ids[rejected]).not.toBe(choose(drawn.parents[rejected]! + 1));
        }
      }),
    );
  });
});
