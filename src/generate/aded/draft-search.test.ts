import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { createCalibrationMap } from "../speculative/calibration-map.ts";
import { bestFirstPaths, randomWalkPaths } from "./draft-paths.ts";
import { DraftSearch, selectionValue } from "./draft-search.ts";
import { mergePaths } from "./draft-tree.ts";
import { countTrigrams, fillTable, TrigramTable } from "./trigram-table.ts";

/** A table of a random text over a small alphabet. */
function randomTable(seed: number, vocabSize: number, length = 200): TrigramTable {
  const random = createRandom(seed, "text");
  const text = Array.from({ length }, () => random.integer(vocabSize));
  const table = new TrigramTable({ vocabSize });
  fillTable(table, countTrigrams([text], vocabSize));
  return table;
}

const setting = fc.record({
  seed: fc.nat(),
  vocabSize: fc.integer({ min: 1, max: 8 }),
  rollouts: fc.integer({ min: 1, max: 80 }),
  depth: fc.integer({ min: 1, max: 6 }),
  sentences: fc.integer({ min: 1, max: 30 }),
});

describe("draft search", () => {
  test("the selection value is the paper's formula", () => {
    // w = 6, n = 4, p = 0.25, N = 9: 1.5 + (32 + ln(18/8)) * 0.25 * 3 / 5.
    expect(selectionValue({ score: 6, visits: 4, prior: 0.25 }, 9)).toBeCloseTo(
      1.5 + ((32 + Math.log(18 / 8)) * 0.25 * 3) / 5,
      12,
    );
    expect(selectionValue({ score: 0, visits: 0, prior: 0.1 }, 9)).toBe(Infinity);
  });

  test("visits add up: every rollout visits the root and one child of each inner node", () => {
    fc.assert(
      fc.property(setting, ({ seed, vocabSize, ...options }) => {
        const table = randomTable(seed, vocabSize);
        const search = new DraftSearch(table, options);
        search.run(0, 0, createRandom(seed));
        const nodes = search.nodes();
        if (table.row(0, 0) < 0) return;
        expect(nodes[0]!.visits).toBe(options.rollouts);
        const below = new Array<number>(nodes.length).fill(0);
        for (const { parent, visits } of nodes) if (parent >= 0) below[parent]! += visits;
        const withChildren = new Set(nodes.map(({ parent }) => parent));
        for (const [node, { visits }] of nodes.entries()) {
          // A node has one visit more than its children, from when it was a leaf; the root is expanded in its
          // first visit.
          if (withChildren.has(node)) expect([visits, visits - 1]).toContain(below[node]);
        }
        if (options.depth > 1) expect(below[0]).toBe(options.rollouts);
      }),
    );
  });

  test("a rollout scores one plus the weights of its steps, by brute force", () => {
    // One successor each: every rollout takes the same path with known weights.
    const table = new TrigramTable({ vocabSize: 9 });
    for (const [at, weight] of [0.5, 0.25, 2].entries())
      table.raise([at, at + 1, at + 2], weight, 3);
    const search = new DraftSearch(table, { rollouts: 10, depth: 4 });
    const paths = search.run(0, 1, createRandom(1));
    const nodes = search.nodes();
    expect(nodes[0]!.score).toBeCloseTo(10 * (1 + 0.5 + 0.25 + 2), 5);
    expect(paths[0]!.ids).toEqual([2]);
    expect(paths.map(({ ids }) => ids).at(-1)).toEqual([2, 3, 4]);
    // The authors' program looks up the token before: 0 unless a token follows itself.
    const reference = new DraftSearch(table, { rollouts: 10, depth: 4, scoring: "reference" });
    reference.run(0, 1, createRandom(1));
    expect(reference.nodes()[0]!.score).toBe(10);
    const repeating = new TrigramTable({ vocabSize: 9 });
    repeating.raise([3, 3, 3], 0.75, 3);
    const again = new DraftSearch(repeating, { rollouts: 4, depth: 3, scoring: "reference" });
    again.run(3, 3, createRandom(1));
    expect(again.nodes()[0]!.score).toBeCloseTo(4 * (1 + 2 * 0.75), 5);
  });

  test("drafts are prefixes of the search's tree plus the heaviest successor", () => {
    fc.assert(
      fc.property(setting, ({ seed, vocabSize, ...options }) => {
        const table = randomTable(seed, vocabSize);
        const search = new DraftSearch(table, options);
        const paths = search.run(1 % vocabSize, 0, createRandom(seed));
        const nodes = search.nodes();
        const known = new Map<string, number>([["", nodes[0]!.visits]]);
        const names: string[] = [];
        for (const { token, parent, visits } of nodes) {
          const name = parent < 0 ? "" : `${names[parent]}/${token}`;
          names.push(name);
          known.set(name, visits);
        }
        expect(paths.length).toBeLessThanOrEqual(options.sentences);
        expect(new Set(paths.map(({ ids }) => ids.join())).size).toBe(paths.length);
        for (const { ids, visits } of paths) {
          expect(ids.length).toBeLessThanOrEqual(options.depth);
          expect(visits).toHaveLength(ids.length);
          const stem = ids.slice(0, -1);
          const name = stem.map((id) => `/${id}`).join("");
          // A node without successors is a draft itself.
          const whole = `${name}/${ids.at(-1)}`;
          const before = ids.length >= 3 ? ids.at(-3)! : ids.length === 2 ? 0 : 1 % vocabSize;
          const row = table.row(before, stem.at(-1) ?? 0);
          const extended = known.has(name) && row >= 0 && table.token(row, 0) === ids.at(-1);
          expect(extended || known.has(whole)).toBe(true);
        }
      }),
    );
  });

  test("with a dominant prior, visits follow the weights", () => {
    const table = new TrigramTable({ vocabSize: 10 });
    table.set(1, 2, [
      [3, 0.6],
      [4, 0.3],
      [5, 0.1],
    ]);
    const search = new DraftSearch(table, { rollouts: 400 });
    search.run(1, 2, createRandom(5));
    const visits = search
      .nodes()
      .slice(1)
      .map((node) => node.visits / 400);
    expect(visits[0]).toBeCloseTo(0.6, 1);
    expect(visits[1]).toBeCloseTo(0.3, 1);
    expect(visits[2]).toBeCloseTo(0.1, 1);
  });

  test("an unknown pair gives no drafts", () => {
    const table = randomTable(1, 4);
    for (const paths of [
      new DraftSearch(table).run(9, 9, createRandom(1)),
      bestFirstPaths(table, 9, 9, { depth: 4, count: 9 }),
      randomWalkPaths(table, 9, 9, { depth: 4, count: 9 }, createRandom(1)),
    ]) {
      expect(paths).toEqual([]);
    }
  });
});

describe("baselines over the same table", () => {
  test("best-first finds the continuations of the largest joint share, by brute force", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 12 }), (seed, count) => {
        const table = randomTable(seed, 3, 60);
        const depth = 3;
        const all: number[] = [];
        const visit = (first: number, second: number, chance: number, left: number): void => {
          const row = left === 0 ? -1 : table.row(first, second);
          if (row < 0) return;
          for (let rank = 0; rank < table.count(row); rank++) {
            const share = (chance * table.weightAt(row, rank)) / table.total(row);
            all.push(share);
            visit(second, table.token(row, rank), share, left - 1);
          }
        };
        visit(0, 1, 1, depth);
        all.sort((a, b) => b - a);
        const found = bestFirstPaths(table, 0, 1, { depth, count });
        expect(found).toHaveLength(Math.min(count, all.length));
        for (const [rank, path] of found.entries()) {
          expect(path.visits.at(-1)).toBeCloseTo(all[rank]!, 6);
        }
      }),
    );
  });

  test("walks take only steps of the table", () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const table = randomTable(seed, 5, 40);
        const limits = { depth: 4, count: 10 };
        for (const { ids } of randomWalkPaths(table, 0, 1, limits, createRandom(seed))) {
          const text = [0, 1, ...ids];
          for (let at = 2; at < text.length; at++) {
            expect(table.weight(text[at - 2]!, text[at - 1]!, text[at]!)).toBeGreaterThan(0);
          }
        }
      }),
    );
  });
});

describe("merged trees", () => {
  const options = fc.record({
    seed: fc.nat(),
    vocabSize: fc.integer({ min: 1, max: 8 }),
    maxNodes: fc.integer({ min: 1, max: 40 }),
    maxDepth: fc.integer({ min: 1, max: 5 }),
  });
  const merge = (
    given: { seed: number; vocabSize: number; maxNodes: number; maxDepth: number },
    least = 0,
  ) => {
    const { seed, vocabSize, ...limits } = given;
    const table = randomTable(seed, vocabSize);
    const paths = new DraftSearch(table).run(0, 0, createRandom(seed));
    const acceptance = createCalibrationMap();
    const tree = mergePaths(paths, table, {
      before: 0,
      root: 0,
      minAcceptanceProbability: least,
      acceptance,
      ...limits,
    });
    return { paths, tree };
  };
  const namesOf = ({
    ids,
    parents,
  }: {
    ids: readonly number[];
    parents: readonly number[];
  }): string[] => {
    const names: string[] = [];
    for (const [node, parent] of parents.entries()) {
      names.push(`${parent < 0 ? "" : names[parent]}/${ids[node]}`);
    }
    return names;
  };

  test("hold every prefix of the drafts once, or the most visited ones", () => {
    fc.assert(
      fc.property(options, (given) => {
        const { paths, tree } = merge(given);
        const beginnings = new Set(
          paths.flatMap(({ ids }) =>
            ids.slice(0, given.maxDepth).map((_, at) =>
              ids
                .slice(0, at + 1)
                .map((id) => `/${id}`)
                .join(""),
            ),
          ),
        );
        const names = namesOf(tree);
        expect(new Set(names).size).toBe(names.length);
        for (const name of names) expect(beginnings.has(name)).toBe(true);
        expect(names).toHaveLength(Math.min(given.maxNodes, beginnings.size));
      }),
    );
  });

  test("acceptance probabilities of siblings sum to at most that of their parent", () => {
    fc.assert(
      fc.property(options, (given) => {
        const { tree } = merge(given);
        const sums = new Map<number, number>();
        for (const [node, parent] of tree.parents.entries()) {
          sums.set(parent, (sums.get(parent) ?? 0) + tree.acceptanceProbabilities[node]!);
        }
        for (const [parent, sum] of sums) {
          expect(sum).toBeLessThanOrEqual(
            (parent < 0 ? 1 : tree.acceptanceProbabilities[parent]!) + 1e-9,
          );
        }
      }),
    );
  });

  test("only nodes below the minimum probability are left out", () => {
    fc.assert(
      fc.property(options, fc.double({ min: 0, max: 1, noNaN: true }), (given, least) => {
        const roomy = { ...given, maxNodes: 1000 };
        const all = merge(roomy).tree;
        const cut = merge(roomy, least).tree;
        const expected = namesOf(all).filter(
          (_, node) => all.acceptanceProbabilities[node]! >= least,
        );
        expect(namesOf(cut).sort()).toEqual(expected.sort());
      }),
    );
  });
});
