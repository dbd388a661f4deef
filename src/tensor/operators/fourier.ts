/**
 * The discrete Fourier transform: as one operator over complex numbers, and of real sequences as an order-2 Monarch
 * product (Fu et al., 2023), two matrix products around a permutation, with which long convolutions are computed.
 */
import {
  type Dimension,
  multiplyDimensions,
  shapesEqual,
  subtractDimensions,
} from "../dimension.ts";
import {
  apply,
  defineOperator,
  type OperatorDefinition,
  shapeError,
  type Tensor,
  tensorType,
} from "../graph.ts";
import { constant, sizeValue } from "./constant.ts";
import { add, cast, divide, multiply, subtract } from "./elementwise.ts";
import { matmul } from "./matmul.ts";
import { concat, pad, reshape, slice, split } from "./shape.ts";

const dftOperator: OperatorDefinition<{ inverse: boolean }> = defineOperator({
  name: "dft",
  infer([x]) {
    const { dtype, shape } = x!;
    if (dtype !== "float32" || shape.length !== 3 || shape[2] !== 2) {
      throw shapeError("dft", [x!], "needs float32 [rows, length, 2]: real and imaginary parts");
    }
    return [{ dtype, shape }];
  },
  emit: (emitter, [x], { inverse }) =>
    emitter.node("DFT", [x!, "", emitter.constant("int64", [], BigInt64Array.of(1n))], {
      attributes: { inverse: inverse ? 1 : 0, onesided: 0 },
    }),
  vjp({ inputs: [x] }, [g], { inverse }) {
    // The transpose is the conjugate transform, whose scale is the other one's.
    const length = cast(sizeValue(x!.shape[1]!), "float32");
    const back = apply(dftOperator, [g!], { inverse: !inverse })[0]!;
    return [inverse ? divide(back, length) : multiply(back, length)];
  },
});

/**
 * The discrete Fourier transform over the last axis but one: `y[k] = Σ x[n] · exp(−2πi·k·n / length)`.
 *
 * @param x float32 `[…, length, 2]`, real and imaginary parts
 * @param options `inverse`: `exp(+2πi…)` and a factor of `1 / length`. Default false.
 */
export function dft(x: Tensor, options: { inverse?: boolean } = {}): Tensor {
  const { inverse = false } = options;
  const length = x.shape.at(-2);
  if (length === undefined) throw shapeError("dft", [x], "needs [..., length, 2]");
  const rows = multiplyDimensions(...x.shape.slice(0, -2));
  const flat = reshape(x, [rows, length, x.shape.at(-1)!]);
  return reshape(apply(dftOperator, [flat], { inverse })[0]!, x.shape);
}

/**
 * How the transform of a real sequence of `2 · rows · columns` values is factored. The value at `columns · a + b` is
 * element `[a, b]` of a matrix: one product transforms over `a`, one with the twiddle factors in it over `b`. Of a real
 * sequence the bins `k1 = 0…rows` say all.
 */
export interface MonarchSizes {
  readonly rows: number;
  readonly columns: number;
}

/** Tables of a factored transform; which sizes they have may be known only when a program runs. */
export interface MonarchTables {
  /** `[bins, 2, 2 · bins − 2]`: `cos` and `−sin` of `2π·k1·a / (2 · rows)`, where `bins = rows + 1`. */
  readonly outer: Tensor;
  /** `[bins, 2, columns, 2, columns]`: the complex matrix of each bin as a real one, twiddle factors in it. */
  readonly inner: Tensor;
  /** `[bins, 1, 1]`: how often a bin counts when the sequence is put together, over the length. */
  readonly scale: Tensor;
}

/** Values of `MonarchTables` in row-major order. */
export interface MonarchTableValues {
  readonly outer: Float32Array;
  readonly inner: Float32Array;
  readonly scale: Float32Array;
}

/**
 * Sizes by which sequences of up to `length` values are convolved with kernels as long as they in both directions:
 * those with the fewest multiplications.
 */
export function chooseMonarchSizes(length: number): MonarchSizes {
  let best: MonarchSizes = { rows: Math.max(1, length), columns: 1 };
  const cost = ({ rows, columns }: MonarchSizes): number => rows * columns * (rows + 2 * columns);
  // Columns of a power of two: products over them have no ragged end.
  for (let columns = 1; columns <= 4 * Math.sqrt(length); columns *= 2) {
    const sizes = { rows: Math.max(1, Math.ceil(length / columns)), columns };
    if (cost(sizes) < cost(best)) best = sizes;
  }
  return best;
}

/** Tables for sequences of `2 · rows · columns` values. */
export function monarchTableValues({ rows, columns }: MonarchSizes): MonarchTableValues {
  const bins = rows + 1;
  const period = 2 * rows;
  const length = period * columns;
  const outer = new Float32Array(bins * 2 * period);
  const inner = new Float32Array(bins * 4 * columns * columns);
  const scale = new Float32Array(bins);
  for (let bin = 0; bin < bins; bin++) {
    scale[bin] = (bin === 0 || bin === rows ? 1 : 2) / length;
    for (let a = 0; a < period; a++) {
      // Reduced before the division, so that large products lose no digits.
      const angle = (2 * Math.PI * ((bin * a) % period)) / period;
      outer[2 * bin * period + a] = Math.cos(angle);
      outer[(2 * bin + 1) * period + a] = -Math.sin(angle);
    }
    for (let k = 0; k < columns; k++) {
      for (let b = 0; b < columns; b++) {
        // Frequency bin + period · k at position b, over the whole length.
        const angle = (2 * Math.PI * (((bin + period * k) * b) % length)) / length;
        const [real, imaginary] = [Math.cos(angle), -Math.sin(angle)];
        const at = (part: number, from: number): number =>
          (((bin * 2 + part) * columns + k) * 2 + from) * columns + b;
        inner[at(0, 0)] = real;
        inner[at(0, 1)] = -imaginary;
        inner[at(1, 0)] = imaginary;
        inner[at(1, 1)] = real;
      }
    }
  }
  return { outer, inner, scale };
}

/** Names of the table's sizes where they are inputs of a program. */
const sizeNames = { bins: "monarch.bins", columns: "monarch.columns" } as const;

/** Types of the tables as inputs of a program: sizes are known when it runs. */
export const monarchTableTypes: Readonly<
  Record<keyof MonarchTables, ReturnType<typeof tensorType>>
> = tableTypes(sizeNames.bins, sizeNames.columns);

function tableTypes(
  bins: Dimension,
  columns: Dimension,
): Record<keyof MonarchTables, ReturnType<typeof tensorType>> {
  const period = subtractDimensions(multiplyDimensions(2, bins), 2);
  return {
    outer: tensorType("float32", [bins, 2, period]),
    inner: tensorType("float32", [bins, 2, columns, 2, columns]),
    scale: tensorType("float32", [bins, 1, 1]),
  };
}

/** Tables of known sizes as constants. */
export function monarchTables(sizes: MonarchSizes): MonarchTables {
  const values = monarchTableValues(sizes);
  const types = tableTypes(sizes.rows + 1, sizes.columns);
  const table = (name: keyof MonarchTables): Tensor =>
    constant(values[name], { shape: types[name].shape as number[] });
  return { outer: table("outer"), inner: table("inner"), scale: table("scale") };
}

interface Sizes {
  readonly bins: Dimension;
  readonly rows: Dimension;
  readonly columns: Dimension;
}

function sizesOf({ outer, inner, scale }: MonarchTables): Sizes {
  const [bins, columns] = [inner.shape[0]!, inner.shape[2]!];
  const expected = tableTypes(bins, columns);
  for (const [name, table] of Object.entries({ outer, inner, scale })) {
    if (shapesEqual(table.shape, expected[name as keyof MonarchTables].shape)) continue;
    throw shapeError("monarchSpectrum", [outer, inner, scale], "are no tables of one transform");
  }
  return { bins, rows: subtractDimensions(bins, 1), columns };
}

/** The length of the sequences that tables transform: `2 · rows · columns`. */
export function monarchLength(tables: MonarchTables): Dimension {
  const { rows, columns } = sizesOf(tables);
  return multiplyDimensions(2, rows, columns);
}

/**
 * The spectrum of real sequences, one for each channel: element `[k1, k2]` of the first `columns` rows of a bin is the
 * real part at the frequency `k1 + 2 · rows · k2`, of the other ones the imaginary part.
 *
 * @param x `[…, time, channels]`, by zeros continued to the whole length
 * @param options `half`: only the first half of the length may hold values, so that half the work is enough. Default
 *   false.
 * @returns `[…, bins, 2 · columns, channels]`
 */
export function monarchSpectrum(
  x: Tensor,
  tables: MonarchTables,
  options: { half?: boolean } = {},
): Tensor {
  const { bins, rows, columns } = sizesOf(tables);
  const lead = x.shape.slice(0, -2);
  const channels = x.shape.at(-1)!;
  const used = options.half ? rows : multiplyDimensions(2, rows);
  const after = subtractDimensions(multiplyDimensions(used, columns), x.shape.at(-2)!);
  const whole = pad(x, { axis: -2, after });
  const matrix = reshape(whole, [...lead, used, multiplyDimensions(columns, channels)]);
  const first = matmul(outerMatrix(tables, options.half === true), matrix);
  const byBin = reshape(first, [...lead, bins, multiplyDimensions(2, columns), channels]);
  return matmul(innerMatrix(tables), byBin);
}

/**
 * The first half of the sequences that have these spectra: the inverse of `monarchSpectrum` but for `scale`, which a
 * caller multiplies where it costs least.
 *
 * @param spectrum `[…, bins, 2 · columns, channels]`
 * @param time how many values are wanted, at most half of the length
 * @returns `[…, time, channels]`
 */
export function monarchSequence(spectrum: Tensor, tables: MonarchTables, time: Dimension): Tensor {
  const { bins, rows, columns } = sizesOf(tables);
  const lead = spectrum.shape.slice(0, -3);
  const channels = spectrum.shape.at(-1)!;
  const byBin = matmul(innerMatrix(tables), spectrum, { transposeA: true });
  const parts = multiplyDimensions(2, bins);
  const matrix = reshape(byBin, [...lead, parts, multiplyDimensions(columns, channels)]);
  const first = matmul(outerMatrix(tables, true), matrix, { transposeA: true });
  const half = reshape(first, [...lead, multiplyDimensions(rows, columns), channels]);
  return slice(half, { axis: -2, end: time });
}

/** `[2 · bins, rows]`, or all `2 · rows` columns. */
function outerMatrix({ outer }: MonarchTables, half: boolean): Tensor {
  const [bins, , period] = outer.shape as [Dimension, 2, Dimension];
  const all = reshape(outer, [multiplyDimensions(2, bins), period]);
  return half ? slice(all, { axis: 1, end: subtractDimensions(bins, 1) }) : all;
}

/** `[bins, 2 · columns, 2 · columns]` */
function innerMatrix({ inner }: MonarchTables): Tensor {
  const [bins, , columns] = inner.shape as [Dimension, 2, Dimension];
  const side = multiplyDimensions(2, columns);
  return reshape(inner, [bins, side, side]);
}

/** Products of complex numbers whose real and imaginary parts are the halves of the last axis but one. */
function multiplyComplex(a: Tensor, b: Tensor, half: Dimension): Tensor {
  const [realA, imaginaryA] = split(a, [half, half], -2);
  const [realB, imaginaryB] = split(b, [half, half], -2);
  return concat(
    [
      subtract(multiply(realA!, realB!), multiply(imaginaryA!, imaginaryB!)),
      add(multiply(realA!, imaginaryB!), multiply(imaginaryA!, realB!)),
    ],
    -2,
  );
}

/**
 * Convolves sequences with a kernel as long as they, channel by channel (circular over the length of the tables):
 * `y[n] = Σ kernel[n − j mod length] · x[j]`.
 *
 * @param x `[…, time, channels]`, at most half of the length
 * @param kernel `[any, channels]`, at most the length; values at its end stand for negative distances
 * @returns `[…, time, channels]`
 */
export function longConvolution(x: Tensor, kernel: Tensor, tables: MonarchTables): Tensor {
  const { columns } = sizesOf(tables);
  const time = x.shape.at(-2)!;
  // The scale is applied where there is no batch.
  const factors = multiply(monarchSpectrum(kernel, tables), tables.scale);
  const product = multiplyComplex(monarchSpectrum(x, tables, { half: true }), factors, columns);
  return monarchSequence(product, tables, time);
}
