/** Contents of small vocabulary files in the formats without JSON, for tests. */
import { byteToken } from "../models/utf8.ts";
import { writeSentencePieceModel } from "./sentencepiece-file.ts";

/** A tiktoken rank file: the 256 bytes, then the tokens given. */
export function byteRanks(...tokens: readonly string[]): string {
  const entries = [
    ...Array.from({ length: 256 }, (_, byte) => Buffer.from([byte])),
    ...tokens.map((token) => Buffer.from(token)),
  ];
  return entries.map((bytes, rank) => `${bytes.toString("base64")} ${rank}\n`).join("");
}

/** A SentencePiece BPE model with byte fallback: `<unk>`, `<s>`, `</s>`, the bytes, a few pieces. */
export function wordPieces(): Uint8Array {
  return writeSentencePieceModel({
    pieces: [
      { text: "<unk>", score: 0, type: 2 },
      { text: "<s>", score: 0, type: 3 },
      { text: "</s>", score: 0, type: 3 },
      ...Array.from({ length: 256 }, (_, byte) => ({ text: byteToken(byte), score: 0, type: 6 })),
      ...["▁a", "ab", "▁ab", "▁", "a", "b"].map((text, at) => ({ text, score: -at })),
    ],
    modelType: 2,
    byteFallback: true,
  });
}
