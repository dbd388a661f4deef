import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runsOf } from "../tokens/inverted-file.ts";
import { decodeLists, encodeClusters, encodeLists } from "./compact-arrays.ts";

describe("lists of documents", () => {
  test("by hand: differences and frequencies, two bytes from 128 on", () => {
    const lists = {
      offsets: Uint32Array.of(0, 2, 2, 3),
      documents: Uint32Array.of(3, 5, 130),
      frequencies: Uint32Array.of(1, 2, 1),
    };
    const bytes = encodeLists(lists);
    expect([...bytes]).toEqual([3, 1, 2, 2, 130, 1, 1]);
    expect({ offsets: lists.offsets, ...decodeLists(bytes, lists.offsets) }).toEqual(lists);
  });

  test("come back as they were, up to 32 bits", () => {
    const list = fc.uniqueArray(fc.nat(2 ** 32 - 1), { maxLength: 20 });
    fc.assert(
      fc.property(fc.array(list, { maxLength: 8 }), fc.nat(2 ** 32 - 1), (found, frequency) => {
        const sorted = found.map((one) => one.sort((a, b) => a - b));
        const offsets = Uint32Array.from({ length: found.length + 1 }, (_, term) =>
          sorted.slice(0, term).reduce((sum, { length }) => sum + length, 0),
        );
        const documents = Uint32Array.from(sorted.flat());
        const frequencies = documents.map((_, at) => (at % 2 === 0 ? frequency : 1));
        const bytes = encodeLists({ offsets, documents, frequencies });
        expect(decodeLists(bytes, offsets)).toEqual({ documents, frequencies });
      }),
    );
  });
});

describe("runs of clusters", () => {
  test("by hand: empty clusters stay, numbers ascend", () => {
    const runs = { starts: Uint32Array.of(0, 2, 2, 4), tokens: Uint32Array.of(1, 3, 0, 2) };
    const clusters = encodeClusters(runs);
    expect(clusters).toEqual(Uint16Array.of(2, 0, 2, 0));
    expect(runsOf(clusters, 3)).toEqual(runs);
  });

  test("more clusters than two bytes count take four", () => {
    const count = 2 ** 16;
    // Cluster c holds token c alone.
    const starts = Uint32Array.from({ length: count + 1 }, (_, at) => at);
    const clusters = encodeClusters({ starts, tokens: starts.slice(0, count) });
    expect(clusters).toBeInstanceOf(Uint32Array);
    const found = runsOf(clusters, count);
    expect(found.starts.every((start, at) => start === at)).toBe(true);
    expect(found.tokens.every((token, at) => token === at)).toBe(true);
    expect([found.starts.length, found.tokens.length]).toEqual([count + 1, count]);
  });
});
