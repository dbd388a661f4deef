/** The kernel that packs rows into blocks of 4 bits. */
import { blockLayout } from "./trace-weights.ts";
import { advance, integerMagic, reduce, splat, splatInteger, sumOf } from "./vector-code.ts";
import {
  type Code,
  call,
  f32,
  global,
  i32,
  type Local,
  lane,
  load,
  op,
  repeatWhile,
  select,
  store,
  type WasmFunction,
  when,
} from "./wasm-assembler.ts";

const { blockSize: int4Block } = blockLayout.int4;

const int4Top = 15;

/** Functions by which others are called, and the globals in which `fit` returns. */
const fitIndex = 0;

const gainGlobal = 0;

const scaleGlobal = 1;

/**
 * Gain of the codes of one block for a step and a zero point: for these codes d the best scale
 * is Σdx / Σdd, and leaves Σxx - (Σdx)² / Σdd; the second term is the gain.
 */
export const fit: WasmFunction = {
  parameters: ["i32", "f32", "f32"],
  body: ([values, inverse, zero], local) => {
    const factor = local("v128");
    const shift = local("v128");
    const centre = local("v128");
    const top = local("v128");
    const none = local("v128");
    const x = local("v128");
    const d = local("v128");
    const sums = [0, 1].map(() => ({ squares: local("v128"), products: local("v128") }));
    const code: number[] = [
      ...factor.set(splat(inverse!.get)),
      ...shift.set(splat(op("f32.add", zero!.get, f32(0.5)))),
      ...centre.set(splat(zero!.get)),
      ...top.set(splat(f32(int4Top))),
      ...none.set(splat(f32(0))),
    ];
    for (let i = 0; i < int4Block / 4; i++) {
      const { squares, products } = sums[i % 2]!;
      const shifted = op("f32x4.add", op("f32x4.mul", x.get, factor.get), shift.get);
      const cut = op("f32x4.pmin", op("f32x4.pmax", shifted, none.get), top.get);
      code.push(
        ...x.set(load.v128(values!.get, 16 * i)),
        ...d.set(op("f32x4.sub", op("f32x4.floor", cut), centre.get)),
        ...squares.set(op("f32x4.add", squares.get, op("f32x4.mul", d.get, d.get))),
        ...products.set(op("f32x4.add", products.get, op("f32x4.mul", d.get, x.get))),
      );
    }
    const [first, second] = sums as [(typeof sums)[0], (typeof sums)[0]];
    const squares = local("f32");
    const products = local("f32");
    code.push(
      ...first.squares.set(op("f32x4.add", first.squares.get, second.squares.get)),
      ...first.products.set(op("f32x4.add", first.products.get, second.products.get)),
      ...squares.set(sumOf(first.squares)),
      ...products.set(sumOf(first.products)),
      ...global.set(gainGlobal, f32(0)),
      ...when(
        op("f32.gt", squares.get, f32(0)),
        global.set(scaleGlobal, op("f32.div", products.get, squares.get)),
        global.set(gainGlobal, op("f32.mul", products.get, global.get(scaleGlobal))),
      ),
    );
    return code;
  },
};

/** How much of a block's range the codes span: some elements beyond may be cut for finer steps. */
const spans = [1.03, 0.97, 0.91, 0.85, 0.79];

/** A few spans are tried; the best one's codes are then fitted once more with the scale they gave. */
export const packInt4: WasmFunction = {
  name: "packInt4",
  parameters: ["i32", "i32", "i32", "i32", "i32"],
  body: ([row, blocks, codes, scales, zeros], local) => {
    const low = local("v128");
    const high = local("v128");
    const [smallest, largest, step, inverse, zero, scale, gain, bestZero] = Array.from(
      { length: 8 },
      () => local("f32"),
    ) as [Local, Local, Local, Local, Local, Local, Local, Local];
    const index = local("i32");
    const packed = local("i32");

    const range: number[] = [...low.set(splat(f32(0))), ...high.set(splat(f32(0)))];
    for (let i = 0; i < int4Block / 4; i++) {
      range.push(
        ...low.set(op("f32x4.pmin", low.get, load.v128(row!.get, 16 * i))),
        ...high.set(op("f32x4.pmax", high.get, load.v128(row!.get, 16 * i))),
      );
    }
    const keepIfBetter = when(
      op("f32.gt", global.get(gainGlobal), gain.get),
      gain.set(global.get(gainGlobal)),
      scale.set(global.get(scaleGlobal)),
      bestZero.set(zero.get),
    );
    const middle = op(
      "f32.sub",
      f32(int4Top / 2),
      op("f32.mul", op("f32.mul", op("f32.add", smallest.get, largest.get), f32(0.5)), inverse.get),
    );
    const candidates = spans.map((span) => [
      ...inverse.set(op("f32.div", f32(int4Top / span), step.get)),
      ...zero.set(
        op(
          "f32.min",
          f32(int4Top),
          op("f32.max", f32(0), op("f32.floor", op("f32.add", middle, f32(0.5)))),
        ),
      ),
      ...call(fitIndex, row!.get, inverse.get, zero.get),
      ...keepIfBetter,
    ]);
    // Below the smallest normal number a step has no inverse: such a block is zero.
    const search = when(
      op("f32.gt", step.get, f32(2 ** -120)),
      candidates.flat(),
      zero.set(bestZero.get),
      call(fitIndex, row!.get, op("f32.div", f32(1), scale.get), zero.get),
      keepIfBetter,
    );
    const whole = op("i32.trunc_sat_f32_u", bestZero.get);
    return repeatWhile(
      op("i32.lt_u", index.get, blocks!.get),
      range,
      reduce(low, "f32x4.pmin"),
      reduce(high, "f32x4.pmax"),
      smallest.set(lane.f32(low.get, 0)),
      largest.set(lane.f32(high.get, 0)),
      step.set(op("f32.sub", largest.get, smallest.get)),
      gain.set(f32(0)),
      scale.set(f32(0)),
      bestZero.set(f32((int4Top + 1) / 2)),
      search,
      store.f32(scales!.get, scale.get),
      encodeInt4(row!, codes!, scale, bestZero, local),
      // Two zero points to a byte, the first one in its lower half.
      packed.set(op("i32.and", index.get, i32(1))),
      store.i32u8(
        zeros!.get,
        select(
          op("i32.or", load.i32u8(zeros!.get), op("i32.shl", whole, i32(4))),
          whole,
          packed.get,
        ),
      ),
      advance(zeros!, packed.get),
      advance(index, i32(1)),
      advance(row!, i32(4 * int4Block)),
      advance(codes!, i32(int4Block / 2)),
      advance(scales!, i32(4)),
    );
  },
};

/** The codes of a block, two to a byte. */
function encodeInt4(
  row: Local,
  codes: Local,
  scale: Local,
  zero: Local,
  local: (type: "f32" | "v128") => Local,
): Code {
  const inverse = local("f32");
  const parts = Array.from({ length: 4 }, () => local("v128"));
  const bytes = [local("v128"), local("v128")] as const;
  const isZero = op("f32.eq", scale.get, f32(0));
  const code: number[] = [...inverse.set(select(f32(0), op("f32.div", f32(1), scale.get), isZero))];
  for (let start = 0; start < int4Block; start += 32) {
    for (const [half, byte] of bytes.entries()) {
      for (const [i, part] of parts.entries()) {
        const x = load.v128(row.get, 4 * (start + 16 * half + 4 * i));
        const shifted = op("f32x4.add", op("f32x4.mul", x, splat(inverse.get)), splat(zero.get));
        const cut = op("f32x4.pmin", op("f32x4.pmax", shifted, splat(f32(0))), splat(f32(int4Top)));
        // The sum is rounded to an integer, which its last bits then are.
        const rounded = op("f32x4.add", cut, splat(f32(integerMagic)));
        code.push(...part.set(op("v128.and", rounded, splatInteger(0xff))));
      }
      const [a, b, c, d] = parts.map((part) => part.get) as [Code, Code, Code, Code];
      const narrow = op(
        "i8x16.narrow_i16x8_u",
        op("i16x8.narrow_i32x4_s", a, b),
        op("i16x8.narrow_i32x4_s", c, d),
      );
      const merged = op("v128.or", byte.get, op("i16x8.shr_u", byte.get, i32(4)));
      code.push(...byte.set(narrow), ...byte.set(op("v128.and", merged, splatInteger(0x00ff00ff))));
    }
    const both = op("i8x16.narrow_i16x8_u", bytes[0].get, bytes[1].get);
    code.push(...store.v128(codes.get, both, start / 2));
  }
  return code;
}
