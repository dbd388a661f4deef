/**
 * Added tokens: strings that are found in the text before the model sees it.
 */

import {
  asArray,
  asObject,
  asString,
  invalidField,
  type JsonObject,
  readBoolean,
  readField,
  readInteger,
} from "./formats/json-reader.ts";
import { maxId } from "./models/vocabulary.ts";
import type { Normalizer } from "./normalizers/normalizer.ts";
import { isWhitespace, isWordCharacter } from "./pre-tokenizers/character-classes.ts";

/** A token that is found in the text before it is split, such as a special token. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Part of the protocol rather than of the text: may be skipped in decoding. */
  readonly special: boolean;
  /** Takes whitespace to its left (right) with it. */
  readonly leftStrip: boolean;
  readonly rightStrip: boolean;
  /** Found only where no word character stands beside it. */
  readonly singleWord: boolean;
  /** Searched in normalized text, its own content normalized likewise. */
  readonly normalized: boolean;
}

/** Reads the `added_tokens` of a tokenizer file. */
export function readAddedTokens(value: unknown, path: string): AddedToken[] {
  if (value === undefined || value === null) return [];
  return Array.from(asArray(value, path), (item, index) => {
    const at = `${path}[${index}]`;
    const object = asObject(item, at);
    const id = readInteger(object, "id", at, { minimum: 0, maximum: maxId });
    return readAddedToken(object, asString(readField(object, "content"), `${at}.content`), id, at);
  });
}

/** Reads the flags of an added token. */
export function readAddedToken(
  object: JsonObject,
  content: string,
  id: number,
  path: string,
): AddedToken {
  const special = readBoolean(object, "special", path, false);
  return {
    id,
    content,
    special,
    leftStrip: readBoolean(object, "lstrip", path, false),
    rightStrip: readBoolean(object, "rstrip", path, false),
    singleWord: readBoolean(object, "single_word", path, false),
    normalized: readBoolean(object, "normalized", path, !special),
  };
}

/** Which special tokens a text may contain as tokens; the others stay text. */
export type SpecialTokenPolicy = (token: AddedToken) => boolean;

/** Finds added tokens in a text. */
export interface AddedTokenFinder {
  /** False when the text surely holds no token. Cheap. */
  mayOccur(text: string): boolean;
  /** Calls `visit` with consecutive ranges that cover the text, each with the token it is or null. */
  cut(
    text: string,
    accepts: SpecialTokenPolicy | null,
    visit: (start: number, end: number, token: AddedToken | null) => void,
  ): void;
}

interface Node {
  readonly children: Map<number, Node>;
  token: AddedToken | null;
}

/** Makes a finder of the tokens' contents, normalized when `normalizer` is given. */
export function createFinder(
  tokens: readonly AddedToken[],
  normalizer: Normalizer | null,
): AddedTokenFinder | null {
  const root: Node = { children: new Map(), token: null };
  const contents: string[] = [];
  for (const token of tokens) {
    const content = normalizer === null ? token.content : normalizer.normalize(token.content);
    if (content === "") continue;
    contents.push(content);
    let node = root;
    for (let i = 0; i < content.length; i++) {
      const unit = content.charCodeAt(i);
      let next = node.children.get(unit);
      if (next === undefined) {
        next = { children: new Map(), token: null };
        node.children.set(unit, next);
      }
      node = next;
    }
    // Of tokens that normalization has made equal the first counts.
    node.token ??= token;
  }
  if (contents.length === 0) return null;
  const search = createSearch(contents);

  return {
    mayOccur: (text) => search(text)(0) >= 0,
    cut(text, accepts, visit) {
      const next = search(text);
      let covered = 0;
      for (let at = next(0); at >= 0; ) {
        const found = longestAt(root, text, at);
        if (found === null) {
          at = next(at + 1);
          continue;
        }
        const { token } = found;
        let start = at;
        let end = found.end;
        at = next(end);
        if (token.special && accepts !== null && !accepts(token)) continue;
        if (token.singleWord && (isWordBefore(text, start) || isWordAt(text, end))) continue;
        if (token.leftStrip) {
          while (start > covered && isWhitespace(text.charCodeAt(start - 1))) start--;
          // The token before may have taken white space that this one begins with.
          start = Math.max(start, covered);
        }
        if (token.rightStrip) {
          while (end < text.length && isWhitespace(text.charCodeAt(end))) end++;
        }
        if (start >= end) continue;
        if (covered < start) visit(covered, start, null);
        visit(start, end, token);
        covered = end;
      }
      if (covered < text.length) visit(covered, text.length, null);
    },
  };
}

function longestAt(
  root: Node,
  text: string,
  start: number,
): { token: AddedToken; end: number } | null {
  let found: { token: AddedToken; end: number } | null = null;
  let node: Node | undefined = root;
  for (let i = start; i < text.length; ) {
    node = node.children.get(text.charCodeAt(i++));
    if (node === undefined) break;
    if (node.token !== null) found = { token: node.token, end: i };
  }
  return found;
}

/** The next place at or after `from` where a token could start, or -1. `from` must not go down. */
type Search = (from: number) => number;

/**
 * Starts the search of a text for places where a token could start. Tokens usually share a beginning
 * (`<|`), which the engine's own search finds much faster than any loop.
 */
function createSearch(contents: readonly string[]): (text: string) => Search {
  const prefixes = new Map<string, string>();
  for (const content of contents) {
    const first = content[0]!;
    const shared = prefixes.get(first);
    prefixes.set(first, shared === undefined ? content : commonPrefix(shared, content));
  }
  const needles = [...prefixes.values()];
  if (needles.length === 1) {
    const needle = needles[0]!;
    return (text) => (from) => text.indexOf(needle, from);
  }
  if (needles.length <= 3) {
    return (text) => {
      // Places are kept until they are passed: a needle that is rare or absent would otherwise be
      // looked for through the whole rest of the text again and again.
      const places = needles.map((needle) => text.indexOf(needle));
      return (from) => {
        let best = -1;
        for (let i = 0; i < needles.length; i++) {
          let at = places[i]!;
          if (at >= 0 && at < from) at = places[i] = text.indexOf(needles[i]!, from);
          if (at >= 0 && (best < 0 || at < best)) best = at;
        }
        return best;
      };
    };
  }
  const firstUnits = new Uint8Array(0x10000);
  for (const needle of needles) firstUnits[needle.charCodeAt(0)] = 1;
  return (text) => (from) => {
    for (let i = from; i < text.length; i++) if (firstUnits[text.charCodeAt(i)] === 1) return i;
    return -1;
  };
}

function commonPrefix(left: string, right: string): string {
  let length = 0;
  while (length < left.length && left[length] === right[length]) length++;
  return left.slice(0, length);
}

function isWordAt(text: string, at: number): boolean {
  const codePoint = text.codePointAt(at);
  return codePoint !== undefined && isWordCharacter(codePoint);
}

function isWordBefore(text: string, at: number): boolean {
  if (at === 0) return false;
  const low = text.charCodeAt(at - 1);
  const isPair = at > 1 && (low & 0xfc00) === 0xdc00;
  return isWordAt(text, isPair ? at - 2 : at - 1);
}

/** Checks that no two added tokens share an id. */
export function checkAddedTokens(tokens: readonly AddedToken[], path: string): void {
  const byId = new Map<number, string>();
  for (const [index, token] of tokens.entries()) {
    const other = byId.get(token.id);
    if (other !== undefined && other !== token.content) {
      throw invalidField(
        `${path}[${index}].id`,
        token.id,
        `an id that ${JSON.stringify(other)} does not have`,
      );
    }
    byId.set(token.id, token.content);
  }
}
