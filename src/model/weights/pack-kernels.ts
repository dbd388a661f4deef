/**
 * The inner loops of packing as WebAssembly with vectors of 16 bytes: the same code in Node and in a
 * browser, several times as fast as JavaScript, where rounding a number alone takes longer.
 *
 * Rows are widened to float32, padded with zeros to whole blocks, and turned into codes one by one.
 */

import { blockLayout } from "./trace-weights.ts";
import {
  assembleModule,
  block,
  type Code,
  call,
  f32,
  f64,
  global,
  i32,
  type Local,
  lane,
  leaveIf,
  load,
  op,
  repeatWhile,
  select,
  shuffle,
  store,
  type WasmFunction,
  when,
} from "./wasm-assembler.ts";

/** The kernels over one memory; addresses and strides are bytes, sizes elements. */
export interface PackKernels {
  readonly memory: WebAssembly.Memory;
  /** Widens `count` bfloat16 numbers and writes zeros up to `padded`, a multiple of 8. */
  widenBF16(source: number, target: number, count: number, padded: number): void;
  widenF16(source: number, target: number, count: number, padded: number): void;
  widenF32(source: number, target: number, count: number, padded: number): void;
  /** Codes of a padded row in blocks of 4 bits, with a scale and a zero point each. */
  packInt4(row: number, blocks: number, codes: number, scales: number, zeros: number): void;
  /** Codes of a padded row in blocks of 8 bits, with a scale each. */
  packInt8(row: number, blocks: number, codes: number, scales: number): void;
  /** Codes of a row padded to 16, with one scale for all, which is returned. */
  packChannel(row: number, padded: number, codes: number): number;
  /**
   * Turns 16 · `groups` rows of bytes into columns. Where `groups` is 1 it may write up to 15 bytes
   * more behind a column than there are rows: columns are written in ascending order.
   */
  transpose(
    source: number,
    sourceStride: number,
    target: number,
    targetStride: number,
    columns: number,
    groups: number,
  ): void;
}

/** `a += step`. */
const advance = (variable: Local, step: Code): Code =>
  variable.set(op("i32.add", variable.get, step));

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

const splatInteger = (value: number): Code => op("i32x4.splat", i32(value));
const splat = (value: Code): Code => op("f32x4.splat", value);

const widenBF16 = widen("widenBF16", 2, (source) => {
  const [low, high] = halves(load.v128(source));
  return [op("i32x4.shl", low, i32(16)), op("i32x4.shl", high, i32(16))];
});

const widenF32 = widen("widenF32", 4, (source) => [load.v128(source), load.v128(source, 16)]);

/**
 * A half's exponent is moved to its place and made larger by a product with 2^112, which is right for
 * subnormal numbers too; infinities and NaN get the largest exponent.
 */
const widenF16 = widen("widenF16", 2, (source, scratch) => {
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

/** The bits of a float32 that holds an integer from 0 to 255 after 2^23 was added to it. */
const integerMagic = 2 ** 23;
/** As much for a double and any 32-bit integer: its lower half is the integer. */
const doubleMagic = 2 ** 52 + 2 ** 51;

const { blockSize: int4Block } = blockLayout.int4;
const int4Top = 15;

/** The smallest (or largest) of a vector's four numbers. */
function reduce(vector: Local, kind: "f32x4.pmin" | "f32x4.pmax"): Code {
  const swapped = (lanes: readonly number[]): Code =>
    vector.set(op(kind, vector.get, shuffle(vector.get, vector.get, lanes)));
  return [
    ...swapped([8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]),
    ...swapped([4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]),
  ];
}

/** Adds up a vector's four numbers. */
const sumOf = (vector: Local): Code =>
  op(
    "f32.add",
    op("f32.add", lane.f32(vector.get, 0), lane.f32(vector.get, 1)),
    op("f32.add", lane.f32(vector.get, 2), lane.f32(vector.get, 3)),
  );

/** Functions by which others are called, and the globals in which `fit` returns. */
const fitIndex = 0;
const gainGlobal = 0;
const scaleGlobal = 1;

/**
 * How good the codes of one block are with some step and zero point: for these codes d the best scale
 * is Σdx / Σdd, and leaves Σxx - (Σdx)² / Σdd; what is taken off is the gain.
 */
const fit: WasmFunction = {
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
const packInt4: WasmFunction = {
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

/**
 * Four numbers times a factor, rounded to the nearest integers, ties upwards, as `Math.round` does: in
 * double precision, so that a code does not depend on how a product was rounded.
 */
function roundedProducts(x: Local, factor: Code, local: (type: "v128") => Local): Code {
  const [product, whole] = [local("v128"), local("v128")];
  const parts = [local("v128"), local("v128")] as const;
  const ties = [local("v128"), local("v128")] as const;
  const upper = shuffle(x.get, x.get, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]);
  const code: number[] = [];
  for (const [i, vector] of [x.get, upper].entries()) {
    const wide = op("f64x2.promote_low_f32x4", vector);
    const below = op("f64x2.sub", product.get, whole.get);
    code.push(
      ...product.set(op("f64x2.mul", wide, factor)),
      // Ties go to the even integer, which is the lower one where a half is left over.
      ...whole.set(op("f64x2.nearest", product.get)),
      ...ties[i]!.set(op("f64x2.eq", below, op("f64x2.splat", f64(0.5)))),
      ...parts[i]!.set(op("f64x2.add", whole.get, op("f64x2.splat", f64(doubleMagic)))),
    );
  }
  /** The lower half of each double. */
  const lower = ([a, b]: readonly [Local, Local]): Code =>
    shuffle(a.get, b.get, [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]);
  // Where a comparison holds, its bits are those of -1.
  return [...code, ...op("i32x4.sub", lower(parts), lower(ties))];
}

/** 1 / scale in double precision, 0 for 0. */
const doubleInverse = (scale: Local): Code =>
  op(
    "f64x2.splat",
    select(
      f64(0),
      op("f64.div", f64(1), op("f64.promote_f32", scale.get)),
      op("f32.eq", scale.get, f32(0)),
    ),
  );

const { blockSize: int8Block } = blockLayout.int8;

/** The element of largest magnitude, the first among equals, maps to code 0 exactly. */
const packInt8: WasmFunction = {
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
const packChannel: WasmFunction = {
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

const lowBytes = Array.from({ length: 16 }, (_, i) => (i >> 1) + (i % 2 === 0 ? 0 : 16));
const highBytes = lowBytes.map((byte) => byte + 8);

/** Tiles of 16 by 16: rows i and i + 8 are interleaved, four times. */
const transpose: WasmFunction = {
  name: "transpose",
  parameters: ["i32", "i32", "i32", "i32", "i32", "i32"],
  body: ([source, sourceStride, target, targetStride, columns, groups], local) => {
    const column = local("i32");
    const group = local("i32");
    const from = local("i32");
    const to = local("i32");
    const at = local("i32");
    let rows = Array.from({ length: 16 }, () => local("v128"));
    let other = Array.from({ length: 16 }, () => local("v128"));
    const tile: number[] = [...at.set(from.get)];
    for (const row of rows) {
      tile.push(...row.set(load.v128(at.get)), ...advance(at, sourceStride!.get));
    }
    for (let stage = 0; stage < 4; stage++) {
      for (let i = 0; i < 8; i++) {
        const [a, b] = [rows[i]!.get, rows[i + 8]!.get];
        tile.push(
          ...other[2 * i]!.set(shuffle(a, b, lowBytes)),
          ...other[2 * i + 1]!.set(shuffle(a, b, highBytes)),
        );
      }
      [rows, other] = [other, rows];
    }
    const stores: number[] = [...at.set(to.get)];
    for (const [i, row] of rows.entries()) {
      stores.push(
        ...leaveIf(op("i32.ge_u", op("i32.add", column.get, i32(i)), columns!.get)),
        ...store.v128(at.get, row.get),
        ...advance(at, targetStride!.get),
      );
    }
    return repeatWhile(
      op("i32.lt_u", column.get, columns!.get),
      from.set(op("i32.add", source!.get, column.get)),
      to.set(op("i32.add", target!.get, op("i32.mul", column.get, targetStride!.get))),
      group.set(i32(0)),
      repeatWhile(
        op("i32.lt_u", group.get, groups!.get),
        tile,
        block(stores),
        from.set(op("i32.add", from.get, op("i32.shl", sourceStride!.get, i32(4)))),
        advance(to, i32(16)),
        advance(group, i32(1)),
      ),
      advance(column, i32(16)),
    );
  },
};

let compiled: Promise<WebAssembly.Module> | undefined;

/** Compiles the kernels (once for a thread) over a memory of their own. */
export async function createPackKernels(): Promise<PackKernels> {
  compiled ??= WebAssembly.compile(
    assembleModule(
      [fit, widenBF16, widenF16, widenF32, packInt4, packInt8, packChannel, transpose],
      2,
    ) as Uint8Array<ArrayBuffer>,
  );
  const memory = new WebAssembly.Memory({ initial: 16 });
  const { exports } = await WebAssembly.instantiate(await compiled, { env: { memory } });
  return { memory, ...(exports as unknown as Omit<PackKernels, "memory">) };
}
