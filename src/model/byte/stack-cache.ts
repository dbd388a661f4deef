/** Keys and values of one sequence in one stack of layers. */
import type { DecoderConfig } from "../decoder/config.ts";

/** Rows by which a cache grows. */
const unit = 32;

/** Keys and values `[kvHeads, capacity, headDim]` of each layer, which grow. */
export class StackCache {
  readonly #config: DecoderConfig;
  /** Two arrays per layer: keys, then values. */
  #arrays: Float32Array[];
  #capacity = 0;
  #length = 0;

  constructor(config: DecoderConfig) {
    this.#config = config;
    this.#arrays = config.layers.flatMap(() => [new Float32Array(0), new Float32Array(0)]);
  }

  /** Rows that are kept. */
  get length(): number {
    return this.#length;
  }

  /** Rows that the arrays have place for. */
  get capacity(): number {
    return this.#capacity;
  }

  get bytes(): number {
    return this.#arrays.reduce((sum, array) => sum + array.byteLength, 0);
  }

  /** Keys, then values of each layer, `[kvHeads, capacity, headDim]`; at least one row, which may be empty. */
  arrays(): readonly Float32Array[] {
    this.#reserve(1);
    return this.#arrays;
  }

  /**
   * Appends the first `rows` rows.
   *
   * @param fresh `[2 * layers, kvHeads, time, headDim]`
   */
  append(fresh: Float32Array, time: number, rows: number): void {
    const { numKeyValueHeads: heads, headDim } = this.#config;
    this.#reserve(this.#length + rows);
    for (const [index, array] of this.#arrays.entries()) {
      for (let head = 0; head < heads; head++) {
        const from = (index * heads + head) * time * headDim;
        const to = (head * this.#capacity + this.#length) * headDim;
        array.set(fresh.subarray(from, from + rows * headDim), to);
      }
    }
    this.#length += rows;
  }

  /** Forgets rows from `length` on. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }

  #reserve(rows: number): void {
    if (rows <= this.#capacity) return;
    const { numKeyValueHeads: heads, headDim } = this.#config;
    // Half as much again: growing copies everything.
    const capacity = unit * Math.ceil(Math.max(rows, 1.5 * this.#capacity) / unit);
    this.#arrays = this.#arrays.map((array) => {
      const larger = new Float32Array(heads * capacity * headDim);
      for (let head = 0; head < heads; head++) {
        const from = head * this.#capacity * headDim;
        larger.set(array.subarray(from, from + this.#length * headDim), head * capacity * headDim);
      }
      return larger;
    });
    this.#capacity = capacity;
  }
}
