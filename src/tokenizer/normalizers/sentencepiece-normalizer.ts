import { encodeUtf8 } from "../decoders/byte-alphabet.ts";
import { metaspace } from "../models/metaspace.ts";
import { utf8LengthOf } from "../models/utf8.ts";
import { AlignedBuilder, type AlignedText, characterLength } from "./aligned-text.ts";
import type { Normalizer } from "./normalizer.ts";
import type { CharacterMap } from "./precompiled-map.ts";

export interface SentencePieceRules {
  /** A space is put in front of the text. */
  readonly addDummyPrefix: boolean;
  /** Spaces are stripped at both ends and collapsed within. */
  readonly removeExtraSpaces: boolean;
  /** Spaces are written as `▁`. */
  readonly escapeSpaces: boolean;
}

/** Receives [start, end) of the text and its replacement. */
type Visit = (start: number, end: number, replacement: string) => void;
/** Receives characters of the result with their part of the text (-1: the dummy prefix). */
type Add = (characters: string, start: number, end: number) => void;

/**
 * SentencePiece's own normalization: the longest match of the character map at each place, spaces
 * collapsed and stripped, one put in front, all written as `▁`. User-defined symbols pass unchanged.
 */
export class SentencePieceNormalizer implements Normalizer {
  readonly #rules: SentencePieceRules;
  readonly #map: CharacterMap | null;
  readonly #symbols: RegExp | null;
  readonly #space: string;

  /** @param symbols matches the user-defined symbols */
  constructor(rules: SentencePieceRules, map: CharacterMap | null, symbols: RegExp | null) {
    this.#rules = rules;
    this.#map = map;
    this.#symbols = symbols;
    this.#space = rules.escapeSpaces ? metaspace : " ";
  }

  normalize(text: string): string {
    const { addDummyPrefix, removeExtraSpaces, escapeSpaces } = this.#rules;
    if (this.#map === null && !removeExtraSpaces) {
      const spaced = escapeSpaces ? text.replaceAll(" ", metaspace) : text;
      return addDummyPrefix && text !== "" ? this.#space + spaced : spaced;
    }
    let result = "";
    this.#build(text, (characters) => {
      result += characters;
    });
    return result;
  }

  align(aligned: AlignedText): AlignedText {
    const builder = new AlignedBuilder(aligned);
    this.#build(aligned.text, (characters, start, end) => {
      for (const character of characters) {
        if (start < 0) builder.add(character.codePointAt(0)!, this.#prefixPlace(aligned));
        else builder.addSpan(character.codePointAt(0)!, start, end);
      }
    });
    return builder.build();
  }

  /** The place of the dummy prefix: the first character that is kept. */
  #prefixPlace({ text }: AlignedText): number {
    return this.#rules.removeExtraSpaces ? Math.max(0, text.search(/[^ ]/)) : 0;
  }

  #build(text: string, add: Add): void {
    const { addDummyPrefix, removeExtraSpaces } = this.#rules;
    const space = this.#space;
    let begun = false;
    let afterSpace = removeExtraSpaces;
    // Spaces are held back until something follows: at the end they are stripped.
    const held: [number, number][] = [];
    this.#visitParts(text, (start, end, replacement) => {
      let part = replacement;
      if (afterSpace) part = part.replace(/^ +/, "");
      if (part === "") return;
      if (!begun) {
        begun = true;
        if (addDummyPrefix) held.push([-1, -1]);
      }
      for (const character of part) {
        if (character === " " || character === space) {
          held.push([start, end]);
          continue;
        }
        for (const [from, to] of held) add(space, from, to);
        held.length = 0;
        add(character, start, end);
      }
      afterSpace = removeExtraSpaces && part.endsWith(" ");
    });
    if (!removeExtraSpaces) for (const [from, to] of held) add(space, from, to);
  }

  /** Visits the parts of a text before spaces are treated. */
  #visitParts(text: string, visit: Visit): void {
    let at = 0;
    if (this.#symbols !== null) {
      for (const match of text.matchAll(this.#symbols)) {
        this.#visitPlain(text, at, match.index, visit);
        at = match.index + match[0].length;
        visit(match.index, at, match[0]);
      }
    }
    this.#visitPlain(text, at, text.length, visit);
  }

  /** Visits a stretch without user-defined symbols. */
  #visitPlain(text: string, from: number, end: number, visit: Visit): void {
    const map = this.#map;
    const bytes = map === null ? null : encodeUtf8(text.slice(from, end));
    let byte = 0;
    for (let at = from; at < end; ) {
      const found = bytes === null ? null : map!.longest(bytes, byte);
      let next = at;
      if (found === null) {
        next += characterLength(text, at);
      } else {
        for (let left = found.length; left > 0; ) {
          const length = characterLength(text, next);
          left -= utf8LengthOf(text.slice(next, next + length));
          next += length;
        }
      }
      const part = text.slice(at, next);
      if (bytes !== null) byte += utf8LengthOf(part);
      visit(at, next, found === null ? part : found.text);
      at = next;
    }
  }
}
