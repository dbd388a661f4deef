import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KeyValueCache } from "./key-value-cache.ts";

const shape = { layers: 2, kvHeads: 2, headDim: 3 };

/** Rows of a slot as the numbers that were appended. */
function rowsOf(cache: KeyValueCache, slot: number, count: number): number[][] {
  return cache.arenas.map((_, arena) => {
    const view = cache.view(arena, slot, 1);
    return Array.from({ length: shape.kvHeads * count }, (_, index) => {
      const head = Math.floor(index / count);
      return view[(head * cache.capacity + (index % count)) * shape.headDim]!;
    });
  });
}

describe("KeyValueCache", () => {
  test("behaves like a list of rows per slot under any sequence of operations", () => {
    const operation = fc.oneof(
      fc.record({
        kind: fc.constant("append" as const),
        slot: fc.nat(2),
        count: fc.integer({ min: 1, max: 90 }),
      }),
      fc.record({ kind: fc.constant("exchange" as const), slot: fc.nat(2), other: fc.nat(2) }),
      fc.record({
        kind: fc.constant("copy" as const),
        slot: fc.nat(2),
        other: fc.nat(2),
        rows: fc.nat(200),
      }),
      fc.record({ kind: fc.constant("cut" as const), slot: fc.nat(2), rows: fc.nat(100) }),
      fc.record({ kind: fc.constant("trim" as const), slot: fc.nat(2) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 12 }), (operations) => {
        const cache = new KeyValueCache(shape);
        cache.reserve(3, 1);
        let slots: number[][] = [[], [], []];
        let next = 1;
        for (const step of operations) {
          const rows = slots[step.slot]!;
          if (step.kind === "append") {
            const added = Array.from({ length: step.count }, () => next++);
            cache.reserve(3, rows.length + step.count);
            for (const arena of cache.arenas.keys()) {
              const source = new Float32Array(shape.kvHeads * step.count * shape.headDim);
              for (let head = 0; head < shape.kvHeads; head++) {
                for (const [row, value] of added.entries()) {
                  source[(head * step.count + row) * shape.headDim] =
                    value + head * 1e4 + arena * 1e5;
                }
              }
              cache.append(
                arena,
                { slot: step.slot, length: rows.length },
                { source, time: step.count },
                step.count,
              );
            }
            rows.push(...added);
          } else if (step.kind === "exchange") {
            if (step.slot === step.other) continue;
            cache.exchange(step.slot, step.other, rows.length, slots[step.other]!.length);
            slots = slots.with(step.slot, slots[step.other]!).with(step.other, rows);
          } else if (step.kind === "copy") {
            const count = Math.min(step.rows, rows.length);
            cache.copy(step.slot, step.other, count);
            if (step.slot !== step.other) slots[step.other] = rows.slice(0, count);
          } else if (step.kind === "trim") {
            const longest = Math.max(...slots.map((held) => held.length));
            cache.trim(longest);
            expect(cache.capacity).toBeLessThan(2 * Math.max(longest, 1) + 128);
          } else rows.length = Math.min(rows.length, step.rows);
        }
        for (const [slot, rows] of slots.entries()) {
          for (const [arena, values] of rowsOf(cache, slot, rows.length).entries()) {
            const expected = Array.from({ length: shape.kvHeads }, (_, head) =>
              rows.map((value) => value + head * 1e4 + arena * 1e5),
            ).flat();
            expect(values).toEqual(expected);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test("appends chosen rows in their order", () => {
    const cache = new KeyValueCache(shape);
    cache.reserve(1, 4);
    const source = Float32Array.from({ length: 2 * 3 * 3 }, (_, index) => index);
    const order = [2, 0];
    cache.append(
      0,
      { slot: 0, length: 1 },
      { source, time: 3 },
      { count: 2, at: (row) => order[row]! },
    );
    const view = cache.view(0, 0, 1);
    expect([...view.subarray(3, 9)]).toEqual([6, 7, 8, 0, 1, 2]);
    const second = cache.capacity * 3;
    expect([...view.subarray(second + 3, second + 9)]).toEqual([15, 16, 17, 9, 10, 11]);
  });

  test("gives memory back only where less than half of it is needed", () => {
    const cache = new KeyValueCache(shape);
    cache.reserve(2, 1024);
    cache.trim(513);
    expect(cache.capacity).toBe(1024);
    cache.trim(500);
    expect(cache.capacity).toBe(512);
    expect(cache.slots).toBe(2);
  });

  test("grows where it lies, in small steps, and keeps a neighbouring batch contiguous", () => {
    const cache = new KeyValueCache(shape);
    cache.reserve(4, 1000);
    const buffers = cache.arenas.map((arena) => arena.buffer);
    for (let rows = 1001; rows < 3000; rows += 37) {
      cache.reserve(4, rows);
      expect(cache.capacity).toBeGreaterThanOrEqual(rows);
      expect(cache.capacity).toBeLessThan(rows + 64);
    }
    for (const [index, arena] of cache.arenas.entries()) expect(arena.buffer).toBe(buffers[index]);
    expect(cache.view(1, 1, 2).length).toBe(2 * 2 * cache.capacity * 3);
    expect(cache.bytes).toBe(4 * 4 * 2 * cache.capacity * 3 * 4);
  });
});
