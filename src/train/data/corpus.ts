/**
 * Corpora as streams of documents: text and JSON lines, plain or gzip, larger than memory.
 */
import { createReadStream } from "node:fs";
import { extname } from "node:path";
import { createGunzip } from "node:zlib";
import { JetonError } from "../../core/index.ts";
import { listCorpusFiles } from "./corpus-files.ts";

/** Files that belong together. */
export interface Corpus {
  /**
   * Names as `listCorpusFiles` reads them: files, folders, patterns such as `prose/**\/*.txt`, and
   * `data:` with a name of the data registry. Files that end in `.jsonl` and `.ndjson` hold a document
   * a line (a string, or an object with `field`), any other file is one document; `.gz` after either
   * is unpacked.
   */
  readonly files: readonly string[];
  /** Field of a JSON object that holds the text. Default `"text"`. */
  readonly field?: string;
  /** Share of the training sequences, relative to the other corpora. Default 1. */
  readonly weight?: number;
  /**
   * Special tokens that the texts may spell, such as those of fill-in-the-middle and of chats. Default `"none"`: a text that
   * spells one is text.
   */
  readonly allowedSpecial?: "all" | "none" | readonly string[];
}

/** A document, or a part of one that is too long to hold. */
export interface DocumentPart {
  readonly text: string;
  /** A new document begins here. */
  readonly isStart: boolean;
}

/** Text of a long document is handed on in parts of about this many characters. */
const partLength = 1 << 16;

/** Characters without a good place to cut that are waited for: some corpora are one line. */
const maxWait = 1 << 20;

/**
 * Reads the documents of a corpus in order. A long text is cut after the end of a line that is
 * followed by a visible character, where tokenizers cut as well; a text of a million characters without
 * such a place is cut before a space between visible characters, or anywhere if it has none.
 *
 * @throws JetonError `corpus-file-unreadable`, `corpus-file-binary`, `corpus-line-invalid`, and those
 *   of `listCorpusFiles`
 */
export async function* readDocuments(corpus: Corpus): AsyncGenerator<DocumentPart> {
  for (const file of await listCorpusFiles(corpus.files)) {
    const name = file.endsWith(".gz") ? file.slice(0, -3) : file;
    const isLines = [".jsonl", ".ndjson"].includes(extname(name));
    if (isLines) yield* readLines(file, corpus.field ?? "text");
    else yield* readText(file);
  }
}

async function* readChunks(file: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const source = createReadStream(file, { highWaterMark: 1 << 18 });
  const unpacked = file.endsWith(".gz") ? source.pipe(createGunzip()) : source;
  // `pipe` does not pass on errors of its source.
  if (unpacked !== source) source.on("error", (error) => unpacked.destroy(error));
  try {
    for await (const bytes of unpacked as AsyncIterable<Uint8Array>) {
      // A folder may hold pictures beside its texts: skip them.
      if (bytes.includes(0)) {
        throw new JetonError(`${file} is not UTF-8 text: it holds zero bytes`, {
          code: "corpus-file-binary",
          details: { file },
        });
      }
      yield decoder.decode(bytes, { stream: true });
    }
  } catch (cause) {
    if (JetonError.isInstance(cause)) throw cause;
    throw new JetonError(`${file} cannot be read: ${(cause as Error).message}`, {
      code: "corpus-file-unreadable",
      cause,
      details: { file },
    });
  } finally {
    source.destroy();
  }
  yield decoder.decode();
}

async function* readText(file: string): AsyncGenerator<DocumentPart> {
  let rest = "";
  let isStart = true;
  for await (const chunk of readChunks(file)) {
    rest += chunk;
    if (rest.length < partLength) continue;
    let cut = lastBoundary(rest);
    if (cut === 0 && rest.length >= maxWait) cut = lastResort(rest);
    if (cut === 0) continue;
    yield { text: rest.slice(0, cut), isStart };
    isStart = false;
    rest = rest.slice(cut);
  }
  if (rest !== "") yield { text: rest, isStart };
}

/** Place after the last line end that a visible character follows; 0 where there is none. */
function lastBoundary(text: string): number {
  for (let at = text.lastIndexOf("\n"); at >= 0; at = text.lastIndexOf("\n", at - 1)) {
    if (at + 1 < text.length && !/\s/.test(text[at + 1]!)) return at + 1;
    if (at === 0) break;
  }
  return 0;
}

/** Place before the last single space, else before the last character, which may be half of one. */
function lastResort(text: string): number {
  for (let at = text.lastIndexOf(" "); at > 0; at = text.lastIndexOf(" ", at - 1)) {
    if (at + 1 < text.length && !/\s/.test(text[at - 1]! + text[at + 1]!)) return at;
  }
  const isHalf = /[\udc00-\udfff]/.test(text.at(-1)!);
  return text.length - (isHalf ? 2 : 1);
}

async function* readLines(file: string, field: string): AsyncGenerator<DocumentPart> {
  let rest = "";
  let line = 0;
  const parse = (text: string): DocumentPart | undefined => {
    line++;
    if (text.trim() === "") return undefined;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw lineError(file, line, "is not JSON", cause);
    }
    if (typeof value === "object" && value !== null) value = (value as never)[field];
    if (typeof value !== "string") throw lineError(file, line, `has no text in "${field}"`);
    return value === "" ? undefined : { text: value, isStart: true };
  };
  for await (const chunk of readChunks(file)) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const text of lines) {
      const document = parse(text);
      if (document) yield document;
    }
  }
  const last = parse(rest);
  if (last) yield last;
}

function lineError(file: string, line: number, what: string, cause?: unknown): JetonError {
  return new JetonError(`${file}:${line} ${what}`, {
    code: "corpus-line-invalid",
    ...(cause !== undefined && { cause }),
    details: { file, line },
  });
}
