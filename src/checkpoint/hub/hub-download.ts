/**
 * Downloads one file into the hub's cache: resumed where an earlier try stopped, checked against its
 * checksum, and given its name only when it is whole.
 */
import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { JetonError } from "../../core/index.ts";
import { syncFolder } from "../files/atomic-file.ts";
import { fileError, systemCode } from "../files/file-error.ts";
import { acquireLock } from "../files/file-lock.ts";
import { type HubClient, invalidAnswer, TransientFailure } from "./hub-client.ts";

/** A file of a model on the hub. */
export interface HubFile {
  /** Path inside the repository, with `/`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Name of the file's content in the cache. The hub's are checksums: the SHA-256 of a large file (64
   * hexadecimal digits), the Git blob hash (SHA-1) of a small one (40). A name of another form, as some
   * mirrors give, cannot be verified; then the size is all that is checked.
   */
  readonly etag: string;
}

export interface DownloadBlobOptions {
  /** Called with the number of bytes that are there, whenever it changes. */
  onPosition?: (bytes: number) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Downloads `file` from `url` to `target`. What was received stays in `<target>.jeton.incomplete`
 * when the download is broken off, and the next one goes on from there. (Python's `.incomplete`
 * files are left alone: nothing tells whether a Python process is writing to one.) Two processes
 * that want the same file take turns by the lock at `lockPath`.
 *
 * @throws JetonError `hub-checksum-mismatch` (the file is discarded), `hub-connection-failed`,
 * `hub-answer-invalid`, `disk-full` and its like; the signal's reason.
 */
export async function downloadBlob(
  client: HubClient,
  url: string,
  file: HubFile,
  target: string,
  lockPath: string,
  options: DownloadBlobOptions = {},
): Promise<void> {
  const { signal } = options;
  const lock = await acquireLock(lockPath, {
    isDone: () => isBlob(target, file.size),
    signal,
  });
  if (!lock) return;
  try {
    if (!(await isBlob(target, file.size)))
      await downloadLocked(client, url, file, target, options);
  } finally {
    await lock.release();
  }
}

/** True when the content is there; its name says what it is, so its size is enough of a check. */
export async function isBlob(path: string, size: number): Promise<boolean> {
  try {
    const found = await stat(path);
    return found.isFile() && found.size === size;
  } catch {
    return false;
  }
}

async function downloadLocked(
  client: HubClient,
  url: string,
  file: HubFile,
  target: string,
  options: DownloadBlobOptions,
): Promise<void> {
  const path = `${target}.jeton.incomplete`;
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDWR | constants.O_CREAT, 0o644);
    const partial = await openPartial(handle, file, options);
    const resumed = partial.position > 0;
    await fetchRest(client, url, file, partial);
    if (isChecksum(file.etag) && partial.digest() !== file.etag && resumed) {
      // The part of an earlier download may be damaged: download from the start.
      await partial.restart();
      await fetchRest(client, url, file, partial);
    }
    const found = partial.digest();
    if (isChecksum(file.etag) && found !== file.etag) {
      await unlink(path);
      throw new JetonError(
        `${file.path}: the checksum of what ${url} sent is ${found}, expected ${file.etag}; the file was discarded`,
        { code: "hub-checksum-mismatch", details: { url, found, expected: file.etag } },
      );
    }
    await handle.sync();
    await handle.close();
    handle = undefined;
    await rename(path, target).catch((error: unknown) => {
      // Another process took the lock over and has finished the same content.
      if (systemCode(error) !== "ENOENT") throw error;
    });
    await syncFolder(dirname(target));
  } catch (error) {
    options.signal?.throwIfAborted();
    throw systemCode(error) === undefined ? error : fileError(error, path);
  } finally {
    await handle?.close().catch(() => {});
  }
}

/** A file that is being received, with the hash of its bytes so far. */
interface PartialFile {
  readonly position: number;
  append(chunk: Uint8Array): Promise<void>;
  restart(): Promise<void>;
  /** Checksum of the bytes received so far, in the form of `HubFile.etag`. */
  digest(): string;
}

async function openPartial(
  handle: FileHandle,
  file: HubFile,
  { onPosition, signal }: DownloadBlobOptions,
): Promise<PartialFile> {
  let position = 0;
  let hash = startHash(file);
  const restart = async (): Promise<void> => {
    await handle.truncate(0);
    hash = startHash(file);
    position = 0;
    onPosition?.(0);
  };
  const { size } = await handle.stat();
  if (size > file.size) await restart();
  const buffer = Buffer.allocUnsafe(1 << 20);
  while (position < size && size <= file.size) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  onPosition?.(position);
  return {
    get position() {
      return position;
    },
    async append(chunk) {
      for (let done = 0; done < chunk.length; ) {
        const rest = chunk.subarray(done);
        const { bytesWritten } = await handle.write(rest, 0, rest.length, position);
        hash.update(rest.subarray(0, bytesWritten));
        position += bytesWritten;
        done += bytesWritten;
      }
      onPosition?.(position);
    },
    restart,
    digest: () => hash.copy().digest("hex"),
  };
}

function startHash(file: HubFile): Hash {
  if (file.etag.length === 64) return createHash("sha256");
  return createHash("sha1").update(`blob ${file.size}\0`);
}

/** Requests the missing bytes until the file is complete; each try resumes after the last byte. */
async function fetchRest(
  client: HubClient,
  url: string,
  file: HubFile,
  partial: PartialFile,
): Promise<void> {
  if (partial.position === file.size) return;
  await client.retry(
    () => fetchOnce(client, url, file, partial),
    () => partial.position,
  );
}

async function fetchOnce(
  client: HubClient,
  url: string,
  file: HubFile,
  partial: PartialFile,
): Promise<void> {
  const start = partial.position;
  const headers = {
    "accept-encoding": "identity",
    ...(start > 0 && { range: `bytes=${start}-` }),
  };
  await client.request(url, headers, async ({ response, etag, size, chunks }) => {
    if (size !== undefined && size !== file.size) {
      throw invalidAnswer(url, `it has ${size} bytes where the listing says ${file.size}`);
    }
    if (etag && isChecksum(etag) && etag.length === file.etag.length && etag !== file.etag) {
      throw invalidAnswer(url, `it has the etag ${etag} where the listing says ${file.etag}`);
    }
    const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
    const continues = response.status === 206 && Number(range?.[1]) === start;
    // A server without ranges sends all of it again; 416 says that our part is longer than its file.
    if (start > 0 && !continues) await partial.restart();
    if (response.status !== 416) {
      for await (const chunk of chunks()) {
        if (partial.position + chunk.length > file.size) {
          await partial.restart();
          throw invalidAnswer(url, `it is longer than the ${file.size} bytes of the listing`);
        }
        await partial.append(chunk);
      }
    }
    if (partial.position < file.size) {
      throw new TransientFailure(
        `${file.path} ended after ${partial.position} of ${file.size} bytes`,
      );
    }
  });
}

/** True for an etag that is a SHA-1 or a SHA-256. */
function isChecksum(etag: string): boolean {
  return /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag);
}
