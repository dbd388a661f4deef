/** The kernels that pack rows into 8 bits: in blocks, and with one scale for a row. */
import { blockLayout } from "./trace-weights.ts";
import {
  advance,
  doubleInverse,
  reduce,
  roundedProducts,
  splat,
  splatInteger,
} from "./vector-code.ts";
import {
  block,
  type Code,
  f32,
  i32,
  lane,
  load,
  op,
  repeatWhile,
  select,
  store,
  type WasmFunction,
} from "./wasm-assembler.ts";

const { blockSize: int8Block } = blockLayout.int8;

/** The element of largest magnitude, the first among equals, maps to code 0 exactly. */
export const packInt8: WasmFunction = {
  name: "packInt8",
  parameters: ["i32", "i32", "i32", "i32"],
  body: ([row, blocks, codes, scales], local) => {
    const largest = local("v128");
    const inverse = local("v128");
    const x = local("v128");
    const quads = Array.from({ length: 4 }, () => local("v128"));
    const scale = local("f32");
    const magnitude = local("f32");
    const at = local("i32");
    const found = local("i32");
    const index = local("i32");

    const magnitudes: number[] = [...largest.set(splat(f32(0)))];
    for (let i = 0; i < int8Block / 4; i++) {
      const absolute = op("f32x4.abs", load.v128(row!.get, 16 * i));
      magnitudes.push(...largest.set(op("f32x4.pmax", largest.get, absolute)));
    }
    // Some element has the largest magnitude, unless that is zero.
    const sign = [
      ...at.set(row!.get),
      ...block(
        repeatWhile(
          op("i32.lt_u", at.get, op("i32.add", row!.get, i32(4 * int8Block))),
          found.set(
            op("i32x4.bitmask", op("f32x4.eq", op("f32x4.abs", load.v128(at.get)), largest.get)),
          ),
          [...found.get, 0x0d, 1],
          advance(at, i32(16)),
        ),
      ),
      ...scale.set(
        load.f32(op("i32.add", at.get, op("i32.shl", op("i32.ctz", found.get), i32(2)))),
      ),
      ...scale.set(
        op(
          "f32.mul",
          select(scale.get, magnitude.get, op("f32.gt", magnitude.get, f32(0))),
          f32(-1 / 128),
        ),
      ),
    ];
    const encode: number[] = [];
    for (let start = 0; start < int8Block; start += 16) {
      for (const [i, quad] of quads.entries()) {
        encode.push(
          ...x.set(load.v128(row!.get, 4 * (start + 4 * i))),
          ...quad.set(op("i32x4.add", roundedProducts(x, inverse.get, local), splatInteger(128))),
        );
      }
      const [a, b, c, d] = quads.map((quad) => quad.get) as [Code, Code, Code, Code];
      const bytes = op(
        "i8x16.narrow_i16x8_u",
        op("i16x8.narrow_i32x4_s", a, b),
        op("i16x8.narrow_i32x4_s", c, d),
      );
      encode.push(...store.v128(codes!.get, bytes, start));
    }
    return repeatWhile(
      op("i32.lt_u", index.get, blocks!.get),
      magnitudes,
      reduce(largest, "f32x4.pmax"),
      magnitude.set(lane.f32(largest.get, 0)),
      sign,
      store.f32(scales!.get, scale.get),
      inverse.set(doubleInverse(scale)),
      encode,
      advance(index, i32(1)),
      advance(row!, i32(4 * int8Block)),
      advance(codes!, i32(int8Block)),
      advance(scales!, i32(4)),
    );
  },
};

/** The largest magnitude of a row maps to 127 or -127. */
export const packChannel: WasmFunction = {
  name: "packChannel",
  parameters: ["i32", "i32", "i32"],
  result: "f32",
  body: ([row, padded, codes], local) => {
    const largest = local("v128");
    const inverse = local("v128");
    const x = local("v128");
    const quads = Array.from({ length: 4 }, () => local("v128"));
    const scale = local("f32");
    const at = local("i32");
    const end = local("i32");
    const encode = quads.flatMap((quad, i) => [
      ...x.set(load.v128(at.get, 16 * i)),
      ...quad.set(roundedProducts(x, inverse.get, local)),
    ]);
    const [a, b, c, d] = quads.map((quad) => quad.get) as [Code, Code, Code, Code];
    const clamp = (pair: Code): Code =>
      op("i16x8.max_s", pair, splatInteger(((-127 & 0xffff) << 16) | (-127 & 0xffff)));
    return [
      ...end.set(op("i32.add", row!.get, op("i32.shl", padded!.get, i32(2)))),
      ...at.set(row!.get),
      ...repeatWhile(
        op("i32.lt_u", at.get, end.get),
        [0, 1, 2, 3].flatMap((i) =>
          largest.set(op("f32x4.pmax", largest.get, op("f32x4.abs", load.v128(at.get, 16 * i)))),
        ),
        advance(at, i32(64)),
      ),
      ...reduce(largest, "f32x4.pmax"),
      ...scale.set(op("f32.div", lane.f32(largest.get, 0), f32(127))),
      ...inverse.set(doubleInverse(scale)),
      ...at.set(row!.get),
      ...repeatWhile(
        op("i32.lt_u", at.get, end.get),
        encode,
        store.v128(
          codes!.get,
          op(
            "i8x16.narrow_i16x8_s",
            clamp(op("i16x8.narrow_i32x4_s", a, b)),
            clamp(op("i16x8.narrow_i32x4_s", c, d)),
          ),
        ),
        advance(at, i32(64)),
        advance(codes!, i32(16)),
      ),
      ...scale.get,
    ];
  },
};
