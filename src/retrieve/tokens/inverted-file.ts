/**
 * Tokens in runs by their nearest centroid, so that a query looks into a few runs only (an inverted file,
 * as in PLAID and WARP), with residuals of four bits a number or exact vectors.
 */
import { createRandom } from "../../core/index.ts";
import { assignRows, clusterRows } from "./k-means.ts";
import {
  bytesPerRow,
  decodeResidual,
  encodeResidual,
  learnCodebook,
  lengthOf,
  levels,
  scaleOf,
} from "./residuals.ts";

/** Tokens by cluster. A token's number is its place among all tokens of its segment. */
export interface InvertedFile {
  readonly dim: number;
  /** `[clusters, dim]` */
  readonly centroids: Float32Array;
  /** `[clusters + 1]`: where each cluster's run begins. */
  readonly starts: Uint32Array;
  /** Numbers of the tokens, run by run, ascending in each. */
  readonly tokens: Uint32Array;
  /** Residuals, run by run, of `bytesPerRow(dim)` bytes each; empty where vectors are exact. */
  readonly codes: Uint8Array;
  /** The byte of each residual's scale, run by run; empty where vectors are exact. */
  readonly scales: Uint8Array;
  /** Exact vectors, run by run; empty where there are residuals. */
  readonly exact: Float32Array;
  /** `[codebooks, 16]` */
  readonly codebooks: Float32Array;
  /** Which codebook each cluster uses. */
  readonly codebookOf: Uint16Array;
}

/** Options of `buildInvertedFile`. */
export interface InvertedFileOptions {
  readonly dim: number;
  /** Default a power of two, about 4 times the square root of the number of tokens. */
  readonly clusters?: number;
  /** `"4-bit"` (default), or `"exact"`: four bytes a number, and with all clusters the scores of a scan. */
  readonly residuals?: "4-bit" | "exact";
  readonly seed?: number;
}

/**
 * Builds an inverted file.
 *
 * @param rows `[tokens, dim]`, of length 1
 */
export function buildInvertedFile(rows: Float32Array, options: InvertedFileOptions): InvertedFile {
  const { dim, residuals = "4-bit", seed = 0 } = options;
  const count = rows.length / dim;
  const clusters =
    options.clusters ?? 2 ** Math.floor(Math.log2(4 * Math.sqrt(Math.max(1, count))));
  const sample = sampleRows(rows, dim, 32 * clusters, seed);
  const centroids = clusterRows(sample, { centroids: clusters, dim, seed });
  const nearest = assignRows(rows, centroids, dim);
  const found = centroids.length / dim;
  const { starts, tokens } = runsOf(nearest, found);
  const base = { dim, centroids, starts, tokens, codebookOf: new Uint16Array(found) };
  if (residuals === "exact") {
    const exact = new Float32Array(rows.length);
    for (const [at, token] of tokens.entries()) {
      exact.set(rows.subarray(token * dim, (token + 1) * dim), at * dim);
    }
    const none = new Uint8Array(0);
    return { ...base, codes: none, scales: none, exact, codebooks: new Float32Array(0) };
  }
  const coded = encodeRows(rows, nearest, base);
  return { ...base, ...coded, exact: new Float32Array(0) };
}

/** Tokens by cluster, ascending in each run, from the cluster of each. */
export function runsOf(
  clusters: Uint16Array | Uint32Array,
  count: number,
): Pick<InvertedFile, "starts" | "tokens"> {
  const starts = new Uint32Array(count + 1);
  for (const cluster of clusters) starts[cluster + 1]!++;
  for (let cluster = 0; cluster < count; cluster++) starts[cluster + 1]! += starts[cluster]!;
  const next = starts.slice();
  const tokens = new Uint32Array(clusters.length);
  for (let token = 0; token < clusters.length; token++) tokens[next[clusters[token]!]!++] = token;
  return { starts, tokens };
}

function sampleRows(rows: Float32Array, dim: number, most: number, seed: number): Float32Array {
  const count = rows.length / dim;
  if (count <= most) return rows;
  const order = createRandom(seed, "sample").shuffle(Array.from({ length: count }, (_, i) => i));
  const sample = new Float32Array(most * dim);
  for (const [at, row] of order.slice(0, most).entries()) {
    sample.set(rows.subarray(row * dim, (row + 1) * dim), at * dim);
  }
  return sample;
}

function encodeRows(
  rows: Float32Array,
  nearest: Uint32Array,
  { dim, centroids, tokens }: Pick<InvertedFile, "dim" | "centroids" | "tokens">,
): Pick<InvertedFile, "codes" | "scales" | "codebooks"> {
  const residual = new Float32Array(dim);
  const subtract = (token: number): Float32Array => {
    const [from, center] = [token * dim, nearest[token]! * dim];
    for (let i = 0; i < dim; i++) residual[i] = rows[from + i]! - centroids[center + i]!;
    return residual;
  };
  // Some 8,000 tokens, evenly spread, say how residuals are distributed.
  const step = Math.max(1, Math.floor(tokens.length / 8192));
  const sampled: Float32Array = new Float32Array(Math.ceil(tokens.length / step) * dim);
  for (let token = 0, at = 0; token < tokens.length; token += step, at += dim) {
    const length = lengthOf(subtract(token)) || 1;
    for (let i = 0; i < dim; i++) sampled[at + i] = residual[i]! / length;
  }
  const codebook = learnCodebook(sampled);
  const codes = new Uint8Array(tokens.length * bytesPerRow(dim));
  const scales = new Uint8Array(tokens.length);
  for (const [at, token] of tokens.entries()) {
    scales[at] = encodeResidual(subtract(token), codebook, codes, at * bytesPerRow(dim));
  }
  return { codes, scales, codebooks: codebook.values };
}

/** One file of the tokens of several, each with the numbers of its tokens moved. Nothing is encoded anew. */
export function joinInvertedFiles(
  parts: readonly { readonly file: InvertedFile; readonly renumber: (token: number) => number }[],
): InvertedFile {
  const { dim } = parts[0]!.file;
  const isExact = parts[0]!.file.exact.length > 0;
  const bytes = bytesPerRow(dim);
  const kept: { part: number; cluster: number; places: number[]; tokens: number[] }[] = [];
  for (const [part, { file, renumber }] of parts.entries()) {
    for (let cluster = 0; cluster + 1 < file.starts.length; cluster++) {
      const entries: [token: number, place: number][] = [];
      for (let at = file.starts[cluster]!; at < file.starts[cluster + 1]!; at++) {
        const token = renumber(file.tokens[at]!);
        if (token >= 0) entries.push([token, at]);
      }
      entries.sort(([a], [b]) => a - b);
      if (entries.length === 0) continue;
      kept.push({
        part,
        cluster,
        places: entries.map(([, place]) => place),
        tokens: entries.map(([token]) => token),
      });
    }
  }
  const count = kept.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const file = {
    dim,
    centroids: new Float32Array(kept.length * dim),
    starts: new Uint32Array(kept.length + 1),
    tokens: new Uint32Array(count),
    codes: new Uint8Array(isExact ? 0 : count * bytes),
    scales: new Uint8Array(isExact ? 0 : count),
    exact: new Float32Array(isExact ? count * dim : 0),
    codebooks: Float32Array.from(parts.flatMap(({ file: one }) => [...one.codebooks])),
    codebookOf: new Uint16Array(kept.length),
  };
  const firstBook = parts.map((_, i) =>
    parts.slice(0, i).reduce((sum, { file: one }) => sum + one.codebooks.length / levels, 0),
  );
  let at = 0;
  for (const [cluster, run] of kept.entries()) {
    const from = parts[run.part]!.file;
    const center = run.cluster * dim;
    file.centroids.set(from.centroids.subarray(center, center + dim), cluster * dim);
    file.codebookOf[cluster] = firstBook[run.part]! + from.codebookOf[run.cluster]!;
    for (const [i, place] of run.places.entries()) {
      file.tokens[at] = run.tokens[i]!;
      if (isExact) file.exact.set(from.exact.subarray(place * dim, (place + 1) * dim), at * dim);
      else {
        file.codes.set(from.codes.subarray(place * bytes, (place + 1) * bytes), at * bytes);
        file.scales[at] = from.scales[place]!;
      }
      at++;
    }
    file.starts[cluster + 1] = at;
  }
  return file;
}

/** The vectors of all tokens by number, as well as the file knows them. */
export function decodeInvertedFile(file: InvertedFile): Float32Array {
  const { dim, centroids, starts, tokens, codes, scales, exact, codebooks, codebookOf } = file;
  const rows = new Float32Array(tokens.length * dim);
  const residual = new Float32Array(dim);
  for (let cluster = 0; cluster + 1 < starts.length; cluster++) {
    const first = codebookOf[cluster]! * levels;
    for (let at = starts[cluster]!; at < starts[cluster + 1]!; at++) {
      const to = tokens[at]! * dim;
      if (exact.length > 0) {
        rows.set(exact.subarray(at * dim, (at + 1) * dim), to);
        continue;
      }
      decodeResidual(
        codes,
        at * bytesPerRow(dim),
        codebooks.subarray(first, first + levels),
        residual,
      );
      const scale = scaleOf[scales[at]!]!;
      for (let i = 0; i < dim; i++) {
        rows[to + i] = centroids[cluster * dim + i]! + scale * residual[i]!;
      }
    }
  }
  return rows;
}
