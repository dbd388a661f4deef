import fc from "fast-check";
import { expect, test } from "vitest";
import { MaxHeap } from "./max-heap.ts";

test("gives items in the order of a stable sort by descending key, with pushes in between", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(5), { freq: 3 })), (operations) => {
      const heap = new MaxHeap<number>();
      const model: { key: number; item: number }[] = [];
      for (const [item, key] of operations.entries()) {
        if (key !== null) {
          heap.push(key, item);
          model.push({ key, item });
        } else {
          model.sort((a, b) => b.key - a.key || a.item - b.item);
          expect(heap.pop()).toBe(model.shift()?.item);
        }
        expect(heap.size).toBe(model.length);
      }
    }),
  );
});
