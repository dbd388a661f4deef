/** Input of commands: texts from arguments, files or standard input, and JSON lines. */
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { JetonError } from "../../core/error.ts";
import { UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";

/** Reads standard input to its end as UTF-8. Throws `input-not-utf8`. */
export async function readStandardInput({ stdin, signal }: CommandContext): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readChunks(stdin, signal)) chunks.push(chunk);
  return decodeText(Buffer.concat(chunks), "standard input");
}

/** Reads a text file. Throws `file-unreadable`, `input-not-utf8`. */
export async function readTextFile(path: string): Promise<string> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw fileUnreadable(path, cause);
  });
  return decodeText(bytes, path);
}

/** The error of a file that could not be read, `file-unreadable`. */
export function fileUnreadable(path: string, cause: unknown): JetonError {
  const { code, message = String(cause) } = cause as Partial<NodeJS.ErrnoException>;
  const reason =
    code === "ENOENT"
      ? "does not exist"
      : code === "EISDIR"
        ? "is a folder, expected a file"
        : `cannot be read: ${message}`;
  return new JetonError(`${path} ${reason}`, { code: "file-unreadable", details: { path }, cause });
}

/**
 * The text that a command works on: the argument, or a file, or standard input (`-` or no argument).
 *
 * @throws UsageError `text-missing` if there is no argument and standard input is a terminal;
 * `text-ambiguous` if both an argument and a file are given
 */
export async function readTextArgument(
  context: CommandContext,
  argument: string | undefined,
  file?: string,
): Promise<string> {
  if (file !== undefined) {
    if (argument === undefined) return readTextFile(file);
    throw new UsageError("text-ambiguous", "give a text or --file, not both");
  }
  if (argument !== undefined && argument !== "-") return argument;
  if (argument === undefined && context.stdin.isTTY === true) {
    throw new UsageError(
      "text-missing",
      "no text: pass it as an argument, or - to read it from the terminal",
    );
  }
  return readStandardInput(context);
}

/** The chunks of a stream; an abort throws the signal's reason. */
async function* readChunks(stream: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted();
  const stop = (): void => {
    stream.destroy(signal.reason instanceof Error ? signal.reason : undefined);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of stream) {
      signal.throwIfAborted();
      yield typeof chunk === "string" ? Buffer.from(chunk) : (chunk as Uint8Array);
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Lines that arrived together, with the number of the first, counted from 1. */
export interface LineBatch {
  readonly first: number;
  readonly lines: readonly Uint8Array[];
}

const lineFeed = 0x0a;

/**
 * Lines of a stream in batches of those that have arrived. Only a line feed ends a line: U+2028 and
 * U+0085 may occur unescaped in JSON strings. Text after the last line feed is a last line.
 */
export async function* readLines(
  stream: Readable,
  signal: AbortSignal,
): AsyncGenerator<LineBatch, void> {
  let pending: Uint8Array[] = [];
  let first = 1;
  for await (const chunk of readChunks(stream, signal)) {
    const lines: Uint8Array[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(lineFeed, start);
      if (end < 0) break;
      const piece = chunk.subarray(start, end);
      lines.push(pending.length === 0 ? piece : Buffer.concat([...pending, piece]));
      pending = [];
      start = end + 1;
    }
    if (start < chunk.length) pending.push(chunk.subarray(start));
    if (lines.length > 0) yield { first, lines };
    first += lines.length;
  }
  if (pending.length > 0) yield { first, lines: [Buffer.concat(pending)] };
}

/** UTF-8 bytes as text. Throws `input-not-utf8`. */
export function decodeText(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new JetonError(`${source} is not UTF-8 text`, {
      code: "input-not-utf8",
      details: { source },
      cause,
    });
  }
}
