/**
 * The precompiled character map of SentencePiece: a double-array trie from UTF-8 prefixes to
 * replacement strings, as the reference implementation of tokenizer.json applies it (grapheme by
 * grapheme, then character by character).
 */

import { decodeUtf8Strictly } from "../decoders/byte-alphabet.ts";
import { invalidField } from "../formats/json-reader.ts";
import { utf8Bytes, utf8LengthOf } from "../models/utf8.ts";
import { rememberTest } from "../pre-tokenizers/character-classes.ts";
import { type AlignedText, applyChanges, type Changes, characterLength } from "./aligned-text.ts";
import type { Normalizer } from "./normalizer.ts";

/** A trie from byte strings to positions in a block of zero-terminated strings. */
export interface CharacterMap {
  /** The replacement of the shortest key that begins `bytes`, or null. */
  shortest(bytes: readonly number[]): string | null;
  /** The replacement of the longest key that begins at `from`, with its length, or null. */
  longest(bytes: Uint8Array, from: number): { text: string; length: number } | null;
}

/** Longest grapheme, in bytes, that is looked up as a whole. */
const maxGrapheme = 5;
const cacheSize = 20_000;

/** Characters that can join others into one grapheme, so that segmentation is needed. */
const joining: RegExp =
  /[\r\p{M}\p{Cf}\p{RI}\p{EMod}\u0e33\u0eb3\u0d4e\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb\uff9e\uff9f\u{111c2}\u{111c3}\u{1193f}\u{11941}\u{11a3a}\u{11a84}-\u{11a89}\u{11d46}\u{11f02}]/u;

const isJoining: (codePoint: number) => boolean = rememberTest((codePoint) =>
  joining.test(String.fromCodePoint(codePoint)),
);
const isMark: (codePoint: number) => boolean = rememberTest((codePoint) =>
  /^\p{M}$/u.test(String.fromCodePoint(codePoint)),
);

/** Scripts in which a consonant can join the character before it. */
function isIndic(codePoint: number): boolean {
  return codePoint >= 0x900 && codePoint < 0x1100;
}

/**
 * Longest stretch that is given to the segmenter, whose time grows with the square of the length.
 * Only an endless pile of marks is cut by it.
 */
const maxRegion = 1024;

/** The end of the stretch from `at` after which a grapheme certainly ends. */
function endOfRegion(text: string, at: number): number {
  let before = text.codePointAt(at)!;
  let end = at + (before > 0xffff ? 2 : 1);
  while (end < text.length && end - at < maxRegion) {
    const next = text.codePointAt(end)!;
    if (!isJoining(next) && (!isJoining(before) || (isMark(before) && !isIndic(next)))) break;
    before = next;
    end += next > 0xffff ? 2 : 1;
  }
  return end;
}

/** Reads a base64 character map and makes it a normalizer. An empty map changes nothing. */
export function createPrecompiledMap(encoded: string, path: string): Normalizer {
  if (encoded === "") return { normalize: (text) => text, align: (aligned) => aligned };
  const field = `${path}.precompiled_charsmap`;
  return createMapNormalizer(parseCharacterMap(decodeBase64(encoded, field), field));
}

/** Makes a character map a normalizer. */
export function createMapNormalizer(map: CharacterMap): Normalizer {
  const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
  const known = new Map<string, string | null>();
  const replace = (part: string): string | null => {
    let found = known.get(part);
    if (found === undefined) {
      if (known.size >= cacheSize) known.clear();
      found = map.shortest(utf8Bytes(part));
      known.set(part, found);
    }
    return found;
  };

  /** Calls `visit` with each part that is looked up as one, and its replacement or null. */
  const visitParts = (
    text: string,
    visit: (part: string, replacement: string | null) => void,
  ): void => {
    if (!joining.test(text)) {
      for (const character of text) visit(character, replace(character));
      return;
    }
    for (let at = 0; at < text.length; ) {
      const end = endOfRegion(text, at);
      const length = characterLength(text, at);
      if (end === at + length) {
        const character = text.slice(at, end);
        visit(character, replace(character));
      } else {
        for (const { segment } of segmenter.segment(text.slice(at, end))) {
          visitGrapheme(segment, visit);
        }
      }
      at = end;
    }
  };
  const visitGrapheme = (
    grapheme: string,
    visit: (part: string, replacement: string | null) => void,
  ): void => {
    if (utf8LengthOf(grapheme) <= maxGrapheme) {
      const replacement = replace(grapheme);
      if (replacement !== null) {
        visit(grapheme, replacement);
        return;
      }
    }
    for (const character of grapheme) visit(character, replace(character));
  };

  const normalize = (text: string): string => {
    let result = "";
    visitParts(text, (part, replacement) => {
      result += replacement ?? part;
    });
    return result;
  };
  return {
    normalize,
    align(aligned: AlignedText): AlignedText {
      if (normalize(aligned.text) === aligned.text) return aligned;
      const described: Changes = { codePoints: [], changes: [], dropped: 0 };
      const { codePoints, changes } = described;
      visitParts(aligned.text, (part, replacement) => {
        const oldCount = [...part].length;
        let count = 0;
        for (const character of replacement ?? part) {
          codePoints.push(character.codePointAt(0)!);
          changes.push(count < oldCount ? 0 : 1);
          count++;
        }
        // Characters lost count to the one before them; at the very beginning nothing records them,
        // as in the reference implementation.
        if (count < oldCount && changes.length > 0)
          changes[changes.length - 1]! += count - oldCount;
      });
      return applyChanges(aligned, described);
    },
  };
}

function decodeBase64(encoded: string, path: string): Uint8Array {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(encoded) || encoded.length % 4 === 1) {
    throw invalidField(path, encoded.slice(0, 40), "base64");
  }
  const binary = atob(encoded);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Parses a map: the size of the trie in bytes (little-endian), the trie, the strings. */
export function parseCharacterMap(blob: Uint8Array, path: string): CharacterMap {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const size = blob.byteLength >= 4 ? view.getUint32(0, true) : -1;
  if (size < 4 || size % 4 !== 0 || size > blob.byteLength - 4) {
    throw invalidField(path, `a trie of ${size} in ${blob.byteLength} bytes`, "a character map");
  }
  const units = new Uint32Array(size / 4);
  for (let i = 0; i < units.length; i++) units[i] = view.getUint32(4 + i * 4, true);
  const strings = blob.subarray(4 + size);

  const readString = (index: number): string => {
    if (index >= strings.length) throw invalidField(path, index, "a position inside the strings");
    let end = strings.indexOf(0, index);
    if (end < 0) end = strings.length;
    const text = decodeUtf8Strictly(strings.subarray(index, end));
    if (text === null) throw invalidField(path, index, "valid UTF-8 strings");
    return text;
  };
  /** Follows one byte from `node`; the node reached, or -1. */
  const step = (node: number, byte: number): number => {
    const at = (node ^ byte) >>> 0;
    if (at >= units.length || (units[at]! & 0x800000ff) >>> 0 !== byte) return -1;
    return (at ^ offsetOf(units[at]!)) >>> 0;
  };
  /** The value stored at a node reached by `unit`. */
  const valueAt = (node: number): number => {
    if (node >= units.length) throw invalidField(path, node, "a position inside the trie");
    return units[node]! & 0x7fffffff;
  };
  const hasLeaf = (node: number, byte: number): boolean => {
    const at = (node ^ byte) >>> 0;
    return ((units[at]! >>> 8) & 1) === 1;
  };

  return {
    shortest(bytes) {
      let node = offsetOf(units[0]!);
      for (const byte of bytes) {
        if (byte === 0) return null;
        const next = step(node, byte);
        if (next < 0) return null;
        if (hasLeaf(node, byte)) return readString(valueAt(next));
        node = next;
      }
      return null;
    },
    longest(bytes, from) {
      let node = offsetOf(units[0]!);
      let value = -1;
      let length = 0;
      for (let i = from; i < bytes.length; i++) {
        const byte = bytes[i]!;
        if (byte === 0) break;
        const next = step(node, byte);
        if (next < 0) break;
        if (hasLeaf(node, byte)) {
          value = valueAt(next);
          length = i + 1 - from;
        }
        node = next;
      }
      return value < 0 ? null : { text: readString(value), length };
    },
  };
}

function offsetOf(unit: number): number {
  return ((unit >>> 10) << ((unit & 0x200) >>> 6)) >>> 0;
}
