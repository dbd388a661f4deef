/** Weights in memory as the decoder takes them: stored tensors where they lie, packed matrices beside them. */
import type { ParameterBinding } from "../../tensor/index.ts";
import type { WeightFormat } from "../types.ts";
import { emptyParts, packableDtype, RowPacker, type RowSource } from "./pack-rows.ts";
import {
  groupShape,
  packedName,
  packedParts,
  type StoredShape,
  storedTensor,
} from "./trace-weights.ts";
import { widenBytes } from "./widen-stored.ts";

/** Stored tensors and, by the same names, the bytes that hold them. */
export interface StoredBytes {
  readonly tensors: ReadonlyMap<string, StoredShape>;
  readonly bytes: ReadonlyMap<string, Uint8Array>;
}

export interface BindBytesOptions {
  /** Whether 16-bit floats become float32 (see `wideShapes`). Default false. */
  readonly widens?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Binds every stored tensor; groups of matrices in a packed format too. */
export async function bindBytes(
  { tensors, bytes }: StoredBytes,
  groups: readonly (readonly string[])[],
  format: WeightFormat,
  { widens = false, onProgress, signal }: BindBytesOptions = {},
): Promise<Map<string, ParameterBinding>> {
  const bindings = new Map<string, ParameterBinding>(
    Array.from(bytes, ([name, stored]) => {
      const data = widens ? widenBytes(storedTensor(tensors, name).dtype, stored) : stored;
      return [name, { kind: "data", data }];
    }),
  );
  if (format === "f32") return bindings;
  const packer = await RowPacker.create();
  for (const [index, names] of groups.entries()) {
    // Packing takes seconds for large models: let the page draw, and the caller change their mind.
    await new Promise((resolve) => setTimeout(resolve));
    signal?.throwIfAborted();
    const { rows, columns } = groupShape(tensors, names);
    const packed = emptyParts(format, rows, columns);
    packer.pack({
      format,
      rows,
      columns,
      first: 0,
      sources: names.map((name) => rowsOf(name, storedTensor(tensors, name), bytes.get(name)!)),
      write: (part, offset, data) => packed.get(part)!.set(data, offset),
    });
    for (const [part, data] of packed) {
      bindings.set(`${packedName(names)}.${part}`, { kind: "data", data });
    }
    onProgress?.(index + 1, groups.length);
  }
  return bindings;
}

/** Bytes of packed matrices. */
export function packedBytes(
  tensors: StoredBytes["tensors"],
  groups: readonly (readonly string[])[],
  format: Exclude<WeightFormat, "f32">,
): number {
  let bytes = 0;
  for (const names of groups) {
    const { rows, columns } = groupShape(tensors, names);
    for (const { dtype, shape } of packedParts(format, rows, columns)) {
      bytes += shape.reduce((product, size) => product * size, dtype === "F32" ? 4 : 1);
    }
  }
  return bytes;
}

/** The rows of a matrix in memory. */
function rowsOf(name: string, { dtype, shape }: StoredShape, bytes: Uint8Array): RowSource {
  return {
    dtype: packableDtype(name, dtype),
    rows: shape[0]!,
    read: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
  };
}
