/** What every place for records must do alike: the index of a folder, LanceDB, Qdrant. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import "../../testing/code-matchers.ts";
import { createRandom } from "../../core/index.ts";
import type { Filter } from "../filter.ts";
import { createIndex, type SearchIndex } from "../open-index.ts";
import type { RecordStore, RecordStoreOptions } from "../stores/record-store.ts";
import type { Hit, IndexRecord, SearchQuery } from "../types.ts";
import { sampleRecords } from "./sample-records.ts";

/** A kind of store under test. */
export interface TestedStore {
  readonly name: string;
  /** An empty store. */
  open(options: RecordStoreOptions): Promise<RecordStore>;
  /** Operators of filters that it has no condition for. */
  readonly unsupported?: readonly Filter[];
  /** True for our own index: it ranks by words too, and fields need no declaration. Default false. */
  readonly isIndex?: boolean;
  /** Why the suite is skipped; undefined where it runs. */
  readonly skipped?: string | undefined;
}

/** Options that the suite opens stores with. */
export const storeOptions: RecordStoreOptions = {
  dense: 6,
  tokens: 8,
  fields: { part: "number", tags: "texts", even: "boolean", name: "text" },
};

const filters: readonly Filter[] = [
  { eq: ["part", 1] },
  { eq: ["even", true] },
  { eq: ["tags", "t2"] },
  { eq: ["part", "1"] },
  { in: ["part", [0, 3]] },
  { in: ["tags", ["t0", "t1"]] },
  { in: ["part", []] },
  { range: ["part", { gt: 0, lte: 2 }] },
  { exists: "name" },
  { not: { exists: "name" } },
  { not: { eq: ["name", "it's 7"] } },
  { eq: ["name", "it's 7"] },
  { and: [{ eq: ["even", false] }, { or: [{ eq: ["part", 3] }, { eq: ["tags", "t0"] }] }] },
  { and: [] },
  { or: [] },
  { eq: ["id", "r0005"] },
  { range: ["name", { gte: "it's 5" }] },
  { prefix: ["name", "it's 1"] },
  { prefix: ["tags", "t"] },
  { prefix: ["id", "r00"] },
];

function manyRecords(): IndexRecord[] {
  return sampleRecords(1000).map(({ sparse: _, ...record }, i) => ({
    ...record,
    fields: {
      ...record.fields,
      ...(i % 5 === 0 && { name: `it's ${i}` }),
      ...(i % 7 === 0 && { tags: [] }),
      other: i,
    },
  }));
}

const ids = (hits: readonly Hit[]): string[] => hits.map(({ id }) => id);

/** The tests. Every answer is compared with that of an index in memory. */
export function describeStore(tested: TestedStore): void {
  const { name, open, unsupported = [], isIndex = false, skipped } = tested;
  describe.skipIf(skipped !== undefined)(name, () => {
    const records = manyRecords();
    let store: RecordStore;
    let index: SearchIndex;
    beforeAll(async () => {
      store = await open(storeOptions);
      index = createIndex();
      for (let at = 0; at < records.length; at += 250) {
        await store.put(records.slice(at, at + 250));
        await index.put(records.slice(at, at + 250));
      }
    });
    afterAll(() => store?.close());

    const queries = (seed = 9): SearchQuery[] => {
      const random = createRandom(seed, "store query");
      const vector = (length: number) => Float32Array.from({ length }, () => random.normal());
      const [dense, tokens] = [vector(6), { dim: 8, vectors: vector(24) }];
      const exact = { tokenSearch: { scoring: "exact" } } as const;
      return [
        { dense },
        { tokens, ...exact },
        { tokens: { dim: 8, vectors: tokens.vectors.slice(0, 8) }, ...exact },
        { dense, tokens, ...exact },
        { dense, tokens, ...exact, fusion: { method: "weighted", weights: { dense: 2 } } },
      ];
    };

    async function compare(query: SearchQuery): Promise<void> {
      const [found, expected] = [await store.search(query), await index.search(query)];
      expect(ids(found), JSON.stringify(query.filter)).toEqual(ids(expected));
      for (const [at, { score, parts, text, fields }] of found.entries()) {
        const other = expected[at]!;
        expect(score).toBeCloseTo(other.score, 4);
        expect(Object.keys(parts)).toEqual(Object.keys(other.parts));
        expect({ text, fields }).toEqual({ text: other.text, fields: other.fields });
      }
    }

    test("the same records in the same order, with the same scores, texts and fields", async () => {
      expect(await store.count()).toBe(1000);
      for (const query of queries()) await compare({ ...query, k: 20 });
    });

    test("filters leave the same, and never fewer than there are", async () => {
      const [query] = queries();
      for (const filter of filters) {
        const isUnsupported = unsupported.some(
          (one) => JSON.stringify(one) === JSON.stringify(filter),
        );
        if (isUnsupported) {
          await expect(store.search({ ...query!, filter })).toRejectWithCode("filter-unsupported");
        } else await compare({ ...query!, filter, k: 12 });
      }
      for (const own of queries(10)) await compare({ ...own, filter: { eq: ["part", 2] } });
    });

    test("more asked for than there are", async () => {
      const filter = { in: ["id", ["r0001", "r0002", "r0003"]] } as const;
      for (const query of queries()) await compare({ ...query, filter, k: 50 });
    });

    test("explanations slice to the text, and their mean is the score", async () => {
      const { tokens } = queries()[1]!;
      const query: SearchQuery = {
        tokens: tokens!,
        tokenSearch: { scoring: "exact" },
        explain: true,
      };
      const [found, expected] = [await store.search(query), await index.search(query)];
      for (const [at, { matches, text, score }] of found.entries()) {
        expect(matches!.map(({ span }) => text.slice(...span!))).toEqual(
          expected[at]!.matches!.map(({ span }) => text.slice(...span!)),
        );
        const sum = matches!.reduce((total, match) => total + match.score, 0);
        expect(sum / matches!.length).toBeCloseTo(score, 4);
      }
    });

    test("replaced and deleted records, empty texts and single tokens", async () => {
      const changed: IndexRecord[] = [
        {
          ...records[5]!,
          text: "another text ".repeat(9),
          dense: records[6]!.dense!,
          fields: { part: 9 },
        },
        { id: "empty", text: "", tokens: { dim: 8, vectors: new Float32Array(0) } },
        {
          id: "one",
          text: "x",
          tokens: { dim: 8, vectors: records[0]!.tokens!.vectors.slice(0, 8) },
        },
        { id: "plain", text: "no vector", fields: { even: true } },
        { id: "o'clock", text: "quotes", dense: records[9]!.dense!, fields: { name: "a'b" } },
      ];
      for (const one of [store, index]) {
        await one.put(changed);
        expect(await one.delete(["r0007", "none", "r0007", "r0008"])).toBe(2);
        expect(await one.delete([])).toBe(0);
        expect(await one.delete(["none"])).toBe(0);
      }
      expect(await store.count()).toBe(1002);
      for (const query of queries(11)) await compare({ ...query, k: 30 });
      const [dense] = queries(12);
      await compare({ ...dense!, filter: { eq: ["part", 9] } });
      await compare({ ...dense!, filter: { eq: ["id", "o'clock"] } });
      const [own] = [{ tokens: changed[2]!.tokens!, tokenSearch: { scoring: "exact" } } as const];
      await compare({ ...own, k: 3 });
      expect(await store.delete(["empty", "one", "plain", "o'clock"])).toBe(4);
    });

    test("what cannot be is rejected", async () => {
      const record = records[0]!;
      const code = "record-invalid";
      await expect(store.put([{ ...record, dense: new Float32Array(5) }])).toRejectWithCode(code);
      await expect(store.put([{ ...record, id: "" }])).toRejectWithCode(code);
      const [query] = queries();
      await expect(store.search({})).toRejectWithCode("search-query-invalid");
      await expect(store.search({ dense: new Float32Array(5) })).toRejectWithCode(
        "search-query-invalid",
      );
      const filtered = (filter: unknown) => store.search({ ...query!, filter: filter as Filter });
      await expect(filtered({ eq: ["part"] })).toRejectWithCode("filter-invalid");
      if (isIndex) return;
      await expect(store.put([{ ...record, fields: { part: "one" } }])).toRejectWithCode(code);
      await expect(store.search({ text: "word" })).toRejectWithCode("store-ranking-missing");
      await expect(filtered({ eq: ["other", 1] })).toRejectWithCode("store-field-undeclared");
    });
  });
}
