import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JetonError } from "../../core/index.ts";
import { countTrigrams, fillTable, TrigramTable } from "./trigram-table.ts";

const vocabSize = 7;
const token = fc.integer({ min: 0, max: vocabSize - 1 });
const documents = fc.array(fc.array(token, { maxLength: 40 }), { maxLength: 6 });

/** Every pair's successors with their weights, by brute force over the table's own reader. */
function contents(table: TrigramTable): string[] {
  const rows: string[] = [];
  for (let first = 0; first < table.vocabSize; first++) {
    for (let second = 0; second < table.vocabSize; second++) {
      const row = table.row(first, second);
      if (row < 0) continue;
      const successors = Array.from(
        { length: table.count(row) },
        (_, rank) => `${table.token(row, rank)}:${table.weightAt(row, rank)}`,
      );
      rows.push(`${first} ${second} ${successors}`);
    }
  }
  return rows;
}

describe("tri-gram table", () => {
  test("holds the shares of brute-force counts, cut to the heaviest successors", () => {
    fc.assert(
      fc.property(documents, fc.integer({ min: 1, max: 8 }), (texts, successors) => {
        const table = new TrigramTable({ vocabSize, successors });
        fillTable(table, countTrigrams(texts, vocabSize));
        for (let first = 0; first < vocabSize; first++) {
          for (let second = 0; second < vocabSize; second++) {
            const counts = new Array<number>(vocabSize).fill(0);
            for (const text of texts) {
              for (let at = 2; at < text.length; at++) {
                if (text[at - 2] === first && text[at - 1] === second) counts[text[at]!]!++;
              }
            }
            const total = counts.reduce((a, b) => a + b, 0);
            const kept = counts
              .map((count, id) => ({ id, count }))
              .filter(({ count }) => count > 0)
              .sort((a, b) => b.count - a.count || a.id - b.id)
              .slice(0, successors);
            const row = table.row(first, second);
            expect(row >= 0).toBe(total > 0);
            expect(row < 0 ? 0 : table.count(row)).toBe(kept.length);
            for (const [rank, { id, count }] of kept.entries()) {
              expect(table.token(row, rank)).toBe(id);
              expect(table.weight(first, second, id)).toBeCloseTo(count / total, 6);
            }
          }
        }
      }),
    );
  });

  test("raising changes exactly the raised triples, up to the maximum", () => {
    const triples = fc.array(fc.tuple(token, token, token), { maxLength: 200 });
    fc.assert(
      fc.property(triples, (raised) => {
        const table = new TrigramTable({ vocabSize });
        const expected = new Map<string, number>();
        for (const [a, b, c] of raised) {
          table.raise([a, b, c], 0.04, 0.1);
          expected.set(
            `${a} ${b} ${c}`,
            Math.min(0.1, (expected.get(`${a} ${b} ${c}`) ?? 0) + 0.04),
          );
        }
        for (let a = 0; a < vocabSize; a++) {
          for (let b = 0; b < vocabSize; b++) {
            for (let c = 0; c < vocabSize; c++) {
              expect(table.weight(a, b, c)).toBeCloseTo(expected.get(`${a} ${b} ${c}`) ?? 0, 6);
            }
          }
        }
      }),
    );
  });

  test("rows stay in order of weight under any updates", () => {
    const change = fc.record({
      triple: fc.tuple(token, token, token),
      amount: fc.double({ min: 0, max: 1, noNaN: true }),
      average: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 150 }), (changes) => {
        const table = new TrigramTable({ vocabSize, successors: 2 });
        for (const { triple, amount, average } of changes) {
          if (average) table.average(triple, amount);
          else table.raise(triple, amount, 3);
        }
        for (let row = 0; row < table.pairs; row++) {
          expect(table.count(row)).toBeLessThanOrEqual(table.width);
          const seen = new Set<number>();
          for (let rank = 0; rank < table.count(row); rank++) {
            seen.add(table.token(row, rank));
            if (rank === 0) continue;
            expect(table.weightAt(row, rank)).toBeLessThanOrEqual(table.weightAt(row, rank - 1));
          }
          expect(seen.size).toBe(table.count(row));
        }
      }),
    );
  });

  test("averaged rows stay normalized and follow recent successors", () => {
    const table = new TrigramTable({ vocabSize: 3 });
    for (let step = 0; step < 50; step++) table.average([0, 1, step % 2], 0.2);
    expect(table.total(table.row(0, 1))).toBeCloseTo(1, 5);
    for (let step = 0; step < 30; step++) table.average([0, 1, 2], 0.2);
    expect(table.weight(0, 1, 2)).toBeGreaterThan(0.95);
  });

  test("a full table keeps used pairs and replaces unused ones", () => {
    const table = new TrigramTable({ vocabSize: 1000, maxPairs: 8 });
    for (let step = 0; step < 200; step++) {
      table.raise([1, 2, 3], 0.1, 3);
      table.raise([4, 5, 6], 0.1, 3);
      table.raise([10 + step, 20 + step, 7], 0.1, 3);
    }
    expect(table.pairs).toBe(8);
    expect(table.weight(1, 2, 3)).toBeCloseTo(3, 5);
    expect(table.weight(4, 5, 6)).toBeCloseTo(3, 5);
    expect(table.row(10, 20)).toBe(-1);
    expect(table.weight(209, 219, 7)).toBeCloseTo(0.1, 6);
  });

  test("with eviction, exactly the counted pairs are found", () => {
    const pairs = fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 300 });
    fc.assert(
      fc.property(pairs, fc.integer({ min: 1, max: 20 }), (added, maxPairs) => {
        const table = new TrigramTable({ vocabSize: 31, maxPairs });
        for (const [a, b] of added) {
          table.raise([a, b, (a + b) % 31], 1, 3);
          expect(table.weight(a, b, (a + b) % 31)).toBeGreaterThan(0);
        }
        let found = 0;
        for (let a = 0; a < 31; a++) for (let b = 0; b < 31; b++) if (table.row(a, b) >= 0) found++;
        expect(found).toBe(table.pairs);
        expect(found).toBe(Math.min(maxPairs, new Set(added.map(String)).size));
      }),
    );
  });

  test("saved contents are restored; other words are rejected and change nothing", () => {
    fc.assert(
      fc.property(documents, fc.array(fc.integer(), { maxLength: 30 }), (texts, words) => {
        const table = new TrigramTable({ vocabSize });
        fillTable(table, countTrigrams(texts, vocabSize));
        table.raise([1, 2, 3], 0.5, 3);
        const copy = new TrigramTable({ vocabSize });
        copy.load(table.save());
        expect(contents(copy)).toEqual(contents(table));
        expect(copy.save()).toEqual(table.save());
        const before = contents(copy);
        for (const damaged of [
          Int32Array.from([...table.save(), ...words, 9999]),
          table.save().slice(0, -1),
        ]) {
          let error: unknown;
          try {
            copy.load(damaged);
          } catch (thrown) {
            error = thrown;
          }
          expect(JetonError.isInstance(error) && error.code).toBe("trigram-table-damaged");
          expect(contents(copy)).toEqual(before);
        }
      }),
    );
  });

  test("a pair of the table costs about 150 bytes", () => {
    const table = new TrigramTable({ vocabSize: 100_000 });
    for (let pair = 0; pair < 131_072; pair++) table.raise([pair % 999, pair, 1], 0.1, 3);
    expect(table.bytes / table.pairs).toBeLessThan(160);
  });

  test("impossible sizes are rejected", () => {
    for (const options of [
      { vocabSize: 0 },
      { vocabSize: 5, maxPairs: 1.5 },
      { vocabSize: 5, successors: 4000 },
    ]) {
      expect(() => new TrigramTable(options)).toThrow(/expected an integer/);
    }
  });
});
