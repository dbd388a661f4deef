/** Several segments made one, without the records that were deleted. */
import type { PostingArrays } from "../../lexical/index.ts";
import { type InvertedFile, joinInvertedFiles } from "../tokens/inverted-file.ts";
import {
  arrangeSparse,
  type BuildSegmentOptions,
  type DenseRows,
  invertRows,
  type SegmentData,
  type SparseRows,
  sortTerms,
  type TokenRows,
} from "./segment-data.ts";

/** A segment and which of its records are deleted: 1 for each that is. */
export interface SegmentPart {
  readonly segment: SegmentData;
  readonly deleted: Uint8Array;
}

interface Source extends SegmentPart {
  /** New place of each record, or -1. */
  readonly places: Int32Array;
}

/** Options of `mergeSegments`. */
export interface MergeSegmentsOptions extends Omit<BuildSegmentOptions, "analyzer"> {
  /** True: the texts are kept in memory. Default false: they are read from the segments when wanted. */
  readonly keepTexts?: boolean;
}

/** Joins segments, the records in their order. Vectors of inverted files are not encoded anew. */
export function mergeSegments(
  parts: readonly SegmentPart[],
  options: MergeSegmentsOptions,
): SegmentData {
  let count = 0;
  const sources: Source[] = parts.map((part) => {
    const places = Int32Array.from(part.deleted, (isDeleted) => (isDeleted === 1 ? -1 : count++));
    return { ...part, places };
  });
  const kept = sources.flatMap(({ segment, places }) =>
    [...places.keys()].filter((place) => places[place]! >= 0).map((place) => ({ segment, place })),
  );
  const textOf = (place: number): string => kept[place]!.segment.text(kept[place]!.place);
  const texts = options.keepTexts ? kept.map((_, place) => textOf(place)) : undefined;
  return {
    count,
    ids: kept.map(({ segment, place }) => segment.ids[place]!),
    fields: kept.map(({ segment, place }) => segment.fields[place]!),
    text: texts === undefined ? textOf : (place) => texts[place]!,
    postings: sortTerms(mergePostings(sources, count)),
    dense: mergeDense(sources),
    sparse: mergeSparse(sources),
    tokens: mergeTokens(sources, count, options),
  };
}

function mergePostings(sources: readonly Source[], count: number): PostingArrays {
  const lists = new Map<string, { documents: number[]; frequencies: number[] }>();
  const lengths = new Uint32Array(count);
  for (const { segment, places } of sources) {
    const { terms, offsets, documents, frequencies, lengths: own } = segment.postings.arrays;
    for (const [place, to] of places.entries()) if (to >= 0) lengths[to] = own[place]!;
    for (const [id, term] of terms.entries()) {
      let list = lists.get(term);
      for (let at = offsets[id]!; at < offsets[id + 1]!; at++) {
        const to = places[documents[at]!]!;
        if (to < 0) continue;
        if (list === undefined) {
          list = { documents: [], frequencies: [] };
          lists.set(term, list);
        }
        list.documents.push(to);
        list.frequencies.push(frequencies[at]!);
      }
    }
  }
  const offsets = new Uint32Array(lists.size + 1);
  let total = 0;
  for (const [at, list] of [...lists.values()].entries()) {
    total += list.documents.length;
    offsets[at + 1] = total;
  }
  const documents = new Uint32Array(total);
  const frequencies = new Uint32Array(total);
  for (const [at, list] of [...lists.values()].entries()) {
    documents.set(list.documents, offsets[at]!);
    frequencies.set(list.frequencies, offsets[at]!);
  }
  return { terms: [...lists.keys()], offsets, documents, frequencies, lengths };
}

function mergeDense(sources: readonly Source[]): DenseRows | undefined {
  const found: { place: number; vector: Float32Array }[] = [];
  let dim = 0;
  for (const { segment, places } of sources) {
    const { dense } = segment;
    if (dense === undefined) continue;
    dim = dense.dim;
    for (const [row, from] of dense.places.entries()) {
      const place = places[from]!;
      if (place < 0) continue;
      found.push({ place, vector: dense.vectors.subarray(row * dim, (row + 1) * dim) });
    }
  }
  if (found.length === 0) return undefined;
  const vectors = new Float32Array(found.length * dim);
  for (const [row, { vector }] of found.entries()) vectors.set(vector, row * dim);
  return { dim, places: Uint32Array.from(found, ({ place }) => place), vectors };
}

function mergeSparse(sources: readonly Source[]): SparseRows | undefined {
  const entries: [number, number, number][] = [];
  for (const { segment, places } of sources) {
    if (segment.sparse === undefined) continue;
    const { terms, offsets, places: from, weights } = segment.sparse;
    for (const [t, term] of terms.entries()) {
      for (let at = offsets[t]!; at < offsets[t + 1]!; at++) {
        const place = places[from[at]!]!;
        if (place >= 0) entries.push([term, place, weights[at]!]);
      }
    }
  }
  return entries.length === 0 ? undefined : arrangeSparse(entries);
}

function mergeTokens(
  sources: readonly Source[],
  count: number,
  options: Omit<BuildSegmentOptions, "analyzer">,
): TokenRows | undefined {
  const withTokens = sources.filter(({ segment }) => segment.tokens !== undefined);
  if (withTokens.length === 0) return undefined;
  const { dim } = withTokens[0]!.segment.tokens!;
  const offsets = new Uint32Array(count + 1);
  for (const { segment, places } of withTokens) {
    const from = segment.tokens!.offsets;
    for (const [place, to] of places.entries()) {
      if (to >= 0) offsets[to + 1] = from[place + 1]! - from[place]!;
    }
  }
  for (let place = 0; place < count; place++) offsets[place + 1]! += offsets[place]!;
  const spans = new Uint32Array(2 * offsets.at(-1)!);
  const isInverted = withTokens.some(({ segment }) => segment.tokens!.inverted !== undefined);
  const flat = isInverted ? undefined : new Float32Array(dim * offsets.at(-1)!);
  const files: { file: InvertedFile; renumber: (token: number) => number }[] = [];
  for (const source of withTokens) {
    const tokens = source.segment.tokens!;
    const renumbered = renumberTokens(tokens, source.places, offsets);
    for (const [token, to] of renumbered.entries()) {
      if (to < 0) continue;
      spans.set(tokens.spans.subarray(2 * token, 2 * token + 2), 2 * to);
      flat?.set(tokens.flat!.subarray(token * dim, (token + 1) * dim), to * dim);
    }
    if (isInverted && renumbered.length > 0) {
      // One file's clusters cannot hold flat vectors: those get clusters of their own first.
      const { inverted } = invertRows(tokens, { ...options, invertFrom: 0 });
      files.push({ file: inverted!, renumber: (token) => renumbered[token]! });
    }
  }
  if (!isInverted) return invertRows({ dim, offsets, spans, flat, inverted: undefined }, options);
  return { dim, offsets, spans, flat: undefined, inverted: joinInvertedFiles(files) };
}

/** The new number of each token, or -1. */
function renumberTokens(tokens: TokenRows, places: Int32Array, offsets: Uint32Array): Int32Array {
  const renumbered = new Int32Array(tokens.offsets.at(-1)!).fill(-1);
  for (const [place, to] of places.entries()) {
    if (to < 0) continue;
    const first = tokens.offsets[place]!;
    for (let token = first; token < tokens.offsets[place + 1]!; token++) {
      renumbered[token] = offsets[to]! + token - first;
    }
  }
  return renumbered;
}
