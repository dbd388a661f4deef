/**
 * The decoders of tokenizer files: token strings → text.
 *
 * A decoder is a chain of stages. A stage takes tokens one at a time and passes on what is certain,
 * so that the same code decodes a whole list and a stream: the concatenation of streamed pieces is
 * the decoded text by construction. After a stage that fuses its input (`ByteLevel`, `Fuse`) the
 * rest of the chain sees one token that arrives in fragments.
 */
import { JetonError } from "../../core/error.ts";
import {
  asObject,
  invalidField,
  type JsonObject,
  readBoolean,
  readChoice,
  readField,
  readInteger,
  readList,
  readString,
} from "../formats/json-reader.ts";
import { metaspace } from "../models/metaspace.ts";
import { tooDeep } from "../normalizers/normalizers.ts";
import { readPattern } from "../pre-tokenizers/pattern.ts";
import { byteOfUnit, decodeUtf8Strictly, encodeUtf8 } from "./byte-alphabet.ts";

/** Where a stage passes its output on to. */
export interface TokenReceiver {
  push(token: string): void;
  /** Ends the input: passes on the text that was held back. */
  end(): void;
}

/** Makes a stage that writes to `next`. `fused` says that its input is one token in fragments. */
export interface StageFactory {
  create(next: TokenReceiver, fused: boolean): TokenReceiver;
  /** True when everything after this stage sees one token in fragments. */
  readonly fuses?: boolean;
  // Properties of a stage that the quick decoder uses.
  readonly isByteLevel?: boolean;
  /** For byte fallback: the tokens that a run of bytes becomes. */
  readonly readRun?: (run: readonly number[]) => readonly string[];
  readonly isFuse?: boolean;
  /** For a stage that maps each token by itself, knowing only whether it is the first. */
  readonly map?: (token: string, isFirst: boolean) => string;
  /** For a stage that, after fusing, removes up to `count` copies of a character from the front. */
  readonly stripsFront?: { readonly content: string; readonly count: number };
}

/** Reads the `decoder` of a tokenizer file as a flat chain of stages. Null: tokens joined by spaces. */
export function readDecoder(value: unknown, path: string): StageFactory[] {
  if (value === undefined || value === null) {
    return [perToken((token, isFirst) => (isFirst ? token : ` ${token}`))];
  }
  return readStages(value, path, 0);
}

function readStages(value: unknown, path: string, depth: number): StageFactory[] {
  const object = asObject(value, path);
  const type = readString(object, "type", path);
  switch (type) {
    case "ByteLevel":
      return [{ create: createByteLevel, fuses: true, isByteLevel: true }];
    case "ByteFallback":
      return [createByteFallback(readWholeRun)];
    case "Fuse":
      return [{ create: (next) => next, fuses: true, isFuse: true }];
    case "Metaspace":
      return [readMetaspace(object, path)];
    case "WordPiece":
      return [readWordPiece(object, path)];
    case "BPEDecoder":
      return [createSuffix(readString(object, "suffix", path, "</w>"))];
    case "CTC":
      return [readConnectionist(object, path)];
    case "Replace": {
      const { expression } = readPattern(readField(object, "pattern"), `${path}.pattern`);
      const content = readString(object, "content", path);
      return [perToken((token) => token.replace(expression, () => content))];
    }
    case "Strip":
      return [readStrip(object, path)];
    case "Sequence": {
      if (depth > 16) throw tooDeep(path);
      return readList(object, "decoders", path, (item, at) =>
        readStages(item, at, depth + 1),
      ).flat();
    }
    default:
      throw new JetonError(`${path}.type names the unknown decoder ${JSON.stringify(type)}`, {
        code: "tokenizer-unknown-component",
        details: { path, type },
      });
  }
}

/** Chains stages into one receiver that hands every piece of text to `write`. */
export function createDecoding(
  stages: readonly StageFactory[],
  write: (piece: string) => void,
): TokenReceiver {
  let receiver: TokenReceiver = { push: write, end: () => {} };
  for (let i = stages.length - 1; i >= 0; i--) {
    const fused = stages.slice(0, i).some((stage) => stage.fuses === true);
    receiver = stages[i]!.create(receiver, fused);
  }
  return receiver;
}

/** A stage that maps each token by itself. A token in fragments is gathered first. */
function perToken(map: (token: string, isFirst: boolean) => string): StageFactory {
  return {
    map,
    create(next, fused) {
      if (fused) return gather(next, (token) => map(token, true));
      let isFirst = true;
      return {
        push(token) {
          next.push(map(token, isFirst));
          isFirst = false;
        },
        end: () => next.end(),
      };
    },
  };
}

/** Collects the fragments of one token, maps it at the end. */
function gather(next: TokenReceiver, map: (token: string) => string): TokenReceiver {
  let text = "";
  let any = false;
  return {
    push(fragment) {
      any = true;
      text += fragment;
    },
    end() {
      if (any) next.push(map(text));
      next.end();
    },
  };
}

/** Bytes written in the byte alphabet, as text; a token with other characters gives its own UTF-8. */
function createByteLevel(next: TokenReceiver, fused: boolean): TokenReceiver {
  if (fused) return gather(createByteLevel(next, false), (token) => token);
  const text = createTextStream();
  return {
    push(token) {
      const piece = text.push(bytesOfToken(token));
      if (piece !== "") next.push(piece);
    },
    end() {
      const piece = text.end();
      if (piece !== "") next.push(piece);
      next.end();
    },
  };
}

/** The bytes of a token under the byte-level decoder. */
export function bytesOfToken(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfUnit(token.charCodeAt(i));
    if (byte < 0) return encodeUtf8(token);
    bytes[i] = byte;
  }
  return bytes;
}

/** Incremental UTF-8: whole characters come out as soon as they are certain. */
export function createTextStream(): { push(bytes: Uint8Array): string; end(): string } {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    push: (bytes) => decoder.decode(bytes, { stream: true }),
    end: () => decoder.decode(),
  };
}

/** Runs of `<0xNN>` tokens become text. The run must end before anything is certain. */
export function createByteFallback(
  readRun: (run: readonly number[]) => readonly string[],
): StageFactory {
  const create: StageFactory["create"] = (next, fused) => {
    const run: number[] = [];
    const flush = (): void => {
      for (const token of readRun(run)) next.push(token);
      run.length = 0;
    };
    const receiver: TokenReceiver = {
      push(token) {
        const byte = readByteToken(token);
        if (byte >= 0) {
          run.push(byte);
        } else {
          flush();
          next.push(token);
        }
      },
      end() {
        flush();
        next.end();
      },
    };
    return fused ? gather(receiver, (token) => token) : receiver;
  };
  return { create, readRun };
}

/** A run that is valid UTF-8 as a whole, or one U+FFFD for each of its bytes. */
function readWholeRun(run: readonly number[]): readonly string[] {
  if (run.length === 0) return [];
  if (run.length === 1 && run[0]! < 0x80) return [String.fromCharCode(run[0]!)];
  const text = decodeUtf8Strictly(Uint8Array.from(run));
  return text === null ? run.map(() => "\ufffd") : [text];
}

/** Every character of a run, and one U+FFFD for each byte that belongs to none. */
export function readCharactersOfRun(run: readonly number[]): readonly string[] {
  const characters: string[] = [];
  for (let at = 0; at < run.length; ) {
    const first = run[at]!;
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const character = decodeUtf8Strictly(Uint8Array.from(run.slice(at, at + length)));
    characters.push(character ?? "\ufffd");
    at += character === null ? 1 : length;
  }
  return characters;
}

/** The byte that a token `<0xNN>` stands for, or -1. */
export function readByteToken(token: string): number {
  if (token.length !== 6 || !token.startsWith("<0x")) return -1;
  return /^<0x[0-9a-fA-F]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : -1;
}

function readMetaspace(object: JsonObject, path: string): StageFactory {
  const replacement = readString(object, "replacement", path, metaspace);
  if ([...replacement].length !== 1) {
    throw invalidField(`${path}.replacement`, replacement, "one character");
  }
  const legacy = readBoolean(object, "add_prefix_space", path, true) ? "always" : "never";
  const schemes = ["first", "never", "always"] as const;
  const dropsFirst = readChoice(object, "prepend_scheme", path, schemes, legacy) !== "never";
  return perToken((token, isFirst) => {
    const text = isFirst && dropsFirst ? token.replaceAll(replacement, "") : token;
    return text.replaceAll(replacement, " ");
  });
}

/** Undoes the spaces that word tokenizers leave around punctuation and English clitics. */
export function cleanUpSpaces(text: string): string {
  return text
    .replaceAll(" .", ".")
    .replaceAll(" ?", "?")
    .replaceAll(" !", "!")
    .replaceAll(" ,", ",")
    .replaceAll(" ' ", "'")
    .replaceAll(" n't", "n't")
    .replaceAll(" 'm", "'m")
    .replaceAll(" do not", " don't")
    .replaceAll(" 's", "'s")
    .replaceAll(" 've", "'ve")
    .replaceAll(" 're", "'re");
}

function readWordPiece(object: JsonObject, path: string): StageFactory {
  const prefix = readString(object, "prefix", path, "##");
  const cleanUp = readBoolean(object, "cleanup", path, true);
  return perToken((token, isFirst) => {
    let text = token;
    if (!isFirst) text = token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
    return cleanUp ? cleanUpSpaces(text) : text;
  });
}

/** The suffix of a word's last token is a space, and nothing at the very end. */
function createSuffix(suffix: string): StageFactory {
  const replaceWith = (token: string, replacement: string): string =>
    suffix === "" ? token : token.replaceAll(suffix, replacement);
  return {
    create(next, fused) {
      if (fused) return gather(next, (token) => replaceWith(token, ""));
      let held: string | undefined;
      return {
        push(token) {
          if (held !== undefined) next.push(replaceWith(held, " "));
          held = token;
        },
        end() {
          if (held !== undefined) next.push(replaceWith(held, ""));
          held = undefined;
          next.end();
        },
      };
    },
  };
}

/** Connectionist temporal classification: repeats collapse, padding goes, words get spaces. */
function readConnectionist(object: JsonObject, path: string): StageFactory {
  const padding = readString(object, "pad_token", path, "<pad>");
  const delimiter = readString(object, "word_delimiter_token", path, "|");
  const cleanUp = readBoolean(object, "cleanup", path, true);
  const map = (token: string): string => {
    const text = padding === "" ? token : token.replaceAll(padding, "");
    if (!cleanUp) return text;
    const clean = cleanUpSpaces(text);
    return delimiter === "" ? clean : clean.replaceAll(delimiter, " ");
  };
  return {
    create(next, fused) {
      if (fused) return gather(next, map);
      let previous: string | undefined;
      return {
        push(token) {
          if (token === previous) return;
          previous = token;
          const text = map(token);
          if (text !== "") next.push(text);
        },
        end: () => next.end(),
      };
    },
  };
}

/** Removes up to `start` and `stop` copies of a character from the two ends of each token. */
function readStrip(object: JsonObject, path: string): StageFactory {
  const content = readString(object, "content", path);
  if ([...content].length !== 1) throw invalidField(`${path}.content`, content, "one character");
  const range = { minimum: 0, maximum: 1_000_000 };
  const start = readInteger(object, "start", path, range);
  const stop = readInteger(object, "stop", path, range);
  const strip = (token: string): string => {
    let from = 0;
    for (let i = 0; i < start && token.startsWith(content, from); i++) from += content.length;
    let to = token.length;
    for (let i = 0; i < stop && to > from && token.endsWith(content); i++) {
      if (!token.slice(from, to).endsWith(content)) break;
      to -= content.length;
    }
    return token.slice(from, to);
  };
  return {
    ...(stop === 0 ? { stripsFront: { content, count: start } } : {}),
    create(next, fused) {
      if (!fused) return perToken(strip).create(next, false);
      if (stop > 0) return gather(next, strip);
      // Only the beginning is stripped: fragments can pass once something else has been seen.
      let left = start;
      return {
        push(fragment) {
          let from = 0;
          while (left > 0 && from < fragment.length) {
            if (!fragment.startsWith(content, from)) {
              left = 0;
              break;
            }
            from += content.length;
            left--;
          }
          if (from < fragment.length) next.push(fragment.slice(from));
        },
        end: () => next.end(),
      };
    },
  };
}
