import { describe, expect, test } from "vitest";
import "../testing/code-matchers.ts";
import { compileFilter, type Filter } from "./filter.ts";
import { fuseRankings } from "./fusion.ts";

const fields = { page: 3, title: "Castle", open: true, tags: ["stone", "old"] };
const holds = (filter: Filter) => compileFilter(filter)("doc-1", fields);

describe("filters", () => {
  test.each<[boolean, Filter]>([
    [true, { eq: ["page", 3] }],
    [false, { eq: ["page", "3"] }],
    [true, { eq: ["tags", "old"] }],
    [true, { eq: ["open", true] }],
    [true, { eq: ["id", "doc-1"] }],
    [true, { in: ["page", [1, 3]] }],
    [false, { in: ["page", []] }],
    [true, { range: ["page", { gte: 3, lt: 4 }] }],
    [false, { range: ["page", { gt: 3 }] }],
    [false, { range: ["title", { gt: 3 }] }],
    [true, { range: ["title", { gte: "C", lt: "D" }] }],
    [true, { exists: "tags" }],
    [false, { exists: "author" }],
    [false, { exists: "toString" }],
    [true, { prefix: ["tags", "sto"] }],
    [true, { prefix: ["id", "doc-"] }],
    [true, { not: { exists: "author" } }],
    [true, { not: { eq: ["author", "x"] } }],
    [true, { and: [] }],
    [false, { or: [] }],
    [true, { and: [{ exists: "page" }, { or: [{ eq: ["page", 1] }, { eq: ["page", 3] }] }] }],
  ])("%s: %o", (expected, filter) => {
    expect(holds(filter)).toBe(expected);
  });

  test.each<unknown>([
    {},
    null,
    { eq: ["a", 1], not: { exists: "a" } },
    { eq: ["a"] },
    { eq: ["", 1] },
    { eq: ["a", null] },
    { in: ["a", 1] },
    { range: ["a", {}] },
    { range: ["a", { gt: 1, lt: "b" }] },
    { range: ["a", { above: 1 }] },
    { range: ["a", { gt: Number.NaN }] },
    { prefix: ["a", 1] },
    { and: { exists: "a" } },
    { not: {} },
    { exists: 1 },
    { like: ["a", "b"] },
  ])("rejected: %o", (filter) => {
    expect(() => compileFilter(filter as Filter)).toThrowCode("filter-invalid");
  });
});

describe("fusion by hand", () => {
  const rank = (...ids: string[]) => ids.map((id, at) => ({ id, score: 10 - at }));
  const rankings = new Map([
    ["bm25", rank("a", "b", "c")] as const,
    ["dense", rank("c", "d")] as const,
  ]);

  test("reciprocal ranks", () => {
    expect(fuseRankings(rankings)).toEqual([
      { id: "c", score: 1 / 63 + 1 / 61 },
      { id: "a", score: 1 / 61 },
      { id: "d", score: 1 / 62 },
      { id: "b", score: 1 / 62 },
    ]);
    const weighted = fuseRankings(rankings, { constant: 0, weights: { dense: 0.1 } });
    expect(weighted[0]).toEqual({ id: "a", score: 1 });
  });

  test("weighted scores", () => {
    expect(fuseRankings(rankings, { method: "weighted" })).toEqual([
      { id: "c", score: 1 },
      { id: "a", score: 1 },
      { id: "b", score: 0.5 },
      { id: "d", score: 0 },
    ]);
    const raw = fuseRankings(rankings, { method: "weighted", normalize: "none" });
    expect(raw[0]).toEqual({ id: "c", score: 18 });
  });

  test.each<object>([
    { method: "borda" },
    { constant: -1 },
    { weights: { best: 1 } },
    { weights: { bm25: -1 } },
    { depth: 0 },
    { normalize: "min-max" },
    { method: "weighted", constant: 1 },
    { method: "weighted", normalize: "max" },
  ])("rejected: %o", (options) => {
    expect(() => fuseRankings(rankings, options)).toThrowCode("fusion-invalid");
  });
});
