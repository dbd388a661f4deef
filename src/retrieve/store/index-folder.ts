/**
 * An index's folder. A change is in the log before it is acknowledged; a flush writes what the log holds as a
 * segment and replaces the manifest, which names the files that count. Killed at any moment, the folder
 * opens with every acknowledged change.
 */
import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { acquireLock, type FileLock, syncFolder } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { recordFromJson } from "../records.ts";
import { mergeSegments } from "../segment/merge-segments.ts";
import type { SegmentData } from "../segment/segment-data.ts";
import { openSegment, type SegmentFile, writeSegment } from "../segment/segment-file.ts";
import type { IndexState, LiveSegment } from "./index-state.ts";
import {
  type Manifest,
  packDeleted,
  readManifest,
  type StoredSettings,
  unpackDeleted,
  writeManifest,
} from "./manifest.ts";
import { type Change, readLog, WriteAheadLog } from "./write-ahead-log.ts";

/** Applies a change that the log held. */
export function applyChange(state: IndexState, change: Change): void {
  if ("delete" in change) {
    for (const id of change.delete) state.delete(id);
    return;
  }
  for (const json of change.put) {
    const record = recordFromJson(json);
    state.sizes.dense ??= record.dense?.length;
    state.sizes.tokens ??= record.tokens?.dim;
    state.put(record);
  }
}

/** The files of an index that this process may write. */
export class IndexFolder {
  readonly #folder: string;
  readonly #lock: FileLock;
  readonly #settings: StoredSettings;
  readonly #state: IndexState;
  readonly #open: Map<string, SegmentFile> = new Map();
  #log: WriteAheadLog;
  #logName: string;
  #next: number;
  #readers = 0;
  /** Files that were replaced while a reader may still want their texts. */
  #retired: SegmentFile[] = [];

  /** For `open`. */
  constructor(parts: {
    folder: string;
    lock: FileLock;
    settings: StoredSettings;
    state: IndexState;
    log: WriteAheadLog;
    logName: string;
    next: number;
  }) {
    this.#folder = parts.folder;
    this.#lock = parts.lock;
    this.#settings = parts.settings;
    this.#state = parts.state;
    this.#log = parts.log;
    this.#logName = parts.logName;
    this.#next = parts.next;
  }

  /**
   * Opens a folder for writing, and makes it where it does not exist.
   *
   * @param makeState makes the empty state, once the settings are known
   * @throws JetonError `index-locked`, `index-not-found` for a file, `index-invalid`, `index-log-damaged`,
   *   `segment-invalid`
   */
  static async open(
    folder: string,
    settings: StoredSettings,
    makeState: (settings: StoredSettings) => IndexState,
  ): Promise<{ folder: IndexFolder; state: IndexState; settings: StoredSettings }> {
    // Of a file this throws; a lock's path below one would hide what is wrong.
    await readManifest(folder);
    const lock = await lockFolder(folder);
    try {
      let manifest = await readManifest(folder);
      if (manifest === undefined) {
        manifest = makeManifest(settings);
        await (await WriteAheadLog.open(join(folder, manifest.log), 0)).close();
        await writeManifest(folder, manifest);
      }
      const state = makeState(manifest.settings);
      const opened = openSegments(folder, manifest, state);
      const { changes, bytes } = await readLog(join(folder, manifest.log));
      for (const change of changes) applyChange(state, change);
      await removeOthers(folder, manifest);
      const log = await WriteAheadLog.open(join(folder, manifest.log), bytes);
      const made = new IndexFolder({
        folder,
        lock,
        settings: manifest.settings,
        state,
        log,
        logName: manifest.log,
        next: manifest.next,
      });
      for (const [name, file] of opened) made.#open.set(name, file);
      return { folder: made, state, settings: manifest.settings };
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Bytes of the log since the last flush. */
  get logBytes(): number {
    return this.#log.bytes;
  }

  /** Writes a change to the log; it is acknowledged when this returns. */
  async append(change: Change): Promise<void> {
    await this.#log.append(change);
  }

  /** Writes what is in memory as a segment, and starts an empty log. */
  async flush(): Promise<void> {
    if (this.#log.bytes === 0) return;
    const memory = this.#state.segments().filter(({ file }) => file === undefined);
    await this.#swap(memory, this.#state.joinMemory());
  }

  /** Joins segments of files; deleted records vanish. */
  async merge(olds: readonly LiveSegment[]): Promise<void> {
    const joined = mergeSegments(olds, this.#state.settings);
    await this.#swap(olds, joined.count === 0 ? undefined : joined);
  }

  /** Keeps the files of all segments open, replaced ones too, until the function that it returns is called. */
  keepOpen(): () => void {
    this.#readers++;
    let isHeld = true;
    return () => {
      if (isHeld) this.#readers--;
      isHeld = false;
      if (this.#readers === 0) this.#closeRetired();
    };
  }

  #closeRetired(): void {
    for (const file of this.#retired) file.close();
    this.#retired = [];
  }

  /** Writes a segment in the place of others, then the manifest, then removes what it no longer names. */
  async #swap(olds: readonly LiveSegment[], segment: SegmentData | undefined): Promise<void> {
    const file = `segment-${this.#next++}.jeton`;
    if (segment !== undefined) {
      await writeSegment(join(this.#folder, file), segment);
      const opened = openSegment(join(this.#folder, file));
      this.#open.set(file, opened);
      this.#state.replace(olds, opened, file);
    } else this.#state.replace(olds, undefined, file);
    // A flush begins an empty log: everything that the old one holds is in segments by now.
    const isFlush = olds.every((old) => old.file === undefined);
    const logName = isFlush ? `log-${this.#next++}.jeton` : this.#logName;
    const log = isFlush ? await WriteAheadLog.open(join(this.#folder, logName), 0) : this.#log;
    await syncFolder(this.#folder);
    // Until the manifest is there, the old one with the old log is the index.
    await writeManifest(this.#folder, this.#describe(logName));
    this.#logName = logName;
    const oldLog = this.#log;
    this.#log = log;
    if (oldLog !== log) await oldLog.close();
    for (const old of olds) {
      const file = old.file === undefined ? undefined : this.#open.get(old.file);
      if (file === undefined) continue;
      this.#retired.push(file);
      this.#open.delete(old.file!);
    }
    if (this.#readers === 0) this.#closeRetired();
    await removeOthers(this.#folder, this.#describe(this.#logName));
  }

  #describe(log: string): Manifest {
    const { sizes } = this.#state;
    return {
      format: "jeton-index",
      version: 2,
      settings: this.#settings,
      ...(sizes.dense !== undefined && { denseDim: sizes.dense }),
      ...(sizes.tokens !== undefined && { tokenDim: sizes.tokens }),
      segments: this.#state
        .segments()
        .filter(({ file }) => file !== undefined)
        .map(({ file, deleted }) => {
          const bits = packDeleted(deleted);
          return { file: file!, ...(bits !== undefined && { deleted: bits }) };
        }),
      log,
      next: this.#next,
    };
  }

  async close(): Promise<void> {
    await this.#log.close();
    this.#closeRetired();
    for (const file of this.#open.values()) file.close();
    await this.#lock.release();
  }
}

/**
 * Opens a folder for reading alone: what it holds now. A writer may be at work.
 *
 * @throws JetonError `index-not-found`, `index-invalid`, `index-log-damaged`, `segment-invalid`
 */
export async function readIndexFolder(
  folder: string,
  makeState: (settings: StoredSettings) => IndexState,
): Promise<{ state: IndexState; settings: StoredSettings; close: () => void }> {
  for (let attempt = 0; ; attempt++) {
    const manifest = await readManifest(folder);
    if (manifest === undefined) {
      throw new JetonError(`${folder} holds no index`, {
        code: "index-not-found",
        details: { path: folder, expected: "a folder with manifest.json" },
      });
    }
    const state = makeState(manifest.settings);
    try {
      const opened = openSegments(folder, manifest, state);
      const { changes } = await readLog(join(folder, manifest.log));
      for (const change of changes) applyChange(state, change);
      const close = (): void => {
        for (const file of opened.values()) file.close();
      };
      return { state, settings: manifest.settings, close };
    } catch (error) {
      // A writer replaced the manifest and removed its files in the meantime.
      const isGone = JetonError.isInstance(error) && error.code === "file-not-found";
      if (!isGone || attempt >= 20) throw error;
    }
  }
}

function makeManifest(settings: StoredSettings): Manifest {
  const log = "log-0.jeton";
  return { format: "jeton-index", version: 2, settings, segments: [], log, next: 1 };
}

async function lockFolder(folder: string): Promise<FileLock> {
  const lock = await acquireLock(join(folder, "lock"), {
    onHeld: (holder) => {
      throw new JetonError(
        `another process (${holder.pid} on ${holder.host}) writes to ${folder}`,
        {
          code: "index-locked",
          details: { path: folder, ...holder, expected: "one writer at a time" },
        },
      );
    },
  });
  return lock!;
}

function openSegments(
  folder: string,
  manifest: Manifest,
  state: IndexState,
): Map<string, SegmentFile> {
  const opened = new Map<string, SegmentFile>();
  try {
    for (const { file, deleted } of manifest.segments) {
      const segment = openSegment(join(folder, file));
      opened.set(file, segment);
      state.addSegment(segment, unpackDeleted(deleted, segment.count), file);
    }
  } catch (error) {
    for (const file of opened.values()) file.close();
    throw error;
  }
  state.sizes.dense = manifest.denseDim;
  state.sizes.tokens = manifest.tokenDim;
  return opened;
}

/** Removes files that a flush or a merge left behind. */
async function removeOthers(folder: string, manifest: Manifest): Promise<void> {
  const named = new Set([manifest.log, ...manifest.segments.map(({ file }) => file)]);
  for (const name of await readdir(folder)) {
    const isOurs = /^(?:segment|log)-\d+\.jeton$/.test(name);
    const isTemporary = /^\.(?:segment-\d+\.jeton|manifest\.json)\..*\.tmp$/.test(name);
    if ((isOurs && !named.has(name)) || isTemporary) {
      await unlink(join(folder, name)).catch(() => {});
    }
  }
}
