/**
 * Cosines and sines of a decoder's rotations by position.
 *
 * `dynamic` and `longrope` scalings depend on how many tokens there are. As in transformers a forward
 * pass uses the length that it reaches: the prompt's for all of the prompt, then one more for each new
 * token; cached keys stay as they are. So a token's rotation is fixed by its position and the length of
 * the prompt, and not by drafts, chunks or the length that a caller asks for. Phi-3 and PhiMoE compute the
 * whole cache anew where a text passes the original context (`restartLength`).
 */
import type { DecoderConfig, RopeConfig } from "../decoder/config.ts";
import { ropeFrequencies } from "./rope.ts";

/** The length beyond which all cached rows must have been made with the long factors, if there is one. */
export function restartLength({ family, ropes }: DecoderConfig): number | undefined {
  if (family !== "phi3" && family !== "phimoe") return undefined;
  return ropes.find(({ kind }) => kind === "longrope")?.originalMaxPositionEmbeddings;
}

/** The tables of all rotations of a decoder. */
export class RotationTables {
  readonly #ropes: readonly RopeConfig[];
  /** Tables by rotation and length, where a table serves many lengths. */
  readonly #tables: Map<string, RotationTable> = new Map();
  /** Frequencies of the last stretched length of each dynamic rotation. */
  readonly #stretched: Map<number, { length: number; table: RotationTable }> = new Map();

  constructor(ropes: readonly RopeConfig[]) {
    this.#ropes = ropes;
  }

  /** Equal for lengths at which every rotation is the same. */
  key(length: number): number {
    return rotationKey(this.#ropes, length);
  }

  /**
   * Writes cosines and sines of one position into both arrays at `row`.
   *
   * @param index of the rotation
   * @param length of the sequence up to this token, or of the prompt that it belongs to
   */
  write(
    index: number,
    { position, length }: { readonly position: number; readonly length: number },
    { row, cos, sin }: { row: number; cos: Float32Array; sin: Float32Array },
  ): void {
    this.#table(index, length).write(position, row, cos, sin);
  }

  #table(index: number, length: number): RotationTable {
    const rope = this.#ropes[index]!;
    const key = lengthKey(rope, length);
    // Each length beyond the original context has frequencies of its own, mostly for one token.
    if (rope.kind === "dynamic" && key > 0) {
      let last = this.#stretched.get(index);
      if (last?.length !== key) {
        last = { length: key, table: new RotationTable(rope, key, false) };
        this.#stretched.set(index, last);
      }
      return last.table;
    }
    const name = `${index} ${key}`;
    let table = this.#tables.get(name);
    if (!table) {
      table = new RotationTable(rope, key, true);
      this.#tables.set(name, table);
    }
    return table;
  }
}

/** Equal for lengths at which each of these rotations is the same; 0 for those that are short for all of them. */
export function rotationKey(ropes: readonly RopeConfig[], length: number): number {
  return ropes.reduce((key, rope) => Math.max(key, lengthKey(rope, length)), 0);
}

/** Lengths with one key have equal frequencies; 0 is the key of short ones. */
function lengthKey(rope: RopeConfig, length: number): number {
  switch (rope.kind) {
    case "dynamic":
      return length > rope.maxPositionEmbeddings ? length : 0;
    case "longrope":
      return length > rope.originalMaxPositionEmbeddings
        ? rope.originalMaxPositionEmbeddings + 1
        : 0;
    default:
      return 0;
  }
}

/** Cosines and sines at one length, kept for all positions so far where that pays. */
class RotationTable {
  readonly #frequencies: Float64Array;
  readonly #factor: number;
  readonly #isKept: boolean;
  #rows = 0;
  #cos: Float32Array = new Float32Array(0);
  #sin: Float32Array = new Float32Array(0);

  constructor(rope: RopeConfig, length: number, isKept: boolean) {
    const { frequencies, factor } = ropeFrequencies(rope, length);
    this.#frequencies = frequencies;
    this.#factor = factor;
    this.#isKept = isKept;
  }

  write(position: number, row: number, cos: Float32Array, sin: Float32Array): void {
    const half = this.#frequencies.length;
    if (!this.#isKept) {
      this.#compute(position, row, cos, sin);
      return;
    }
    if (position >= this.#rows) this.#grow(position + 1);
    cos.set(this.#cos.subarray(position * half, (position + 1) * half), row * half);
    sin.set(this.#sin.subarray(position * half, (position + 1) * half), row * half);
  }

  #compute(position: number, row: number, cos: Float32Array, sin: Float32Array): void {
    const half = this.#frequencies.length;
    for (let pair = 0; pair < half; pair++) {
      const angle = position * this.#frequencies[pair]!;
      cos[row * half + pair] = Math.cos(angle) * this.#factor;
      sin[row * half + pair] = Math.sin(angle) * this.#factor;
    }
  }

  #grow(needed: number): void {
    const half = this.#frequencies.length;
    const rows = Math.max(needed, 2 * this.#rows, 256);
    const cos = new Float32Array(rows * half);
    const sin = new Float32Array(rows * half);
    cos.set(this.#cos);
    sin.set(this.#sin);
    for (let position = this.#rows; position < rows; position++) {
      this.#compute(position, position, cos, sin);
    }
    this.#rows = rows;
    this.#cos = cos;
    this.#sin = sin;
  }
}
