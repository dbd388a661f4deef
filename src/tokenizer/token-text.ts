/**
 * Single tokens as clients see them in log-probabilities: the text that a token adds and its bytes.
 */
import { bytesOfToken, readByteToken } from "./decoders/decoders.ts";
import type { Tokenizer } from "./tokenizer-interface.ts";

/** One token on its own. */
export interface TokenText {
  /** What the token adds to a text; U+FFFD where it holds half a character. */
  readonly text: string;
  /** UTF-8; of half a character just the token's own bytes. */
  readonly bytes: readonly number[];
  /** `text`, or `bytes:\xe2\x80` for half a character: different for different tokens. */
  readonly name: string;
  /** False where the token holds part of a character. */
  readonly isWhole: boolean;
}

/** Looks tokens up; every id is decoded once. */
export type DescribeToken = (id: number) => TokenText;

/** Makes a look-up for a tokenizer. It holds at most one entry for each id of the vocabulary. */
export function createTokenTexts(tokenizer: Tokenizer): DescribeToken {
  const known = new Map<number, TokenText>();
  const decode = (ids: readonly number[]): string =>
    tokenizer.decode(ids, { skipSpecialTokens: false });
  // Decoders treat the first token of a text differently, so each one is read behind a plain word.
  const anchor = findAnchor(tokenizer, decode);
  const before = decode(anchor);
  return (id) => {
    let entry = known.get(id);
    if (entry === undefined) {
      const text = decode([...anchor, id]).slice(before.length);
      entry = text.includes("\ufffd")
        ? describeBytes(tokenizer.idToToken(id) ?? "", text)
        : { text, bytes: [...new TextEncoder().encode(text)], name: text, isWhole: true };
      if (tokenizer.idToToken(id) !== undefined) known.set(id, entry);
    }
    return entry;
  };
}

function findAnchor(tokenizer: Tokenizer, decode: (ids: readonly number[]) => string): number[] {
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    if (!tokenizer.isSpecial(id) && /^\s?[a-z]+$/.test(decode([id]))) return [id];
  }
  return [];
}

function describeBytes(token: string, text: string): TokenText {
  const byte = readByteToken(token);
  const bytes = byte >= 0 ? [byte] : [...bytesOfToken(token)];
  return { text, bytes, name: nameOfBytes(bytes), isWhole: false };
}

/** Bytes that are no whole characters as text: `bytes:\xe2\x80`. */
export function nameOfBytes(bytes: Iterable<number>): string {
  const hex = Array.from(bytes, (value) => `\\x${value.toString(16).padStart(2, "0")}`);
  return `bytes:${hex.join("")}`;
}
