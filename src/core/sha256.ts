/** SHA-256 in steps, in Node and in browsers, whose own one takes everything at once and exists on secure pages only. */

/** A digest that is being made. */
export interface Sha256 {
  /** Adds bytes, or a text as UTF-8. */
  update(data: Uint8Array | string): Sha256;
  /** The digest in hexadecimal digits; nothing may be added afterwards. */
  hex(): string;
}

/** Begins a digest: by Node's own code where there is one. */
export function createSha256(): Sha256 {
  const builtin = globalThis.process?.getBuiltinModule?.("node:crypto");
  if (!builtin) return new PlainSha256();
  const hash = builtin.createHash("sha256");
  const digest: Sha256 = {
    update(data) {
      hash.update(data);
      return digest;
    },
    hex: () => hash.digest("hex"),
  };
  return digest;
}

const primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53] as const;
const first32Bits = (value: number): number => ((value - Math.floor(value)) * 2 ** 32) | 0;

/** The constants of the rounds: fractions of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
const roundConstants: Int32Array = ((): Int32Array => {
  const found: number[] = [...primes];
  for (let candidate = 59; found.length < 64; candidate += 2) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  }
  return Int32Array.from(found, (prime) => first32Bits(Math.cbrt(prime)));
})();

/** The algorithm of FIPS 180-4. */
export class PlainSha256 implements Sha256 {
  /** Fractions of the square roots of the first eight primes (5.3.3). */
  readonly #state: Int32Array = Int32Array.from(primes.slice(0, 8), (prime) =>
    first32Bits(Math.sqrt(prime)),
  );
  readonly #block: Uint8Array<ArrayBuffer> = new Uint8Array(64);
  readonly #view: DataView = new DataView(this.#block.buffer);
  readonly #words: Int32Array = new Int32Array(64);
  /** Bytes so far. */
  #length = 0;

  update(data: Uint8Array | string): this {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (let at = 0; at < bytes.length; ) {
      const filled = this.#length % 64;
      const part = bytes.subarray(at, at + 64 - filled);
      this.#block.set(part, filled);
      this.#length += part.length;
      at += part.length;
      if (this.#length % 64 === 0) this.#compress();
    }
    return this;
  }

  hex(): string {
    const bits = BigInt(this.#length) * 8n;
    const padding = new Uint8Array(((119 - (this.#length % 64)) % 64) + 1);
    padding[0] = 0x80;
    this.update(padding);
    const end = new Uint8Array(8);
    new DataView(end.buffer).setBigUint64(0, bits);
    this.update(end);
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #compress(): void {
    const words = this.#words;
    for (let t = 0; t < 16; t++) words[t] = this.#view.getInt32(4 * t);
    for (let t = 16; t < 64; t++) {
      const [x, y] = [words[t - 15]!, words[t - 2]!];
      const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
      const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
      words[t] = words[t - 16]! + s0 + words[t - 7]! + s1;
    }
    const state = this.#state;
    let [a, b, c, d, e, f, g, h] = state as unknown as Eight;
    for (let t = 0; t < 64; t++) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const choice = (e & f) ^ (~e & g);
      const t1 = (h + s1 + choice + roundConstants[t]! + words[t]!) | 0;
      const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + s0 + majority) | 0;
    }
    for (const [at, word] of [a, b, c, d, e, f, g, h].entries()) state[at] = state[at]! + word;
  }
}

type Eight = [number, number, number, number, number, number, number, number];

const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by));
