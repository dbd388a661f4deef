/** WebAssembly that several packing kernels share: constants in all lanes, reductions, exact rounding. */
import {
  type Code,
  f32,
  f64,
  i32,
  type Local,
  lane,
  op,
  select,
  shuffle,
} from "./wasm-assembler.ts";

/** `a += step`. */
export const advance = (variable: Local, step: Code): Code =>
  variable.set(op("i32.add", variable.get, step));

export const splatInteger = (value: number): Code => op("i32x4.splat", i32(value));

export const splat = (value: Code): Code => op("f32x4.splat", value);

/** The bits of a float32 that holds an integer from 0 to 255 after 2^23 was added to it. */
export const integerMagic: number = 2 ** 23;

/** As much for a double and any 32-bit integer: its lower half is the integer. */
const doubleMagic = 2 ** 52 + 2 ** 51;

/** The smallest (or largest) of a vector's four numbers. */
export function reduce(vector: Local, kind: "f32x4.pmin" | "f32x4.pmax"): Code {
  const swapped = (lanes: readonly number[]): Code =>
    vector.set(op(kind, vector.get, shuffle(vector.get, vector.get, lanes)));
  return [
    ...swapped([8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]),
    ...swapped([4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]),
  ];
}

/** Adds up a vector's four numbers. */
export const sumOf = (vector: Local): Code =>
  op(
    "f32.add",
    op("f32.add", lane.f32(vector.get, 0), lane.f32(vector.get, 1)),
    op("f32.add", lane.f32(vector.get, 2), lane.f32(vector.get, 3)),
  );

/**
 * Four numbers times a factor, rounded to the nearest integers, ties upwards, as `Math.round` does: in
 * double precision, so that a code does not depend on how a product was rounded.
 */
export function roundedProducts(x: Local, factor: Code, local: (type: "v128") => Local): Code {
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
export const doubleInverse = (scale: Local): Code =>
  op(
    "f64x2.splat",
    select(
      f64(0),
      op("f64.div", f64(1), op("f64.promote_f32", scale.get)),
      op("f32.eq", scale.get, f32(0)),
    ),
  );
