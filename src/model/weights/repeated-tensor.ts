/** Tensors that hold the numbers of another, and need not be held twice. */
import type { Checkpoint, RowRange } from "../../checkpoint/index.ts";
import type { StoredBytes } from "./bind-bytes.ts";
import type { StoredShape } from "./trace-weights.ts";

/** Rows that are compared at a time. */
const comparedRows = 4096;

/** Rows of a stored tensor, in the array of its type. */
export type ReadStoredRows = (name: string, rows: RowRange) => Promise<ArrayBufferView>;

/** A tensor, and the one that it may repeat. */
export interface Repetition {
  readonly name: string;
  readonly of: string;
}

/** Whether two tensors are stored with the same type, shape and bytes. */
export async function isRepeated(
  tensors: ReadonlyMap<string, StoredShape>,
  { name, of }: Repetition,
  read: ReadStoredRows,
): Promise<boolean> {
  const [own, other] = [tensors.get(name), tensors.get(of)];
  if (own === undefined || other === undefined) return false;
  if (own.dtype !== other.dtype || own.shape.join() !== other.shape.join()) return false;
  const [count = 0] = own.shape;
  for (let start = 0; start < count; start += comparedRows) {
    const rows = { start, count: Math.min(comparedRows, count - start) };
    const [a, b] = await Promise.all([read(name, rows), read(of, rows)]);
    if (!areEqual(a, b)) return false;
  }
  return true;
}

/** The tensors without one that repeats another. */
export async function withoutRepeated<T extends StoredShape>(
  tensors: ReadonlyMap<string, T>,
  repetition: Repetition | undefined,
  read: ReadStoredRows,
): Promise<ReadonlyMap<string, T>> {
  if (repetition === undefined || !(await isRepeated(tensors, repetition, read))) return tensors;
  return new Map([...tensors].filter(([name]) => name !== repetition.name));
}

/** Rows of a checkpoint's tensors. */
export function readRowsFrom(checkpoint: Pick<Checkpoint, "read">): ReadStoredRows {
  return async (name, rows) => (await checkpoint.read(name, { rows })).data;
}

function areEqual(a: ArrayBufferView, b: ArrayBufferView): boolean {
  if (a.byteLength !== b.byteLength) return false;
  const isWide = [a, b].every((view) => view.byteOffset % 4 === 0 && view.byteLength % 4 === 0);
  const [left, right] = [a, b].map(({ buffer, byteOffset, byteLength }) =>
    isWide
      ? new Uint32Array(buffer, byteOffset, byteLength / 4)
      : new Uint8Array(buffer, byteOffset, byteLength),
  ) as [Uint8Array, Uint8Array];
  return left.every((value, at) => value === right[at]);
}

/** Rows of tensors whose bytes are in memory. */
export function readRowsOf({ tensors, bytes }: StoredBytes): ReadStoredRows {
  return async (name, { start, count }) => {
    const all = bytes.get(name)!;
    const row = all.byteLength / tensors.get(name)!.shape[0]!;
    return all.subarray(start * row, (start + count) * row);
  };
}
