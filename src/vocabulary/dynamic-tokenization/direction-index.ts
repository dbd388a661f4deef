/**
 * An index of the rows of a very large head: which tokens have the largest product with a hidden state,
 * without looking at all of them. Rows are grouped by direction; a query looks into the groups whose
 * centres are nearest to it.
 */
import { createRandom } from "../../core/index.ts";

export interface DirectionIndexOptions {
  /** Groups. Default: the square root of the number of rows. */
  partitions?: number;
  /** Rounds of k-means. Default 4. */
  rounds?: number;
  /** Rows that the centres are learned from. Default 32 for each group. */
  sample?: number;
  /** Default 0. */
  seed?: number;
  signal?: AbortSignal;
}

export interface SearchOptions {
  /** Groups that are looked into. Default: a twentieth of them, at least 1. */
  probes?: number;
}

/** Tokens, best first. */
export interface FoundTokens {
  readonly ids: Int32Array;
  /** Products with the rows as they are, not with their directions. */
  readonly logits: Float32Array;
  /** Rows that were looked at. */
  readonly scanned: number;
}

/** An index over rows; it reads the rows where they are. */
export class DirectionIndex {
  readonly partitions: number;
  readonly #rows: Float32Array;
  readonly #width: number;
  readonly #inverseNorms: Float32Array;
  readonly #centres: Float32Array;
  /** Ids of the rows of all groups, group after group, and where each group begins. */
  readonly #ids: Int32Array;
  readonly #starts: Int32Array;

  /** @param rows `[count, width]`, kept and not copied */
  constructor(rows: Float32Array, width: number, options: DirectionIndexOptions = {}) {
    const count = rows.length / width;
    const { partitions = Math.ceil(Math.sqrt(count)), rounds = 4, seed = 0, signal } = options;
    this.partitions = Math.max(1, Math.min(partitions, count));
    this.#rows = rows;
    this.#width = width;
    this.#inverseNorms = new Float32Array(count);
    for (let row = 0; row < count; row++) {
      let sum = 0;
      for (let i = row * width; i < (row + 1) * width; i++) sum += rows[i]! ** 2;
      this.#inverseNorms[row] = sum > 0 ? 1 / Math.sqrt(sum) : 0;
    }
    const random = createRandom(seed, "index");
    const wanted = Math.min(count, options.sample ?? 32 * this.partitions);
    const sample = Int32Array.from({ length: Math.max(wanted, this.partitions) }, () =>
      random.integer(count),
    );
    this.#centres = this.#learnCentres(sample, rounds, signal);
    const groups = new Int32Array(count);
    const sizes = new Int32Array(this.partitions + 1);
    for (let row = 0; row < count; row++) {
      if (row % 4096 === 0) signal?.throwIfAborted();
      groups[row] = this.#nearestCentre(row);
      sizes[groups[row]! + 1]!++;
    }
    for (let group = 0; group < this.partitions; group++) sizes[group + 1]! += sizes[group]!;
    this.#starts = sizes;
    this.#ids = new Int32Array(count);
    const next = sizes.slice();
    for (let row = 0; row < count; row++) this.#ids[next[groups[row]!]!++] = row;
  }

  /**
   * The rows with the largest products with a query, among the groups that are nearest to it. With all
   * groups probed this is exact.
   */
  search(query: Float32Array, count: number, options: SearchOptions = {}): FoundTokens {
    const { probes = Math.max(1, Math.ceil(this.partitions / 20)) } = options;
    const scores = new Float32Array(this.partitions);
    for (let group = 0; group < this.partitions; group++) {
      scores[group] = dot(this.#centres, group * this.#width, query, this.#width);
    }
    const nearest = Array.from(scores.keys())
      .sort((a, b) => scores[b]! - scores[a]! || a - b)
      .slice(0, probes);
    const best = new BestRows(count);
    let scanned = 0;
    for (const group of nearest) {
      for (let at = this.#starts[group]!; at < this.#starts[group + 1]!; at++) {
        const row = this.#ids[at]!;
        best.offer(row, dot(this.#rows, row * this.#width, query, this.#width));
        scanned++;
      }
    }
    return { ...best.sorted(), scanned };
  }

  #learnCentres(sample: Int32Array, rounds: number, signal: AbortSignal | undefined): Float32Array {
    const width = this.#width;
    const centres = new Float32Array(this.partitions * width);
    for (let group = 0; group < this.partitions; group++) {
      this.#addDirection(sample[group]!, centres, group);
    }
    for (let round = 0; round < rounds; round++) {
      const sums = new Float32Array(centres.length);
      for (const [place, row] of sample.entries()) {
        if (place % 1024 === 0) signal?.throwIfAborted();
        this.#addDirection(row, sums, this.#nearestCentre(row, centres));
      }
      for (let group = 0; group < this.partitions; group++) {
        const from = group * width;
        const norm = Math.sqrt(dot(sums, from, sums.subarray(from, from + width), width));
        // A group that nobody chose keeps its centre.
        if (norm === 0) continue;
        for (let i = from; i < from + width; i++) centres[i] = sums[i]! / norm;
      }
    }
    return centres;
  }

  #addDirection(row: number, sums: Float32Array, group: number): void {
    const scale = this.#inverseNorms[row]!;
    for (let i = 0; i < this.#width; i++) {
      sums[group * this.#width + i]! += scale * this.#rows[row * this.#width + i]!;
    }
  }

  #nearestCentre(row: number, centres: Float32Array = this.#centres): number {
    const query = this.#rows.subarray(row * this.#width, (row + 1) * this.#width);
    let best = 0;
    let score = Number.NEGATIVE_INFINITY;
    for (let group = 0; group < this.partitions; group++) {
      const product = dot(centres, group * this.#width, query, this.#width);
      if (product > score) {
        score = product;
        best = group;
      }
    }
    return best;
  }
}

/** The rows with the largest products with a query, all of them looked at. */
export function searchExactly(
  rows: Float32Array,
  width: number,
  query: Float32Array,
  count: number,
): FoundTokens {
  const best = new BestRows(count);
  const scanned = rows.length / width;
  for (let row = 0; row < scanned; row++) best.offer(row, dot(rows, row * width, query, width));
  return { ...best.sorted(), scanned };
}

function dot(rows: Float32Array, from: number, query: Float32Array, width: number): number {
  let a = 0;
  let b = 0;
  let i = 0;
  // Two sums at a time: the additions need not wait for each other.
  for (; i + 1 < width; i += 2) {
    a += rows[from + i]! * query[i]!;
    b += rows[from + i + 1]! * query[i + 1]!;
  }
  if (i < width) a += rows[from + i]! * query[i]!;
  return a + b;
}

/** The best of what is offered; ties go to the smaller id. */
class BestRows {
  readonly #count: number;
  readonly #kept: { id: number; logit: number }[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  offer(id: number, logit: number): void {
    const kept = this.#kept;
    const last = kept.at(-1);
    const isFull = kept.length === this.#count;
    if (isFull && (logit < last!.logit || (logit === last!.logit && id > last!.id))) return;
    let at = kept.length;
    while (at > 0 && isBetter(id, logit, kept[at - 1]!)) at--;
    kept.splice(at, 0, { id, logit });
    if (kept.length > this.#count) kept.pop();
  }

  sorted(): { ids: Int32Array; logits: Float32Array } {
    return {
      ids: Int32Array.from(this.#kept, ({ id }) => id),
      logits: Float32Array.from(this.#kept, ({ logit }) => logit),
    };
  }
}

function isBetter(id: number, logit: number, other: { id: number; logit: number }): boolean {
  return logit > other.logit || (logit === other.logit && id < other.id);
}
