/**
 * Token retrieval with imputed scores (XTR, Lee and others, 2023): each query token retrieves the best tokens
 * of the index, and a record is scored by what was retrieved of it. A record that a query token retrieved
 * nothing of gets the last retrieved score, an upper bound. No record is gathered and scored again.
 */
import { grow } from "../../lexical/term-table.ts";
import { type InvertedFile, InvertedScan } from "./inverted-file.ts";
import { multiplyRows } from "./products.ts";

/** The tokens of a part of an index. */
export interface TokenPart {
  readonly dim: number;
  /** `[records + 1]`: where each record's tokens begin. */
  readonly offsets: Uint32Array;
  /** Vectors by token; undefined where there is an inverted file. */
  readonly flat: Float32Array | undefined;
  readonly inverted: InvertedFile | undefined;
  /** 1 for each record that may be found. */
  readonly accepted: Uint8Array;
}

/** Options of `searchTokens`. */
export interface SearchTokensOptions {
  /** k' of the paper: how many tokens each query token retrieves. Infinity: all, which is exact. */
  readonly candidates: number;
  /** Clusters that each query token looks into at least, in each part. */
  readonly probes: number;
}

/** A record's score. */
export interface TokenCandidate {
  readonly part: number;
  readonly place: number;
  /** Mean over the query's tokens. */
  readonly score: number;
  /** For each query token its best retrieved token's number in the part, or -1. */
  readonly tokens: Int32Array;
  /** For each query token the score, retrieved or imputed. */
  readonly scores: Float32Array;
}

/** Tokens that a query token came by. */
class TokenList {
  parts: Uint32Array = new Uint32Array(1024);
  tokens: Uint32Array = new Uint32Array(1024);
  scores: Float32Array = new Float32Array(1024);
  size = 0;

  push(part: number, token: number, score: number): void {
    if (this.size === this.tokens.length) {
      this.parts = grow(this.parts);
      this.tokens = grow(this.tokens);
      this.scores = grow(this.scores);
    }
    this.parts[this.size] = part;
    this.tokens[this.size] = token;
    this.scores[this.size++] = score;
  }
}

/**
 * Scores every record of which some query token retrieved a token, in no order. With all tokens as
 * candidates the score is the mean over query tokens of the best product (MaxSim).
 *
 * @param query `[tokens, dim]`, of length 1
 */
export function searchTokens(
  parts: readonly TokenPart[],
  query: Float32Array,
  dim: number,
  options: SearchTokensOptions,
): TokenCandidate[] {
  const count = query.length / dim;
  const records = new RecordTable(parts);
  const candidates: { place: number; tokens: Int32Array; scores: Float32Array }[] = [];
  const bounds = new Float32Array(count);
  for (let at = 0; at < count; at++) {
    const row = query.subarray(at * dim, (at + 1) * dim);
    const list = collectTokens(parts, records, row, options);
    const last = kthLargest(list.scores.slice(0, list.size), options.candidates);
    bounds[at] = last;
    for (let i = 0; i < list.size; i++) {
      const score = list.scores[i]!;
      // All tokens with the last score are in: it is the imputed score as well, so none of them gains.
      if (score < last) continue;
      const record = records.recordOf(list.parts[i]!, list.tokens[i]!);
      let found = candidates[records.candidate[record]! - 1];
      if (found === undefined) {
        found = {
          place: record,
          tokens: new Int32Array(count).fill(-1),
          scores: new Float32Array(count).fill(Number.NEGATIVE_INFINITY),
        };
        records.candidate[record] = candidates.push(found);
      }
      if (score > found.scores[at]!) {
        found.scores[at] = score;
        found.tokens[at] = list.tokens[i]!;
      }
    }
  }
  return candidates.map(({ place, tokens, scores }) => {
    let sum = 0;
    for (let at = 0; at < count; at++) {
      if (tokens[at]! < 0) scores[at] = bounds[at]!;
      sum += scores[at]!;
    }
    return { ...records.locate(place), score: sum / count, tokens, scores };
  });
}

function collectTokens(
  parts: readonly TokenPart[],
  records: RecordTable,
  row: Float32Array,
  { candidates, probes }: SearchTokensOptions,
): TokenList {
  const list = new TokenList();
  for (const [number, part] of parts.entries()) {
    const accepts = (token: number): boolean => records.accepts(number, token);
    if (part.inverted !== undefined) {
      const scan = new InvertedScan(part.inverted, row);
      const before = list.size;
      for (let i = 0; i < scan.order.length; i++) {
        if (i >= probes && list.size - before >= candidates) break;
        scan.visitCluster(scan.order[i]!, accepts, (token, score) =>
          list.push(number, token, score),
        );
      }
    } else if (part.flat !== undefined) {
      const products = new Float32Array(part.flat.length / part.dim);
      multiplyRows(row, part.flat, part.dim, products);
      for (let token = 0; token < products.length; token++) {
        if (accepts(token)) list.push(number, token, products[token]!);
      }
    }
  }
  return list;
}

/** Which record each token belongs to, over all parts. */
class RecordTable {
  readonly #first: number[] = [];
  readonly #recordOf: Uint32Array[] = [];
  readonly #parts: readonly TokenPart[];
  /** Number of each record's candidate plus one. */
  readonly candidate: Uint32Array;

  constructor(parts: readonly TokenPart[]) {
    this.#parts = parts;
    let count = 0;
    for (const { offsets } of parts) {
      this.#first.push(count);
      this.#recordOf.push(recordsOfTokens(offsets));
      count += offsets.length - 1;
    }
    this.candidate = new Uint32Array(count);
  }

  accepts(part: number, token: number): boolean {
    return this.#parts[part]!.accepted[this.#recordOf[part]![token]!] === 1;
  }

  recordOf(part: number, token: number): number {
    return this.#first[part]! + this.#recordOf[part]![token]!;
  }

  locate(record: number): { part: number; place: number } {
    let part = this.#first.length - 1;
    while (this.#first[part]! > record) part--;
    return { part, place: record - this.#first[part]! };
  }
}

const known: WeakMap<Uint32Array, Uint32Array> = new WeakMap();

function recordsOfTokens(offsets: Uint32Array): Uint32Array {
  let records = known.get(offsets);
  if (records === undefined) {
    records = new Uint32Array(offsets.at(-1)!);
    for (let record = 0; record + 1 < offsets.length; record++) {
      records.fill(record, offsets[record], offsets[record + 1]);
    }
    known.set(offsets, records);
  }
  return records;
}

/** The k-th largest value, or the smallest where there are fewer; changes the order of the values. */
export function kthLargest(values: Float32Array, k: number): number {
  if (values.length === 0) return Number.NEGATIVE_INFINITY;
  if (k >= values.length) return values.reduce((least, value) => Math.min(least, value));
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = values[(low + high) >> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i]! > pivot) i++;
      while (values[j]! < pivot) j--;
      if (i <= j) {
        const held = values[i]!;
        values[i++] = values[j]!;
        values[j--] = held;
      }
    }
    if (k - 1 <= j) high = j;
    else if (k - 1 >= i) low = i;
    else break;
  }
  return values[k - 1]!;
}

/** The mean over query tokens of the best product with a record's tokens; 0 without tokens. */
export function maxSim(query: Float32Array, tokens: Float32Array, dim: number): number {
  const [count, length] = [query.length / dim, tokens.length / dim];
  if (count === 0 || length === 0) return 0;
  const products = new Float32Array(length);
  let sum = 0;
  for (let at = 0; at < count; at++) {
    multiplyRows(query.subarray(at * dim, (at + 1) * dim), tokens, dim, products);
    sum += products.reduce((best, value) => Math.max(best, value));
  }
  return sum / count;
}
