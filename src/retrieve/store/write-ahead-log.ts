/**
 * The write-ahead log: every change is on the disk before it is acknowledged. A frame is the length of its
 * payload, its CRC-32, and the payload, a change as JSON.
 */
import { open, readFile } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { fileError } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";

/** A change of an index. */
export type Change = { readonly put: readonly object[] } | { readonly delete: readonly string[] };

type FileHandle = Awaited<ReturnType<typeof open>>;

/** An open log. */
export class WriteAheadLog {
  readonly #path: string;
  readonly #handle: FileHandle;
  #bytes: number;

  /** For `open`. */
  constructor(path: string, handle: FileHandle, bytes: number) {
    this.#path = path;
    this.#handle = handle;
    this.#bytes = bytes;
  }

  /** Opens a log for writing at `bytes`, its last whole frame's end; what follows is cut off. */
  static async open(path: string, bytes: number): Promise<WriteAheadLog> {
    try {
      const handle = await open(path, bytes === 0 ? "w" : "r+");
      await handle.truncate(bytes);
      await handle.sync();
      return new WriteAheadLog(path, handle, bytes);
    } catch (error) {
      throw fileError(error, path);
    }
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Writes a change and waits until the disk has it. A change that fails leaves no trace. */
  async append(change: Change): Promise<void> {
    const payload = Buffer.from(JSON.stringify(change));
    const frame = Buffer.allocUnsafe(8 + payload.length);
    frame.writeUInt32LE(payload.length, 0);
    frame.writeUInt32LE(crc32(payload), 4);
    payload.copy(frame, 8);
    try {
      let done = 0;
      while (done < frame.length) {
        const { bytesWritten } = await this.#handle.write(
          frame,
          done,
          frame.length - done,
          this.#bytes + done,
        );
        done += bytesWritten;
      }
      await this.#handle.datasync();
    } catch (error) {
      await this.#handle.truncate(this.#bytes).catch(() => {});
      throw fileError(error, this.#path);
    }
    this.#bytes += frame.length;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/**
 * Reads a log. A last frame that is not whole was never acknowledged and is left out.
 *
 * @returns the changes, and where the last whole frame ends
 * @throws JetonError `index-log-damaged` for a frame that is not whole before others
 */
export async function readLog(path: string): Promise<{ changes: Change[]; bytes: number }> {
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (error) {
    throw fileError(error, path);
  }
  const changes: Change[] = [];
  let at = 0;
  while (at + 8 <= content.length) {
    const payload = readFrame(content, at);
    if (payload === undefined) {
      if (isTorn(content, at)) break;
      throw new JetonError(`the log ${path} is damaged at byte ${at}`, {
        code: "index-log-damaged",
        details: { path, found: at, expected: "whole frames, but for the last one" },
      });
    }
    changes.push(JSON.parse(payload.toString("utf8")) as Change);
    at += 8 + payload.length;
  }
  return { changes, bytes: at };
}

/** The payload of the frame at a byte; undefined where none is whole. No payload is empty. */
function readFrame(content: Buffer, at: number): Buffer | undefined {
  const length = content.readUInt32LE(at);
  const end = at + 8 + length;
  if (length === 0 || end > content.length) return undefined;
  const payload = content.subarray(at + 8, end);
  return crc32(payload) === content.readUInt32LE(at + 4) ? payload : undefined;
}

/** Whether what begins at a byte, and is no whole frame, may be a write that a crash cut off. */
function isTorn(content: Buffer, at: number): boolean {
  // Space that a file system gave a frame before its bytes.
  if (content.subarray(at).every((byte) => byte === 0)) return true;
  // A length that was damaged reaches beyond the end as well, but other frames follow it.
  return at + 8 + content.readUInt32LE(at) >= content.length && !holdsFrame(content, at + 1);
}

/**
 * Whether a whole frame begins at this byte or later. Payloads are JSON, which begins with a brace and has no byte of 0, so
 * hardly any place needs a checksum.
 */
function holdsFrame(content: Buffer, from: number): boolean {
  for (let at = content.indexOf("{", from + 8); at >= 0; at = content.indexOf("{", at + 1)) {
    if (content.readUInt32LE(at - 8) <= content.length - at && readFrame(content, at - 8)) {
      return true;
    }
  }
  return false;
}
