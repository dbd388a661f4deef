/** What a segment holds, as arrays: a part of an index that is written once and never changed. */
import {
  type Analyzer,
  compareUtf8,
  IndexedPostings,
  type PostingArrays,
  PostingsBuilder,
} from "../../lexical/index.ts";
import {
  buildInvertedFile,
  decodeInvertedFile,
  type InvertedFile,
} from "../tokens/inverted-file.ts";
import type { FieldValue, IndexRecord } from "../types.ts";

/** Dense vectors of the records that have one. */
export interface DenseRows {
  readonly dim: number;
  /** Places of the records, ascending. */
  readonly places: Uint32Array;
  /** `[places, dim]`, of length 1. */
  readonly vectors: Float32Array;
}

/** Records by sparse term: term t has the entries `offsets[t]` to `offsets[t + 1]`. */
export interface SparseRows {
  /** Ids of the terms, ascending. */
  readonly terms: Uint32Array;
  readonly offsets: Uint32Array;
  readonly places: Uint32Array;
  readonly weights: Float32Array;
}

/** Token vectors of the records. */
export interface TokenRows {
  readonly dim: number;
  /** `[records + 1]` */
  readonly offsets: Uint32Array;
  /** `[tokens, 2]` */
  readonly spans: Uint32Array;
  readonly flat: Float32Array | undefined;
  readonly inverted: InvertedFile | undefined;
}

/** A part of an index. */
export interface SegmentData {
  readonly count: number;
  readonly ids: readonly string[];
  readonly fields: readonly Readonly<Record<string, FieldValue>>[];
  /** The text of a record. */
  text(place: number): string;
  readonly postings: IndexedPostings;
  readonly dense: DenseRows | undefined;
  readonly sparse: SparseRows | undefined;
  readonly tokens: TokenRows | undefined;
}

/** Options of `buildSegment`. */
export interface BuildSegmentOptions {
  readonly analyzer: Analyzer;
  /** From how many tokens on an inverted file is built. Default none is. */
  readonly invertFrom?: number;
  readonly residuals?: "4-bit" | "exact";
}

/** Builds a segment of prepared records, in their order. */
export function buildSegment(
  records: readonly IndexRecord[],
  options: BuildSegmentOptions,
): SegmentData {
  const builder = new PostingsBuilder(options.analyzer);
  for (const { text } of records) builder.add(text);
  const tokens = collectTokenRows(records);
  return {
    count: records.length,
    ids: records.map(({ id }) => id),
    fields: records.map(({ fields }) => fields ?? {}),
    text: (place) => records[place]!.text,
    postings: sortTerms(builder.build().arrays),
    dense: collectDense(records),
    sparse: collectSparse(records),
    tokens: tokens && invertRows(tokens, options),
  };
}

/** The same token rows with an inverted file, where there are enough of them. */
export function invertRows(
  rows: TokenRows,
  options: Omit<BuildSegmentOptions, "analyzer">,
): TokenRows {
  const { invertFrom = Number.POSITIVE_INFINITY, residuals = "4-bit" } = options;
  if (rows.flat === undefined || rows.flat.length / rows.dim < invertFrom) return rows;
  const inverted = buildInvertedFile(rows.flat, { dim: rows.dim, residuals });
  return { ...rows, flat: undefined, inverted };
}

/** The vectors of all tokens, by number. */
export function flatVectors({ flat, inverted }: TokenRows): Float32Array {
  return flat ?? decodeInvertedFile(inverted!);
}

/** Postings whose terms are in the order of their UTF-8 bytes, so that a file needs no table to find one. */
export function sortTerms(arrays: PostingArrays): IndexedPostings {
  const order = arrays.terms.map((_, id) => id);
  // Terms that the builder learnt later have no postings.
  const used = order.filter((id) => id + 1 < arrays.offsets.length);
  used.sort((a, b) => compareUtf8(arrays.terms[a]!, arrays.terms[b]!));
  const offsets = new Uint32Array(used.length + 1);
  const documents = new Uint32Array(arrays.documents.length);
  const frequencies = new Uint32Array(arrays.documents.length);
  let at = 0;
  for (const [place, id] of used.entries()) {
    const [start, end] = [arrays.offsets[id]!, arrays.offsets[id + 1]!];
    documents.set(arrays.documents.subarray(start, end), at);
    frequencies.set(arrays.frequencies.subarray(start, end), at);
    at += end - start;
    offsets[place + 1] = at;
  }
  const terms = used.map((id) => arrays.terms[id]!);
  return openPostings({ terms, offsets, documents, frequencies, lengths: arrays.lengths });
}

/** Postings over sorted terms. */
export function openPostings(arrays: PostingArrays): IndexedPostings {
  const { terms } = arrays;
  return new IndexedPostings(arrays, (term) => {
    let [low, high] = [0, terms.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      const order = compareUtf8(terms[middle]!, term);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  });
}

function collectDense(records: readonly IndexRecord[]): DenseRows | undefined {
  const places = records.flatMap(({ dense }, place) => (dense ? [place] : []));
  if (places.length === 0) return undefined;
  const dim = records[places[0]!]!.dense!.length;
  const vectors = new Float32Array(places.length * dim);
  for (const [at, place] of places.entries()) vectors.set(records[place]!.dense!, at * dim);
  return { dim, places: Uint32Array.from(places), vectors };
}

function collectSparse(records: readonly IndexRecord[]): SparseRows | undefined {
  const entries: [term: number, place: number, weight: number][] = [];
  for (const [place, { sparse }] of records.entries()) {
    if (sparse === undefined) continue;
    for (const [i, term] of sparse.ids.entries()) entries.push([term, place, sparse.weights[i]!]);
  }
  return entries.length === 0 ? undefined : arrangeSparse(entries);
}

/** Sparse rows of entries in any order. */
export function arrangeSparse(
  entries: [term: number, place: number, weight: number][],
): SparseRows {
  entries.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const terms: number[] = [];
  const offsets = [0];
  for (const [at, [term]] of entries.entries()) {
    if (terms.at(-1) !== term) {
      terms.push(term);
      offsets.push(at);
    }
    offsets[terms.length] = at + 1;
  }
  return {
    terms: Uint32Array.from(terms),
    offsets: Uint32Array.from(offsets),
    places: Uint32Array.from(entries, ([, place]) => place),
    weights: Float32Array.from(entries, ([, , weight]) => weight),
  };
}

function collectTokenRows(records: readonly IndexRecord[]): TokenRows | undefined {
  const first = records.find(({ tokens }) => tokens !== undefined)?.tokens;
  if (first === undefined) return undefined;
  const { dim } = first;
  const offsets = new Uint32Array(records.length + 1);
  for (const [place, { tokens }] of records.entries()) {
    offsets[place + 1] = offsets[place]! + (tokens ? tokens.vectors.length / dim : 0);
  }
  const count = offsets.at(-1)!;
  const flat = new Float32Array(count * dim);
  const spans = new Uint32Array(count * 2);
  for (const [place, { tokens }] of records.entries()) {
    if (tokens === undefined) continue;
    flat.set(tokens.vectors, offsets[place]! * dim);
    spans.set(tokens.spans!, offsets[place]! * 2);
  }
  return { dim, offsets, spans, flat, inverted: undefined };
}

/** A record as it was added; token vectors of inverted files come back as well as four bits keep them. */
export function readRecord(
  segment: SegmentData,
  place: number,
  vectors: () => Float32Array,
): IndexRecord {
  const { dense, sparse, tokens } = segment;
  const row = dense === undefined ? -1 : dense.places.indexOf(place);
  const hasTokens = tokens !== undefined && tokens.offsets[place + 1]! > tokens.offsets[place]!;
  return {
    id: segment.ids[place]!,
    text: segment.text(place),
    fields: segment.fields[place]!,
    ...(row >= 0 && { dense: dense!.vectors.slice(row * dense!.dim, (row + 1) * dense!.dim) }),
    ...(sparse !== undefined && readSparse(sparse, place)),
    ...(hasTokens && {
      tokens: {
        dim: tokens.dim,
        vectors: vectors().slice(
          tokens.offsets[place]! * tokens.dim,
          tokens.offsets[place + 1]! * tokens.dim,
        ),
        spans: tokens.spans.slice(2 * tokens.offsets[place]!, 2 * tokens.offsets[place + 1]!),
      },
    }),
  };
}

function readSparse(
  { terms, offsets, places, weights }: SparseRows,
  place: number,
): Pick<IndexRecord, "sparse"> {
  const found: [number, number][] = [];
  for (const [t, term] of terms.entries()) {
    for (let at = offsets[t]!; at < offsets[t + 1]!; at++) {
      if (places[at] === place) found.push([term, weights[at]!]);
    }
  }
  if (found.length === 0) return {};
  return {
    sparse: {
      ids: Uint32Array.from(found, ([term]) => term),
      weights: Float32Array.from(found, ([, weight]) => weight),
    },
  };
}
