/** What an index holds in memory: segments with their deletions, and records that are in none yet. */
import type { Analyzer } from "../../lexical/index.ts";
import type { VectorSizes } from "../records.ts";
import { mergeSegments } from "../segment/merge-segments.ts";
import {
  buildSegment,
  flatVectors,
  readRecord,
  type SegmentData,
} from "../segment/segment-data.ts";
import type { IndexRecord } from "../types.ts";

/** A segment and which of its records are gone. */
export interface LiveSegment {
  readonly segment: SegmentData;
  /** 1 for each record that was deleted or replaced. */
  readonly deleted: Uint8Array;
  /** Number of records that are not. */
  live: number;
  /** Number of terms of those records: their mean length is wanted for every query. */
  liveTerms: number;
  /** Name of the segment's file; undefined for a segment that is in memory alone. */
  readonly file: string | undefined;
}

/** Settings that segments are built with. */
export interface SegmentSettings {
  readonly analyzer: Analyzer;
  readonly invertFrom: number;
  readonly residuals: "4-bit" | "exact";
}

/** Records in one small segment at most, so that a search after each change stays quick. */
const maxPending = 256;
const maxMemorySegments = 8;

/** The records of an index, newest wins. */
export class IndexState {
  readonly settings: SegmentSettings;
  readonly sizes: VectorSizes = { dense: undefined, tokens: undefined };
  #segments: LiveSegment[] = [];
  /** Where each record is: its segment and place, or its place among the pending ones. */
  readonly #locations: Map<string, { readonly segment: LiveSegment | undefined; place: number }> =
    new Map();
  #pending: (IndexRecord | undefined)[] = [];

  constructor(settings: SegmentSettings) {
    this.settings = settings;
  }

  get size(): number {
    return this.#locations.size;
  }

  has(id: string): boolean {
    return this.#locations.has(id);
  }

  /** The ids of all records, in no order. */
  ids(): IterableIterator<string> {
    return this.#locations.keys();
  }

  /** A record; undefined if there is none. */
  get(id: string): IndexRecord | undefined {
    const found = this.#locations.get(id);
    if (found === undefined) return undefined;
    const { segment, place } = found;
    if (segment === undefined) return this.#pending[place];
    return readRecord(segment.segment, place, () => flatVectors(segment.segment.tokens!));
  }

  /** The fields of a record; undefined if there is none. */
  fields(id: string): IndexRecord["fields"] {
    const found = this.#locations.get(id);
    if (found === undefined) return undefined;
    const { segment, place } = found;
    return segment === undefined
      ? (this.#pending[place]!.fields ?? {})
      : segment.segment.fields[place];
  }

  /** Puts a prepared record, in place of one with its id. */
  put(record: IndexRecord): void {
    this.delete(record.id);
    this.#locations.set(record.id, { segment: undefined, place: this.#pending.length });
    this.#pending.push(record);
    if (this.#pending.length >= maxPending) this.#seal();
  }

  /** Deletes a record; false if there is none. */
  delete(id: string): boolean {
    const found = this.#locations.get(id);
    if (found === undefined) return false;
    this.#locations.delete(id);
    const { segment, place } = found;
    if (segment === undefined) this.#pending[place] = undefined;
    else {
      segment.deleted[place] = 1;
      segment.live--;
      segment.liveTerms -= segment.segment.postings.lengths[place]!;
    }
    return true;
  }

  /** Adds a segment of a file. */
  addSegment(segment: SegmentData, deleted: Uint8Array, file: string): void {
    this.#place(segment, deleted, file);
  }

  /** All segments; pending records become one first. */
  segments(): readonly LiveSegment[] {
    this.#seal();
    return this.#segments;
  }

  /** Segments that are in memory alone, joined to one; undefined if they hold no record. */
  joinMemory(): SegmentData | undefined {
    this.#seal();
    const memory = this.#segments.filter(({ file, live }) => file === undefined && live > 0);
    return memory.length === 0 ? undefined : mergeSegments(memory, this.settings);
  }

  /**
   * Puts a segment in the place of others, which hold the same records. Records that were deleted from them
   * since it was made are deleted in it.
   */
  replace(olds: readonly LiveSegment[], segment: SegmentData | undefined, file: string): void {
    const gone = new Set(olds);
    const kept = this.#segments.filter((one) => !gone.has(one));
    if (segment === undefined) {
      this.#segments = kept;
      return;
    }
    const deleted = Uint8Array.from(segment.ids, (id) => {
      const found = this.#locations.get(id);
      return found?.segment !== undefined && gone.has(found.segment) ? 0 : 1;
    });
    this.#segments = kept;
    this.addSegment(segment, deleted, file);
  }

  #place(segment: SegmentData, deleted: Uint8Array, file?: string): void {
    const placed: LiveSegment = { segment, deleted, live: 0, liveTerms: 0, file };
    for (const [place, id] of segment.ids.entries()) {
      if (deleted[place] === 1) continue;
      placed.live++;
      placed.liveTerms += segment.postings.lengths[place]!;
      this.#locations.set(id, { segment: placed, place });
    }
    this.#segments.push(placed);
  }

  #seal(): void {
    const records = this.#pending.filter((record) => record !== undefined);
    this.#pending = [];
    if (records.length > 0) {
      // An inverted file is for what is written to the disk.
      const segment = buildSegment(records, { analyzer: this.settings.analyzer });
      this.#place(segment, new Uint8Array(records.length));
    }
    const memory = this.#segments.filter(({ file }) => file === undefined);
    const small = memory.filter(({ live }) => live < 16 * maxPending);
    if (small.length <= maxMemorySegments) return;
    const joined = mergeSegments(small, { keepTexts: true });
    const gone = new Set<LiveSegment>(small);
    this.#segments = this.#segments.filter((one) => !gone.has(one));
    if (joined.count === 0) return;
    this.#place(joined, new Uint8Array(joined.count));
  }
}
