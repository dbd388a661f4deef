import { describe, expect, test } from "vitest";
import { createIndex, type IndexSettings, type OpenIndexOptions, openIndex } from "./open-index.ts";
import type { IndexRecord, SearchQuery } from "./types.ts";

describe("mistyped parts and options", () => {
  test.each<[string, unknown, string]>([
    ["a record's part", [{ id: "a", text: "b", field: { year: 1 } }], "did you mean fields?"],
    ["a part of its own", [{ id: "a", text: "b", year: 1 }], "stands in fields"],
    ["a record alone", { id: "a", text: "b" }, "a list of records"],
    ["a number as a vector", [{ id: "a", text: "b", dense: 5 }], "a list of finite numbers"],
    ["no vector", [{ id: "a", text: "b", dense: null }], "a list of finite numbers"],
    ["no token vectors", [{ id: "a", text: "b", tokens: null }], "dim, vectors, spans"],
    [
      "rows that run backwards",
      [{ id: "a", text: "b", tokens: { dim: -2, vectors: Float32Array.of(1, 2) } }],
      "the length of a vector, a whole number from 1",
    ],
    [
      "token vectors without numbers",
      [{ id: "a", text: "b", tokens: { dim: 2 } }],
      "finite numbers",
    ],
    [
      "a mistyped part of token vectors",
      [{ id: "a", text: "b", tokens: { dim: 1, vectors: Float32Array.of(1), offsets: [0, 1] } }],
      "dim, vectors, spans alone",
    ],
    [
      "spans as pairs",
      [{ id: "a", text: "b", tokens: { dim: 1, vectors: Float32Array.of(1), spans: [[0, 1]] } }],
      "whole numbers from 0",
    ],
    ["half a sparse vector", [{ id: "a", text: "b", sparse: { ids: [1] } }], "finite numbers"],
    [
      "ids that are no numbers of terms",
      [{ id: "a", text: "b", sparse: { ids: [-1], weights: [1] } }],
      "whole numbers from 0",
    ],
    ["no fields", [{ id: "a", text: "b", fields: [1] }], "an object"],
    ["no record", ["a"], "an object with id and text"],
  ])("%s is refused, and nothing is added", async (_, records, message) => {
    await using index = createIndex();
    await expect(index.put(records as IndexRecord[])).rejects.toThrow(
      expect.objectContaining({
        code: "record-invalid",
        message: expect.stringContaining(message),
      }),
    );
    expect(index.size).toBe(0);
  });

  test.each<[unknown, string]>([
    [{ text: "b", limit: 3 }, "limit is no option of a search"],
    [{ text: "b", tokenSearch: { probe: 3 } }, "did you mean probes?"],
    [{ text: 5 }, "a text"],
    [{ text: "b", explain: "yes" }, "true or false"],
    [{ dense: Float32Array.of(Number.NaN) }, "finite numbers"],
    [{ dense: new Float32Array(0) }, "a vector of some numbers"],
    [{ dense: 5 }, "finite numbers"],
    [{ tokens: { dim: 1.5, vectors: new Float32Array(3) } }, "vectors of some numbers"],
    [{ tokens: { dim: 3 } }, "finite numbers"],
    [{ sparse: {} }, "finite numbers"],
    [
      { sparse: { ids: Uint32Array.of(1), weights: Float32Array.of(Number.NaN) } },
      "numbers that are not finite",
    ],
    [
      { sparse: { ids: Uint32Array.of(1, 1), weights: Float32Array.of(1, 1) } },
      "as many weights as different ids",
    ],
    ["b", 'an object, e.g. { text: "b" }'],
    [{ dense: ["1"] }, "numbers that are not finite"],
    [{ dense: [1e39] }, "numbers that are not finite"],
    [{ sparse: { ids: [1.5], weights: [1] } }, "whole numbers from 0"],
    [{ text: "b", tokenSearch: { probes: 5 } }, "nothing, or tokens to search for"],
    [
      { tokens: { dim: 1, vectors: [1] }, tokenSearch: { scoring: "exact", probes: 2 } },
      "exact scoring compares all tokens",
    ],
    [{ tokens: { dim: 1, vectors: [1] }, tokenSearch: { refine: 2 } }, "scores no record twice"],
    [{ text: "b", fusion: { constant: 5 } }, "another ranking beside bm25"],
    [{ text: "b", dense: [1], fusion: { weights: { token: 2 } } }, "weights of bm25, dense"],
  ])("the query %j is refused", async (query, message) => {
    await using index = createIndex();
    await index.put([{ id: "a", text: "b" }]);
    await expect(index.search(query as SearchQuery)).rejects.toThrow(
      expect.objectContaining({
        code: "search-query-invalid",
        message: expect.stringContaining(message),
      }),
    );
  });

  test.each([null, 5, { weights: null }, { weights: [1] }])(
    "fusion %j is refused",
    async (fusion) => {
      await using index = createIndex();
      const query = { text: "b", dense: [1], fusion } as unknown as SearchQuery;
      await expect(index.search(query)).rejects.toThrow(
        expect.objectContaining({ code: "fusion-invalid" }),
      );
    },
  );

  test("ids to delete are a list of texts: a text is not the list of its characters", async () => {
    await using index = createIndex();
    await index.put([{ id: "a", text: "b" }]);
    for (const ids of ["a", ["a", 5], { ids: ["a"] }, null]) {
      await expect(index.delete(ids as string[])).rejects.toThrow(
        expect.objectContaining({ code: "record-invalid" }),
      );
    }
    expect(index.size).toBe(1);
  });

  test.each([
    { threads: Number.POSITIVE_INFINITY },
    { threads: 1000 },
    { readOnly: "yes" },
    { readOnly: true, flushAt: 5 },
    { metadata: "model" },
    { metadata: { model: 5 } },
  ])("the options %j are refused", async (options) => {
    await expect(openIndex("unused", options as OpenIndexOptions)).rejects.toThrow(
      expect.objectContaining({ code: "index-option-invalid" }),
    );
  });

  test("settings and the folder", async () => {
    expect(() => createIndex({ residual: "exact" } as IndexSettings)).toThrow(/mean residuals/);
    await expect(openIndex(5 as unknown as string)).rejects.toThrow(
      expect.objectContaining({ code: "index-option-invalid" }),
    );
    await expect(openIndex("unused", { readonly: true } as OpenIndexOptions)).rejects.toThrow(
      /mean readOnly/,
    );
  });
});
