/**
 * SentencePiece models (`tokenizer.model`, `spiece.model`): BPE and Unigram, with the normalization
 * that the file holds.
 */
import { JetonError } from "../../core/error.ts";
import type { AddedToken } from "../added-tokens.ts";
import { decodeUtf8 } from "../decoders/byte-alphabet.ts";
import { createByteFallback, readCharactersOfRun, readDecoder } from "../decoders/decoders.ts";
import { createBytePairModel } from "../models/byte-pair-model.ts";
import { metaspace } from "../models/metaspace.ts";
import type { ScoredToken } from "../models/rank-pairs.ts";
import { createUnigramModel } from "../models/unigram-model.ts";
import { utf8LengthOf } from "../models/utf8.ts";
import { createVocabulary, maxId } from "../models/vocabulary.ts";
import type { WordModel } from "../models/word-model.ts";
import { parseCharacterMap } from "../normalizers/precompiled-map.ts";
import { SentencePieceNormalizer } from "../normalizers/sentencepiece-normalizer.ts";
import { readPostProcessor } from "../post-processors/post-processors.ts";
import { splitAtMatches } from "../pre-tokenizers/pattern.ts";
import type { PreTokenizerStep } from "../pre-tokenizers/pre-tokenizers.ts";
import { readMessage } from "./protobuf-reader.ts";
import type { TokenizerParts } from "./tokenizer-json.ts";

/** Kinds of pieces by their number in the file. */
const pieceKinds = ["", "normal", "unknown", "control", "user-defined", "unused", "byte"] as const;
type PieceKind = (typeof pieceKinds)[number];

interface Piece {
  readonly text: string;
  readonly score: number;
  readonly kind: PieceKind;
}

interface Normalization {
  characterMap: Uint8Array | undefined;
  addDummyPrefix: boolean;
  removeExtraSpaces: boolean;
  escapeSpaces: boolean;
}

/**
 * Reads a SentencePiece model into the parts of a tokenizer. Control pieces become special tokens.
 *
 * Throws `protobuf-malformed` or `sentencepiece-invalid` for a file that is neither BPE nor Unigram,
 * has no pieces, or contradicts itself.
 */
export function readSentencePieceModel(bytes: Uint8Array): TokenizerParts {
  const pieces: Piece[] = [];
  const normalization: Normalization = {
    characterMap: undefined,
    addDummyPrefix: true,
    removeExtraSpaces: true,
    escapeSpaces: true,
  };
  const trainer = { modelType: 1, byteFallback: false, spaceAsSuffix: false };
  for (const { field, value } of readMessage(bytes)) {
    if (field === 1) pieces.push(readPiece(expectBytes(value, "pieces"), pieces.length));
    if (field === 2) readTrainer(expectBytes(value, "trainer_spec"), trainer);
    if (field === 3) readNormalization(expectBytes(value, "normalizer_spec"), normalization);
    if (pieces.length > maxId) throw invalid("pieces", pieces.length, `at most ${maxId}`);
  }
  if (pieces.length === 0) throw invalid("pieces", 0, "at least one piece");
  if (trainer.spaceAsSuffix) {
    throw invalid("treat_whitespace_as_suffix", true, "false (spaces stand before words)");
  }
  const entries = pieces.map((piece, id) => [piece.text, id] as const);
  const vocabulary = createVocabulary(entries, "pieces");
  const idsOf = (kind: PieceKind): number[] =>
    pieces.flatMap((piece, id) => (piece.kind === kind ? [id] : []));
  const unknownId = idsOf("unknown")[0];
  if (unknownId === undefined) throw invalid("pieces", "none", "one of the unknown kind");

  const userDefined = new Map(idsOf("user-defined").map((id) => [pieces[id]!.text, id]));
  const base = createModel(trainer, pieces, vocabulary, unknownId);
  const addedTokens: AddedToken[] = [...idsOf("control"), unknownId].map((id) => ({
    id,
    content: pieces[id]!.text,
    special: true,
    leftStrip: false,
    rightStrip: false,
    singleWord: false,
    normalized: false,
  }));
  const map =
    normalization.characterMap === undefined || normalization.characterMap.length === 0
      ? null
      : parseCharacterMap(normalization.characterMap, "normalizer_spec.precompiled_charsmap");
  const symbols = userDefined.size === 0 ? null : createSymbolPattern([...userDefined.keys()]);
  return {
    normalizer: new SentencePieceNormalizer(normalization, map, symbols),
    steps: symbols === null ? [] : [createSymbolSplit(symbols)],
    model: userDefined.size === 0 ? base : withSymbols(base, userDefined),
    addedTokens,
    postProcessor: readPostProcessor(null, "post_processor"),
    decoder: [
      { type: "Replace", pattern: { String: metaspace }, content: " " },
      createByteFallback(readCharactersOfRun),
      { type: "Fuse" },
      { type: "Strip", content: " ", start: countLeadingSpaces(normalization), stop: 0 },
    ].flatMap((stage) => ("type" in stage ? readDecoder(stage, "decoder") : [stage])),
    truncation: null,
    padding: null,
  };
}

/** How many spaces decoding takes from the front: those that encoding would not have kept. */
function countLeadingSpaces(normalization: Normalization): number {
  if (normalization.removeExtraSpaces) return 1_000_000;
  return normalization.addDummyPrefix ? 1 : 0;
}

function invalid(field: string, value: unknown, expected: string): JetonError {
  return new JetonError(
    `the SentencePiece model's ${field} is ${String(value)}, expected ${expected}`,
    {
      code: "sentencepiece-invalid",
      details: { field, value, expected },
    },
  );
}

function expectBytes(value: number | Uint8Array, field: string): Uint8Array {
  if (typeof value === "number") throw invalid(field, value, "a message");
  return value;
}

function readPiece(bytes: Uint8Array, id: number): Piece {
  let text = "";
  let score = 0;
  let kind: PieceKind = "normal";
  for (const { field, value, float } of readMessage(bytes)) {
    if (field === 1) text = decodeUtf8(expectBytes(value, `pieces[${id}].piece`));
    if (field === 2) score = float ?? Number.NaN;
    if (field === 3) kind = (typeof value === "number" ? pieceKinds[value] : undefined) ?? "";
  }
  if (text === "") throw invalid(`pieces[${id}].piece`, "empty", "text");
  if (kind === "") throw invalid(`pieces[${id}].type`, "unknown", "a number from 1 to 6");
  if (!Number.isFinite(score)) throw invalid(`pieces[${id}].score`, score, "a finite number");
  return { text, score, kind };
}

interface Trainer {
  modelType: number;
  byteFallback: boolean;
  spaceAsSuffix: boolean;
}

function readTrainer(bytes: Uint8Array, trainer: Trainer): void {
  for (const { field, value } of readMessage(bytes)) {
    if (typeof value !== "number") continue;
    if (field === 3) trainer.modelType = value;
    if (field === 24) trainer.spaceAsSuffix = value !== 0;
    if (field === 35) trainer.byteFallback = value !== 0;
  }
}

function readNormalization(bytes: Uint8Array, normalization: Normalization): void {
  for (const { field, value } of readMessage(bytes)) {
    if (field === 2) normalization.characterMap = expectBytes(value, "precompiled_charsmap");
    if (field === 3) normalization.addDummyPrefix = value !== 0;
    if (field === 4) normalization.removeExtraSpaces = value !== 0;
    if (field === 5) normalization.escapeSpaces = value !== 0;
  }
}

function createModel(
  trainer: Trainer,
  pieces: readonly Piece[],
  vocabulary: TokenizerParts["model"]["vocabulary"],
  unknownId: number,
): WordModel {
  const isMatched = (id: number): boolean => pieces[id]!.kind === "normal";
  if (trainer.modelType === 1) {
    return createUnigramModel({
      vocabulary,
      scores: Float64Array.from(pieces, (piece) => piece.score),
      unknownId,
      byteFallback: trainer.byteFallback,
      isReserved: (id) => !isMatched(id),
      singlePrecision: true,
    });
  }
  if (trainer.modelType !== 2)
    throw invalid("model_type", trainer.modelType, "1 (Unigram) or 2 (BPE)");
  const scored: ScoredToken[] = [];
  for (const [id, piece] of pieces.entries()) {
    if (isMatched(id)) scored.push({ token: piece.text, id, score: piece.score });
  }
  return createBytePairModel({
    vocabulary,
    scored,
    bytesAsSymbols: false,
    unknownToken: pieces[unknownId]!.text,
    fuseUnknown: true,
    unknownShowsText: true,
    byteFallback: trainer.byteFallback,
  });
}

/** Matches user-defined symbols, the longest first. */
function createSymbolPattern(symbols: readonly string[]): RegExp {
  const longestFirst = [...symbols].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  const escaped = longestFirst.map((symbol) => symbol.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(escaped.join("|"), "gu");
}

function createSymbolSplit(symbols: RegExp): PreTokenizerStep {
  return {
    kind: "split",
    split(text, emit) {
      const bounds: number[] = [];
      for (const match of text.matchAll(symbols)) {
        bounds.push(match.index, match.index + match[0].length);
      }
      splitAtMatches(text.length, bounds, "Isolated", false, emit);
    },
  };
}

/** A model whose user-defined symbols are tokens of their own. */
function withSymbols(base: WordModel, symbols: ReadonlyMap<string, number>): WordModel {
  return {
    kind: base.kind,
    vocabulary: base.vocabulary,
    unknownId: base.unknownId,
    unknownShowsText: base.unknownShowsText,
    ...(base.bytePairs && { bytePairs: base.bytePairs }),
    symbols,
    encodeWord(word, sink) {
      const id = symbols.get(word);
      if (id === undefined) base.encodeWord(word, sink);
      else sink.push(id, 0, utf8LengthOf(word));
    },
  };
}
