/**
 * MinHash (Broder, 1997): short signatures of sets whose equal parts estimate the Jaccard similarity;
 * and buckets of signatures (locality-sensitive hashing by bands, Indyk and Motwani, 1998), which find
 * similar sets without comparing all pairs.
 */
import { createRandom, JetonError } from "../core/index.ts";
import { checkOptionNames, describeValue } from "../core/option-rules.ts";

/** Options of `createMinHash`. */
export interface MinHashOptions {
  /** Numbers of a signature, at most 65,536. Default 128: a standard deviation of the estimate of at most 0.044. */
  hashes?: number;
  /** Signatures of different seeds cannot be compared. Default 0. */
  seed?: number;
}

/** Makes signatures. */
export interface MinHash {
  readonly hashes: number;
  /**
   * The signature of a set of texts; elements that occur several times count once, and a text by itself is the set of its
   * characters. All ones for an empty set.
   *
   * @throws JetonError `min-hash-element-invalid` for an element that is no text
   */
  signature(elements: Iterable<string>): Uint32Array;
}

/**
 * Makes a family of hash functions.
 *
 * @throws JetonError `min-hash-option-invalid` for a number of hashes that is no whole number from 1 to 65,536, a
 *   seed that is no whole number, or an unknown option
 *
 * @example
 * const minHash = createMinHash();
 * const a = minHash.signature(characterNgrams("retrieval").keys());
 * const b = minHash.signature(characterNgrams("retrievals").keys());
 * estimateJaccard(a, b); // about 7/8
 */
export function createMinHash(options: MinHashOptions = {}): MinHash {
  checkNames(options, ["hashes", "seed"]);
  const { hashes = 128, seed = 0 } = options;
  if (!Number.isSafeInteger(seed)) throw invalid("seed", seed, "a whole number");
  if (!isCount(hashes)) throw invalid("hashes", hashes, expectedCount);
  const random = createRandom(seed, "min-hash");
  const factors = Uint32Array.from({ length: hashes }, () => random.uint32() | 1);
  const offsets = Uint32Array.from({ length: hashes }, () => random.uint32());
  return {
    hashes,
    signature(elements) {
      const signature = new Uint32Array(hashes).fill(0xffffffff);
      checkIterable(elements);
      for (const element of elements) {
        if (typeof element !== "string") throw invalidElement(element, "a text");
        const base = hashText(element);
        for (let i = 0; i < hashes; i++) {
          const value = mix(Math.imul(base, factors[i]!) + offsets[i]!);
          if (value < signature[i]!) signature[i] = value;
        }
      }
      return signature;
    },
  };
}

function checkIterable(elements: unknown): void {
  const iterate = (elements as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator];
  if (typeof iterate !== "function") throw invalidElement(elements, "a set or a list of texts");
}

function invalidElement(found: unknown, expected: string): JetonError {
  return new JetonError(`elements of a signature: ${describeValue(found)}; expected ${expected}`, {
    code: "min-hash-element-invalid",
    details: { found, expected },
  });
}

/** The 32-bit FNV-1a hash of the UTF-16 units, mixed. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return mix(hash);
}

function mix(hash: number): number {
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * Estimates the Jaccard similarity of two sets from their signatures: the share of equal numbers.
 *
 * @throws JetonError `min-hash-length` for signatures of different lengths, of none, or what is no signature
 */
export function estimateJaccard(a: Uint32Array, b: Uint32Array): number {
  checkSignature(a, 1);
  checkSignature(b, a.length);
  if (a.length !== b.length) throw lengthError(b.length, a.length);
  let equal = 0;
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) equal++;
  return equal / a.length;
}

/** Options of `createMinHashIndex`. */
export interface MinHashIndexOptions {
  /** Buckets that a signature goes to; two signatures are candidates if they share one. */
  bands: number;
  /** Numbers of a signature that make a bucket: all must be equal. */
  rows: number;
}

/** Finds sets that are probably similar: with probability 1 - (1 - s^rows)^bands at similarity s. */
export interface MinHashIndex {
  readonly size: number;
  /** Adds a signature of `bands * rows` numbers (or more, which are left out). Gives its number. */
  add(signature: Uint32Array): number;
  /** Numbers of the signatures that share a bucket with this one, ascending. */
  candidates(signature: Uint32Array): number[];
}

/**
 * Makes an empty index of signatures.
 *
 * @throws JetonError `min-hash-option-invalid` for bands or rows that are no whole numbers from 1 to 65,536; its
 *   functions `min-hash-length` for a signature that is too short, or what is none
 */
export function createMinHashIndex(options: MinHashIndexOptions): MinHashIndex {
  checkNames(options, ["bands", "rows"]);
  const { bands, rows } = options;
  if (!isCount(bands)) throw invalid("bands", bands, expectedCount);
  if (!isCount(rows)) throw invalid("rows", rows, expectedCount);
  const buckets = Array.from({ length: bands }, () => new Map<string, number[]>());
  let size = 0;
  const keys = (signature: Uint32Array): string[] => {
    checkSignature(signature, bands * rows);
    return buckets.map((_, band) => signature.subarray(band * rows, (band + 1) * rows).join());
  };
  return {
    get size() {
      return size;
    },
    add(signature) {
      for (const [band, key] of keys(signature).entries()) {
        const bucket = buckets[band]!.get(key);
        if (bucket === undefined) buckets[band]!.set(key, [size]);
        else bucket.push(size);
      }
      return size++;
    },
    candidates(signature) {
      const found = new Set<number>();
      for (const [band, key] of keys(signature).entries()) {
        for (const number of buckets[band]!.get(key) ?? []) found.add(number);
      }
      return [...found].sort((a, b) => a - b);
    },
  };
}

function checkNames(options: object, names: readonly string[]): void {
  checkOptionNames(options, names, { what: "MinHash", invalidCode: "min-hash-option-invalid" });
}

const expectedCount = "a whole number from 1 to 65,536";

function isCount(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value <= 65_536;
}

function checkSignature(signature: Uint32Array, length: number): void {
  if (!(signature instanceof Uint32Array)) throw lengthError(describeValue(signature), length);
  if (signature.length < length) throw lengthError(signature.length, length);
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`MinHash option ${option}: ${String(found)}; expected ${expected}`, {
    code: "min-hash-option-invalid",
    details: { option, found, expected },
  });
}

function lengthError(found: number | string, expected: number): JetonError {
  return new JetonError(`a signature of ${found} numbers; expected ${expected} in a Uint32Array`, {
    code: "min-hash-length",
    details: { found, expected },
  });
}
