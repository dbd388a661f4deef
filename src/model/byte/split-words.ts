/**
 * Cuts text into words without losing a byte, such that the words of a prefix are those of the whole text,
 * except that the last one may still grow. So a model that reads words one after the other sees the same
 * words however much of the text it has.
 */
import { JetonError } from "../../core/index.ts";
import { decodeKinds } from "./decode-kinds.ts";
import { findWordBreaks } from "./word-breaks.ts";
import { classBits, flags, wordBreakClasses } from "./word-properties.ts";

/**
 * Where words end.
 *
 * - `"unicode"`: at word boundaries of UAX #29, after punctuation, and between lower and upper case; a
 *   single space leads the word after it, punctuation follows the word before it.
 * - `"whitespace"`: after runs of white space, which belong to the word before them.
 * - `{ fixed: n }`: every n bytes.
 */
export type WordRule = "unicode" | "whitespace" | { readonly fixed: number };

/** Options of `splitWords`. */
export interface SplitWordsOptions {
  /** Default `"unicode"`. */
  rule?: WordRule;
  /** Longer words are cut, between characters where it is possible. Default: no limit. */
  maxBytes?: number;
}

/**
 * The ends of all words, in bytes; the last is the length of the text. Bytes that are no valid UTF-8 are
 * characters of their own.
 *
 * @throws JetonError `word-rule-invalid`
 *
 * @example
 * splitWords("Hello, world!"); // Uint32Array [6, 13]: "Hello," and " world!"
 */
export function splitWords(
  text: string | Uint8Array,
  options: SplitWordsOptions = {},
): Uint32Array {
  const { rule = "unicode", maxBytes } = options;
  checkWordRule(rule, maxBytes);
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const ends: number[] = [];
  if (typeof rule === "object") {
    for (let end = rule.fixed; end < bytes.length; end += rule.fixed) ends.push(end);
    if (bytes.length > 0) ends.push(bytes.length);
  } else {
    const { kinds, starts } = decodeKinds(bytes);
    const begins = rule === "whitespace" ? afterSpace(kinds) : groupPieces(bytes, kinds, starts);
    for (let at = 1; at < kinds.length; at++) if (begins[at] === 1) ends.push(starts[at]!);
    if (bytes.length > 0) ends.push(bytes.length);
  }
  return Uint32Array.from(maxBytes === undefined ? ends : cutLong(bytes, ends, maxBytes));
}

/** @throws JetonError `word-rule-invalid` for a rule or a limit that cannot be followed */
export function checkWordRule(rule: unknown, maxBytes: number | undefined): void {
  const fixed = (rule as { fixed?: unknown } | null)?.fixed;
  const isRule =
    rule === "unicode" ||
    rule === "whitespace" ||
    (Number.isSafeInteger(fixed) && Number(fixed) > 0);
  const isLimit = maxBytes === undefined || (Number.isSafeInteger(maxBytes) && maxBytes > 0);
  if (isRule && isLimit) return;
  throw new JetonError(
    isRule
      ? `maxBytes is ${maxBytes}, expected a positive integer`
      : `the word rule is ${JSON.stringify(rule)}, expected "unicode", "whitespace" or { fixed: bytes }`,
    { code: "word-rule-invalid", details: { rule, maxBytes } },
  );
}

/** Words begin where white space ends. */
function afterSpace(kinds: Uint16Array): Uint8Array {
  const begins = new Uint8Array(kinds.length);
  for (let at = 1; at < kinds.length; at++) {
    const isAfter = (kinds[at - 1]! & flags.space) !== 0 && (kinds[at]! & flags.space) === 0;
    begins[at] = isAfter ? 1 : 0;
  }
  return begins;
}

const middle: ReadonlySet<number> = new Set(
  (["MidLetter", "MidNum", "MidNumLet"] as const).map((name) => wordBreakClasses.indexOf(name)),
);

/**
 * True where a piece begins within a word of UAX #29. The rules look ahead of letters in the middle of a
 * word ("can't", "3.5"), so what precedes them could depend on what follows: a piece ends after each of
 * them that is punctuation, and before the one that is not (U+2044).
 */
function cutsWithin(before: number, here: number): boolean {
  if (before & flags.punctuation) return true;
  if (before & flags.lower && here & flags.upper) return true;
  return middle.has(here & classBits) && !(here & flags.punctuation);
}

/** Groups of pieces; 1 where a group begins. A piece's kind is that of its first character. */
function groupPieces(bytes: Uint8Array, kinds: Uint16Array, starts: Uint32Array): Uint8Array {
  const breaks = findWordBreaks(kinds);
  const begins = new Uint8Array(kinds.length);
  let last: Piece | undefined;
  for (let at = 0; at < kinds.length; ) {
    let end = at + 1;
    while (end < kinds.length && breaks[end] === 0 && !cutsWithin(kinds[end - 1]!, kinds[end]!))
      end++;
    const isOneSpace = end === at + 1 && bytes[starts[at]!] === 0x20;
    const piece = isOneSpace ? "space" : pieceOf(kinds[at]!);
    begins[at] = last !== undefined && follows(last, piece) ? 0 : 1;
    last = piece;
    at = end;
  }
  return begins;
}

type Piece = "space" | "whitespace" | "punctuation" | "word";

function pieceOf(first: number): Piece {
  if (first & flags.punctuation) return "punctuation";
  return first & flags.space ? "whitespace" : "word";
}

function follows(last: Piece, piece: Piece): boolean {
  if (piece === "word") return last === "space";
  return piece === "punctuation" && last !== "whitespace";
}

/** Cuts words of more than `maxBytes` bytes, before the character that would exceed it. */
function cutLong(bytes: Uint8Array, ends: readonly number[], maxBytes: number): number[] {
  const cut: number[] = [];
  let start = 0;
  for (const end of ends) {
    while (end - start > maxBytes) {
      let at = start + maxBytes;
      while (at > start && (bytes[at]! & 0xc0) === 0x80) at--;
      // A character of more bytes than allowed is cut itself.
      start = at === start ? start + maxBytes : at;
      cut.push(start);
    }
    cut.push(end);
    start = end;
  }
  return cut;
}
