/** Kernels that widen rows of stored numbers to float32. */

import { advance, splat, splatInteger } from "./vector-code.ts";
import {
  block,
  type Code,
  f32,
  i32,
  type Local,
  leaveIf,
  load,
  op,
  repeatWhile,
  store,
  type WasmFunction,
} from "./wasm-assembler.ts";

/** Widening differs in how eight numbers are read. */
function widen(
  name: string,
  bytes: number,
  read: (source: Code, scratch: Local) => readonly [Code, Code],
): WasmFunction {
  return {
    name,
    parameters: ["i32", "i32", "i32", "i32"],
    body: ([source, target, count, padded], local) => {
      const end = local("i32");
      const scratch = local("v128");
      const [low, high] = read(source!.get, scratch);
      const address = (elements: Code): Code =>
        op("i32.add", target!.get, op("i32.shl", elements, i32(2)));
      return [
        // Whole vectors, the last of which may be read and written beyond `count`: zeros come after.
        ...end.set(address(count!.get)),
        ...padded!.set(address(padded!.get)),
        ...repeatWhile(
          op("i32.lt_u", target!.get, end.get),
          store.v128(target!.get, low),
          store.v128(target!.get, high, 16),
          advance(source!, i32(8 * bytes)),
          advance(target!, i32(32)),
        ),
        ...block(
          leaveIf(op("i32.ge_u", end.get, padded!.get)),
          repeatWhile(
            op("i32.lt_u", end.get, padded!.get),
            store.f32(end.get, f32(0)),
            advance(end, i32(4)),
          ),
        ),
      ];
    },
  };
}

const halves = (vector: Code): readonly [Code, Code] => [
  op("i32x4.extend_low_i16x8_u", vector),
  op("i32x4.extend_high_i16x8_u", vector),
];

export const widenBF16: WasmFunction = widen("widenBF16", 2, (source) => {
  const [low, high] = halves(load.v128(source));
  return [op("i32x4.shl", low, i32(16)), op("i32x4.shl", high, i32(16))];
});

export const widenF32: WasmFunction = widen("widenF32", 4, (source) => [
  load.v128(source),
  load.v128(source, 16),
]);

/**
 * A half's exponent is moved to its place and made larger by a product with 2^112, which is right for
 * subnormal numbers too; infinities and NaN get the largest exponent.
 */
export const widenF16: WasmFunction = widen("widenF16", 2, (source, scratch) => {
  const wide = (bits: Code): Code => {
    const magnitude = op("v128.and", scratch.get, splatInteger(0x7fff));
    const scaled = op("f32x4.mul", op("i32x4.shl", magnitude, i32(13)), splat(f32(2 ** 112)));
    const isSpecial = op("i32x4.gt_s", magnitude, splatInteger(0x7bff));
    const special = op("v128.and", isSpecial, splatInteger(0x7f800000));
    const sign = op("i32x4.shl", op("v128.and", scratch.get, splatInteger(0x8000)), i32(16));
    return [...scratch.set(bits), ...op("v128.or", op("v128.or", scaled, special), sign)];
  };
  const [low, high] = halves(load.v128(source));
  return [wide(low), wide(high)];
});
