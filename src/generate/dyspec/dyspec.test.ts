import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import type { TokenDistribution } from "../sampling/sampler.ts";
import { growTree, growTreeByLayer } from "./dyspec.ts";
import type { DraftDistributions, DynamicTree } from "./growing-tree.ts";

/** A draft whose distributions are a function of the path alone. */
function keyedDraft(seed: number, vocabulary: number, sharpness: number): DraftDistributions {
  return {
    after: (nodes, tree) =>
      nodes.map((node) => {
        const path: number[] = [];
        for (let at = node; at !== -1; at = tree.parents[at]!) path.push(tree.ids[at]!);
        return randomDistribution(createRandom(seed, ...path), vocabulary, sharpness);
      }),
  };
}

function randomDistribution(
  random: { uniform(): number },
  size: number,
  sharpness: number,
): TokenDistribution {
  const raw = Array.from({ length: size }, (_, id) => ({ id, p: random.uniform() ** sharpness }));
  const total = raw.reduce((sum, { p }) => sum + p, 0);
  return {
    ids: Int32Array.from(raw, ({ id }) => id),
    probabilities: Float64Array.from(raw, ({ p }) => p / total),
  };
}

/** Nodes as strings of their paths: equal for equal trees, independent of the order of growth. */
function paths(tree: DynamicTree): string[] {
  const names: string[] = [];
  for (const [node, parent] of tree.parents.entries()) {
    names.push(`${parent === -1 ? "" : names[parent]}/${tree.ids[node]}`);
  }
  return names.sort();
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

const setting = fc.record({
  seed: fc.nat(),
  vocabulary: fc.integer({ min: 1, max: 9 }),
  sharpness: fc.double({ min: 0.5, max: 8, noNaN: true }),
  maxNodes: fc.integer({ min: 1, max: 40 }),
  sampled: fc.boolean(),
  order: fc.constantFrom("reach" as const, "gain" as const),
});
type Setting = typeof setting extends fc.Arbitrary<infer T> ? T : never;

const grow = (given: Setting, more: object = {}): Promise<DynamicTree> =>
  growTree(keyedDraft(given.seed, given.vocabulary, given.sharpness), {
    maxNodes: given.maxNodes,
    order: given.order,
    ...(given.sampled && { random: createRandom(given.seed, "draws") }),
    ...more,
  });

describe("growing by expected acceptance", () => {
  test("trees are well formed: parents first, distinct siblings, probabilities multiply", async () => {
    await fc.assert(
      fc.asyncProperty(setting, async (given) => {
        const tree = await grow(given);
        expect(tree.ids.length).toBeLessThanOrEqual(given.maxNodes);
        const left = new Map<number, number>();
        const siblings = new Map<number, Set<number>>();
        for (const [node, parent] of tree.parents.entries()) {
          expect(parent).toBeLessThan(node);
          const seen = siblings.get(parent) ?? new Set();
          expect(seen.has(tree.ids[node]!)).toBe(false);
          siblings.set(parent, seen.add(tree.ids[node]!));
          // v = v0 + v1: a sibling's reach is what the nodes before it leave.
          const reach =
            left.get(parent) ?? (parent === -1 ? 1 : tree.acceptanceProbabilities[parent]!);
          expect(tree.reaches[node]).toBeCloseTo(reach, 12);
          expect(tree.acceptanceProbabilities[node]).toBeCloseTo(reach * tree.chances[node]!, 12);
          left.set(parent, reach - tree.acceptanceProbabilities[node]!);
        }
      }),
    );
  });

  test("places are filled in order of non-increasing reach", async () => {
    await fc.assert(
      fc.asyncProperty(setting, async (given) => {
        const { reaches } = await grow({ ...given, order: "reach" });
        for (let node = 1; node < reaches.length; node++) {
          expect(reaches[node]).toBeLessThanOrEqual(reaches[node - 1]! + 1e-12);
        }
      }),
    );
  });

  test("no tree of the same size has a larger expectation, over all trees of a tiny draft", async () => {
    // With deterministic children a tree is a set of places closed under "earlier sibling" and
    // "parent"; the greedy one by gain must have the largest sum of expected acceptances.
    for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const draft = keyedDraft(seed, 3, 2);
      for (const maxNodes of [1, 2, 3, 4, 5]) {
        const tree = await growTree(draft, { maxNodes, order: "gain" });
        expect(sum(tree.acceptanceProbabilities)).toBeCloseTo(await bestValue(draft, maxNodes), 10);
      }
    }
  });

  test("asking layer by layer gives the same tree as asking node by node", async () => {
    await fc.assert(
      fc.asyncProperty(setting, async (given) => {
        const draft = keyedDraft(given.seed, given.vocabulary, given.sharpness);
        const asked: number[] = [];
        const counting: DraftDistributions = {
          after(nodes, tree) {
            asked.push(nodes.length);
            return draft.after(nodes, tree);
          },
        };
        const random = given.sampled ? { random: createRandom(given.seed, "draws") } : {};
        const options = { maxNodes: given.maxNodes, order: given.order, ...random };
        const tree = await growTree(counting, options);
        const eager = await growNodeByNode(draft, options);
        expect(paths(tree)).toEqual(eager);
        expect(tree.draftCalls).toBe(asked.length);
        expect(asked.length).toBeLessThanOrEqual(Math.max(1, tree.ids.length));
      }),
    );
  });

  test("by layer, with the last key as threshold, the same nodes grow", async () => {
    // Certain tokens would let a tree with threshold 1 grow without end.
    const uncertain = setting.filter(({ vocabulary }) => vocabulary > 2);
    await fc.assert(
      fc.asyncProperty(uncertain, async (given) => {
        const random = given.sampled ? { random: createRandom(given.seed, "draws") } : {};
        const draft = keyedDraft(given.seed, given.vocabulary, Math.min(3, given.sharpness));
        const { maxNodes } = given;
        const tree = await growTree(draft, { maxNodes, order: "reach", ...random });
        const threshold = tree.reaches.at(-1)! - 1e-12;
        const layered = await growTreeByLayer(draft, { maxNodes: 1000, threshold, ...random });
        // A node's last possible child is certain and has exactly its reach: more such ties with the threshold
        // may exist than the budget took.
        const clear = layered.reaches.filter((reach) => reach > threshold + 1e-11).length;
        const grown = new Set(paths(layered));
        expect(clear).toBeLessThan(tree.ids.length);
        for (const path of paths(tree)) expect(grown.has(path)).toBe(true);
      }),
    );
  });

  test("limits of depth, size and gain hold; every asked distribution is used", async () => {
    await fc.assert(
      fc.asyncProperty(setting, fc.integer({ min: 1, max: 4 }), async (given, maxDepth) => {
        const tree = await grow(given, { maxDepth, minGain: 0.05 });
        const depths: number[] = [];
        for (const parent of tree.parents) depths.push(parent === -1 ? 1 : depths[parent]! + 1);
        expect(Math.max(0, ...depths)).toBeLessThanOrEqual(maxDepth);
        if (!given.sampled)
          for (const value of tree.acceptanceProbabilities) expect(value).toBeGreaterThan(0.049);
        const layered = await growTreeByLayer(
          keyedDraft(given.seed, given.vocabulary, given.sharpness),
          { maxNodes: given.maxNodes, maxDepth, threshold: 0.02 },
        );
        expect(layered.ids.length).toBeLessThanOrEqual(given.maxNodes);
        expect(layered.draftCalls).toBeLessThanOrEqual(maxDepth);
      }),
    );
  });

  test("sampled trees carry the distributions of nodes with children, deterministic ones none", async () => {
    await fc.assert(
      fc.asyncProperty(setting, async (given) => {
        const tree = await grow(given);
        if (!given.sampled) {
          expect(tree.draftDistributions).toBeUndefined();
          return;
        }
        const withChildren = new Set(tree.parents);
        for (const [entry, distribution] of tree.draftDistributions!.entries()) {
          expect(distribution !== undefined).toBe(withChildren.has(entry - 1));
        }
        for (const [node, parent] of tree.parents.entries()) {
          expect(tree.draftDistributions![parent + 1]!.ids).toContain(tree.ids[node]);
        }
      }),
    );
  });

  test("siblings are sampled without replacement", async () => {
    // The first two children of the root over many seeds, against p(a) * p(b) / (1 - p(a)).
    const distribution: TokenDistribution = {
      ids: Int32Array.of(4, 7, 9),
      probabilities: Float64Array.of(0.5, 0.3, 0.2),
    };
    const counts = new Map<string, number>();
    const runs = 20_000;
    for (let run = 0; run < runs; run++) {
      const tree = await growTree(
        { after: (nodes) => nodes.map(() => distribution) },
        { maxNodes: 2, maxDepth: 1, random: createRandom(run) },
      );
      const pair = tree.ids.join();
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
    let statistic = 0;
    for (const [i, a] of distribution.ids.entries()) {
      for (const [j, b] of distribution.ids.entries()) {
        if (i === j) continue;
        const [p, q] = [distribution.probabilities[i]!, distribution.probabilities[j]!];
        const expected = (runs * p * q) / (1 - p);
        statistic += ((counts.get(`${a},${b}`) ?? 0) - expected) ** 2 / expected;
      }
    }
    // Chi-squared, 5 degrees of freedom: exceeded once in a hundred thousand. The seeds are fixed.
    expect(statistic).toBeLessThan(30.9);
  });

  test("a place's token does not depend on the budget", async () => {
    await fc.assert(
      fc.asyncProperty(setting, async (given) => {
        const small = await grow({ ...given, sampled: true, maxNodes: 6 });
        const large = new Set(paths(await grow({ ...given, sampled: true, maxNodes: 30 })));
        for (const path of paths(small)) expect(large.has(path)).toBe(true);
      }),
    );
  });

  test("learned acceptance probabilities shift the budget", async () => {
    const distribution: TokenDistribution = {
      ids: Int32Array.of(1, 2, 3),
      probabilities: Float64Array.of(0.4, 0.35, 0.25),
    };
    const draft: DraftDistributions = { after: (nodes) => nodes.map(() => distribution) };
    const autoregressive = await growTree(draft, { maxNodes: 6, order: "gain" });
    const sure = await growTree(draft, {
      maxNodes: 6,
      order: "gain",
      acceptance: (chance) => Math.min(0.99, chance * 2.4),
    });
    expect(autoregressive.parents.filter((parent) => parent === -1).length).toBeGreaterThan(1);
    expect(sure.parents).toEqual([-1, 0, 1, 2, 3, 4]);
  });

  test("a node with an empty distribution gets no children", async () => {
    const empty: TokenDistribution = { ids: new Int32Array(0), probabilities: new Float64Array(0) };
    const tree = await growTree({ after: () => [empty] }, { maxNodes: 5 });
    expect(tree.ids).toEqual([]);
  });
});

/** Largest sum of expected acceptances over all trees of `size` nodes, by trying every one. */
async function bestValue(draft: DraftDistributions, size: number): Promise<number> {
  let best = 0;
  const distributions = new Map<string, TokenDistribution>();
  const distributionAfter = async (path: readonly number[]): Promise<TokenDistribution> => {
    const name = path.join("/");
    const known = distributions.get(name);
    if (known) return known;
    const tree = { ids: path, parents: path.map((_, at) => at - 1) };
    const distribution = byRank((await draft.after([path.length - 1], tree))[0]!);
    distributions.set(name, distribution);
    return distribution;
  };
  const visit = async (
    open: { path: number[]; rank: number; reach: number; left: number }[],
    nodes: number,
    value: number,
  ): Promise<void> => {
    best = Math.max(best, value);
    if (nodes === size) return;
    for (const [at, place] of open.entries()) {
      const distribution = await distributionAfter(place.path);
      const probability = distribution.probabilities[place.rank];
      if (probability === undefined) continue;
      const gain = (place.reach * probability) / place.left;
      // Places before this one stay empty, so that every tree is visited once.
      const rest = [
        ...open.slice(at + 1),
        {
          ...place,
          rank: place.rank + 1,
          reach: place.reach - gain,
          left: place.left - probability,
        },
        { path: [...place.path, distribution.ids[place.rank]!], rank: 0, reach: gain, left: 1 },
      ];
      await visit(rest, nodes + 1, value + gain);
    }
  };
  await visit([{ path: [], rank: 0, reach: 1, left: 1 }], 0, 0);
  return best;
}

/** The tokens of a distribution, most probable first. */
function byRank({ ids, probabilities }: TokenDistribution): TokenDistribution {
  const order = [...ids.keys()].sort((a, b) => probabilities[b]! - probabilities[a]!);
  return {
    ids: Int32Array.from(order, (at) => ids[at]!),
    probabilities: Float64Array.from(order, (at) => probabilities[at]!),
  };
}

/** Algorithm 1 as in the paper: one pass of the draft for each node. */
async function growNodeByNode(
  draft: DraftDistributions,
  options: {
    maxNodes: number;
    order: "reach" | "gain";
    random?: ReturnType<typeof createRandom>;
  },
): Promise<string[]> {
  interface Place {
    path: number[];
    distribution: Map<number, number>;
    reach: number;
    stream: ReturnType<typeof createRandom> | undefined;
  }
  const place = async (path: number[], reach: number): Promise<Place> => {
    const distribution = (
      await draft.after([path.length - 1], { ids: path, parents: path.map((_, at) => at - 1) })
    )[0]!;
    return {
      path,
      reach,
      distribution: new Map(
        Array.from(distribution.ids, (id, at) => [id, distribution.probabilities[at]!]),
      ),
      stream: options.random?.fork(path.map((id) => ` ${id}`).join("")),
    };
  };
  const key = ({ distribution, reach }: Place): number => {
    const mass = sum([...distribution.values()]);
    if (distribution.size === 0) return 0;
    if (options.order === "reach") return reach;
    if (!options.random) return (reach * Math.max(...distribution.values())) / mass;
    return reach * sum([...distribution.values()].map((p) => (p / mass) ** 2));
  };
  const open = [await place([], 1)];
  const names: string[] = [];
  while (names.length < options.maxNodes) {
    const [at] = [...open.keys()].sort((a, b) => key(open[b]!) - key(open[a]!) || a - b);
    const top = at === undefined ? undefined : open[at]!;
    if (!top || key(top) === 0) break;
    const mass = sum([...top.distribution.values()]);
    const { stream } = top;
    let chosen: number | undefined;
    let draw = (stream?.uniform() ?? 0) * mass;
    for (const [id, p] of top.distribution) {
      if (stream && chosen !== undefined && draw < 0) break;
      if (stream || chosen === undefined || p > top.distribution.get(chosen)!) chosen = id;
      draw -= p;
    }
    const gain = (top.reach * top.distribution.get(chosen!)!) / mass;
    top.distribution.delete(chosen!);
    open.splice(at!, 1);
    open.push({ ...top, reach: top.reach - gain });
    const path = [...top.path, chosen!];
    names.push(`/${path.join("/")}`);
    open.push(await place(path, gain));
  }
  return names.sort();
}
