/// <reference lib="esnext.disposable" preserve="true" />
/** Opens one safetensors file: its header is read and checked at once, its tensors when asked for. */
import { type FileHandle, open, realpath } from "node:fs/promises";
import { JetonError } from "../../core/index.ts";
import { fileError } from "../files/file-error.ts";
import {
  parseHeaderLength,
  parseSafetensorsHeader,
  type SafetensorsHeader,
} from "./safetensors-header.ts";
import { createTensorReader, type TensorReader } from "./tensor-reader.ts";

/** An open safetensors file. It holds a file descriptor until it is closed. */
export interface SafetensorsFile extends TensorReader, SafetensorsHeader {
  /** Absolute path, symbolic links resolved. */
  readonly file: string;
  /** Size of the whole file in bytes. */
  readonly size: number;
  /** Closes the file after the reads under way; calling it again does nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens a safetensors file and checks its header against the file's size.
 *
 * @example
 * const file = await openSafetensors("model.safetensors");
 * const weight = await file.readFloat32("lm_head.weight");
 * await file.close();
 *
 * @throws JetonError `file-not-found` and its like, and the codes of `parseSafetensorsHeader`.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  let handle: FileHandle | undefined;
  try {
    const file = await realpath(path);
    handle = await open(file, "r");
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw new JetonError(`${path} is not a regular file`, {
        code: stat.isDirectory() ? "file-is-folder" : "file-not-regular",
        details: { path, expected: "a safetensors file" },
      });
    }
    const header = await readHeader(handle, stat.size, file);
    return createFile(handle, file, stat.size, header);
  } catch (error) {
    await handle?.close();
    throw fileError(error, path);
  }
}

async function readHeader(
  handle: FileHandle,
  size: number,
  file: string,
): Promise<SafetensorsHeader> {
  const readAt = async (position: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
      if (bytesRead === 0) break; // shrank since `stat`: the checks see a short array
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  };
  const length = parseHeaderLength(await readAt(0, Math.min(8, size)), size, file);
  return parseSafetensorsHeader(await readAt(8, length), size, file);
}

function createFile(
  handle: FileHandle,
  file: string,
  size: number,
  header: SafetensorsHeader,
): SafetensorsFile {
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= handle.close();
    return closing;
  };
  const reader = createTensorReader(header.tensors, () => {
    if (!closing) return handle;
    throw new JetonError(`${file} is closed`, { code: "file-closed", details: { file } });
  });
  return { ...header, ...reader, file, size, close, [Symbol.asyncDispose]: close };
}
