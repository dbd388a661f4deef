/** The cache of one sequence that a decoder writes: keys and values of its tokens, and where new ones stand. */
import { JetonError } from "../../core/index.ts";
import type { BoundValue, Session } from "../../tensor/index.ts";
import type { HandleStep } from "./decoder-pass.ts";
import { checkRows, nothingPending } from "./draft-rows.ts";

/** Sizes of the cache. */
export interface OutputSequenceShape {
  /** Two for each layer: keys and values. */
  readonly arenas: number;
  readonly heads: number;
  readonly headDim: number;
}

/** Rows by which the cache grows at least. */
const unit = 64;

/** Rows of the last step that wait for `accept`. */
interface Pending {
  readonly count: number;
  readonly data: Float32Array;
}

/** One sequence; every method runs to its end. */
export class OutputSequence {
  readonly #shape: OutputSequenceShape;
  #arenas: Float32Array[];
  #capacity = unit;
  #length = 0;
  #pending: Pending | undefined;

  constructor(shape: OutputSequenceShape) {
    this.#shape = shape;
    this.#arenas = Array.from({ length: shape.arenas }, () => this.#newArena(unit));
  }

  get bytes(): number {
    return this.#arenas.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  #newArena(capacity: number): Float32Array {
    return new Float32Array(this.#shape.heads * capacity * this.#shape.headDim);
  }

  /** Inputs of a step: ids, places, masks and the cached rows. */
  feeds({ bind }: Session, { ids, parents }: HandleStep): Record<string, BoundValue> {
    const time = ids.length;
    const { heads, headDim } = this.#shape;
    const places = new Int32Array(time);
    const fresh = new Float32Array(time * time).fill(-Infinity);
    for (let row = 0; row < time; row++) {
      const parent = parents ? parents[row]! : row - 1;
      if (!(parent >= -1 && parent < row)) {
        throw new JetonError(`row ${row} names ${parent} as its parent, expected an earlier row`, {
          code: "model-draft-order",
          details: { row, parent },
        });
      }
      places[row] = parent < 0 ? this.#length : places[parent]! + 1;
      // A row sees what its parent sees, and itself.
      if (parent >= 0) fresh.copyWithin(row * time, parent * time, parent * time + row);
      fresh[row * time + row] = 0;
    }
    const past = new Float32Array(this.#capacity).fill(-Infinity).fill(0, 0, this.#length);
    const feeds: Record<string, BoundValue> = {
      ids: bind("int32", Int32Array.from(ids), [1, time]),
      places: bind("int32", places, [time]),
      "mask.new": bind("float32", fresh, [1, 1, time, time]),
      "mask.past": bind("float32", past, [1, 1, 1, this.#capacity]),
    };
    for (const [index, arena] of this.#arenas.entries()) {
      const name = `past.${index >> 1}.${index % 2 === 0 ? "key" : "value"}`;
      feeds[name] = bind("float32", arena, [1, heads, this.#capacity, headDim]);
    }
    return feeds;
  }

  /** Puts the new rows of a step into the cache, or holds them until they are accepted. */
  keep({ ids, commit }: HandleStep, data: Float32Array): void {
    this.#pending = { count: ids.length, data };
    if (commit !== false) this.accept(Array.from(ids.keys()));
  }

  /** @throws JetonError `model-nothing-pending`, `model-row-invalid` */
  accept(rows: readonly number[]): void {
    const pending = this.#pending;
    if (!pending) throw nothingPending();
    checkRows(rows, pending.count);
    const { count, data } = pending;
    this.#reserve(this.#length + rows.length);
    const { heads, headDim } = this.#shape;
    for (const [index, arena] of this.#arenas.entries()) {
      for (let head = 0; head < heads; head++) {
        const from = (index * heads + head) * count * headDim;
        const to = head * this.#capacity * headDim;
        for (const [at, row] of rows.entries()) {
          const source = from + row * headDim;
          const target = to + (this.#length + at) * headDim;
          arena.set(data.subarray(source, source + headDim), target);
        }
      }
    }
    this.#length += rows.length;
    this.#pending = undefined;
  }

  truncate(length: number): void {
    this.#pending = undefined;
    this.#length = Math.min(this.#length, length);
  }

  #reserve(rows: number): void {
    if (rows <= this.#capacity) return;
    const capacity = Math.ceil(Math.max(rows, 1.5 * this.#capacity) / unit) * unit;
    const { heads, headDim } = this.#shape;
    const size = this.#capacity * headDim;
    this.#arenas = this.#arenas.map((arena) => {
      const grown = this.#newArena(capacity);
      for (let head = 0; head < heads; head++) {
        grown.set(arena.subarray(head * size, (head + 1) * size), head * capacity * headDim);
      }
      return grown;
    });
    this.#capacity = capacity;
  }
}
