/**
 * The ordered merges of a tokenizer, and how its training cut text into words: all that the inference
 * reads of it.
 */
import { JetonError } from "../../core/error.ts";
import { encodeUtf8, fromByteAlphabet, toWellFormed } from "../decoders/byte-alphabet.ts";
import { asArray, asObject, readField } from "../formats/json-reader.ts";
import { readSentencePieceModel } from "../formats/sentencepiece-model.ts";
import { readTiktokenRanks, tiktokenEncodings } from "../formats/tiktoken-ranks.ts";
import { readTokenizerJson, type TokenizerParts } from "../formats/tokenizer-json.ts";
import { metaspace } from "../models/metaspace.ts";
import { readModelKind } from "../models/read-model.ts";
import { byteToken } from "../models/utf8.ts";
import { isNumeric } from "../pre-tokenizers/character-classes.ts";
import type { PreTokenizerStep } from "../pre-tokenizers/pre-tokenizers.ts";
import { scriptOf } from "../pre-tokenizers/scripts.ts";
import { WordCounter } from "../training/word-counter.ts";

/** The merges of a tokenizer in the order in which its training made them. */
export interface MergeList {
  /** Number of base symbols: 256 bytes, or the characters that the vocabulary knows. */
  readonly alphabetSize: number;
  /** Strings of all symbols as the vocabulary writes them, the alphabet first. */
  readonly symbols: readonly string[];
  /** Symbols that each merge joins: left and right one after the other. */
  readonly pairs: Int32Array;
  /** Symbol that each merge makes. */
  readonly products: Int32Array;
  /** Whether training could have joined two symbols; absent where it could join any. */
  readonly allows?: (left: number, right: number) => boolean;
  /** Entries of the file that no training can have made at their place, and were left out. */
  readonly dropped: readonly string[];
  /** Collects the words of texts as the tokenizer's training did. */
  createCounter(): WordCollector;
}

/** Words of some texts, as symbols of the alphabet. */
export interface WordCollector {
  /** Adds a text; any string. */
  add(text: string): void;
  /** Each distinct word once, with the number of times it occurred. */
  words(): Iterable<{ readonly symbols: readonly number[]; readonly count: number }>;
}

export interface ReadMergeListOptions {
  /** Use only this many merges from the start. Default: all. */
  maxMerges?: number;
  /**
   * What to do with a list that names several ways to make one token, as lists converted from
   * SentencePiece do. `"auto"` (default) keeps the one way that training can have taken when more
   * than a twentieth of the entries are such repetitions. The other values decide it by hand.
   */
  clean?: "auto" | boolean;
  /**
   * Cut words in another way than the tokenizer says: each step cuts what the steps before it left.
   * For experiments.
   */
  steps?: readonly PreTokenizerStep[];
}

/**
 * Reads the merges of a byte-pair tokenizer: the parsed `tokenizer.json`.
 *
 * Throws `mixture-not-bpe` for any other model: Unigram and WordPiece keep no order of merges.
 */
export function readMergeList(json: unknown, options: ReadMergeListOptions = {}): MergeList {
  const model = asObject(readField(asObject(json, "tokenizer"), "model"), "model");
  const kind = readModelKind(model, "model");
  if (kind !== "BPE") throw notBytePairs(kind);
  const parts = readTokenizerJson(json);
  const entries = asArray(readField(model, "merges"), "model.merges").map(readEntry);
  const isByteLevel = usesByteAlphabet(parts);
  const products = new Set(entries.map(([left, right]) => left + right));
  const clean =
    options.clean === true ||
    ((options.clean ?? "auto") === "auto" && products.size < entries.length * 0.95);
  const merges = clean
    ? recoverMerges([...products], singleSymbols(parts, isByteLevel))
    : { merges: entries, dropped: [] };
  return createMergeList(parts, isByteLevel, merges, options);
}

/**
 * Reads the merges of a byte-pair tokenizer from its file or folder: `tokenizer.json`, tiktoken ranks
 * of a published encoding, or a SentencePiece model of the BPE kind. The last two hold tokens in the
 * order of their making; the merges follow from it.
 *
 * Throws `mixture-not-bpe`, and `tokenizer-not-found` when there is no such file.
 */
export async function loadMergeList(
  path: string,
  options: ReadMergeListOptions = {},
): Promise<MergeList> {
  const { readFile, readdir, stat } = await import("node:fs/promises");
  const { basename, join } = await import("node:path");
  let file = path;
  try {
    if ((await stat(path)).isDirectory()) {
      const names = await readdir(path);
      const name =
        ["tokenizer.json", "tokenizer.model"].find((candidate) => names.includes(candidate)) ??
        names.sort().find((candidate) => /\.(tiktoken|model)$/.test(candidate));
      file = join(path, name ?? "tokenizer.json");
    }
    const bytes = await readFile(file);
    if (file.endsWith(".tiktoken")) {
      const encoding = tiktokenEncodings.get(basename(file, ".tiktoken"));
      if (encoding === undefined) throw unknownEncoding(file);
      return fromVocabulary(readTiktokenRanks(bytes.toString(), encoding), options);
    }
    if (file.endsWith(".model")) return fromVocabulary(readSentencePieceModel(bytes), options);
    return readMergeList(JSON.parse(bytes.toString()) as unknown, options);
  } catch (cause) {
    if (JetonError.isInstance(cause)) throw cause;
    throw new JetonError(`${file} cannot be read, expected a tokenizer`, {
      code: "tokenizer-not-found",
      details: { path: file },
      cause,
    });
  }
}

function unknownEncoding(path: string): JetonError {
  return new JetonError(`${path} holds ranks of an encoding that is not known by its name`, {
    code: "tiktoken-encoding-unknown",
    details: { path, known: [...tiktokenEncodings.keys()] },
  });
}

function notBytePairs(kind: string): JetonError {
  return new JetonError(
    `the tokenizer is ${kind}; only the merges of byte-pair encoding tell of the training data`,
    { code: "mixture-not-bpe", details: { kind, expected: "BPE" } },
  );
}

function readEntry(value: unknown): readonly [string, string] {
  // The file was read as a tokenizer before: entries are well-formed.
  if (typeof value !== "string") return value as [string, string];
  const space = value.indexOf(" ");
  return [value.slice(0, space), value.slice(space + 1)];
}

/** Whether the symbols of words are bytes, written in GPT-2's alphabet. */
function usesByteAlphabet(parts: TokenizerParts): boolean {
  const { ids } = parts.model.vocabulary;
  return !ids.has(metaspace) && ids.has("\u0120") && ids.has("\u010a");
}

/** Tokens in the order of their ids, whose order is that of their making. */
function fromVocabulary(parts: TokenizerParts, options: ReadMergeListOptions): MergeList {
  if (parts.model.kind !== "BPE") throw notBytePairs(parts.model.kind);
  const added = new Set(parts.addedTokens.map((token) => token.content));
  const isByteLevel = usesByteAlphabet(parts);
  const single = singleSymbols(parts, isByteLevel);
  const tokens = parts.model.vocabulary.tokens.filter(
    (token) => token !== undefined && !added.has(token) && !single.has(token) && !isByteName(token),
  ) as string[];
  return createMergeList(parts, isByteLevel, recoverMerges(tokens, single), options);
}

const byteNames: ReadonlySet<string> = new Set(
  Array.from({ length: 256 }, (_, byte) => byteToken(byte)),
);

function isByteName(token: string): boolean {
  return byteNames.has(token);
}

/** The tokens of one character (or byte). */
function singleSymbols(parts: TokenizerParts, isByteLevel: boolean): ReadonlySet<string> {
  return new Set(
    parts.model.vocabulary.tokens.filter((token): token is string => {
      if (token === undefined) return false;
      return isByteLevel ? fromByteAlphabet(token)?.length === 1 : [...token].length === 1;
    }),
  );
}

/**
 * Finds for each token, in the order of their making, the merge that made it: what is left of its
 * spelling after all earlier merges must be two symbols. Tokens of which more is left were put there
 * by hand, or need a merge that the list does not hold.
 */
export function recoverMerges(
  tokens: readonly string[],
  alphabet: ReadonlySet<string>,
): { readonly merges: (readonly [string, string])[]; readonly dropped: string[] } {
  const ranks = new Map<string, Map<string, number>>();
  const merges: (readonly [string, string])[] = [];
  const dropped: string[] = [];
  for (const token of tokens) {
    const parts = [...token];
    while (parts.length > 1) {
      let best = Number.POSITIVE_INFINITY;
      let at = -1;
      for (let i = 0; i + 1 < parts.length; i++) {
        const rank = ranks.get(parts[i]!)?.get(parts[i + 1]!);
        if (rank !== undefined && rank < best) {
          best = rank;
          at = i;
        }
      }
      if (at < 0) break;
      parts.splice(at, 2, parts[at]! + parts[at + 1]!);
    }
    if (parts.length !== 2 || !parts.every((part) => part.length > 1 || alphabet.has(part))) {
      if (parts.length > 1) dropped.push(token);
      continue;
    }
    const [left, right] = parts as [string, string];
    const row = ranks.get(left) ?? new Map<string, number>();
    ranks.set(left, row.set(right, merges.length));
    merges.push([left, right]);
  }
  return { merges, dropped };
}

function createMergeList(
  parts: TokenizerParts,
  isByteLevel: boolean,
  found: {
    readonly merges: readonly (readonly [string, string])[];
    readonly dropped: readonly string[];
  },
  options: ReadMergeListOptions,
): MergeList {
  const alphabet = [...singleSymbols(parts, isByteLevel)];
  const symbols = [...alphabet];
  const numbers = new Map(symbols.map((symbol, number) => [symbol, number]));
  const dropped = [...found.dropped];
  const pairs: number[] = [];
  const products: number[] = [];
  for (const [left, right] of found.merges.slice(0, options.maxMerges)) {
    const first = numbers.get(left);
    const second = numbers.get(right);
    if (first === undefined || second === undefined) {
      dropped.push(left + right);
      continue;
    }
    let product = numbers.get(left + right);
    if (product === undefined) {
      product = symbols.length;
      symbols.push(left + right);
      numbers.set(left + right, product);
    }
    pairs.push(first, second);
    products.push(product);
  }
  const isSentencePiece = !isByteLevel && parts.steps.length === 0;
  const steps = options.steps ?? (isSentencePiece ? [sentencePieceWords] : parts.steps);
  const symbolOfByte = isByteLevel ? mapBytes(alphabet) : undefined;
  return {
    alphabetSize: alphabet.length,
    symbols,
    pairs: Int32Array.from(pairs),
    products: Int32Array.from(products),
    dropped,
    ...(isSentencePiece && {
      allows(left: number, right: number) {
        const piece = symbols[left]! + symbols[right]!;
        return numbers.has(piece) || isSentencePiecePiece(piece);
      },
    }),
    createCounter() {
      const counter = new WordCounter(parts.normalizer, steps);
      return {
        add(text) {
          const wellFormed = toWellFormed(text);
          // SentencePiece reads its training data line by line.
          if (isSentencePiece) for (const line of wellFormed.split(/[\n\t]+/)) counter.add(line);
          else counter.add(wellFormed);
        },
        *words() {
          for (const [word, count] of counter.words()) {
            const run: number[] = [];
            const spelling = symbolOfByte === undefined ? [...word] : encodeUtf8(word);
            for (const unit of spelling) {
              const symbol = typeof unit === "number" ? symbolOfByte![unit] : numbers.get(unit);
              // A character outside the vocabulary was none in training: words end there.
              if (symbol !== undefined) run.push(symbol);
              else if (run.length > 0) yield { symbols: run.splice(0), count };
            }
            if (run.length > 0) yield { symbols: run, count };
          }
        },
      };
    },
  };
}

function mapBytes(alphabet: readonly string[]): (number | undefined)[] {
  const symbolOfByte = new Array<number | undefined>(256).fill(undefined);
  for (const [number, symbol] of alphabet.entries()) {
    symbolOfByte[fromByteAlphabet(symbol)![0]!] = number;
  }
  return symbolOfByte;
}

/** SentencePiece's words: each begins with its spaces. */
const sentencePieceWords: PreTokenizerStep = {
  kind: "split",
  split(text, emit) {
    let start = 0;
    for (let i = 1; i < text.length; i++) {
      if (text[i] === metaspace && text[i - 1] !== metaspace) {
        emit(start, i);
        start = i;
      }
    }
    if (start < text.length) emit(start, text.length);
  },
};

/** SentencePiece's default length limit, in characters. */
const maxPieceLength = 16;

/**
 * Whether SentencePiece's training, as Llama's used it, may make a piece: at most 16 characters of
 * one script after an optional space, no digit beside another character, spaces in front or alone.
 */
export function isSentencePiecePiece(piece: string): boolean {
  const characters = [...piece];
  if (characters.length > maxPieceLength) return false;
  if (characters.every((character) => character === metaspace)) return true;
  let script: string | undefined;
  for (const [i, character] of characters.entries()) {
    if (character === metaspace) {
      if (i > 0) return false;
      continue;
    }
    const codePoint = character.codePointAt(0)!;
    if (isNumeric(codePoint) && characters.length > 1) return false;
    const own = scriptOf(codePoint);
    if (own === undefined || own === "Inherited") continue;
    if (script !== undefined && own !== script) return false;
    script = own;
  }
  return true;
}
