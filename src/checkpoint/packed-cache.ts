/**
 * A disk cache for weights derived from a checkpoint (quantized, fused), as safetensors files.
 *
 * An entry belongs to the very files it was made from (their real paths, sizes and times of change),
 * to a version of the code that made it, and to a key. It is complete or absent: written under a
 * temporary name, flushed, renamed. Its header holds what it belongs to and the time of change that
 * the file was given; an entry that was touched by anything else since does not count. Entries used
 * longest ago go when the whole grows beyond its limit. A cache that cannot be written is no reason
 * to fail: the caller gets a warning and keeps the weights in memory.
 */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, realpath, stat, unlink, utimes } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { JetonError } from "../core/index.ts";
import { syncFolder } from "./files/atomic-file.ts";
import { fileError, systemCode } from "./files/file-error.ts";
import type { Environment } from "./hub/hub-settings.ts";
import { bytesPerElement, type TensorArray } from "./safetensors/dtype.ts";
import { openSafetensors } from "./safetensors/safetensors.ts";
import {
  type FillSafetensors,
  fillSafetensors,
  type TensorData,
  type TensorToWrite,
  type WriteSafetensorsOptions,
  writeSafetensors,
} from "./safetensors/write-safetensors.ts";

/** Options of `openPackedCache`. */
export interface PackedCacheOptions {
  /** The weight files of the checkpoint (`checkpoint.files`). */
  files: readonly string[];
  /** Version of what is derived; change it whenever the same key would give other bytes. */
  version: string;
  /** What is derived, e.g. `"int4-block32"`. */
  key: string;
  /** Folder of the cache. Default `$JETON_CACHE/packed`, else `~/.cache/jeton/packed`. */
  folder?: string;
  /** Bytes that all entries may have together. Default 20e9; 0 turns the cache off. */
  maxBytes?: number;
  /** Default `process.env`. */
  environment?: Environment;
}

/** What the cache has to say about one entry. */
export type PackedCacheEntry = PackedCacheHit | PackedCacheMiss;

/** The entry exists. */
export interface PackedCacheHit {
  readonly state: "found";
  /** Absolute real path of the safetensors file. */
  readonly path: string;
}

/** The entry does not exist or is invalid. */
export interface PackedCacheMiss {
  readonly state: "absent";
  /**
   * Writes the entry. Errors of the tensors' own data are thrown; what the file system refuses (no
   * right, read-only, full) becomes a `warning`, and then there is no file.
   */
  write(tensors: Iterable<TensorToWrite>): Promise<PackedCacheWritten>;
  /**
   * Writes the entry by `fill`, in any order and from several threads. The entry can be used at
   * once; it is flushed to the disk meanwhile, and does not count for other processes before that.
   * Errors of `fill` that are not about the entry's own file are thrown.
   */
  fill(
    tensors: Iterable<Omit<TensorToWrite, "data">>,
    fill: FillSafetensors,
  ): Promise<PackedCacheWritten>;
}

/** Either the path of the entry or the reason why there is none. */
export type PackedCacheWritten =
  | {
      readonly path: string;
      readonly warning?: undefined;
      /** Fulfilled when the entry is on the disk; never rejected. */
      readonly flushed?: Promise<void>;
    }
  | { readonly path?: undefined; readonly warning: JetonError };

const identityKey = "jeton.identity";
const sealKey = "jeton.sealed";
const abandonedAfter = 3_600_000;

/**
 * Looks for derived weights in the cache.
 *
 * @example
 * const entry = await openPackedCache({ files: checkpoint.files, version: "1", key: "int8" });
 * const { path } = entry.state === "found" ? entry : await entry.write(pack(checkpoint));
 *
 * @throws JetonError `file-not-found` and its like when a file of the checkpoint cannot be found.
 */
export async function openPackedCache(options: PackedCacheOptions): Promise<PackedCacheEntry> {
  const { files, version, key, maxBytes = 20e9, environment = process.env } = options;
  const folder = resolve(options.folder ?? defaultFolder(environment));
  const identity = await describeIdentity(files, version, key);
  const name = createHash("sha256").update(identity).digest("hex").slice(0, 40);
  const path = join(folder, `${name}.safetensors`);
  const found = await findEntry(path, identity);
  if (found) return { state: "found", path: found };
  const entry: Entry = { path, folder, identity, maxBytes };
  return {
    state: "absent",
    write: (tensors) => writeEntry(entry, [...tensors]),
    fill: (tensors, fill) => fillEntry(entry, [...tensors], fill),
  };
}

/** An entry that is to be written. */
interface Entry {
  readonly path: string;
  readonly folder: string;
  readonly identity: string;
  readonly maxBytes: number;
}

/** Entries of this process that are complete but not yet known to be on the disk: path and identity. */
const unsealed: Map<string, string> = new Map();

function defaultFolder(environment: Environment): string {
  return join(environment["JETON_CACHE"] || join(homedir(), ".cache", "jeton"), "packed");
}

async function describeIdentity(
  files: readonly string[],
  version: string,
  key: string,
): Promise<string> {
  const sources = await Promise.all(
    files.map(async (file) => {
      try {
        const path = await realpath(file);
        const { size, mtimeMs } = await stat(path);
        return { path, size, mtimeMs };
      } catch (error) {
        throw fileError(error, file);
      }
    }),
  );
  return JSON.stringify({ version, key, sources });
}

/** The entry's real path if the entry is complete and matches `identity`; marks it as used. */
async function findEntry(path: string, identity: string): Promise<string | undefined> {
  try {
    await using file = await openSafetensors(path);
    const sealed = Number(file.metadata.get(sealKey));
    const { mtimeMs } = await stat(file.file);
    if (file.metadata.get(identityKey) !== identity) return undefined;
    if (unsealed.get(path) === identity) return file.file;
    if (mtimeMs !== sealed * 1000) return undefined;
    // The time of access says when it was last used; set by hand, as many systems do not keep it.
    await utimes(file.file, new Date(), sealed).catch(() => {});
    return file.file;
  } catch (error) {
    // Absent, cut off, overwritten: all the same, it will be made anew.
    if (JetonError.isInstance(error)) return undefined;
    throw error;
  }
}

async function writeEntry(
  entry: Entry,
  list: readonly TensorToWrite[],
): Promise<PackedCacheWritten> {
  const source = guardSource(list);
  return await makeEntry(
    entry,
    list,
    () => source.failure,
    async (options, sealed) => {
      await writeSafetensors(entry.path, source.tensors, options);
      await utimes(entry.path, new Date(), sealed);
      return { path: await realpath(entry.path) };
    },
  );
}

async function fillEntry(
  entry: Entry,
  list: readonly Omit<TensorToWrite, "data">[],
  fill: FillSafetensors,
): Promise<PackedCacheWritten> {
  let failure: { readonly error: unknown } | undefined;
  const { path, identity } = entry;
  return await makeEntry(
    entry,
    list,
    () => failure,
    async (options, sealed) => {
      const guarded: FillSafetensors = async (file, places) => {
        try {
          await fill(file, places);
        } catch (error) {
          const isOwn = JetonError.isInstance(error) && error.details["path"] === file;
          if (!isOwn) failure = { error };
          throw error;
        }
        // Until it is on the disk its time of change is not that of a whole entry.
        await utimes(file, new Date(), 0);
      };
      await fillSafetensors(path, list, guarded, options);
      unsealed.set(path, identity);
      return { path: await realpath(path), flushed: seal(path, identity, sealed) };
    },
  );
}

/** Flushes an entry, and then gives it the time of change by which it is known to be whole. */
async function seal(path: string, identity: string, sealed: number): Promise<void> {
  try {
    // The open file, not the name: another process may replace the entry meanwhile.
    await using handle = await open(path, "r+");
    await handle.sync();
    await syncFolder(dirname(path));
    await handle.utimes(new Date(), sealed);
  } catch {
    // Removed, or the disk failed: the next process makes it anew.
  } finally {
    if (unsealed.get(path) === identity) unsealed.delete(path);
  }
}

/** Evicts entries beyond the limit, runs `write`, and turns errors of the file system into a warning. */
async function makeEntry(
  { path, folder, identity, maxBytes }: Entry,
  list: readonly Omit<TensorToWrite, "data">[],
  failureOf: () => { readonly error: unknown } | undefined,
  write: (options: WriteSafetensorsOptions, sealed: number) => Promise<PackedCacheWritten>,
): Promise<PackedCacheWritten> {
  try {
    await mkdir(folder, { recursive: true });
    const bytes = estimateBytes(list);
    if (bytes > maxBytes) {
      throw new JetonError(`the weights need ${bytes} bytes and the cache may have ${maxBytes}`, {
        code: "packed-cache-too-small",
        details: { found: bytes, expected: maxBytes },
      });
    }
    await evictEntries(folder, path, maxBytes - bytes);
    // Every file system and archive keeps even seconds exactly.
    const sealed = Math.floor(Date.now() / 2000) * 2;
    const metadata = { [identityKey]: identity, [sealKey]: String(sealed) };
    const written = await write({ metadata, alignment: 4096 }, sealed);
    // Others may have written entries in the meantime.
    await evictEntries(folder, path, maxBytes - (await stat(path)).size);
    return written;
  } catch (error) {
    const failure = failureOf();
    if (failure) throw failure.error;
    if (!JetonError.isInstance(error) && systemCode(error) === undefined) throw error;
    const cause = fileError(error, path);
    if (!isRefusal(cause)) throw cause;
    return {
      warning: new JetonError(
        `the packed weights are kept in memory and not on disk: ${cause.message}`,
        { code: "packed-cache-unwritable", cause, details: { path, reason: cause.code } },
      ),
    };
  }
}

/** An error of the file system or the size limit, as opposed to one of the tensors. */
function isRefusal({ code }: JetonError): boolean {
  return code === "disk-full" || code === "packed-cache-too-small" || code.startsWith("file-");
}

/**
 * The same tensors, noting when producing their data fails: such a failure is the caller's, even if
 * it is one of a file (the checkpoint's).
 */
function guardSource(list: readonly TensorToWrite[]): {
  readonly tensors: TensorToWrite[];
  readonly failure: { readonly error: unknown } | undefined;
} {
  let failure: { error: unknown } | undefined;
  const guard = (data: Exclude<TensorData, TensorArray>): TensorData =>
    async function* () {
      try {
        const produced = await data();
        if (ArrayBuffer.isView(produced)) yield produced;
        else yield* produced;
      } catch (error) {
        failure = { error };
        throw error;
      }
    };
  return {
    tensors: list.map((tensor) =>
      typeof tensor.data === "function" ? { ...tensor, data: guard(tensor.data) } : tensor,
    ),
    get failure() {
      return failure;
    },
  };
}

/** About the bytes of the file: the data, and a header of some 128 bytes a tensor. */
function estimateBytes(list: readonly Omit<TensorToWrite, "data">[]): number {
  let bytes = 4096;
  for (const { dtype, shape, name } of list) {
    const elements = shape.reduce((product, dimension) => product * dimension, 1);
    bytes += elements * bytesPerElement(dtype) + name.length + 128;
  }
  return bytes;
}

/** Removes abandoned temporary files, and the entries used longest ago until `allowed` bytes are left. */
async function evictEntries(folder: string, path: string, allowed: number): Promise<void> {
  const entries: { file: string; size: number; used: number }[] = [];
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile()) continue;
    if (name.endsWith(".tmp") && Date.now() - found.mtimeMs > abandonedAfter) {
      await unlink(file).catch(() => {});
    } else if (/^[0-9a-f]{40}\.safetensors$/.test(name) && file !== path) {
      entries.push({ file, size: found.size, used: found.atimeMs });
    }
  }
  entries.sort((a, b) => b.used - a.used);
  let total = 0;
  for (const { file, size } of entries) {
    total += size;
    if (total > allowed) await unlink(file).catch(() => {});
  }
}
