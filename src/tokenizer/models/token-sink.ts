/**
 * Growing arrays of token ids, with or without the span of each token in its word.
 */

/** A growing list of 32-bit integers. */
export class IntegerList {
  values: Int32Array;
  length = 0;

  constructor(capacity = 64) {
    this.values = new Int32Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.values.length) this.reserve(1);
    this.values[this.length++] = value;
  }

  /** Reserves space for `count` more values. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.values.length) return;
    const grown = new Int32Array(Math.max(needed, this.values.length * 2));
    grown.set(this.values.subarray(0, this.length));
    this.values = grown;
  }

  /** A copy of the values in an array of exactly their number. */
  toArray(): Int32Array {
    const { values, length } = this;
    const copy = new Int32Array(length);
    // `slice` and `set` cost more than they save on the few tokens of a line.
    if (length > 64) copy.set(values.subarray(0, length));
    else for (let i = 0; i < length; i++) copy[i] = values[i]!;
    return copy;
  }
}

/**
 * Receives the tokens of one word. Spans are positions in the UTF-8 bytes of the word for
 * models over any symbols; they may leave gaps or overlap (a character outside the vocabulary,
 * bytes of one character).
 */
export class TokenSink {
  ids: Int32Array = new Int32Array(64);
  starts: Int32Array = new Int32Array(64);
  ends: Int32Array = new Int32Array(64);
  length = 0;

  push(id: number, start: number, end: number): void {
    if (this.length === this.ids.length) this.reserve(1);
    this.ids[this.length] = id;
    this.starts[this.length] = start;
    this.ends[this.length] = end;
    this.length++;
  }

  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.ids.length) return;
    const capacity = Math.max(needed, this.ids.length * 2);
    const grow = (from: Int32Array): Int32Array => {
      const grown = new Int32Array(capacity);
      grown.set(from.subarray(0, this.length));
      return grown;
    };
    this.ids = grow(this.ids);
    this.starts = grow(this.starts);
    this.ends = grow(this.ends);
  }
}
