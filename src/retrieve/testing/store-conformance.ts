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

/** A store beside an index in memory that holds the same. */
interface Compared {
  readonly store: RecordStore;
  readonly index: SearchIndex;
  readonly records: readonly IndexRecord[];
}

async function compare({ store, index }: Compared, query: SearchQuery): Promise<void> {
  const [found, expected] = [await store.search(query), await index.search(query)];
  expect(ids(found), JSON.stringify(query.filter)).toEqual(ids(expected));
  for (const [at, { score, parts, text, fields }] of found.entries()) {
    const other = expected[at]!;
    expect(score).toBeCloseTo(other.score, 4);
    expect(Object.keys(parts)).toEqual(Object.keys(other.parts));
    expect({ text, fields }).toEqual({ text: other.text, fields: other.fields });
  }
}

function sampleSearches(seed = 9): [dense: SearchQuery, tokens: SearchQuery, ...SearchQuery[]] {
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
}

/** The tests. Every answer is compared with that of an index in memory. */
export function describeStore(tested: TestedStore): void {
  describe.skipIf(tested.skipped !== undefined)(tested.name, () => {
    const records = manyRecords();
    let both: Compared;
    beforeAll(async () => {
      both = { store: await tested.open(storeOptions), index: createIndex(), records };
      for (let at = 0; at < records.length; at += 250) {
        await both.store.put(records.slice(at, at + 250));
        await both.index.put(records.slice(at, at + 250));
      }
    });
    afterAll(() => both?.store.close());

    test("the same records in the same order, with the same scores, texts and fields", async () => {
      expect(await both.store.count()).toBe(1000);
      for (const query of sampleSearches()) await compare(both, { ...query, k: 20 });
    });
    test("filters leave the same, and never fewer than there are", () =>
      checkFilters(both, tested.unsupported ?? []));
    test("more asked for than there are", async () => {
      const filter = { in: ["id", ["r0001", "r0002", "r0003"]] } as const;
      for (const query of sampleSearches()) await compare(both, { ...query, filter, k: 50 });
    });
    test("explanations slice to the text, and their mean is the score", () =>
      checkExplanations(both));
    test("replaced and deleted records, empty texts and single tokens", () => checkChanges(both));
    test("what cannot be is rejected", () => checkRejected(both, tested.isIndex ?? false));
  });
}

async function checkFilters(both: Compared, unsupported: readonly Filter[]): Promise<void> {
  const [query] = sampleSearches();
  for (const filter of filters) {
    const text = JSON.stringify(filter);
    if (unsupported.some((one) => JSON.stringify(one) === text)) {
      const found = both.store.search({ ...query, filter });
      await expect(found).toRejectWithCode("filter-unsupported");
    } else await compare(both, { ...query, filter, k: 12 });
  }
  for (const own of sampleSearches(10))
    await compare(both, { ...own, filter: { eq: ["part", 2] } });
}

async function checkExplanations({ store, index }: Compared): Promise<void> {
  const [, tokens] = sampleSearches();
  const query: SearchQuery = { ...tokens, explain: true };
  const [found, expected] = [await store.search(query), await index.search(query)];
  const slices = ({ text, matches }: Hit): string[] =>
    matches!.map(({ span }) => text.slice(...span!));
  for (const [at, hit] of found.entries()) {
    expect(slices(hit)).toEqual(slices(expected[at]!));
    const sum = hit.matches!.reduce((total, match) => total + match.score, 0);
    expect(sum / hit.matches!.length).toBeCloseTo(hit.score, 4);
  }
}

async function checkChanges(both: Compared): Promise<void> {
  const { store, index, records } = both;
  const own = { dim: 8, vectors: records[0]!.tokens!.vectors.slice(0, 8) };
  const text = "another text ".repeat(9);
  const changed: IndexRecord[] = [
    { ...records[5]!, text, dense: records[6]!.dense!, fields: { part: 9 } },
    { id: "empty", text: "", tokens: { dim: 8, vectors: new Float32Array(0) } },
    { id: "one", text: "x", tokens: own },
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
  for (const query of sampleSearches(11)) await compare(both, { ...query, k: 30 });
  const [dense] = sampleSearches(12);
  await compare(both, { ...dense, filter: { eq: ["part", 9] } });
  await compare(both, { ...dense, filter: { eq: ["id", "o'clock"] } });
  await compare(both, { tokens: own, tokenSearch: { scoring: "exact" }, k: 3 });
  expect(await store.delete(["empty", "one", "plain", "o'clock"])).toBe(4);
}

async function checkRejected({ store, records }: Compared, isIndex: boolean): Promise<void> {
  const record = records[0]!;
  const code = "record-invalid";
  await expect(store.put([{ ...record, dense: new Float32Array(5) }])).toRejectWithCode(code);
  await expect(store.put([{ ...record, id: "" }])).toRejectWithCode(code);
  const [query] = sampleSearches();
  await expect(store.search({})).toRejectWithCode("search-query-invalid");
  const short = store.search({ dense: new Float32Array(5) });
  await expect(short).toRejectWithCode("search-query-invalid");
  const filtered = (filter: unknown) => store.search({ ...query, filter: filter as Filter });
  await expect(filtered({ eq: ["part"] })).toRejectWithCode("filter-invalid");
  if (isIndex) return;
  await expect(store.put([{ ...record, fields: { part: "one" } }])).toRejectWithCode(code);
  await expect(store.search({ text: "word" })).toRejectWithCode("store-ranking-missing");
  await expect(filtered({ eq: ["other", 1] })).toRejectWithCode("store-field-undeclared");
}
