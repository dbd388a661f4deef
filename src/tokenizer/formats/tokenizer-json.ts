/**
 * Reads a parsed `tokenizer.json` into the parts of a tokenizer.
 */
import { type AddedToken, checkAddedTokens, readAddedTokens } from "../added-tokens.ts";
import { readDecoder, type StageFactory } from "../decoders/decoders.ts";
import { acceptsBytes, readModel } from "../models/read-model.ts";
import { maxId } from "../models/vocabulary.ts";
import type { WordModel } from "../models/word-model.ts";
import type { Normalizer } from "../normalizers/normalizer.ts";
import { readNormalizer } from "../normalizers/normalizers.ts";
import { type PostProcessor, readPostProcessor } from "../post-processors/post-processors.ts";
import { type PreTokenizerStep, readPreTokenizer } from "../pre-tokenizers/pre-tokenizers.ts";
import {
  asObject,
  invalidField,
  readChoice,
  readField,
  readInteger,
  readString,
} from "./json-reader.ts";

export interface Truncation {
  /** Most tokens, special ones included. */
  readonly maxLength: number;
  readonly direction: "Left" | "Right";
  readonly strategy: "LongestFirst" | "OnlyFirst" | "OnlySecond";
}

export interface Padding {
  /** A fixed length, or "longest" for the longest of the batch. */
  readonly length: number | "longest";
  readonly direction: "Left" | "Right";
  readonly multipleOf: number;
  readonly id: number;
  readonly typeId: number;
  readonly token: string;
}

/** Everything that makes a tokenizer. */
export interface TokenizerParts {
  readonly normalizer: Normalizer | null;
  readonly steps: readonly PreTokenizerStep[];
  readonly model: WordModel;
  readonly addedTokens: readonly AddedToken[];
  readonly postProcessor: PostProcessor;
  readonly decoder: readonly StageFactory[];
  readonly truncation: Truncation | null;
  readonly padding: Padding | null;
}

/**
 * Reads a parsed `tokenizer.json`. Throws a JetonError that names the offending field for anything
 * that is malformed, and `tokenizer-unknown-component` for a component that does not exist.
 */
export function readTokenizerJson(json: unknown): TokenizerParts {
  const file = asObject(json, "tokenizer");
  const model = asObject(readField(file, "model"), "model");
  const { steps, bytesAsSymbols } = readPreTokenizer(
    readField(file, "pre_tokenizer"),
    "pre_tokenizer",
    acceptsBytes(model, "model"),
  );
  const wordModel = readModel(model, "model", bytesAsSymbols);
  const addedTokens = readAddedTokens(readField(file, "added_tokens"), "added_tokens").map(
    (token) => settleId(token, wordModel),
  );
  checkAddedTokens(addedTokens, "added_tokens");
  return {
    normalizer: readNormalizer(readField(file, "normalizer"), "normalizer"),
    steps,
    model: wordModel,
    addedTokens,
    postProcessor: readPostProcessor(readField(file, "post_processor"), "post_processor"),
    decoder: readDecoder(readField(file, "decoder"), "decoder"),
    truncation: readTruncation(readField(file, "truncation")),
    padding: readPadding(readField(file, "padding")),
  };
}

/** A token of the model's vocabulary keeps the model's id; the list of added tokens does not change it. */
function settleId(token: AddedToken, model: WordModel): AddedToken {
  const id = model.vocabulary.ids.get(token.content);
  return id === undefined || id === token.id ? token : { ...token, id };
}

function readTruncation(value: unknown): Truncation | null {
  if (value === undefined || value === null) return null;
  const path = "truncation";
  const object = asObject(value, path);
  return {
    maxLength: readInteger(object, "max_length", path, {
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
    }),
    direction: readChoice(object, "direction", path, ["Left", "Right"] as const, "Right"),
    strategy: readChoice(
      object,
      "strategy",
      path,
      ["LongestFirst", "OnlyFirst", "OnlySecond"] as const,
      "LongestFirst",
    ),
  };
}

/** Padding to a fixed length beyond this is refused: it would only exhaust memory. */
const maxPadding = 1 << 24;

function readPadding(value: unknown): Padding | null {
  if (value === undefined || value === null) return null;
  const path = "padding";
  const object = asObject(value, path);
  const strategy = readField(object, "strategy");
  let length: number | "longest";
  if (strategy === "BatchLongest") {
    length = "longest";
  } else if (typeof strategy === "object" && strategy !== null) {
    length = readInteger(asObject(strategy, `${path}.strategy`), "Fixed", `${path}.strategy`, {
      minimum: 0,
      maximum: maxPadding,
    });
  } else {
    throw invalidField(`${path}.strategy`, strategy, "BatchLongest or an object with Fixed");
  }
  return {
    length,
    direction: readChoice(object, "direction", path, ["Left", "Right"] as const, "Right"),
    multipleOf: readInteger(object, "pad_to_multiple_of", path, {
      minimum: 0,
      maximum: maxPadding,
      fallback: 0,
    }),
    id: readInteger(object, "pad_id", path, { minimum: 0, maximum: maxId, fallback: 0 }),
    typeId: readInteger(object, "pad_type_id", path, {
      minimum: 0,
      maximum: maxId,
      fallback: 0,
    }),
    token: readString(object, "pad_token", path, "[PAD]"),
  };
}
