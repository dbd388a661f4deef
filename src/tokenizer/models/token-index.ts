/**
 * Finds which beginnings and endings of tokens are tokens themselves, for models that merge by
 * score: every cut of every token is tried, so look-ups must not build strings.
 *
 * The hash of a string is a polynomial in its UTF-16 units, so that the hashes of all beginnings and
 * of all endings of a token follow from one pass each.
 */
const base = 0x01000193;

export class TokenIndex {
  readonly #units: Uint16Array;
  readonly #starts: Int32Array;
  readonly #slots: Int32Array;
  readonly #hashes: Int32Array;
  readonly #mask: number;
  readonly #lefts: Int32Array;

  constructor(tokens: readonly string[]) {
    let total = 0;
    let longest = 0;
    for (const token of tokens) {
      total += token.length;
      longest = Math.max(longest, token.length);
    }
    this.#units = new Uint16Array(total);
    this.#starts = new Int32Array(tokens.length + 1);
    this.#lefts = new Int32Array(longest + 1);
    this.#hashes = new Int32Array(tokens.length);
    let size = 16;
    while (size < tokens.length * 2) size *= 2;
    this.#slots = new Int32Array(size);
    this.#mask = size - 1;
    let at = 0;
    for (const [index, token] of tokens.entries()) {
      let hash = 0;
      let power = 1;
      for (let i = 0; i < token.length; i++) {
        const unit = token.charCodeAt(i);
        this.#units[at++] = unit;
        hash = (hash + Math.imul(unit, power)) | 0;
        power = Math.imul(power, base);
      }
      this.#starts[index + 1] = at;
      this.#hashes[index] = hash;
      let slot = spread(hash) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = index + 1;
    }
  }

  /** Calls `visit` for each cut of a token whose two parts are tokens, with their indices. */
  visitCuts(index: number, visit: (left: number, right: number, cut: number) => void): void {
    const units = this.#units;
    const lefts = this.#lefts;
    const start = this.#starts[index]!;
    const end = this.#starts[index + 1]!;
    let hash = 0;
    let power = 1;
    for (let at = start; at + 1 < end; at++) {
      hash = (hash + Math.imul(units[at]!, power)) | 0;
      power = Math.imul(power, base);
      lefts[at + 1 - start] = this.#find(start, at + 1, hash);
    }
    hash = 0;
    for (let at = end - 1; at > start; at--) {
      hash = (units[at]! + Math.imul(hash, base)) | 0;
      const left = lefts[at - start]!;
      if (left < 0) continue;
      const right = this.#find(at, end, hash);
      if (right >= 0) visit(left, right, at - start);
    }
  }

  /** The token that equals units [start, end), or -1. */
  #find(start: number, end: number, hash: number): number {
    const units = this.#units;
    const starts = this.#starts;
    const slots = this.#slots;
    const hashes = this.#hashes;
    const mask = this.#mask;
    const length = end - start;
    let slot = spread(hash) & mask;
    for (;;) {
      const token = slots[slot]! - 1;
      if (token < 0) return -1;
      const from = starts[token]!;
      if (hashes[token] === hash && starts[token + 1]! - from === length) {
        let i = 0;
        while (i < length && units[from + i] === units[start + i]) i++;
        if (i === length) return token;
      }
      slot = (slot + 1) & mask;
    }
  }
}

/** Mixes the high bits of a polynomial hash into the low ones. */
function spread(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return mixed ^ (mixed >>> 13);
}
