import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TokenTrie, TrieWriter, trieRoot } from "./token-trie.ts";

/** Occurrences of every n-gram of at most `length` tokens. */
function countNgrams(streams: readonly (readonly number[])[], length: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const stream of streams) {
    for (let from = 0; from < stream.length; from++) {
      for (let to = from + 1; to <= Math.min(stream.length, from + length); to++) {
        const name = stream.slice(from, to).join(" ");
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    }
  }
  return counts;
}

/** Counts of all nodes by path; checks that sibling lists and lookups agree. */
function countsOf(trie: TokenTrie): Map<string, number> {
  const counts = new Map<string, number>();
  const walk = (node: number, path: readonly number[]): void => {
    for (let child = trie.firstChild(node); child; child = trie.nextSibling(child)) {
      const token = trie.token(child);
      const below = [...path, token];
      expect(trie.child(node, token)).toBe(child);
      expect(trie.find(below)).toBe(child);
      expect(counts.has(below.join(" "))).toBe(false);
      counts.set(below.join(" "), trie.count(child));
      walk(child, below);
    }
  };
  walk(trieRoot, []);
  expect(counts.size).toBe(trie.size);
  return counts;
}

/** Writes streams whose tokens arrive in turns. */
function writeInTurns(trie: TokenTrie, streams: readonly (readonly number[])[]): void {
  const writers = streams.map(() => new TrieWriter(trie));
  const longest = Math.max(0, ...streams.map(({ length }) => length));
  for (let at = 0; at < longest; at++) {
    for (const [index, stream] of streams.entries()) {
      if (at < stream.length) writers[index]!.push(stream[at]!);
    }
  }
}

const streamsOf = (alphabet: number, maxLength: number) =>
  fc.array(fc.array(fc.nat(alphabet), { maxLength }), { maxLength: 4 });

describe("the trie", () => {
  test("counts every n-gram of every stream, token 0 included", () => {
    fc.assert(
      fc.property(streamsOf(3, 40), fc.integer({ min: 1, max: 5 }), (streams, branchLength) => {
        const trie = new TokenTrie({ branchLength, capacity: 100_000 });
        writeInTurns(trie, streams);
        expect(countsOf(trie)).toEqual(countNgrams(streams, branchLength + 1));
      }),
    );
  });

  test("lists siblings with the most recent first", () => {
    const trie = new TokenTrie({ branchLength: 2, capacity: 1000 });
    const writer = new TrieWriter(trie);
    for (const token of [5, 1, 5, 2, 5, 3, 5, 1, 9]) writer.push(token);
    const after5: number[] = [];
    const node = trie.find([5]);
    for (let child = trie.firstChild(node); child; child = trie.nextSibling(child)) {
      after5.push(trie.token(child));
    }
    expect(after5).toEqual([1, 3, 2]);
  });

  test("stays within its budget under any stream, and keeps recent branches", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 6 }), (seed, branchLength) => {
        const capacity = 16 * (branchLength + 1) + (seed % 100);
        const trie = new TokenTrie({ branchLength, capacity });
        const writer = new TrieWriter(trie);
        const text: number[] = [];
        for (let step = 0; step < 400; step++) {
          const token = Math.imul(step + seed, 0x9e3779b1) >>> 27;
          text.push(token);
          writer.push(token);
          expect(trie.size).toBeLessThanOrEqual(capacity);
        }
        // The latest n-grams are present, with at least the counts of a fresh trie over them.
        const counts = countsOf(trie);
        for (const name of countNgrams([text.slice(-3)], branchLength + 1).keys()) {
          expect(counts.get(name)).toBeGreaterThanOrEqual(1);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("pruning halves frequent branches and removes old single ones", () => {
    const trie = new TokenTrie({ branchLength: 1, capacity: 200 });
    const writer = new TrieWriter(trie);
    for (let repeat = 0; repeat < 40; repeat++) for (const token of [1, 2]) writer.push(token);
    const frequent = trie.count(trie.find([1, 2]));
    expect(frequent).toBe(40);
    const { generation } = trie;
    for (let token = 100; trie.generation === generation; token++) writer.push(token);
    expect(trie.count(trie.find([1, 2]))).toBe(20);
    expect(trie.find([100])).toBe(trieRoot);
    expect(trie.size).toBeLessThanOrEqual(150);
  });

  test("a stream continues after other streams caused pruning", () => {
    const trie = new TokenTrie({ branchLength: 3, capacity: 64 });
    const slow = new TrieWriter(trie);
    const fast = new TrieWriter(trie);
    for (let step = 0; step < 300; step++) {
      if (step % 25 === 0) slow.push(7);
      fast.push(1000 + step);
      countsOf(trie);
    }
    expect(trie.find([1297, 1298, 1299])).not.toBe(trieRoot);
  });

  test("the clock may overflow", () => {
    const trie = new TokenTrie({ branchLength: 1, capacity: 100 });
    const body = Int32Array.of(5, 1, 3, 2 ** 31 - 3);
    trie.load({ fields: { branchLength: 1, clock: 2 ** 31 - 2 }, body }, 10);
    const writer = new TrieWriter(trie);
    for (let step = 0; step < 500; step++) writer.push(step % 200);
    expect(trie.size).toBeLessThanOrEqual(100);
    expect(trie.find([98, 99])).not.toBe(trieRoot);
  });

  test("is restored from its saved form, node for node", () => {
    fc.assert(
      fc.property(streamsOf(4, 60), (streams) => {
        const trie = new TokenTrie({ branchLength: 3, capacity: 500 });
        writeInTurns(trie, streams);
        const other = new TokenTrie({ branchLength: 3, capacity: 500 });
        writeInTurns(other, [[3, 3, 3]]);
        other.load(trie.save(), 5);
        expect(other.save()).toEqual(trie.save());
        expect(countsOf(other)).toEqual(countsOf(trie));
      }),
    );
  });

  test("a saved trie larger than the budget is pruned", () => {
    const large = new TokenTrie({ branchLength: 3, capacity: 10_000 });
    writeInTurns(large, [Array.from({ length: 900 }, (_, at) => (at * at) % 101)]);
    const small = new TokenTrie({ branchLength: 3, capacity: 100 });
    small.load(large.save(), 101);
    expect(small.size).toBeLessThanOrEqual(75);
    countsOf(small);
  });

  test("an invalid saved form is rejected, and the trie does not change", () => {
    const trie = new TokenTrie({ branchLength: 2, capacity: 500 });
    writeInTurns(trie, [[1, 2, 3, 1, 2]]);
    const before = trie.save();
    const { fields, body } = before;
    const changed = (at: number, value: number): Int32Array => {
      const copy = body.slice();
      copy[at] = value;
      return copy;
    };
    const second = body[4]!;
    const wrong: [Record<string, number>, Int32Array][] = [
      [{ ...fields, branchLength: 3 }, body],
      [{ branchLength: 2 }, body],
      [{ ...fields, clock: -1 }, body],
      [{ ...fields, clock: 1.5 }, body],
      [fields, body.subarray(1)],
      [fields, changed(0, 4)],
      [fields, changed(0, -1)],
      [fields, changed(1, 2)],
      [fields, changed(1, 0)],
      [fields, changed(2, 0)],
      [fields, changed(3, -1)],
      [fields, changed(3, 6)],
      [fields, Int32Array.of(second, 1, 1, 1, second, 1, 1, 1)],
      [fields, Int32Array.of(1, 1, 1, 1, 1, 2, 1, 1, 1, 3, 1, 1, 1, 4, 1, 1)],
    ];
    for (const [otherFields, otherBody] of wrong) {
      const load = (): void => trie.load({ fields: otherFields, body: otherBody }, 4);
      expect(load).toThrowCode("drafter-state-invalid");
      expect(trie.save()).toEqual(before);
      countsOf(trie);
    }
  });

  test("impossible sizes are rejected", () => {
    for (const [branchLength, capacity] of [
      [0, 1000],
      [257, 100_000],
      [1.5, 1000],
      [12, 100],
      [12, 2 ** 27],
    ] as const) {
      expect(() => new TokenTrie({ branchLength, capacity })).toThrowCode("drafter-option-invalid");
    }
  });
});
