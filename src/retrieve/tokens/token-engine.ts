/**
 * Products of a query's tokens with those of inverted files, as matrix products of the tensor engine: with all centroids, and
 * the best product for each record. Four bits become numbers two at a time, block by block, in memory that is used again.
 */
import {
  add,
  compile,
  float32,
  gather,
  int32,
  matmul,
  max,
  multiply,
  type Program,
  topK,
  trace,
  transpose,
} from "../../tensor/index.ts";
import type { InvertedFile } from "./inverted-file.ts";
import { placesOf, type TokenPlaces } from "./inverted-scan.ts";
import { bytesPerRow, levels, scaleOf } from "./residuals.ts";

/** Tokens whose maximum the graph takes: a record's tokens are filled up to a multiple with its last one. */
const groupSize = 16;
/** Groups of a block: 2,048 tokens, 1 MB of vectors of 128 numbers. */
const blockGroups = 128;

/** A query's vectors. */
export interface QueryRows {
  /** `[count, dim]`, of length 1. */
  readonly rows: Float32Array;
  readonly count: number;
}

/** Records whose tokens are scored. */
export interface ScoredRecords {
  readonly file: InvertedFile;
  /** `[records + 1]`: where each record's tokens begin. */
  readonly offsets: Uint32Array;
  /** Places of the records, each with at least one token. */
  readonly places: Uint32Array;
  /** `[clusters, query tokens]`, of `centroidScores`. */
  readonly centroidScores: Float32Array;
}

/** Products of centroids with query tokens, and which of them are largest. */
export interface CentroidScores {
  /** `[clusters, query tokens]` */
  readonly scores: Float32Array;
  /** `[query tokens, wanted]`: clusters by product downwards, then by number. */
  readonly nearest: Int32Array;
  /** How many there are for each query token. */
  readonly wanted: number;
}

/** Programs of the tensor engine for token search. Close it: they are not collected. */
export class TokenEngine {
  readonly #programs: Programs;
  /** Rows of a block, used again by the next query: fresh memory costs as much as what is written to it. */
  #rows: Float32Array = new Float32Array(0);
  #last: Promise<unknown> = Promise.resolve();

  constructor(programs: Programs) {
    this.#programs = programs;
  }

  /** Compiles the programs; some milliseconds. */
  static async open({ threads = 1 }: { threads?: number } = {}): Promise<TokenEngine> {
    return new TokenEngine(await compilePrograms(threads));
  }

  /**
   * Products of every centroid with every query token.
   *
   * @param wanted how many of the nearest clusters are given in order, at most
   */
  centroidScores(file: InvertedFile, query: QueryRows, wanted: number): Promise<CentroidScores> {
    return this.#inTurn(async () => {
      const { dim, centroids } = file;
      const clusters = centroids.length / dim;
      const size = Math.min(wanted, clusters);
      const { scores, nearest } = await this.#programs.centroids.run({
        centroids: { data: centroids, shape: [clusters, dim] },
        query: { data: query.rows, shape: [query.count, dim] },
        wanted: { data: new Int32Array(size), shape: [size] },
      });
      return {
        scores: scores.data as Float32Array,
        nearest: nearest.data as Int32Array,
        wanted: size,
      };
    });
  }

  /** For each record the best product of its tokens with each query token: `[records, query tokens]`. */
  bestProducts(query: QueryRows, records: ScoredRecords): Promise<Float32Array> {
    return this.#inTurn(() => {
      const size = blockGroups * groupSize * widthOf(records.file);
      if (this.#rows.length !== size) this.#rows = new Float32Array(size);
      return new BlockRun(this.#programs, this.#rows, query, records).run();
    });
  }

  /** Waits for what is under way. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      const { centroids, codes, exact } = this.#programs;
      await Promise.all([centroids.release(), codes.release(), exact.release()]);
    });
  }

  /** One query at a time: all take the same processors. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#last.then(run);
    this.#last = done.catch(() => {});
    return done;
  }
}

interface Programs {
  readonly centroids: Program<"centroids" | "query" | "wanted", "scores" | "nearest">;
  readonly codes: Program<"rows" | "scales" | "query" | "bases" | "clusters", "best">;
  readonly exact: Program<"rows" | "query", "best">;
}

async function compilePrograms(threads: number): Promise<Programs> {
  const options = { inline: true, threads, sameSizes: false };
  const query = float32(["query", "dim"]);
  const rows = float32(["groups", groupSize, "dim"]);
  const centroids = trace(
    { centroids: float32(["clusters", "dim"]), query, wanted: int32(["wanted"]) },
    (inputs) => {
      const scores = matmul(inputs.centroids, inputs.query, { transposeB: true });
      return { scores, nearest: topK(transpose(scores, [1, 0]), "wanted").indices };
    },
  );
  const codes = trace(
    {
      ...{ rows, query },
      scales: float32(["groups", groupSize, 1]),
      bases: float32(["clusters", "query"]),
      clusters: int32(["groups", groupSize]),
    },
    (inputs) => {
      const residuals = matmul(inputs.rows, inputs.query, { transposeB: true });
      const scaled = multiply(residuals, inputs.scales);
      const products = add(scaled, gather(inputs.bases, inputs.clusters));
      return { best: max(products, { axes: [1] }) };
    },
  );
  const exact = trace({ rows, query }, (inputs) => ({
    best: max(matmul(inputs.rows, inputs.query, { transposeB: true }), { axes: [1] }),
  }));
  return {
    centroids: await compile(centroids, options),
    codes: await compile(codes, options),
    exact: await compile(exact, options),
  };
}

/** One query over some records, block after block. */
class BlockRun {
  readonly #programs: Programs;
  readonly #records: ScoredRecords;
  readonly #count: number;
  readonly #clusters: number;
  /** Numbers of a row of a block; an odd dimension has one more, 0 in the query. */
  readonly #width: number;
  readonly #query: Float32Array;
  readonly #rows: Float32Array;
  /** The same memory, two numbers at a time. */
  readonly #pairs: Float64Array;
  readonly #clusterOf: Int32Array = new Int32Array(blockGroups * groupSize);
  readonly #scales: Float32Array = new Float32Array(blockGroups * groupSize);
  readonly #tokens: Uint32Array = new Uint32Array(groupSize);
  /** Which record each group of the block belongs to. */
  readonly #slotOf: Uint32Array = new Uint32Array(blockGroups);
  readonly #best: Float32Array;
  readonly #places: TokenPlaces;
  #groups = 0;

  constructor(programs: Programs, rows: Float32Array, query: QueryRows, records: ScoredRecords) {
    const { file, places } = records;
    this.#programs = programs;
    this.#records = records;
    this.#count = query.count;
    this.#clusters = file.starts.length - 1;
    this.#width = widthOf(file);
    this.#query = padRows(query.rows, file.dim, this.#width);
    this.#rows = rows;
    this.#pairs = new Float64Array(rows.buffer);
    this.#best = new Float32Array(places.length * query.count).fill(Number.NEGATIVE_INFINITY);
    this.#places = placesOf(file);
  }

  async run(): Promise<Float32Array> {
    const { offsets, places } = this.#records;
    for (let slot = 0; slot < places.length; slot++) {
      const end = offsets[places[slot]! + 1]!;
      for (let token = offsets[places[slot]!]!; token < end; token += groupSize) {
        this.#fill(token, end);
        this.#slotOf[this.#groups++] = slot;
        if (this.#groups === blockGroups) await this.#score();
      }
    }
    if (this.#groups > 0) await this.#score();
    return this.#best;
  }

  /** Lays out a group of tokens; the last of the record fills it up, which changes no maximum. */
  #fill(first: number, end: number): void {
    const { file } = this.#records;
    const at = this.#groups * groupSize;
    for (let i = 0; i < groupSize; i++) this.#tokens[i] = Math.min(first + i, end - 1);
    if (file.exact.length > 0) {
      for (let i = 0; i < groupSize; i++) {
        const place = this.#places.placeOf[this.#tokens[i]!]! * file.dim;
        this.#rows.set(file.exact.subarray(place, place + file.dim), (at + i) * file.dim);
      }
      return;
    }
    const block = { pairs: this.#pairs, clusters: this.#clusterOf, scales: this.#scales };
    decodeTokens(file, this.#places, this.#tokens, block, at);
  }

  async #score(): Promise<void> {
    const groups = this.#groups;
    const [count, width] = [this.#count, this.#width];
    const rows = {
      data: this.#rows.subarray(0, groups * groupSize * width),
      shape: [groups, groupSize, width],
    };
    const query = { data: this.#query, shape: [count, width] };
    const { best } =
      this.#records.file.exact.length > 0
        ? await this.#programs.exact.run({ rows, query })
        : await this.#programs.codes.run({
            ...{ rows, query },
            scales: {
              data: this.#scales.subarray(0, groups * groupSize),
              shape: [groups, groupSize, 1],
            },
            bases: { data: this.#records.centroidScores, shape: [this.#clusters, count] },
            clusters: {
              data: this.#clusterOf.subarray(0, groups * groupSize),
              shape: [groups, groupSize],
            },
          });
    const found = best.data as Float32Array;
    for (let group = 0; group < groups; group++) {
      const [from, to] = [group * count, this.#slotOf[group]! * count];
      for (let i = 0; i < count; i++) {
        if (found[from + i]! > this.#best[to + i]!) this.#best[to + i] = found[from + i]!;
      }
    }
    this.#groups = 0;
  }
}

/** Numbers of a row of a block; an odd dimension has one more where rows come from bytes. */
function widthOf({ dim, exact }: InvertedFile): number {
  return exact.length > 0 ? dim : 2 * bytesPerRow(dim);
}

/** Rows with zeros behind them up to a width. */
function padRows(rows: Float32Array, dim: number, width: number): Float32Array {
  if (dim === width) return rows;
  const padded = new Float32Array((rows.length / dim) * width);
  for (let from = 0, to = 0; from < rows.length; from += dim, to += width) {
    padded.set(rows.subarray(from, from + dim), to);
  }
  return padded;
}

const known: WeakMap<Float32Array, Float64Array> = new WeakMap();

/**
 * The two numbers that each byte of a residual stands for, by codebook: `[codebooks, 256]`. A pair of finite numbers is
 * carried as one of double precision, which is never NaN, so that a byte takes one copy.
 */
function pairsOf(codebooks: Float32Array): Float64Array {
  let pairs = known.get(codebooks);
  if (pairs === undefined) {
    const numbers = new Float32Array(2 * 256 * (codebooks.length / levels));
    for (let at = 0; 2 * at < numbers.length; at++) {
      const first = (at >> 8) * levels;
      numbers[2 * at] = codebooks[first + (at & 15)]!;
      numbers[2 * at + 1] = codebooks[first + ((at >> 4) & 15)]!;
    }
    pairs = new Float64Array(numbers.buffer);
    known.set(codebooks, pairs);
  }
  return pairs;
}

/** Where decoded tokens go. */
interface DecodedRows {
  readonly pairs: Float64Array;
  readonly clusters: Int32Array;
  readonly scales: Float32Array;
}

/** Residuals, clusters and scales of some tokens, as rows from `at` on. */
function decodeTokens(
  { codes, codebooks, codebookOf, dim, scales }: InvertedFile,
  { placeOf, clusterOf }: TokenPlaces,
  tokens: Uint32Array,
  into: DecodedRows,
  at: number,
): void {
  const pairs = pairsOf(codebooks);
  const rows = into.pairs;
  const bytes = bytesPerRow(dim);
  const whole = bytes - (bytes & 3);
  for (let i = 0; i < tokens.length; i++) {
    const place = placeOf[tokens[i]!]!;
    const cluster = clusterOf[tokens[i]!]!;
    into.clusters[at + i] = cluster;
    into.scales[at + i] = scaleOf[scales[place]!]!;
    const table = codebookOf[cluster]! << 8;
    let from = place * bytes;
    let to = (at + i) * bytes;
    const end = to + whole;
    for (; to < end; to += 4, from += 4) {
      rows[to] = pairs[table + codes[from]!]!;
      rows[to + 1] = pairs[table + codes[from + 1]!]!;
      rows[to + 2] = pairs[table + codes[from + 2]!]!;
      rows[to + 3] = pairs[table + codes[from + 3]!]!;
    }
    for (let byte = whole; byte < bytes; byte++) rows[to++] = pairs[table + codes[from++]!]!;
  }
}
