/** Whole `.safetensors` files in memory as named tensors. */
import {
  parseHeaderOf,
  type TensorEntry,
} from "../../checkpoint/safetensors/safetensors-header.ts";
import { JetonError } from "../../core/index.ts";
import type { StoredBytes } from "./bind-bytes.ts";

/** A whole `.safetensors` file in memory. */
export interface WeightsFile {
  /** File name, for errors. */
  readonly name: string;
  readonly data: Uint8Array;
}

/** The tensors of a checkpoint and, by the same names, the bytes that hold them. */
export interface StoredTensors extends StoredBytes {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/**
 * The tensors of all files by their stored names; a name may occur in one of them only. Bytes are views.
 *
 * @throws JetonError `checkpoint-weights-missing`, `checkpoint-tensor-ambiguous`, and the codes of
 *   `parseSafetensorsHeader`
 */
export function parseWeights(weights: readonly WeightsFile[]): StoredTensors {
  if (weights.length === 0) {
    throw new JetonError("no weights were given, expected the bytes of .safetensors files", {
      code: "checkpoint-weights-missing",
    });
  }
  const tensors = new Map<string, TensorEntry>();
  const bytes = new Map<string, Uint8Array>();
  for (const { name: file, data } of weights) {
    for (const [name, entry] of parseHeaderOf(data, file).tensors) {
      const known = tensors.get(name);
      if (known) {
        throw new JetonError(`tensor "${name}" is in ${known.file} and in ${file}`, {
          code: "checkpoint-tensor-ambiguous",
          details: { name, found: [known.file, file] },
        });
      }
      tensors.set(name, entry);
      bytes.set(name, data.subarray(entry.offset, entry.offset + entry.length));
    }
  }
  return { tensors, bytes };
}

/**
 * Stored tensors by other names, as `renameTensors` gives those of a checkpoint.
 *
 * @param own the stored name by the new one; tensors that it leaves out are left out
 */
export function renameStored(
  { tensors, bytes }: StoredTensors,
  own: ReadonlyMap<string, string>,
): StoredTensors {
  return {
    tensors: new Map(
      Array.from(own, ([name, stored]) => [name, { ...tensors.get(stored)!, name }]),
    ),
    bytes: new Map(Array.from(own, ([name, stored]) => [name, bytes.get(stored)!])),
  };
}
