/**
 * Token retrieval with imputed scores (XTR, Lee and others, 2023): each query token retrieves the best tokens
 * of the index, and a record is scored by what was retrieved of it. A record that a query token retrieved
 * nothing of gets the last retrieved score, an upper bound. Or records are estimated by the clusters of their tokens, and
 * the best of them scored by all of their tokens, as matrix products where the tokens are in an inverted file.
 */
import { grow } from "../../lexical/term-table.ts";
import { rankByClusters, recordsOfClusters } from "./cluster-ranking.ts";
import type { InvertedFile } from "./inverted-file.ts";
import { InvertedScan } from "./inverted-scan.ts";
import { kthLargest } from "./kth-largest.ts";
import { dotAt, multiplyRows } from "./products.ts";
import type { CentroidScores, TokenEngine } from "./token-engine.ts";

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

/** Options of `TokenSearch`. */
export interface TokenRetrievalOptions {
  /** k' of the paper: how many tokens each query token retrieves. */
  readonly candidates: number;
  /** Clusters that each query token looks into at least, in each part. */
  readonly probes: number;
}

/** Scores of records. */
export interface RecordScores {
  /** Numbers of the records over all parts, as `TokenSearch` counts them. */
  readonly records: Uint32Array;
  /** Mean over the query's tokens, by record. */
  readonly means: Float64Array;
}

/** Scores of records, and which of their tokens earned them. */
export interface TokenScores extends RecordScores {
  /** `[records, query tokens]`: retrieved or imputed. */
  readonly scores: Float32Array;
  /** `[records, query tokens]`: the token's number in its part, or -1 where the score is imputed. */
  readonly tokens: Int32Array;
}

/** Tokens that a query token came by. */
class TokenList {
  records: Uint32Array = new Uint32Array(1024);
  tokens: Uint32Array = new Uint32Array(1024);
  scores: Float32Array = new Float32Array(1024);
  size = 0;

  push(record: number, token: number, score: number): void {
    if (this.size === this.tokens.length) {
      this.records = grow(this.records);
      this.tokens = grow(this.tokens);
      this.scores = grow(this.scores);
    }
    this.records[this.size] = record;
    this.tokens[this.size] = token;
    this.scores[this.size++] = score;
  }

  /** Keeps those of at least `bound`, in their order. */
  keepFrom(bound: number): void {
    let kept = 0;
    for (let i = 0; i < this.size; i++) {
      if (this.scores[i]! < bound) continue;
      this.records[kept] = this.records[i]!;
      this.tokens[kept] = this.tokens[i]!;
      this.scores[kept++] = this.scores[i]!;
    }
    this.size = kept;
  }
}

/**
 * One query over the parts of an index. `retrieve` and `impute` are two steps, since the last retrieved scores are those
 * of the whole index, of which this may be one shard.
 */
export class TokenSearch {
  readonly #parts: readonly TokenPart[];
  readonly #query: Float32Array;
  readonly #dim: number;
  readonly #count: number;
  readonly #first: readonly number[];
  readonly #recordOf: readonly Uint32Array[];
  /** By query token, then by part. */
  readonly #scans: (InvertedScan | undefined)[][];
  readonly #openEngine: () => Promise<TokenEngine>;
  /** By part. */
  readonly #centroids: Promise<CentroidScores>[] = [];
  #lists: TokenList[] = [];

  /**
   * @param query `[tokens, dim]`, of length 1
   * @param openEngine called where records of an inverted file are estimated or scored by all of their tokens
   */
  constructor(
    parts: readonly TokenPart[],
    query: Float32Array,
    dim: number,
    openEngine: () => Promise<TokenEngine>,
  ) {
    this.#parts = parts;
    this.#openEngine = openEngine;
    this.#query = query;
    this.#dim = dim;
    this.#count = query.length / dim;
    const first = [0];
    for (const { offsets } of parts) first.push(first.at(-1)! + offsets.length - 1);
    this.#first = first;
    this.#recordOf = parts.map(({ offsets }) => recordsOfTokens(offsets));
    this.#scans = Array.from({ length: this.#count }, () => []);
  }

  /** The part and the place there of a record's number. */
  locate(record: number): { part: number; place: number } {
    let part = this.#parts.length - 1;
    while (this.#first[part]! > record) part--;
    return { part, place: record - this.#first[part]! };
  }

  /** A record's number. */
  numberOf(part: number, place: number): number {
    return this.#first[part]! + place;
  }

  /**
   * Retrieves tokens.
   *
   * @returns for each query token its best scores, at most `candidates` and in no order
   */
  retrieve(options: TokenRetrievalOptions): Float32Array[] {
    this.#lists = [];
    const best: Float32Array[] = [];
    for (let at = 0; at < this.#count; at++) {
      const list = new TokenList();
      for (let part = 0; part < this.#parts.length; part++) this.#collect(at, part, options, list);
      const scores = list.scores.slice(0, list.size);
      list.keepFrom(kthLargest(scores, options.candidates));
      this.#lists.push(list);
      // The selection left the best in front.
      best.push(scores.slice(0, Math.min(scores.length, options.candidates)));
    }
    return best;
  }

  /**
   * Scores every record of which some query token retrieved a token, in no order.
   *
   * @param bounds for each query token the last score that it retrieved in the whole index
   */
  impute(bounds: Float32Array): TokenScores {
    const slots = new Uint32Array(this.#first.at(-1)!);
    const records: number[] = [];
    for (const [at, { records: found, scores, size }] of this.#lists.entries()) {
      for (let i = 0; i < size; i++) {
        // All tokens with the last score are in: it is the imputed score as well, so none of them gains.
        if (scores[i]! < bounds[at]! || slots[found[i]!] !== 0) continue;
        slots[found[i]!] = records.push(found[i]!);
      }
    }
    const result = this.#makeScores(Uint32Array.from(records));
    for (let at = 0; at < this.#count; at++) {
      for (let slot = 0; slot < records.length; slot++) {
        result.scores[slot * this.#count + at] = bounds[at]!;
      }
      const { records: found, tokens, scores, size } = this.#lists[at]!;
      for (let i = 0; i < size; i++) {
        const score = scores[i]!;
        if (score < bounds[at]!) continue;
        const entry = (slots[found[i]!]! - 1) * this.#count + at;
        if (result.tokens[entry]! >= 0 && score <= result.scores[entry]!) continue;
        result.scores[entry] = score;
        result.tokens[entry] = tokens[i]!;
      }
    }
    return this.#average(result);
  }

  /** Numbers of all accepted records that have tokens. */
  allRecords(): Uint32Array {
    const all: number[] = [];
    for (const [part, { offsets, accepted }] of this.#parts.entries()) {
      for (let place = 0; place + 1 < offsets.length; place++) {
        const isFound = accepted[place] === 1 && offsets[place + 1]! > offsets[place]!;
        if (isFound) all.push(this.#first[part]! + place);
      }
    }
    return Uint32Array.from(all);
  }

  /**
   * Estimates every accepted record that has tokens: by the clusters of its tokens, or exactly where there are none.
   *
   * @param wanted how many of the best are given; more where some are equal
   */
  async estimate(options: TokenRetrievalOptions, wanted: number): Promise<RecordScores> {
    const all = this.allRecords();
    const means = new Float64Array(all.length);
    for (const { part, slots, places } of this.#divide(all)) {
      const { inverted, offsets, accepted } = this.#parts[part]!;
      const scores =
        inverted === undefined
          ? this.#scoreFlat(part, places)
          : rankByClusters({
              ...options,
              lists: recordsOfClusters(inverted, recordsOfTokens(offsets)),
              centroids: await this.#centroidsOf(part, options.probes),
              count: this.#count,
              accepted,
            });
      const isByPlace = inverted !== undefined;
      for (const [i, slot] of slots.entries()) means[slot] = scores[isByPlace ? places[i]! : i]!;
    }
    const bound = kthLargest(means.slice(), wanted);
    const slots = Uint32Array.from(all.keys()).filter((slot) => means[slot]! >= bound);
    return {
      records: slots.map((slot) => all[slot]!),
      means: Float64Array.from(slots, (slot) => means[slot]!),
    };
  }

  /** Scores records by the best of all their tokens for each query token (MaxSim). */
  async scoreExactly(records: Uint32Array): Promise<RecordScores> {
    const means = new Float64Array(records.length);
    for (const { part, slots, places } of this.#divide(records)) {
      const { inverted, offsets } = this.#parts[part]!;
      if (inverted === undefined) {
        const scores = this.#scoreFlat(part, places);
        for (const [i, slot] of slots.entries()) means[slot] = scores[i]!;
        continue;
      }
      const { scores: centroidScores } = await this.#centroidsOf(part);
      const query = { rows: this.#query, count: this.#count };
      const scored = { file: inverted, offsets, places, centroidScores };
      const best = await (await this.#openEngine()).bestProducts(query, scored);
      for (const [i, slot] of slots.entries()) means[slot] = this.#meanOf(best, i);
    }
    return { records, means };
  }

  /** The best token of a record for each query token, all of its tokens compared. */
  matchTokens(record: number): TokenScores {
    const { part, place } = this.locate(record);
    const result = this.#makeScores(Uint32Array.of(record));
    for (let at = 0; at < this.#count; at++) {
      const { token, score } = this.#bestToken(at, part, place);
      result.scores[at] = score;
      result.tokens[at] = token;
    }
    return this.#average(result);
  }

  /** Records by part, with their slots among those that were given. */
  #divide(records: Uint32Array): { part: number; slots: number[]; places: Uint32Array }[] {
    const slotsOf = this.#parts.map((): number[] => []);
    for (const [slot, record] of records.entries()) slotsOf[this.locate(record).part]!.push(slot);
    return slotsOf.flatMap((slots, part) => {
      if (slots.length === 0) return [];
      const first = this.#first[part]!;
      return { part, slots, places: Uint32Array.from(slots, (slot) => records[slot]! - first) };
    });
  }

  /** @param probes clusters that are looked into, of which one more is asked for */
  #centroidsOf(part: number, probes = 0): Promise<CentroidScores> {
    this.#centroids[part] ??= this.#openEngine().then((engine) => {
      const query = { rows: this.#query, count: this.#count };
      return engine.centroidScores(this.#parts[part]!.inverted!, query, probes + 1);
    });
    return this.#centroids[part];
  }

  #scoreFlat(part: number, places: Uint32Array): Float64Array {
    const best = new Float32Array(places.length * this.#count);
    for (let at = 0; at < this.#count; at++) {
      for (const [slot, place] of places.entries()) {
        best[slot * this.#count + at] = this.#bestToken(at, part, place).score;
      }
    }
    return Float64Array.from(places, (_, slot) => this.#meanOf(best, slot));
  }

  #collect(at: number, part: number, options: TokenRetrievalOptions, list: TokenList): void {
    const { inverted, flat, accepted, dim } = this.#parts[part]!;
    const recordOf = this.#recordOf[part]!;
    const first = this.#first[part]!;
    if (inverted === undefined) {
      if (flat === undefined) return;
      const products = new Float32Array(flat.length / dim);
      multiplyRows(this.#row(at), flat, dim, products);
      for (let token = 0; token < products.length; token++) {
        const place = recordOf[token]!;
        if (accepted[place] === 1) list.push(first + place, token, products[token]!);
      }
      return;
    }
    const scan = this.#scanOf(at, part);
    const { starts, tokens } = inverted;
    const before = list.size;
    for (let i = 0; i < scan.clusters; i++) {
      if (i >= options.probes && list.size - before >= options.candidates) break;
      const cluster = scan.nearest(i < options.probes ? options.probes : i + 1)[i]!;
      const start = starts[cluster]!;
      const scores = scratchOf(starts[cluster + 1]! - start);
      const count = scan.scoreCluster(cluster, scores);
      for (let j = 0; j < count; j++) {
        const token = tokens[start + j]!;
        const place = recordOf[token]!;
        if (accepted[place] === 1) list.push(first + place, token, scores[j]!);
      }
    }
  }

  #bestToken(at: number, part: number, place: number): { token: number; score: number } {
    const { inverted, flat, offsets, dim } = this.#parts[part]!;
    const [start, end] = [offsets[place]!, offsets[place + 1]!];
    if (inverted !== undefined) return this.#scanOf(at, part).bestOf(start, end);
    let [best, found] = [Number.NEGATIVE_INFINITY, -1];
    for (let token = start; token < end; token++) {
      const score = Math.fround(dotAt(this.#query, at * dim, flat!, token * dim, dim));
      if (score > best) [best, found] = [score, token];
    }
    return { token: found, score: best };
  }

  #row(at: number): Float32Array {
    return this.#query.subarray(at * this.#dim, (at + 1) * this.#dim);
  }

  #scanOf(at: number, part: number): InvertedScan {
    const scans = this.#scans[at]!;
    scans[part] ??= new InvertedScan(this.#parts[part]!.inverted!, this.#row(at));
    return scans[part];
  }

  #makeScores(records: Uint32Array): TokenScores {
    const size = records.length * this.#count;
    return {
      records,
      means: new Float64Array(records.length),
      scores: new Float32Array(size),
      tokens: new Int32Array(size).fill(-1),
    };
  }

  #average(result: TokenScores): TokenScores {
    for (let slot = 0; slot < result.records.length; slot++) {
      result.means[slot] = this.#meanOf(result.scores, slot);
    }
    return result;
  }

  #meanOf(scores: Float32Array, slot: number): number {
    let sum = 0;
    for (let at = 0; at < this.#count; at++) sum += scores[slot * this.#count + at]!;
    return sum / this.#count;
  }
}

let scratch: Float32Array = new Float32Array(4096);

function scratchOf(length: number): Float32Array {
  if (length > scratch.length) scratch = new Float32Array(2 * length);
  return scratch;
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

/** For each query token the last score that it retrieved over all parts of a collection. */
export function lastScores(
  parts: readonly (readonly Float32Array[])[],
  candidates: number,
): Float32Array {
  return Float32Array.from(parts[0] ?? [], (_, at) => {
    const all = new Float32Array(parts.reduce((sum, lists) => sum + lists[at]!.length, 0));
    let size = 0;
    for (const lists of parts) {
      all.set(lists[at]!, size);
      size += lists[at]!.length;
    }
    return kthLargest(all, candidates);
  });
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
