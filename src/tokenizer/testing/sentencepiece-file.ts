/**
 * Writes small SentencePiece models for tests.
 */
import { encodeUtf8 } from "../decoders/byte-alphabet.ts";

export interface TestPiece {
  readonly text: string;
  readonly score: number;
  /** 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  readonly type?: number;
}

export interface TestModel {
  readonly pieces: readonly TestPiece[];
  /** 1 Unigram, 2 BPE. */
  readonly modelType: 1 | 2;
  readonly byteFallback?: boolean;
  readonly addDummyPrefix?: boolean;
  readonly removeExtraSpaces?: boolean;
}

/** The bytes of a model file. */
export function writeSentencePieceModel(model: TestModel): Uint8Array {
  const pieces = model.pieces.map(({ text, score, type }) => {
    const float = new Uint8Array(5);
    float[0] = (2 << 3) | 5;
    new DataView(float.buffer).setFloat32(1, score, true);
    return message(1, [...message(1, encodeUtf8(text)), ...float, ...number(3, type ?? 1)]);
  });
  const trainer = [...number(3, model.modelType), ...number(35, model.byteFallback ? 1 : 0)];
  const normalizer = [
    ...number(3, (model.addDummyPrefix ?? true) ? 1 : 0),
    ...number(4, (model.removeExtraSpaces ?? true) ? 1 : 0),
  ];
  return Uint8Array.from([...pieces.flat(), ...message(2, trainer), ...message(3, normalizer)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return [...bytes, value];
}

function number(field: number, value: number): number[] {
  return [...varint(field * 8), ...varint(value)];
}

function message(field: number, content: ArrayLike<number>): number[] {
  return [...varint(field * 8 + 2), ...varint(content.length), ...Array.from(content)];
}
