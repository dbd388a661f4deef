/**
 * The rows of a stored embedding table, read from its file as tokens ask for them.
 *
 * A table that is mapped into memory stays there, 64 kB around every row that was ever read, which is
 * soon all of it. Reading a row takes a few microseconds and leaves nothing behind.
 */
import { widenToFloat32 } from "../../checkpoint/safetensors/dtype.ts";
import { JetonError } from "../../core/index.ts";
import type { ParameterBinding } from "../../tensor/index.ts";
import type { StoredShape } from "../weights/trace-weights.ts";

type FileBinding = Extract<ParameterBinding, { kind: "file" }>;

/** An open table. Needs Node; close it. */
export class EmbeddingFile {
  readonly #system: typeof import("node:fs") = process.getBuiltinModule("node:fs");
  readonly #descriptor: number;
  readonly #binding: FileBinding;
  readonly #stored: StoredShape;
  /** One row as it is stored. */
  readonly #row: ArrayBuffer;

  /** @param stored F32, F16 or BF16 `[rows, width]` */
  constructor(binding: FileBinding, stored: StoredShape) {
    this.#binding = binding;
    this.#stored = stored;
    this.#row = new ArrayBuffer(binding.length / stored.shape[0]!);
    this.#descriptor = this.#system.openSync(binding.file, "r");
  }

  /**
   * Reads the rows of `ids`, widened to float32, into `target`.
   *
   * @throws JetonError `model-token-unknown`, `safetensors-truncated` (the file shrank)
   */
  read(ids: ArrayLike<number>, target: Float32Array): void {
    const { file, offset } = this.#binding;
    const { dtype, shape } = this.#stored;
    const [count, width] = shape as [number, number];
    const bytes = this.#row.byteLength;
    for (let at = 0; at < ids.length; at++) {
      const id = ids[at]!;
      if (!(Number.isInteger(id) && id >= 0 && id < count)) {
        throw new JetonError(`there is no token ${id}, expected 0 to ${count - 1}`, {
          code: "model-token-unknown",
          details: { id, vocabulary: count },
        });
      }
      const place = offset + id * bytes;
      const found = this.#system.readSync(
        this.#descriptor,
        new Uint8Array(this.#row),
        0,
        bytes,
        place,
      );
      if (found !== bytes) {
        throw new JetonError(`${file} ended inside its embeddings; was it replaced?`, {
          code: "safetensors-truncated",
          details: { file, found, expected: bytes },
        });
      }
      const row = target.subarray(at * width, (at + 1) * width);
      if (dtype === "F32") row.set(new Float32Array(this.#row));
      else widenToFloat32(dtype as "F16" | "BF16", new Uint16Array(this.#row), row);
    }
  }

  close(): void {
    this.#system.closeSync(this.#descriptor);
  }
}
