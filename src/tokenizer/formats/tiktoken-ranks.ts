/**
 * tiktoken rank files: one token a line, its bytes in base64 and its rank. Two neighbouring parts
 * merge when their bytes together are a token, the lowest rank first; a word that is a token as a
 * whole is not merged at all.
 */
import { JetonError } from "../../core/error.ts";
import type { AddedToken } from "../added-tokens.ts";
import { byteToCharacter } from "../decoders/byte-alphabet.ts";
import { readDecoder } from "../decoders/decoders.ts";
import { createBytePairModel } from "../models/byte-pair-model.ts";
import { createVocabulary, maxId } from "../models/vocabulary.ts";
import { readPostProcessor } from "../post-processors/post-processors.ts";
import { readPreTokenizer } from "../pre-tokenizers/pre-tokenizers.ts";
import { type KnownPattern, knownPatterns } from "../pre-tokenizers/scanners.ts";
import { describeValue } from "./json-reader.ts";
import type { TokenizerParts } from "./tokenizer-json.ts";

/** Settings that a rank file does not contain. */
export interface TiktokenEncoding {
  /** How text is cut: a known pattern or a regular expression. */
  readonly pattern: KnownPattern | { readonly regex: string };
  /** Special tokens with their ids. */
  readonly specialTokens: Readonly<Record<string, number>>;
}

const cl100kSpecials = {
  "<|endoftext|>": 100257,
  "<|fim_prefix|>": 100258,
  "<|fim_middle|>": 100259,
  "<|fim_suffix|>": 100260,
  "<|endofprompt|>": 100276,
};

/** The encodings that OpenAI published, by the name of their rank file. */
export const tiktokenEncodings: ReadonlyMap<string, TiktokenEncoding> = new Map([
  ["gpt2", { pattern: "gpt2", specialTokens: { "<|endoftext|>": 50256 } }],
  ["r50k_base", { pattern: "gpt2", specialTokens: { "<|endoftext|>": 50256 } }],
  ["p50k_base", { pattern: "gpt2", specialTokens: { "<|endoftext|>": 50256 } }],
  ["cl100k_base", { pattern: "cl100k", specialTokens: cl100kSpecials }],
  [
    "o200k_base",
    {
      pattern: "o200k",
      specialTokens: { "<|endoftext|>": 199999, "<|endofprompt|>": 200018 },
    },
  ],
]);

/**
 * Reads a rank file into the parts of a tokenizer.
 *
 * Throws `tiktoken-invalid` when a line is malformed, a rank is used twice, or a single byte has no
 * token.
 */
export function readTiktokenRanks(text: string, encoding: TiktokenEncoding): TokenizerParts {
  const entries: [string, number][] = [];
  let lineNumber = 0;
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(at, end).trimEnd();
    at = end + 1;
    lineNumber++;
    if (line !== "") entries.push(readLine(line, lineNumber));
  }
  const vocabulary = createVocabulary(entries, "ranks");
  const missing = byteToCharacter.findIndex((character) => !vocabulary.ids.has(character));
  if (missing >= 0) {
    throw invalid(`byte ${missing} has no token`, "a token for each of the 256 bytes");
  }
  const scored = entries.map(([token, id]) => ({ token, id, score: -id }));
  const regex =
    typeof encoding.pattern === "string" ? knownPatterns[encoding.pattern] : encoding.pattern.regex;
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  const { steps } = readPreTokenizer(
    {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: regex }, behavior: "Isolated" },
        byteLevel,
      ],
    },
    "pre_tokenizer",
    true,
  );
  return {
    normalizer: null,
    steps,
    model: createBytePairModel({ vocabulary, scored, bytesAsSymbols: true, ignoreMerges: true }),
    addedTokens: readSpecialTokens(encoding.specialTokens, vocabulary.tokens),
    postProcessor: readPostProcessor(null, "post_processor"),
    decoder: readDecoder(byteLevel, "decoder"),
    truncation: null,
    padding: null,
  };
}

function readLine(line: string, number: number): [string, number] {
  const space = line.indexOf(" ");
  const rank = Number(line.slice(space + 1));
  const encoded = line.slice(0, space);
  if (space < 1 || !/^\d+$/.test(line.slice(space + 1)) || rank > maxId) {
    throw invalid(`line ${number} is ${describeValue(line)}`, "base64, a space and a rank");
  }
  let binary: string;
  try {
    binary = atob(encoded);
  } catch (cause) {
    throw invalid(`line ${number} is ${describeValue(line)}`, "base64, a space and a rank", cause);
  }
  let token = "";
  for (let i = 0; i < binary.length; i++) token += byteToCharacter[binary.charCodeAt(i)];
  return [token, rank];
}

function readSpecialTokens(
  specials: Readonly<Record<string, number>>,
  tokens: readonly (string | undefined)[],
): AddedToken[] {
  const seen = new Set<number>();
  return Object.entries(specials).map(([content, id]) => {
    const isFree = Number.isInteger(id) && id >= 0 && id <= maxId && tokens[id] === undefined;
    if (!isFree || seen.has(id)) {
      throw invalid(
        `the special token ${describeValue(content)} has the id ${id}`,
        "an id of its own",
      );
    }
    seen.add(id);
    return {
      id,
      content,
      special: true,
      leftStrip: false,
      rightStrip: false,
      singleWord: false,
      normalized: false,
    };
  });
}

function invalid(found: string, expected: string, cause?: unknown): JetonError {
  return new JetonError(`in the rank file ${found}, expected ${expected}`, {
    code: "tiktoken-invalid",
    details: { found, expected },
    cause,
  });
}
