import { expect, test } from "vitest";
import { widenBytes, wideShapes } from "./widen-stored.ts";

test("16-bit floats become float32 of the same values, from any place in memory", () => {
  // 1, -2 and the smallest float16; the upper halves of 1, -2 and 3 as float32.
  const halves: [string, number[], number[]][] = [
    ["F16", [0x3c00, 0xc000, 0x0001], [1, -2, 2 ** -24]],
    ["BF16", [0x3f80, 0xc000, 0x4040], [1, -2, 3]],
  ];
  for (const [dtype, bits, values] of halves) {
    const bytes = new Uint8Array(Uint16Array.from(bits).buffer);
    for (const offset of [0, 1, 2]) {
      const memory = new Uint8Array(offset + bytes.length);
      memory.set(bytes, offset);
      const wide = widenBytes(dtype, memory.subarray(offset));
      expect([...new Float32Array(wide.buffer)]).toEqual(values);
    }
  }
});

test("other tensors stay as they are, and shapes say which became float32", () => {
  const bytes = Uint8Array.of(1, 2, 3, 4);
  expect(widenBytes("F32", bytes)).toBe(bytes);
  expect(widenBytes("U8", bytes)).toBe(bytes);
  const shapes = new Map(
    ["F16", "BF16", "F32", "U8"].map((dtype) => [dtype, { dtype, shape: [2] }] as const),
  );
  expect([...wideShapes(shapes).values()].map(({ dtype }) => dtype)).toEqual([
    "F32",
    "F32",
    "F32",
    "U8",
  ]);
});
