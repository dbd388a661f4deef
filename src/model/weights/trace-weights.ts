/**
 * Where a decoder's matrices come from: stored weights as they lie on disk, or packed ones.
 *
 * A decoder asks for products by the names of stored matrices; several names make one fused product.
 * The answer depends on the format in which weights are held.
 */
import type { TensorEntry } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import {
  add,
  cast,
  concat,
  type DataType,
  matmul,
  matmulBlockQuantized,
  matmulChannelQuantized,
  type ParameterBinding,
  parameter,
  reshape,
  slice,
  type Tensor,
  tensorType,
} from "../../tensor/index.ts";
import type { WeightFormat } from "../types.ts";
import { decodeMatrix, type FilePlace, type SplitEntry } from "./split-experts.ts";

/** Formats whose codes share a scale block by block along the inputs of a matrix. */
export type BlockFormat = "int4" | "int8";

/**
 * Bits of a code, codes of a block, and whether each block has a zero point of its own.
 *
 * int8 does not need small blocks: its error stays below 1 % of a weight's usual size. Blocks of 64 are as
 * fast as blocks of 128, with 3 % more bytes, and unlike those give a row the same bits alone and beside
 * others (on x86; `findRowRules`), so that passes may have any number of rows. In int4 only blocks of 32
 * do, which cost a tenth to a fifth of the time; two rows in blocks of 64 cost less than one in those. With
 * zero points, which cost nothing, blocks of 64 have the error of llama.cpp's Q4_0 and its blocks of 32.
 */
export const blockLayout: Readonly<Record<BlockFormat, BlockLayout>> = {
  int4: { bits: 4, blockSize: 64, ownZeros: true },
  int8: { bits: 8, blockSize: 64, ownZeros: false },
};

export interface BlockLayout {
  readonly bits: 4 | 8;
  readonly blockSize: number;
  readonly ownZeros: boolean;
}

/** Kinds of arrays that a packed matrix consists of. */
export type PackedPartName = "codes" | "scales" | "zeros";

export interface PackedPart {
  readonly name: PackedPartName;
  /** As safetensors spells it. */
  readonly dtype: "U8" | "I8" | "F32";
  readonly shape: readonly number[];
}

/** What a packed `[rows, columns]` matrix consists of. */
export function packedParts(
  format: Exclude<WeightFormat, "f32">,
  rows: number,
  columns: number,
): PackedPart[] {
  if (format === "int8-channel") {
    return [
      { name: "codes", dtype: "I8", shape: [columns, rows] },
      { name: "scales", dtype: "F32", shape: [rows] },
    ];
  }
  const { bits, blockSize, ownZeros } = blockLayout[format];
  const blocks = Math.ceil(columns / blockSize);
  const parts: PackedPart[] = [
    { name: "codes", dtype: "U8", shape: [rows, blocks, (blockSize * bits) / 8] },
    { name: "scales", dtype: "F32", shape: [rows * blocks] },
  ];
  if (ownZeros) {
    parts.push({ name: "zeros", dtype: "U8", shape: [rows * Math.ceil((blocks * bits) / 8)] });
  }
  return parts;
}

/** The decoder's view of its weights, while its graph is traced. */
export interface DecoderWeights {
  /** A small stored tensor (norm, bias) as float32. */
  vector(name: string): Tensor;
  /** Rows of a stored table, before any cast. */
  table(name: string): Tensor;
  /** x · Wᵀ for stored `[out, in]` matrices; outputs of several names side by side. */
  linear(x: Tensor, names: readonly string[]): Tensor;
  /**
   * False where the outputs of several names are cheaper one by one: in training, whose gradients would be cut and
   * joined again. Default true.
   */
  readonly joins?: boolean;
}

/** What is known of a stored tensor without reading it. */
export type StoredShape = Pick<TensorEntry, "dtype" | "shape">;

/** What of the entries may cross to a worker: they know more than that. */
export function storedShapes(
  tensors: ReadonlyMap<string, StoredShape>,
): ReadonlyMap<string, StoredShape> {
  return new Map(Array.from(tensors, ([name, { dtype, shape }]) => [name, { dtype, shape }]));
}

const dtypes: Readonly<Record<string, DataType>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

const partTypes: Readonly<Record<PackedPart["dtype"], DataType>> = {
  U8: "uint8",
  I8: "int8",
  F32: "float32",
};

/** Key of a group of matrices that are packed as one. */
export function packedName(names: readonly string[]): string {
  return names.join("+");
}

export interface PackedShape {
  readonly rows: number;
  readonly columns: number;
}

/** Outputs and inputs of a group of matrices. */
export function groupShape(
  tensors: ReadonlyMap<string, StoredShape>,
  names: readonly string[],
): PackedShape {
  const shapes = names.map((name) => storedTensor(tensors, name).shape);
  const columns = shapes[0]![1];
  if (shapes.some((shape) => shape.length !== 2 || shape[1] !== columns)) {
    throw new JetonError(`${packedName(names)}: expected matrices of equal width`, {
      code: "model-weights-shape",
      details: { names, shapes },
    });
  }
  return { rows: shapes.reduce((sum, shape) => sum + shape[0]!, 0), columns: columns! };
}

/** The entry of a stored tensor, or an error that says what the checkpoint lacks. */
export function storedTensor<Entry extends StoredShape>(
  tensors: ReadonlyMap<string, Entry>,
  name: string,
): Entry {
  const entry = tensors.get(name);
  if (!entry) {
    throw new JetonError(`the checkpoint has no tensor "${name}"`, {
      code: "model-weights-missing",
      details: { name },
    });
  }
  return entry;
}

/** Weights for tracing of which nothing but shapes is known: float32, as a training reads them. */
export function traceFloat32Weights(
  shapes: ReadonlyMap<string, readonly number[]>,
): DecoderWeights {
  const stored = Array.from(shapes, ([name, shape]): [string, StoredShape] => [
    name,
    { dtype: "F32", shape: [...shape] },
  ]);
  return { ...traceWeights(new Map(stored), "f32"), joins: false };
}

/** Where `NAME.3` is no tensor of its own but the fourth of those that are stored as one, `NAME`. */
function stackOf(
  tensors: ReadonlyMap<string, StoredShape>,
  name: string,
): { readonly name: string; readonly at: number } | undefined {
  const [, whole, number] = /^(.+)\.(\d+)$/.exec(name) ?? [];
  if (whole === undefined || !tensors.has(whole)) return undefined;
  return { name: whole, at: Number(number) };
}

/** Weights for tracing: stored ones by dtype and shape, matrices in `format`. */
export function traceWeights(
  tensors: ReadonlyMap<string, StoredShape>,
  format: WeightFormat,
): DecoderWeights {
  const stored = (name: string): Tensor => {
    const stack = tensors.has(name) ? undefined : stackOf(tensors, name);
    if (stack !== undefined) {
      const whole = stored(stack.name);
      const part = slice(whole, { axis: 0, start: stack.at, end: stack.at + 1 });
      return reshape(part, whole.shape.slice(1));
    }
    const { dtype, shape } = storedTensor(tensors, name);
    const type = dtypes[dtype];
    if (!type) {
      throw new JetonError(`"${name}" is stored as ${dtype}, expected F32, F16 or BF16`, {
        code: "model-weights-dtype",
        details: { name, dtype },
      });
    }
    return parameter(name, shape as number[], tensorType(type, shape).dtype);
  };
  const linearStored = (x: Tensor, names: readonly string[]): Tensor => {
    const parts = names.map((name) => cast(stored(name), "float32"));
    return matmul(x, concat(parts, 0), { transposeB: true });
  };
  const linear = (x: Tensor, names: readonly string[]): Tensor => {
    if (format === "f32") return linearStored(x, names);
    const { rows, columns } = groupShape(tensors, names);
    const parts = packedParts(format, rows, columns).map(({ name, dtype, shape }) =>
      parameter(`${packedName(names)}.${name}`, shape, partTypes[dtype]),
    );
    const [codes, scales, zeroPoints] = parts as [Tensor, Tensor, Tensor?];
    if (format === "int8-channel") return matmulChannelQuantized(x, codes, scales);
    const { bits, blockSize } = blockLayout[format];
    return matmulBlockQuantized(x, codes, scales, { bits, blockSize, rows, columns }, zeroPoints);
  };
  return { vector: (name) => cast(stored(name), "float32"), table: stored, linear };
}

/** A bias added to a product where the names have one. */
export function addBias(weights: DecoderWeights, x: Tensor, names: readonly string[]): Tensor {
  return add(
    x,
    concat(
      names.map((name) => weights.vector(name)),
      0,
    ),
  );
}

/**
 * Bindings of stored tensors to the regions of the files that hold them. Encoded matrices are read and
 * decoded; `decodes: false` leaves them out, for formats in which they are packed.
 */
export function fileBindings(
  tensors: ReadonlyMap<string, SplitEntry>,
  { decodes = true }: { decodes?: boolean } = {},
): Map<string, ParameterBinding> {
  const bindings = new Map<string, ParameterBinding>();
  for (const [name, entry] of tensors) {
    const { file, offset, length } = entry;
    if (!entry.encoding) bindings.set(name, { kind: "file", file, offset, length });
    else if (decodes) {
      bindings.set(name, { kind: "data", data: decodeMatrix(entry, readPlace) });
    }
  }
  return bindings;
}

/** Bytes of a file, read now. Needs Node. */
function readPlace({ file, offset, length }: FilePlace): Uint8Array {
  const { closeSync, openSync, readSync } = process.getBuiltinModule("node:fs");
  const bytes = new Uint8Array(length);
  const handle = openSync(file, "r");
  try {
    for (let done = 0; done < length; ) {
      const count = readSync(handle, bytes, done, length - done, offset + done);
      if (count === 0) {
        throw new JetonError(`${file} ended before byte ${offset + length}; was it replaced?`, {
          code: "safetensors-truncated",
          details: { file, found: offset + done, expected: offset + length },
        });
      }
      done += count;
    }
  } finally {
    closeSync(handle);
  }
  return bytes;
}
