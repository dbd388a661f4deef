/**
 * Reads lines from a terminal for the chat: a history across sessions, pasted lines as one message, and
 * Ctrl-C that clears the line.
 */
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { PassThrough } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { ChatHistory } from "./chat-history.ts";

/** Stands for a line break inside a line while it is edited. */
export const lineBreakSymbol = "␤";

const pasteBegin = "\u001b[200~";
const pasteEnd = "\u001b[201~";

export interface LineEditorOptions {
  readonly input: Readable & { setRawMode?(isRaw: boolean): unknown };
  readonly output: Writable;
  readonly history: ChatHistory;
  readonly signal: AbortSignal;
  readonly prompt?: string;
}

/**
 * Creates a function that asks for a line and resolves with undefined at the end of the input. Between
 * calls the terminal is not in raw mode, so that Ctrl-C is a signal.
 */
export function createLineEditor(options: LineEditorOptions): () => Promise<string | undefined> {
  const waiting: string[] = [];
  return async () => {
    const line = waiting.shift() ?? (await readLine(options, waiting));
    if (line === undefined) return undefined;
    if (line.trim() !== "") await options.history.add(line);
    return line.replaceAll(lineBreakSymbol, "\n");
  };
}

/** Reads one line; lines that arrive with it in one chunk are added to `waiting`. */
function readLine(
  { input, output, history, signal, prompt = "> " }: LineEditorOptions,
  waiting: string[],
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const keys = Object.assign(new PassThrough(), {
      setRawMode: (isRaw: boolean) => input.setRawMode?.(isRaw),
    });
    const filter = createPasteFilter();
    const onData = (chunk: Buffer | string): void => void keys.write(filter(chunk));
    const onEnd = (): void => void keys.end();
    const reader = createInterface({
      input: keys,
      output,
      terminal: true,
      history: [...history.lines],
      historySize: history.limit,
      removeHistoryDuplicates: true,
      prompt,
    });
    let hasLine = false;
    let wasInterrupted = false;
    const stop = (): void => reader.close();
    reader.on("line", (line) => {
      waiting.push(line);
      if (hasLine) return;
      hasLine = true;
      // Further lines of the same chunk are read in the same turn.
      setImmediate(stop);
    });
    reader.on("SIGINT", () => {
      if (reader.line === "" && wasInterrupted) return stop();
      wasInterrupted = reader.line === "";
      if (wasInterrupted) output.write("\r\n(Ctrl-C again, Ctrl-D or /quit leaves)\r\n");
      reader.write(null, { ctrl: true, name: "e" });
      reader.write(null, { ctrl: true, name: "u" });
      if (wasInterrupted) reader.prompt();
    });
    reader.on("close", () => {
      signal.removeEventListener("abort", stop);
      input.off("data", onData).off("end", onEnd);
      input.pause();
      output.write("\u001b[?2004l");
      if (!hasLine) output.write("\n");
      resolve(waiting.shift());
    });
    signal.addEventListener("abort", stop, { once: true });
    input.on("data", onData).on("end", onEnd);
    // Asks the terminal to mark pasted text.
    output.write("\u001b[?2004h");
    reader.prompt();
    if (input.readableEnded) onEnd();
    input.resume();
  });
}

/**
 * A function that replaces line breaks of pasted text by `lineBreakSymbol` and drops the terminal's marks
 * and other control characters of it; chunks may cut marks and characters anywhere.
 */
export function createPasteFilter(): (chunk: Buffer | string) => string {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let isPasting = false;
  return (chunk) => {
    let text = rest + (typeof chunk === "string" ? chunk : decoder.write(chunk));
    let filtered = "";
    for (;;) {
      const mark = isPasting ? pasteEnd : pasteBegin;
      const at = text.indexOf(mark);
      const end = at >= 0 ? at : text.length - partialMark(text, mark, isPasting ? 1 : 2);
      const part = text.slice(0, end);
      filtered += isPasting ? flattenPaste(part) : part;
      if (at < 0) {
        rest = text.slice(end);
        return filtered;
      }
      text = text.slice(at + mark.length);
      isPasting = !isPasting;
    }
  };
}

/** Length of the beginning of `mark`, at least `min`, with which the text ends; otherwise 0. */
function partialMark(text: string, mark: string, min: number): number {
  for (let length = mark.length - 1; length >= min; length--) {
    if (text.endsWith(mark.slice(0, length))) return length;
  }
  return 0;
}

function flattenPaste(text: string): string {
  return text
    .replace(/\r\n|\r|\n/g, lineBreakSymbol)
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "");
}
