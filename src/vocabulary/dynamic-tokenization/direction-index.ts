/**
 * An index of the rows of a very large head: which tokens have the largest product with a hidden state,
 * without looking at all of them. Rows are grouped by direction, and a query looks into the groups that
 * promise most. The longest rows belong to no group: a long row can win from far away, so every query
 * looks at them.
 */
import { createRandom, JetonError } from "../../core/index.ts";
import { argmax, compile, float32, matmul, trace } from "../../tensor/index.ts";

/** Options of `createDirectionIndex`. */
export interface DirectionIndexOptions {
  /** Groups. Default: the square root of the number of rows. */
  partitions?: number;
  /** Rounds of k-means. Default 4. */
  rounds?: number;
  /** Rows that the centres are learned from. Default 32 for each group. */
  sample?: number;
  /** Share of the rows, the longest, that every search looks at. Default 0.02. */
  always?: number;
  /** Default 0. */
  seed?: number;
  /** Of the grouping. Default 2. */
  threads?: number;
  /** True: the grouping runs on the calling thread and blocks it. Default false. */
  inline?: boolean;
  signal?: AbortSignal;
}

/** Options of a search in a direction index. */
export interface SearchOptions {
  /** Groups that are looked into. Default: two of a hundred, at least 1. */
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

/**
 * Builds an index over rows.
 *
 * @param rows `[count, width]`; the index holds a copy of them, in another order
 * @throws JetonError `index-rows` when there is no row, or not a whole number of them
 */
export async function createDirectionIndex(
  rows: Float32Array,
  width: number,
  options: DirectionIndexOptions = {},
): Promise<DirectionIndex> {
  const count = rows.length / width;
  if (!Number.isInteger(count) || count === 0) {
    throw new JetonError(`${rows.length} numbers are not rows of ${width}`, {
      code: "index-rows",
      details: { found: rows.length, expected: `a multiple of ${width}` },
    });
  }
  const { rounds = 4, seed = 0, signal, always = 0.02 } = options;
  const partitions = Math.max(
    1,
    Math.min(options.partitions ?? Math.ceil(Math.sqrt(count)), count),
  );
  const norms = normsOf(rows, width);
  const random = createRandom(seed, "index");
  const size = Math.max(partitions, Math.min(count, options.sample ?? 32 * partitions));
  const sample = new Float32Array(size * width);
  for (let place = 0; place < size; place++) {
    const row = random.integer(count);
    // Rows count by their direction alone.
    const scale = norms[row]! > 0 ? 1 / norms[row]! : 0;
    for (let i = 0; i < width; i++) sample[place * width + i] = scale * rows[row * width + i]!;
  }

  const grouping = await openGrouping(width, partitions, options);
  try {
    let centres: Float32Array = sample.slice(0, partitions * width);
    for (let round = 0; round < rounds; round++) {
      centres = meanDirections(
        sample,
        await grouping.assign(sample, centres, signal),
        centres,
        width,
      );
    }
    const groups = await grouping.assign(rows, centres, signal);
    const limit =
      Float32Array.from(norms).sort()[Math.max(0, count - 1 - Math.floor(always * count))]!;
    for (let row = 0; row < count; row++) if (norms[row]! > limit) groups[row] = noGroup;
    return new DirectionIndex(rows, width, groups, partitions);
  } finally {
    await grouping.release();
  }
}

/** Group of a row that every search looks at. */
const noGroup = -1;

/** An index over rows, made by `createDirectionIndex`. It holds them group after group. */
export class DirectionIndex {
  readonly partitions: number;
  readonly #width: number;
  /** The rows without a group, then those of the groups, and their ids: a search reads memory in order. */
  readonly #rows: Float32Array;
  readonly #ids: Int32Array;
  /** Where each group begins, and where the last one ends. */
  readonly #starts: Int32Array;
  /** Means of the rows of each group. */
  readonly #means: Float32Array;
  /** Roots of the mean squared distance of a group's rows from their mean. */
  readonly #spreads: Float64Array;

  /** @param groups the group of each row, from 0; below 0: every search looks at it */
  constructor(rows: Float32Array, width: number, groups: Int32Array, partitions: number) {
    this.partitions = partitions;
    this.#width = width;
    const starts = new Int32Array(partitions + 2);
    for (const group of groups) starts[group + 2]!++;
    for (let place = 1; place < starts.length; place++) starts[place]! += starts[place - 1]!;
    this.#starts = starts.subarray(1);
    this.#ids = new Int32Array(groups.length);
    this.#rows = new Float32Array(rows.length);
    const next = starts.slice();
    for (const [row, group] of groups.entries()) {
      const at = next[group + 1]!++;
      this.#ids[at] = row;
      this.#rows.set(rows.subarray(row * width, (row + 1) * width), at * width);
    }
    this.#means = new Float32Array(partitions * width);
    this.#spreads = new Float64Array(partitions);
    for (let group = 0; group < partitions; group++) this.#describe(group);
  }

  #describe(group: number): void {
    const width = this.#width;
    const [from, to] = [this.#starts[group]! * width, this.#starts[group + 1]! * width];
    const count = Math.max(1, (to - from) / width);
    const mean = this.#means.subarray(group * width, (group + 1) * width);
    for (let at = from; at < to; at++) mean[(at - from) % width]! += this.#rows[at]! / count;
    let squares = 0;
    for (let at = from; at < to; at++)
      squares += (this.#rows[at]! - mean[(at - from) % width]!) ** 2;
    this.#spreads[group] = Math.sqrt(squares / count);
  }

  /**
   * The rows with the largest products with a query, among the longest rows and the groups that promise
   * most. With all groups probed this is exact.
   */
  search(query: Float32Array, count: number, options: SearchOptions = {}): FoundTokens {
    const { probes = Math.max(1, Math.ceil(0.02 * this.partitions)) } = options;
    const best = new BestRows(count);
    let scanned = 0;
    const look = (from: number, to: number): void => {
      for (let at = from; at < to; at++) {
        best.offer(this.#ids[at]!, dot(this.#rows, at * this.#width, query, this.#width));
      }
      scanned += to - from;
    };
    look(0, this.#starts[0]!);
    for (const group of this.#mostPromising(query, probes)) {
      look(this.#starts[group]!, this.#starts[group + 1]!);
    }
    return { ...best.sorted(), scanned };
  }

  /**
   * Groups by what their rows may reach: the product with the mean, and some deviations of the products
   * around it (if rows deviate alike in all directions, a product deviates by the spread times the length
   * of the query over the root of the width).
   */
  #mostPromising(query: Float32Array, probes: number): number[] {
    const width = this.#width;
    const deviation = Math.sqrt(dot(query, 0, query, width) / width);
    const reach = this.#spreads.map(
      (spread, group) =>
        dot(this.#means, group * width, query, width) + deviationsReached * deviation * spread,
    );
    return Array.from(reach.keys())
      .sort((a, b) => reach[b]! - reach[a]! || a - b)
      .slice(0, probes);
  }
}

/** Deviations above its mean that a group is expected to reach; the best of a thousand rows are there. */
const deviationsReached = 4;

function normsOf(rows: Float32Array, width: number): Float32Array {
  return Float32Array.from({ length: rows.length / width }, (_, row) => {
    let sum = 0;
    for (let i = row * width; i < (row + 1) * width; i++) sum += rows[i]! ** 2;
    return Math.sqrt(sum);
  });
}

/** The nearest centre by direction for rows, computed by the engine. */
async function openGrouping(
  width: number,
  partitions: number,
  { threads = 2, inline = false }: DirectionIndexOptions,
) {
  const types = { rows: float32(["rows", width]), centres: float32([partitions, width]) };
  const graph = trace(types, ({ rows, centres }) => ({
    // The length of a row does not change which product is the largest.
    groups: argmax(matmul(rows, centres, { transposeB: true })),
  }));
  const program = await compile(graph, { threads, inline, spinning: false });
  // The products of one run take 32 MB.
  const chunk = Math.max(1, Math.floor(2 ** 23 / partitions));
  return {
    async assign(rows: Float32Array, centres: Float32Array, signal?: AbortSignal) {
      const groups = new Int32Array(rows.length / width);
      for (let at = 0; at < groups.length; at += chunk) {
        signal?.throwIfAborted();
        const size = Math.min(chunk, groups.length - at);
        const found = await program.run({
          // A slice: a view would take the whole buffer along to the worker.
          rows: { data: rows.slice(at * width, (at + size) * width), shape: [size, width] },
          centres: { data: centres, shape: [partitions, width] },
        });
        groups.set(found.groups.data as Int32Array, at);
      }
      return groups;
    },
    release: () => program.release(),
  };
}

/** Mean direction of each group; an empty group keeps its centre. */
function meanDirections(
  directions: Float32Array,
  groups: Int32Array,
  centres: Float32Array,
  width: number,
): Float32Array {
  const sums = new Float32Array(centres.length);
  for (const [place, group] of groups.entries()) {
    for (let i = 0; i < width; i++) sums[group * width + i]! += directions[place * width + i]!;
  }
  for (let from = 0; from < sums.length; from += width) {
    const sum = sums.subarray(from, from + width);
    const norm = Math.sqrt(dot(sum, 0, sum, width));
    if (norm === 0) sum.set(centres.subarray(from, from + width));
    else for (let i = 0; i < width; i++) sum[i]! /= norm;
  }
  return sums;
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
  let c = 0;
  let d = 0;
  let i = 0;
  // Four sums at a time: the additions need not wait for each other.
  for (; i + 3 < width; i += 4) {
    a += rows[from + i]! * query[i]!;
    b += rows[from + i + 1]! * query[i + 1]!;
    c += rows[from + i + 2]! * query[i + 2]!;
    d += rows[from + i + 3]! * query[i + 3]!;
  }
  for (; i < width; i++) a += rows[from + i]! * query[i]!;
  return a + b + (c + d);
}

/** Keeps the best of the offered rows; ties go to the smaller id. */
class BestRows {
  readonly #count: number;
  readonly #kept: { id: number; logit: number }[] = [];
  /** Score that a row must exceed to be kept. */
  #least: number = Number.NEGATIVE_INFINITY;

  constructor(count: number) {
    this.#count = count;
  }

  offer(id: number, logit: number): void {
    if (logit < this.#least) return;
    const kept = this.#kept;
    let at = kept.length;
    while (at > 0 && isBetter(id, logit, kept[at - 1]!)) at--;
    kept.splice(at, 0, { id, logit });
    if (kept.length > this.#count) kept.pop();
    if (kept.length === this.#count) this.#least = kept.at(-1)?.logit ?? Number.POSITIVE_INFINITY;
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
