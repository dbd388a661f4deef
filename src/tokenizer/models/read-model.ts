/**
 * Reads the `model` of a tokenizer file.
 */

import {
  asArray,
  asString,
  invalidField,
  type JsonObject,
  readBoolean,
  readField,
  readInteger,
  readOptionalString,
  readString,
} from "../formats/json-reader.ts";
import { readLibModel } from "../lib-tokenizer/lib-model.ts";
import { createBytePairModel } from "./byte-pair-model.ts";
import { createUnigramModel } from "./unigram-model.ts";
import { createVocabulary, maxId, readTokenField, readVocabulary } from "./vocabulary.ts";
import { createWordLevelModel } from "./word-level-model.ts";
import type { WordModel } from "./word-model.ts";
import { createWordPieceModel } from "./word-piece-model.ts";

/** The kind of a model; old files do not say it. */
export function readModelKind(model: JsonObject, path: string): WordModel["kind"] {
  const type = readField(model, "type");
  switch (type) {
    case "BPE":
    case "WordPiece":
    case "Unigram":
    case "WordLevel":
    case "LiB":
      return type;
    case undefined:
    case null:
      if (readField(model, "merges") !== undefined) return "BPE";
      if (Array.isArray(readField(model, "vocab"))) return "Unigram";
      if (readField(model, "max_input_chars_per_word") !== undefined) return "WordPiece";
      return "WordLevel";
    default:
      throw invalidField(`${path}.type`, type, "BPE, WordPiece, Unigram, WordLevel or LiB");
  }
}

/** True when words of raw bytes can be given to the model directly. */
export function acceptsBytes(model: JsonObject, path: string): boolean {
  return (
    readModelKind(model, path) === "BPE" &&
    readOptionalString(model, "continuing_subword_prefix", path) === undefined &&
    readOptionalString(model, "end_of_word_suffix", path) === undefined &&
    !readBoolean(model, "byte_fallback", path, false)
  );
}

/** Reads a model; `bytesAsSymbols` as the pre-tokenizer leaves the words. */
export function readModel(model: JsonObject, path: string, bytesAsSymbols: boolean): WordModel {
  switch (readModelKind(model, path)) {
    case "BPE":
      return readBytePair(model, path, bytesAsSymbols);
    case "WordPiece":
      return createWordPieceModel({
        vocabulary: readVocabulary(model, path),
        unknownToken: readString(model, "unk_token", path, "[UNK]"),
        continuingPrefix: readString(model, "continuing_subword_prefix", path, "##"),
        maxWordLength: readInteger(model, "max_input_chars_per_word", path, {
          minimum: 0,
          maximum: Number.MAX_SAFE_INTEGER,
          fallback: 100,
        }),
      });
    case "WordLevel":
      return createWordLevelModel(
        readVocabulary(model, path),
        readString(model, "unk_token", path, "<unk>"),
      );
    case "Unigram":
      return readUnigram(model, path);
    case "LiB":
      return readLibModel(model, path);
  }
}

function readBytePair(model: JsonObject, path: string, bytesAsSymbols: boolean): WordModel {
  const vocabulary = readVocabulary(model, path);
  const merges = asArray(readField(model, "merges"), `${path}.merges`);
  const dropout = readField(model, "dropout");
  if (dropout !== undefined && dropout !== null && typeof dropout !== "number") {
    throw invalidField(`${path}.dropout`, dropout, "a number or null");
  }
  return createBytePairModel({
    vocabulary,
    merges: readMerges(merges, `${path}.merges`),
    mergeCount: merges.length,
    bytesAsSymbols,
    unknownToken: readTokenField(model, "unk_token", path),
    fuseUnknown: readBoolean(model, "fuse_unk", path, false),
    byteFallback: readBoolean(model, "byte_fallback", path, false),
    ignoreMerges: readBoolean(model, "ignore_merges", path, false),
    continuingPrefix: readOptionalString(model, "continuing_subword_prefix", path),
    endSuffix: readOptionalString(model, "end_of_word_suffix", path),
  });
}

/** Merges are pairs of strings or, in older files, one string with a space between the two. */
function* readMerges(
  merges: readonly unknown[],
  path: string,
): Iterable<readonly [string, string]> {
  for (let i = 0; i < merges.length; i++) {
    const merge = merges[i];
    if (typeof merge === "string") {
      const space = merge.indexOf(" ");
      if (space < 0 || merge.includes(" ", space + 1)) {
        throw invalidField(`${path}[${i}]`, merge, "two tokens with one space between them");
      }
      yield [merge.slice(0, space), merge.slice(space + 1)];
    } else {
      const pair = asArray(merge, `${path}[${i}]`);
      if (pair.length !== 2) throw invalidField(`${path}[${i}]`, merge, "a pair of tokens");
      yield [asString(pair[0], `${path}[${i}][0]`), asString(pair[1], `${path}[${i}][1]`)];
    }
  }
}

function readUnigram(model: JsonObject, path: string): WordModel {
  const list = asArray(readField(model, "vocab"), `${path}.vocab`);
  if (list.length > maxId) throw invalidField(`${path}.vocab`, list.length, "fewer tokens");
  const scores = new Float64Array(list.length);
  const seen = new Map<string, number>();
  for (let id = 0; id < list.length; id++) {
    const at = `${path}.vocab[${id}]`;
    const entry = asArray(list[id], at);
    const token = asString(entry[0], `${at}[0]`);
    const score = entry[1];
    if (typeof score !== "number" || !Number.isFinite(score)) {
      throw invalidField(`${at}[1]`, score, "a finite number");
    }
    if (seen.has(token))
      throw invalidField(`${at}[0]`, token, "a token that is not in the list yet");
    seen.set(token, id);
    scores[id] = score;
  }
  const unknown = readField(model, "unk_id");
  const unknownId =
    unknown === undefined || unknown === null
      ? undefined
      : readInteger(model, "unk_id", path, { minimum: 0, maximum: list.length - 1 });
  return createUnigramModel({
    vocabulary: createVocabulary(seen, `${path}.vocab`),
    scores,
    unknownId,
    byteFallback: readBoolean(model, "byte_fallback", path, false),
  });
}
