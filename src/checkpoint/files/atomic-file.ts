/**
 * Files that are either complete or absent.
 *
 * A file is written under a temporary name in the folder of its final one, flushed to the disk, and
 * renamed; a crash at any moment leaves the old file or the new one, never a part of either.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileError, systemCode } from "./file-error.ts";

/** The part of an open file that writing needs. Declared here so that declarations need no types of Node. */
export interface WritableFile {
  writeFile(content: string | Uint8Array): Promise<void>;
  write(bytes: Uint8Array, offset: number, length: number): Promise<{ bytesWritten: number }>;
  truncate(length: number): Promise<void>;
}

/** A complete file that does not have its final name yet. */
export interface PendingFile {
  /** The final path. */
  readonly path: string;
  /** Renames the file to its final name, replacing an older file, and flushes the folder. */
  commit(): Promise<void>;
  /** Removes the temporary file; after `commit` it does nothing. */
  discard(): Promise<void>;
}

/** A name beside `path` that no other process uses. Such files may be deleted when nothing runs. */
export function temporaryPath(path: string): string {
  const unique = `${process.pid}-${randomBytes(6).toString("hex")}`;
  return join(dirname(path), `.${basename(path).slice(0, 100)}.${unique}.tmp`);
}

export interface StageFileOptions {
  /** False: file and folder are not flushed, so a power cut may lose them. Default true. */
  flush?: boolean;
}

/**
 * Writes a file under a temporary name; `write` gets it open and empty. When `write` fails, the
 * temporary file is removed and the error passed on. The folder is made when it does not exist.
 *
 * @throws JetonError `disk-full`, `file-not-permitted`, `file-system-read-only` and their like.
 */
export async function stageFile(
  path: string,
  write: (handle: WritableFile, temporary: string) => Promise<void>,
  options: StageFileOptions = {},
): Promise<PendingFile> {
  const { flush = true } = options;
  const temporary = temporaryPath(path);
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    await mkdir(dirname(path), { recursive: true });
    handle = await open(temporary, "wx");
    await write(handle, temporary);
    if (flush) await handle.sync();
    await handle.close();
  } catch (error) {
    await handle?.close().catch(() => {});
    if (handle) await unlink(temporary).catch(() => {});
    // Errors of `write` itself pass through unchanged.
    throw systemCode(error) === undefined ? error : fileError(error, path);
  }
  let settled = false;
  const discard = async (): Promise<void> => {
    if (settled) return;
    settled = true;
    await unlink(temporary).catch(() => {});
  };
  const commit = async (): Promise<void> => {
    try {
      await rename(temporary, path);
      settled = true;
      if (flush) await syncFolder(dirname(path));
    } catch (error) {
      await discard();
      throw fileError(error, path);
    }
  };
  return { path, commit, discard };
}

/** Writes a file so that `path` holds either its former content or all of the new one. */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array | ((handle: WritableFile) => Promise<void>),
): Promise<void> {
  const write =
    typeof content === "function"
      ? content
      : (handle: WritableFile): Promise<void> => handle.writeFile(content);
  const pending = await stageFile(path, write);
  await pending.commit();
}

/** Flushes a folder's entries, so that a rename outlives a power cut; where that is impossible, not. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows and some network file systems cannot flush a folder; the file itself is flushed.
  }
}
