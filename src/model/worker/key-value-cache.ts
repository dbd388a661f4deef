/**
 * The key-value cache: one arena of keys and one of values per layer, in host memory.
 *
 * An arena is `[slots, kvHeads, capacity, headDim]`, so a slot is a zero-copy view, and so is a run
 * of neighbouring slots, which is the batch of a decoding step. Rows from a slot's length on are
 * arbitrary but finite; attention masks them.
 */

/** How elements are held: float16 as its bits. */
export type CacheType = "float32" | "float16";
/** Elements of keys or values. */
export type CacheArray = Float32Array | Uint16Array;

export interface CacheShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Default float32. */
  readonly dtype?: CacheType;
  /** Capacities are multiples of this many rows. Default 32. */
  readonly unit?: number;
  /** Arenas behind those of keys and values, e.g. a context policy's. Default 0. */
  readonly extra?: number;
}

const defaultUnit = 32;

/** Address space that is set aside for an arena, as a multiple of what it holds. It takes no memory. */
const headroom = 4;

/** All of a buffer as elements of an arena's kind, of a fixed length. */
function viewOf(arena: CacheArray, buffer: ArrayBuffer): CacheArray {
  const length = buffer.byteLength / arena.BYTES_PER_ELEMENT;
  return arena instanceof Uint16Array
    ? new Uint16Array(buffer, 0, length)
    : new Float32Array(buffer, 0, length);
}

/**
 * Keys and values of all sequences: per layer two arenas `[slots, kvHeads, capacity, headDim]`, which
 * grow.
 */
export class KeyValueCache {
  readonly shape: CacheShape;
  /** Two arrays per layer: keys, then values; then the extra ones. */
  readonly arenas: CacheArray[];
  readonly #unit: number;
  #slots = 0;
  #capacity = 0;

  constructor(shape: CacheShape) {
    this.shape = shape;
    this.#unit = shape.unit ?? defaultUnit;
    const count = 2 * shape.layers + (shape.extra ?? 0);
    this.arenas = Array.from({ length: count }, () => this.#allocate(0));
  }

  /** Slots that have memory. */
  get slots(): number {
    return this.#slots;
  }

  /** Rows of each slot. */
  get capacity(): number {
    return this.#capacity;
  }

  get bytes(): number {
    return this.arenas.reduce((sum, arena) => sum + arena.byteLength, 0);
  }

  /**
   * Grows the arenas to `rows` rows in each of `slots` slots. Attention runs over the whole capacity, and an
   * arena grows where it lies, so that small steps are best: a step of s rows costs the growth of all
   * slots once in s tokens, and every token s / 2 empty rows.
   */
  reserve(slots: number, rows: number): void {
    const most = Math.max(slots, this.#slots);
    const step = this.#unit * Math.ceil(Math.sqrt(most));
    const capacity = rows > this.#capacity ? Math.ceil(rows / step) * step : this.#capacity;
    this.#resize(most, capacity);
  }

  /**
   * Gives memory back where the first `rows` rows are less than half of it: attention runs over the
   * capacity, and would go on paying for the longest sequence that ever was. Later rows are lost.
   */
  trim(rows: number): void {
    const capacity = Math.ceil(Math.max(1, rows) / this.#unit) * this.#unit;
    if (2 * capacity <= this.#capacity) this.#resize(this.#slots, capacity);
  }

  #resize(slots: number, capacity: number): void {
    if (capacity === this.#capacity && slots === this.#slots) return;
    const { kvHeads, headDim } = this.shape;
    const before = this.#capacity * headDim;
    const after = capacity * headDim;
    const kept = Math.min(before, after);
    const heads = this.#slots * kvHeads;
    for (const [index, arena] of this.arenas.entries()) {
      const length = slots * kvHeads * after;
      const bytes = length * arena.BYTES_PER_ELEMENT;
      const buffer = arena.buffer as ArrayBuffer;
      if (bytes > buffer.maxByteLength) {
        const larger = this.#allocate(length);
        for (let head = 0; head < heads; head++) {
          larger.set(arena.subarray(head * before, head * before + kept), head * after);
        }
        this.arenas[index] = larger;
        // At once, and not when garbage is collected: there are never two copies of more than one arena.
        buffer.resize(0);
        continue;
      }
      // Heads move apart from the last one on, or together from the first, so that none is overwritten.
      if (bytes > buffer.byteLength) buffer.resize(bytes);
      const whole = viewOf(arena, buffer);
      for (let moved = 0; moved < heads; moved++) {
        const head = after > before ? heads - 1 - moved : moved;
        whole.copyWithin(head * after, head * before, head * before + kept);
      }
      if (bytes < buffer.byteLength) buffer.resize(bytes);
      this.arenas[index] = viewOf(arena, buffer);
    }
    this.#slots = slots;
    this.#capacity = capacity;
  }

  /** The memory of neighbouring slots in arena `index`. */
  view(index: number, first: number, count: number): CacheArray {
    const size = this.shape.kvHeads * this.#capacity * this.shape.headDim;
    return this.arenas[index]!.subarray(first * size, (first + count) * size);
  }

  /**
   * Copies new keys or values behind the last row of a slot.
   *
   * @param index of the arena
   * @param end the slot, and its row behind which the new ones go
   * @param from `[kvHeads, time, headDim]`, the sequence's own new rows
   * @param rows which of the `time` rows, in order; a number: the first so many
   */
  append(
    index: number,
    { slot, length }: { readonly slot: number; readonly length: number },
    { source, time }: { readonly source: CacheArray; readonly time: number },
    rows: { readonly count: number; at(row: number): number } | number,
  ): void {
    const { kvHeads, headDim } = this.shape;
    const arena = this.arenas[index]!;
    for (let head = 0; head < kvHeads; head++) {
      const from = head * time * headDim;
      const to = ((slot * kvHeads + head) * this.#capacity + length) * headDim;
      if (typeof rows === "number") {
        arena.set(source.subarray(from, from + rows * headDim), to);
        continue;
      }
      for (let row = 0; row < rows.count; row++) {
        const start = from + rows.at(row) * headDim;
        arena.set(source.subarray(start, start + headDim), to + row * headDim);
      }
    }
  }

  /** Copies the first `rows` rows of a slot to another. */
  copy(from: number, to: number, rows: number): void {
    this.#eachHead(from, to, (arena, source, target) => {
      arena.copyWithin(target, source, source + rows * this.shape.headDim);
    });
  }

  /** Exchanges two slots; only their first rows count. */
  exchange(a: number, b: number, rowsOfA: number, rowsOfB: number): void {
    const rows = Math.max(rowsOfA, rowsOfB) * this.shape.headDim;
    const held = this.#allocate(rows);
    this.#eachHead(a, b, (arena, source, target) => {
      held.set(arena.subarray(source, source + rows));
      arena.copyWithin(source, target, target + rows);
      arena.set(held, target);
    });
  }

  /**
   * A resizable buffer has pages of its own: shrinking returns them to the system, and rows that
   * were never written take no memory. Plain ones come from the allocator of the C library, which
   * keeps the memory of smaller arenas (measured: 150 MB after 4,096 tokens).
   */
  #allocate(length: number): CacheArray {
    const array = this.shape.dtype === "float16" ? Uint16Array : Float32Array;
    const bytes = length * array.BYTES_PER_ELEMENT;
    const maxByteLength = headroom * bytes;
    return new array(new ArrayBuffer(bytes, { maxByteLength }), 0, length);
  }

  #eachHead(
    a: number,
    b: number,
    body: (arena: CacheArray, startA: number, startB: number) => void,
  ): void {
    const { kvHeads, headDim } = this.shape;
    const stride = this.#capacity * headDim;
    for (const arena of this.arenas) {
      for (let head = 0; head < kvHeads; head++) {
        body(arena, (a * kvHeads + head) * stride, (b * kvHeads + head) * stride);
      }
    }
  }
}
