/// <reference lib="esnext.disposable" preserve="true" />
/** An index of records: opened from a folder, or held in memory. */
import { availableParallelism } from "node:os";
import { JetonError } from "../core/index.ts";
import { checkOptionNames, checkOptionRules, flagRule, threadsRule } from "../core/option-rules.ts";
import { createAnalyzer, resolveBm25Formula } from "../lexical/index.ts";
import { invalidRecord, prepareRecord, recordToJson } from "./records.ts";
import { QueryRun, type SearchedIndex } from "./search/query-run.ts";
import { searchSegments } from "./search/search-segments.ts";
import { IndexFolder, readIndexFolder } from "./store/index-folder.ts";
import {
  checkCount,
  checkSettings,
  type IndexSettings,
  invalidOption,
  resolveSettings,
} from "./store/index-settings.ts";
import { IndexState, type LiveSegment } from "./store/index-state.ts";
import type { StoredSettings } from "./store/manifest.ts";
import { TokenEngine } from "./tokens/token-engine.ts";
import type { FieldValue, Hit, IndexRecord, SearchQuery } from "./types.ts";

export type { IndexSettings } from "./store/index-settings.ts";

/** Options of `openIndex`. */
export interface OpenIndexOptions extends IndexSettings {
  /** True: the folder must hold an index, which is read as it is now; a writer may be at work. Default false. */
  readOnly?: boolean;
  /** Records in memory at most, before they are written as a segment. Default 8,192. */
  flushAt?: number;
  /** Threads of the engine that scores records by all of their tokens. Default one for each processor, at most 8. */
  threads?: number;
}

/** Records that can be searched. Close it: it holds files and a lock. */
export interface SearchIndex {
  /** Number of records. */
  readonly size: number;
  readonly settings: Readonly<StoredSettings>;
  /** Number of parts that a search looks into. */
  readonly segments: number;
  has(id: string): boolean;
  /**
   * A record as it was added, with vectors of length 1. Token vectors come from four bits where the index keeps
   * them so.
   */
  get(id: string): IndexRecord | undefined;
  /** The fields of a record; undefined if there is none. Reads no text and no vectors. */
  fields(id: string): Readonly<Record<string, FieldValue>> | undefined;
  /** Ids of all records, in no order. */
  ids(): string[];
  /**
   * Adds records; one with the id of another takes its place. When this returns, the change outlives a crash, all
   * of it or, if it was not acknowledged, perhaps none.
   *
   * @throws JetonError `record-invalid`, and nothing is changed; `index-read-only`, `index-closed`
   */
  put(records: readonly IndexRecord[]): Promise<void>;
  /**
   * Deletes records; gives how many there were.
   *
   * @throws JetonError `record-invalid` for ids that are no list of texts; `index-read-only`, `index-closed`
   */
  delete(ids: readonly string[]): Promise<number>;
  /**
   * Answers a query from all acknowledged changes.
   *
   * @throws JetonError `search-query-invalid`, `filter-invalid`, `fusion-invalid`, `index-closed`
   */
  search(query: SearchQuery): Promise<Hit[]>;
  /** Writes what is in memory as a segment. */
  flush(): Promise<void>;
  /** Makes all segments one; what was deleted vanishes. */
  merge(): Promise<void>;
  /** Waits for changes under way, flushes, and frees files and lock, also where the flush fails. Twice is once. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the index of a folder, and makes one where there is none.
 *
 * @throws JetonError `index-locked`, `index-settings` for settings other than those that it was made with,
 *   `index-not-found` with `readOnly`, `index-invalid`, `index-log-damaged`, `segment-invalid`,
 *   `index-option-invalid`
 *
 * @example
 * const index = await openIndex("index");
 * await index.put([{ id: "a", text: "The cat sat on the mat." }]);
 * const [hit] = await index.search({ text: "cats and a mat" });
 * await index.close();
 */
export async function openIndex(
  folder: string,
  options: OpenIndexOptions = {},
): Promise<SearchIndex> {
  if (typeof folder !== "string" || folder === "") throw invalidOption("folder", folder, "a path");
  checkNames(options, [...settingNames, "readOnly", "flushAt", "threads"]);
  const { readOnly = false, flushAt = 8192, threads, ...given } = options;
  checkCount("flushAt", flushAt);
  checkOptionRules(
    { readOnly, threads },
    { readOnly: flagRule, threads: threadsRule },
    { what: "an index", invalidCode: "index-option-invalid" },
  );
  if (readOnly && options.flushAt !== undefined) {
    throw invalidOption("flushAt", flushAt, "nothing: an index opened for reading writes none");
  }
  const storage = { ...(threads !== undefined && { threads }) };
  const settings = resolveSettings(given);
  if (readOnly) {
    const { state, settings: stored, close } = await readIndexFolder(folder, makeState);
    checkSettings(given, stored);
    return new OpenedIndex(state, stored, { ...storage, readOnly: true, close });
  }
  const opened = await IndexFolder.open(folder, settings, makeState);
  try {
    checkSettings(given, opened.settings);
  } catch (error) {
    await opened.folder.close();
    throw error;
  }
  return new OpenedIndex(opened.state, opened.settings, {
    ...storage,
    folder: opened.folder,
    flushAt,
  });
}

/**
 * Makes an empty index in memory.
 *
 * @throws JetonError `index-option-invalid`, `analyzer-option-invalid`, `bm25-option-invalid`
 */
export function createIndex(settings: IndexSettings = {}): SearchIndex {
  checkNames(settings, settingNames);
  const stored = resolveSettings(settings);
  return new OpenedIndex(makeState(stored), stored, {});
}

const settingNames = ["analyzer", "bm25", "invertFrom", "residuals", "metadata"];

function checkNames(options: unknown, names: readonly string[]): void {
  checkOptionNames(options, names, { what: "an index", invalidCode: "index-option-invalid" });
}

function makeState(settings: StoredSettings): IndexState {
  const { analyzer, invertFrom, residuals } = settings;
  return new IndexState({ analyzer: createAnalyzer(analyzer), invertFrom, residuals });
}

interface Storage {
  readonly folder?: IndexFolder;
  readonly flushAt?: number;
  readonly readOnly?: boolean;
  readonly threads?: number;
  readonly close?: () => void;
}

class OpenedIndex implements SearchIndex {
  readonly settings: StoredSettings;
  readonly #state: IndexState;
  readonly #storage: Storage;
  readonly #formula: ReturnType<typeof resolveBm25Formula>;
  /** Changes come one after the other. */
  #queue: Promise<unknown> = Promise.resolve();
  /** Opened by the first search that wants it. */
  #engine: Promise<TokenEngine> | undefined;
  readonly #searches: Set<Promise<unknown>> = new Set();
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #unflushed = 0;

  constructor(state: IndexState, settings: StoredSettings, storage: Storage) {
    this.#state = state;
    this.settings = settings;
    this.#storage = storage;
    this.#formula = resolveBm25Formula(settings.bm25);
  }

  get size(): number {
    return this.#state.size;
  }

  get segments(): number {
    return this.#state.segments().length;
  }

  has(id: string): boolean {
    return this.#state.has(id);
  }

  get(id: string): IndexRecord | undefined {
    this.#checkOpen();
    return this.#state.get(id);
  }

  fields(id: string): Readonly<Record<string, FieldValue>> | undefined {
    return this.#state.fields(id);
  }

  ids(): string[] {
    return [...this.#state.ids()];
  }

  put(records: readonly IndexRecord[]): Promise<void> {
    return this.#change(async () => {
      if (!Array.isArray(records)) {
        throw invalidRecord("records", records, "a list of records", undefined);
      }
      const sizes = { ...this.#state.sizes };
      const prepared = records.map((record) => prepareRecord(record, sizes));
      if (prepared.length === 0) return;
      await this.#storage.folder?.append({ put: prepared.map(recordToJson) });
      Object.assign(this.#state.sizes, sizes);
      for (const record of prepared) this.#state.put(record);
      await this.#flushIfFull(prepared.length);
    });
  }

  delete(ids: readonly string[]): Promise<number> {
    return this.#change(async () => {
      const isId = (id: unknown): boolean => typeof id === "string";
      if (!Array.isArray(ids) || !ids.every(isId)) {
        throw invalidRecord("ids", ids, "a list of texts", undefined);
      }
      const known = [...new Set<string>(ids)].filter((id) => this.#state.has(id));
      if (known.length === 0) return 0;
      await this.#storage.folder?.append({ delete: known });
      for (const id of known) this.#state.delete(id);
      await this.#flushIfFull(known.length);
      return known.length;
    });
  }

  async search(query: SearchQuery): Promise<Hit[]> {
    this.#checkOpen();
    const release = this.#storage.folder?.keepOpen();
    const search = searchSegments(this.#searched(), query);
    this.#searches.add(search);
    try {
      return await search;
    } finally {
      this.#searches.delete(search);
      release?.();
    }
  }

  /** A query whose steps the caller takes; `release` when it needs no more of them. */
  startRun(query: SearchQuery): { readonly run: QueryRun; readonly release: () => void } {
    this.#checkOpen();
    const run = new QueryRun(this.#searched(), query);
    return { run, release: this.#storage.folder?.keepOpen() ?? (() => {}) };
  }

  #searched(): SearchedIndex {
    const { analyzer } = this.#state.settings;
    const segments = this.#state.segments();
    const openEngine = (): Promise<TokenEngine> => this.#openEngine();
    return { segments, analyzer, formula: this.#formula, sizes: this.#state.sizes, openEngine };
  }

  #openEngine(): Promise<TokenEngine> {
    if (this.#engine) return this.#engine;
    const { threads = Math.min(8, availableParallelism()) } = this.#storage;
    const engine = TokenEngine.open({ threads });
    this.#engine = engine;
    // The next search tries again.
    engine.catch(() => {
      this.#engine = undefined;
    });
    return engine;
  }

  flush(): Promise<void> {
    return this.#change(() => this.#flush());
  }

  merge(): Promise<void> {
    return this.#change(async () => {
      await this.#flush();
      const files = this.#state.segments().filter(({ file }) => file !== undefined);
      const isClean =
        files.length < 2 && files.every(({ live, segment }) => live === segment.count);
      if (!isClean) await this.#storage.folder?.merge(files);
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      // What cannot be flushed stays in the log, which the next one who opens the folder reads.
      const { folder, readOnly } = this.#storage;
      if (folder !== undefined && !readOnly) await this.#change(() => this.#flush());
    } finally {
      this.#isClosed = true;
      await this.#queue;
      // They read texts from the files that are closed next.
      await Promise.allSettled(this.#searches);
      await (await this.#engine?.catch(() => undefined))?.close();
      await this.#storage.folder?.close();
      this.#storage.close?.();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #change<T>(change: () => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      this.#checkOpen();
      if (this.#storage.readOnly) {
        throw new JetonError("the index was opened for reading alone", {
          code: "index-read-only",
          details: { expected: "an index opened without readOnly" },
        });
      }
      return change();
    };
    const done = this.#queue.then(run, run);
    this.#queue = done.catch(() => {});
    return done;
  }

  async #flushIfFull(changes: number): Promise<void> {
    this.#unflushed += changes;
    const { folder, flushAt = Number.POSITIVE_INFINITY } = this.#storage;
    if (folder === undefined) return;
    if (this.#unflushed >= flushAt || folder.logBytes > 256e6) await this.#flush();
  }

  async #flush(): Promise<void> {
    const { folder } = this.#storage;
    if (folder === undefined) return;
    await folder.flush();
    this.#unflushed = 0;
    for (;;) {
      const segments = findMergeable(this.#state.segments());
      if (segments.length === 0) return;
      await folder.merge(segments);
    }
  }

  #checkOpen(): void {
    if (!this.#isClosed) return;
    throw new JetonError("the index is closed", {
      code: "index-closed",
      details: { expected: "an open index" },
    });
  }
}

/**
 * Begins a query step by step: for shards, which take each step together.
 *
 * @throws JetonError those of `search`
 */
export function startQueryRun(
  index: SearchIndex,
  query: SearchQuery,
): ReturnType<OpenedIndex["startRun"]> {
  if (index instanceof OpenedIndex) return index.startRun(query);
  throw invalidOption("index", index, "an index of openIndex or createIndex");
}

/** Four segments of about one size, or those that are mostly deleted; nothing where there are none. */
function findMergeable(segments: readonly LiveSegment[]): LiveSegment[] {
  const files = segments.filter(({ file }) => file !== undefined);
  const decayed = files.filter(({ live, segment }) => live * 2 < segment.count);
  if (decayed.length > 0) return decayed;
  const tiers = new Map<number, LiveSegment[]>();
  for (const one of files) {
    const tier = Math.floor(Math.log(Math.max(1, one.live)) / Math.log(4));
    tiers.set(tier, [...(tiers.get(tier) ?? []), one]);
  }
  return [...tiers.values()].find((tier) => tier.length >= 4) ?? [];
}
