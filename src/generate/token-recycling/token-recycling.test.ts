import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import type { Sampling } from "../sampling/sampler.ts";
import type { DraftContext, DraftOutcome, DraftTree } from "../speculative/drafter.ts";
import { sealState } from "../speculative/drafter-state.ts";
import { describeDrafter } from "../testing/drafter-conformance.ts";
import { describeDrafterDistribution } from "../testing/drafter-distribution.ts";
import { createTemplate, type DraftTemplate, publishedTemplate } from "./draft-template.ts";
import { fillTemplate, growTree } from "./fill-tree.ts";
import { SuccessorTable } from "./successor-table.ts";
import { createTokenRecyclingDrafter, type TokenRecycling } from "./token-recycling.ts";

describeDrafter({ name: "token-recycling", open: (model) => createTokenRecyclingDrafter(model) });

describeDrafterDistribution({
  name: "token-recycling",
  open: (model) => createTokenRecyclingDrafter(model),
});

describeDrafter({
  name: "token-recycling with the published tree, over a table of junk",
  open: (model) => {
    const drafter = createTokenRecyclingDrafter(model, { tree: "template" });
    const random = createRandom(5);
    const { vocabSize: tokens } = model.config;
    for (let token = 0; token < tokens; token++) {
      const ids = random.shuffle(Array.from({ length: tokens }, (_, id) => id)).slice(0, 8);
      drafter.table.replace(token, {
        ids: Int32Array.from(ids),
        logits: new Float32Array(8),
        logSumExp: 3,
      });
    }
    return drafter;
  },
});

const vocabSize = 50;
const width = 8;
/** Acceptance probabilities equal to the confidences of the table. */
const acceptance = Array.from({ length: width }, () => ({
  estimate: (confidence: number): number => confidence,
}));

/** Candidates of a row: distinct tokens, their logits descending. */
function randomRow(random: ReturnType<typeof createRandom>): {
  ids: Int32Array;
  logits: Float32Array;
} {
  const tokens = random.shuffle(Array.from({ length: vocabSize }, (_, id) => id));
  const logits = Array.from({ length: width }, () => 3 * random.normal()).sort((a, b) => b - a);
  return { ids: Int32Array.from(tokens.slice(0, width)), logits: Float32Array.from(logits) };
}

/** A table in which `known` tokens have successors. */
function randomTable(seed: number, known: number): SuccessorTable {
  const random = createRandom(seed);
  const table = new SuccessorTable(vocabSize, width);
  for (let row = 0; row < known; row++) {
    const { ids, logits } = randomRow(random);
    const sum = Math.log(logits.reduce((total, logit) => total + Math.exp(logit), 1));
    table.replace(random.integer(vocabSize), { ids, logits, logSumExp: sum });
  }
  return table;
}

function context(root: number, limits: Partial<DraftContext> = {}): DraftContext {
  return { ids: [7, root], maxNodes: 100, maxDepth: 100, minAcceptanceProbability: 0, ...limits };
}

/** Tokens and the chance of every node of a tree, by its path of tokens. */
function pathsOf({ ids, parents, acceptanceProbabilities }: DraftTree): Map<string, number> {
  const names: string[] = [];
  return new Map(
    Array.from(ids, (id, node) => {
      const parent = parents[node]!;
      names[node] = parent < 0 ? `${id}` : `${names[parent]} ${id}`;
      return [names[node]!, acceptanceProbabilities![node]!];
    }),
  );
}

describe("the table of successors", () => {
  test("holds the latest successors of each token, and none of others", () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(fc.nat(vocabSize - 1), { maxLength: 80 }), (seed, tokens) => {
        const random = createRandom(seed);
        const table = new SuccessorTable(vocabSize, width);
        const last = new Map<number, Int32Array>();
        const { bytes } = table;
        for (const token of tokens) {
          const { ids, logits } = randomRow(random);
          table.replace(token, { ids, logits, logSumExp: 5 });
          last.set(token, ids);
        }
        expect(table.rows).toBe(last.size);
        expect(table.bytes).toBe(bytes);
        for (let token = 0; token < vocabSize; token++) {
          const ids = last.get(token);
          expect(table.has(token)).toBe(ids !== undefined);
          for (const [rank, id] of ids?.entries() ?? []) {
            expect(table.successor(token, rank)).toBe(id);
            expect(table.rankOf(token, id)).toBe(rank);
          }
        }
      }),
    );
  });

  test("keeps probabilities to 1/255", () => {
    const table = new SuccessorTable(4, 2);
    table.replace(1, {
      ids: Int32Array.of(9, 3, 2),
      logits: Float32Array.of(0, Math.log(0.7), Math.log(0.1)),
      logSumExp: 0,
      offset: 1,
    });
    expect(table.confidence(1, 0)).toBeCloseTo(0.7, 2);
    expect(table.confidence(1, 1)).toBeCloseTo(0.1, 2);
  });

  test("takes less than 2 MB for 32,000 tokens, before and after any text", () => {
    expect(new SuccessorTable(32_000).bytes).toBeLessThan(2e6);
  });

  test("is restored from its saved form", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(60), (seed, known) => {
        const table = randomTable(seed, known);
        const other = randomTable(seed + 1, 30);
        other.load(table.save());
        expect(other.rows).toBe(table.rows);
        expect(other.save()).toEqual(table.save());
      }),
    );
  });

  test("rejects an invalid saved form, and does not change", () => {
    const table = randomTable(1, 30);
    const before = table.save();
    const { fields, body } = randomTable(2, 30).save();
    const changed = (at: number, value: number): Int32Array => {
      const copy = body.slice();
      copy[at] = value;
      return copy;
    };
    const wrong: Parameters<SuccessorTable["load"]>[0][] = [
      { fields: { topK: 7 }, body },
      { fields: {}, body },
      { fields, body: body.subarray(1) },
      { fields, body: changed(0, -1) },
      { fields, body: changed(17, vocabSize) },
      { fields, body: changed(17, body[0]!) },
      { fields, body: changed(1, vocabSize) },
      { fields, body: changed(1, -1) },
      { fields, body: changed(1, body[2]!) },
      { fields, body: changed(9, 256) },
      { fields, body: changed(9, -1) },
    ];
    for (const state of wrong) {
      expect(() => table.load(state)).toThrowCode("drafter-state-invalid");
      expect(table.save()).toEqual(before);
    }
  });

  test("rejects impossible sizes", () => {
    for (const [size, ranks] of [
      [0, 1],
      [4, 5],
      [10, 0],
      [2.5, 2],
      [2 ** 25, 8],
    ] as const) {
      expect(() => new SuccessorTable(size, ranks)).toThrowCode("drafter-option-invalid");
    }
  });
});

describe("templates", () => {
  test("the published one has 80 nodes in levels of 8, 21, 25, 15, 8 and 3", () => {
    const levels = [1, 2, 3, 4, 5, 6].map(
      (depth) => publishedTemplate.depths.filter((value) => value === depth).length,
    );
    expect(levels).toEqual([8, 21, 25, 15, 8, 3]);
    expect(publishedTemplate.parents).toHaveLength(80);
  });

  test("every prefix of the order is a tree, and the order has every node once", () => {
    const { parents, order } = publishedTemplate;
    const seen = new Set([-1]);
    for (const node of order) {
      expect(seen.has(parents[node]!)).toBe(true);
      seen.add(node);
    }
    expect(seen.size).toBe(81);
  });

  test("paths that form no tree are rejected", () => {
    for (const paths of [[], [[]], [[0], [0]], [[0, 1]], [[-1]], [[0.5]], [[64]]]) {
      expect(() => createTemplate(paths)).toThrowCode("drafter-option-invalid");
    }
  });
});

/** The nodes of a template by definition: each path of ranks followed from the root. */
function nodesByDefinition(
  table: SuccessorTable,
  { parents, ranks }: DraftTemplate,
  root: number,
): Map<string, number> {
  const nodes = new Map<string, number>();
  for (let node = 0; node < parents.length; node++) {
    const path: number[] = [];
    for (let at = node; at >= 0; at = parents[at]!) path.unshift(ranks[at]!);
    let token = root;
    let chance = 1;
    const tokens: number[] = [];
    const isKnown = path.every((rank) => {
      if (!table.has(token)) return false;
      chance *= table.confidence(token, rank);
      token = table.successor(token, rank);
      tokens.push(token);
      return true;
    });
    if (isKnown) nodes.set(tokens.join(" "), chance);
  }
  return nodes;
}

describe("filling a template", () => {
  test("gives each path of ranks its successors, and leaves out unknown ones", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(100), (seed, known) => {
        const table = randomTable(seed, known);
        const root = seed % vocabSize;
        const tree = fillTemplate({ table, acceptance }, publishedTemplate, context(root));
        const wanted = nodesByDefinition(table, publishedTemplate, root);
        expect(pathsOf(tree)).toEqual(wanted);
      }),
    );
  });

  test("respects its limits", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 90 }),
        fc.integer({ min: 1, max: 7 }),
        (seed, maxNodes, maxDepth) => {
          const table = randomTable(seed, 200);
          const limits = context(3, { maxNodes, maxDepth, minAcceptanceProbability: 1e-3 });
          for (const tree of [
            fillTemplate({ table, acceptance }, publishedTemplate, limits),
            growTree({ table, acceptance }, 80, limits),
          ]) {
            expect(tree.ids.length).toBeLessThanOrEqual(maxNodes);
            for (const [path, chance] of pathsOf(tree)) {
              expect(path.split(" ").length).toBeLessThanOrEqual(maxDepth);
              expect(chance).toBeGreaterThanOrEqual(1e-3);
            }
          }
        },
      ),
    );
  });
});

test("a grown tree has the most probable of all paths", () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 40 }), (seed, size) => {
      const table = randomTable(seed, 60);
      const depths = 3;
      const all: number[] = [];
      const walk = (token: number, chance: number, depth: number): void => {
        if (depth === depths || !table.has(token)) return;
        for (let rank = 0; rank < width; rank++) {
          const next = chance * table.confidence(token, rank);
          if (next === 0) continue;
          all.push(next);
          walk(table.successor(token, rank), next, depth + 1);
        }
      };
      walk(5, 1, 0);
      const limits = context(5, { maxDepth: depths });
      const tree = growTree({ table, acceptance }, size, limits);
      const best = all.sort((a, b) => b - a).slice(0, size);
      expect([...tree.acceptanceProbabilities!].sort((a, b) => b - a)).toEqual(best);
      expect(pathsOf(tree).size).toBe(best.length);
    }),
  );
});

const greedy = { temperature: 0, topK: 0 } as Sampling;

function createDrafter(
  name = "a",
  options: Parameters<typeof createTokenRecyclingDrafter>[1] = {},
): TokenRecycling {
  const tokenizer = { idToToken: (id: number) => `${name}${id}` };
  const model = { name, tokenizer, config: { vocabSize } };
  return createTokenRecyclingDrafter(
    model as Parameters<typeof createTokenRecyclingDrafter>[0],
    options,
  );
}

/** Outcome of a forward pass over these tokens, with random candidates. */
function outcome(ids: number[], seed: number, candidates = width): DraftOutcome {
  const random = createRandom(seed);
  const rows = ids.map(() => randomRow(random));
  const flat = (of: (row: (typeof rows)[number]) => ArrayLike<number>): number[] =>
    rows.flatMap((row) => [...Array.from(of(row)), ...new Array(candidates - width).fill(0)]);
  return {
    emitted: [1],
    ids: [0, ids[0]!, 1],
    seconds: 0,
    rows: {
      ids: Int32Array.from(ids),
      candidates,
      topIds: Int32Array.from(flat((row) => row.ids)),
      topLogits: Float32Array.from(flat((row) => row.logits)),
      logSumExp: new Float32Array(ids.length).fill(8),
    },
  } as DraftOutcome;
}

describe("the drafter", () => {
  test("learns from every row, of a token in several rows from the last", () => {
    const drafter = createDrafter();
    const sequence = drafter.begin({ promptIds: [0], sampling: greedy });
    const told = outcome([4, 9, 4], 3, width + 3);
    sequence.observe(told);
    for (const [token, row] of [
      [4, 2],
      [9, 1],
    ] as const) {
      for (let rank = 0; rank < width; rank++) {
        expect(drafter.table.successor(token, rank)).toBe(
          told.rows.topIds[row * (width + 3) + rank],
        );
      }
    }
    expect(drafter.table.rows).toBe(2);
  });

  test("requests share the table, until it is reset", async () => {
    const drafter = createDrafter();
    const first = drafter.begin({ promptIds: [0], sampling: greedy });
    const second = drafter.begin({ promptIds: [0], sampling: greedy });
    expect((await second.propose(context(4))).ids).toHaveLength(0);
    first.observe(outcome([4], 1));
    expect((await second.propose(context(4))).ids).not.toHaveLength(0);
    drafter.reset();
    expect((await second.propose(context(4))).ids).toHaveLength(0);
  });

  test("rejections lower the acceptance probabilities of similar draft tokens", async () => {
    const drafter = createDrafter();
    const sequence = drafter.begin({ promptIds: [0], sampling: greedy });
    sequence.observe(outcome([4], 1));
    const before = (await sequence.propose(context(4))).acceptanceProbabilities![0]!;
    for (let step = 0; step < 50; step++) {
      const tree = await sequence.propose(context(4));
      const told = outcome([4, ...tree.ids], 1);
      sequence.observe({ ...told, verdict: { tree, accepted: [], rejected: [0] } });
    }
    expect((await sequence.propose(context(4))).acceptanceProbabilities![0]!).toBeLessThan(
      before / 2,
    );
  });

  test("loads a saved state, and rejects damaged ones and those of another model", () => {
    const drafter = createDrafter();
    drafter.begin({ promptIds: [0], sampling: greedy }).observe(outcome([4, 8, 30], 1));
    const saved = drafter.save();
    const other = createDrafter();
    other.load(saved);
    expect(other.save()).toEqual(saved);
    expect(() => createDrafter("b").load(saved)).toThrowCode("drafter-state-other-model");
    for (let at = 0; at < saved.length; at += 5) {
      const damaged = saved.slice();
      damaged[at]! ^= 4;
      expect(() => other.load(damaged)).toThrowCode(expect.stringMatching(/^drafter-state-/));
    }
    const foreign = sealState({ kind: "lookahead", key: "", fields: {}, body: new Int32Array(0) });
    expect(() => other.load(foreign)).toThrowCode("drafter-state-other-kind");
    expect(other.save()).toEqual(saved);
  });

  test("a template with more ranks than the table keeps is rejected", () => {
    const tree = "template";
    expect(() => createDrafter("a", { topK: 4, tree })).toThrowCode("drafter-option-invalid");
    const template = createTemplate([[0], [1]]);
    expect(() => createDrafter("a", { topK: 4, tree, template })).not.toThrow();
  });
});
