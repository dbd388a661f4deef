/**
 * Ends of texts as short strings, so that what a pre-tokenizer does at one of them is remembered for all
 * that look alike.
 *
 * A shape holds whole characters, the bytes of an incomplete character as lone low surrogates
 * (U+DC00 + byte), and the boundaries between words that were chosen as U+DD00, another one. Where the
 * pre-tokenizer's pattern is one that depends on classes of characters alone, each character stands for
 * its class, or for all letters, and long runs of one class are shortened.
 */
import { charactersBetween } from "../pre-tokenizers/characters-between.ts";
import { codePointOf, codePointsAfter, stepUtf8 } from "./utf8-steps.ts";

/** A boundary between two words. */
export const boundary = "\udd00";
const boundaryUnit = 0xdd00;
const byteUnit = 0xdc00;

/** How texts are made of bytes and characters. */
export interface ShapeRules {
  /** `"utf8"`: only legal UTF-8 is text. `"bytes"`: bytes that are none count as U+FFFD each. */
  readonly text: "utf8" | "bytes";
  /**
   * Characters that stand for each other: none, those of one class, or all letters, all digits and all that are
   * neither, where the pattern tells no more apart. White space stands for itself.
   */
  readonly reduces: "nothing" | "classes" | "letters";
  /** Code points that the pattern names; where it reduces nothing, characters between two of them are told apart. */
  readonly named?: readonly number[];
  /** Whether single bytes may spell a character, where characters are symbols. */
  readonly spellsByBytes?: (codePoint: number) => boolean;
}

/** A byte of an incomplete character, in a shape. */
export function byteShape(byte: number): string {
  return String.fromCharCode(byteUnit + byte);
}

/** The parts of a shape. */
export interface ShapeParts {
  readonly text: string;
  /** Places in `text` at which words were cut. */
  readonly cuts: readonly number[];
  /** Bytes of an incomplete character after the text. */
  readonly pending: readonly number[];
}

export function readShape(shape: string): ShapeParts {
  const cuts: number[] = [];
  const pending: number[] = [];
  let text = "";
  for (let at = 0; at < shape.length; at++) {
    const unit = shape.charCodeAt(at);
    if (isHighSurrogate(unit)) text += shape[at]! + shape[++at]!;
    else if (unit === boundaryUnit) cuts.push(text.length);
    else if (unit >= byteUnit && unit < byteUnit + 256) pending.push(unit - byteUnit);
    else text += shape[at]!;
  }
  return { text, cuts, pending };
}

/** The shape of the bytes of a token, which may begin and end inside characters. */
export function shapeOfBytes(bytes: Uint8Array, rules: ShapeRules): string {
  let shape = "";
  for (let at = 0; at < bytes.length; ) {
    const character: number[] = [];
    let step = stepUtf8(character, bytes[at]!);
    while (step === "incomplete") {
      character.push(bytes[at + character.length]!);
      if (at + character.length === bytes.length) break;
      step = stepUtf8(character, bytes[at + character.length]!);
    }
    if (step === "complete") {
      character.push(bytes[at + character.length]!);
      shape += reduceCharacter(codePointOf(character), rules);
      at += character.length;
    } else {
      shape += byteShape(bytes[at]!);
      at++;
    }
  }
  return compress(shape, rules);
}

/**
 * A shape with that of a token after it; undefined where the two are no beginning of a text.
 */
export function joinShapes(end: string, token: string, rules: ShapeRules): string | undefined {
  if (!hasByte(end.charCodeAt(end.length - 1)) && !hasBytes(token)) {
    return compress(end + token, rules);
  }
  const { pending } = readShape(end);
  let joined = pending.length === 0 ? end : end.slice(0, -pending.length);
  const open = [...pending];
  for (let at = 0; at < token.length; at++) {
    const unit = token.charCodeAt(at);
    if (!hasByte(unit)) {
      if (open.length > 0) {
        if (rules.text === "utf8") return undefined;
        joined += reduceCharacter(0xfffd, rules).repeat(open.length);
        open.length = 0;
      }
      joined += token[at]!;
      // The second half of a pair is no byte.
      if (isHighSurrogate(unit)) joined += token[++at]!;
      continue;
    }
    const step = stepUtf8(open, unit - byteUnit);
    if (step === "illegal") {
      if (rules.text === "utf8") return undefined;
      joined += reduceCharacter(0xfffd, rules).repeat(open.length);
      open.length = 0;
      const again = stepUtf8(open, unit - byteUnit);
      if (again === "incomplete") open.push(unit - byteUnit);
      else joined += reduceCharacter(0xfffd, rules);
      continue;
    }
    open.push(unit - byteUnit);
    if (step === "incomplete") {
      if (rules.spellsByBytes && !someCharacter(open, rules.spellsByBytes)) return undefined;
      continue;
    }
    const codePoint = codePointOf(open);
    if (rules.spellsByBytes?.(codePoint) === false) return undefined;
    joined += reduceCharacter(codePoint, rules);
    open.length = 0;
  }
  return compress(joined, rules) + open.map(byteShape).join("");
}

/** A shape after whose last character a boundary may stand: not within one. */
export function closeShape(shape: string, rules: ShapeRules): string | undefined {
  const { pending } = readShape(shape);
  if (pending.length === 0) return shape;
  if (rules.text === "utf8") return undefined;
  return shape.slice(0, -pending.length) + reduceCharacter(0xfffd, rules).repeat(pending.length);
}

function isHighSurrogate(unit: number): boolean {
  return (unit & 0xfc00) === 0xd800;
}

function hasByte(unit: number): boolean {
  return unit >= byteUnit && unit < byteUnit + 256;
}

/** True where a shape begins with a byte that no character begins with. */
export function beginsInCharacter(shape: string): boolean {
  const unit = shape.charCodeAt(0) - byteUnit;
  return unit >= 0x80 && unit < 0xc0;
}

/** True where a shape ends with a byte of an incomplete character. */
export function endsInCharacter(shape: string): boolean {
  const last = shape.length - 1;
  return hasByte(shape.charCodeAt(last)) && !isHighSurrogate(shape.charCodeAt(last - 1));
}

/** True where a shape holds bytes that are no whole character. */
function hasBytes(shape: string): boolean {
  for (let at = 0; at < shape.length; at++) {
    const unit = shape.charCodeAt(at);
    if (isHighSurrogate(unit)) at++;
    else if (hasByte(unit)) return true;
  }
  return false;
}

function someCharacter(open: readonly number[], test: (codePoint: number) => boolean): boolean {
  const [first, last] = codePointsAfter(open);
  for (let point = first; point <= last; point++) if (test(point)) return true;
  return false;
}

/**
 * A character of each class that completes an incomplete one; in mode `"bytes"` also none at all. Where characters
 * stand for their classes, those that classes are written as.
 */
export function completions(pending: readonly number[], rules: ShapeRules): readonly string[] {
  if (pending.length === 0) return [""];
  const [first, last] = codePointsAfter(pending);
  const named = rules.reduces === "nothing" ? (rules.named ?? []) : [];
  const cuts = named
    .flatMap((point) => [point, point + 1])
    .filter((at) => at > first && at <= last);
  const key = `${first} ${last} ${rules.reduces} ${cuts}`;
  let found = completionsByRange.get(key);
  if (found === undefined) {
    const starts = [...new Set([first, ...cuts])].sort((a, b) => a - b);
    found = starts.flatMap((start, at) => [
      ...classesBetween(start, (starts[at + 1] ?? last + 1) - 1).values(),
    ]);
    if (rules.reduces !== "nothing") {
      found = [...new Set(found.map((one) => reduceCharacter(one.codePointAt(0)!, rules)))];
    }
    completionsByRange.set(key, found);
  }
  return rules.text === "bytes" ? [...found, "\ufffd".repeat(pending.length)] : found;
}

const completionsByRange = new Map<string, readonly string[]>();
const chunksByRange = new Map<string, ReadonlyMap<string, string>>();

/** The first character of each class. */
function classesBetween(first: number, last: number): Map<string, string> {
  const found = new Map<string, string>();
  // A range may hold 200,000 characters, and ranges lie in each other.
  for (let from = first; from <= last && found.size < classes.length; from += 0x1000) {
    for (const [name, character] of classesOfChunk(from, Math.min(last, from + 0xfff))) {
      if (!found.has(name)) found.set(name, character);
    }
  }
  return found;
}

/** The same for at most 4,096 characters, by native searches. */
function classesOfChunk(first: number, last: number): ReadonlyMap<string, string> {
  const key = `${first} ${last}`;
  let found = chunksByRange.get(key);
  if (found === undefined) {
    const text = charactersBetween(first, last);
    const all = hasClass.test(text) ? classes : unassigned;
    found = new Map(
      all.flatMap(([name, expression]) => {
        const match = expression.exec(text);
        return match === null ? [] : [[name, match[0]]];
      }),
    );
    chunksByRange.set(key, found);
  }
  return found;
}

const kana = "[\\p{Script=Hiragana}\\p{Script=Katakana}]";
/** Classes of characters that patterns of pre-tokenizers tell apart; the first that fits counts. */
const classes: readonly (readonly [string, RegExp])[] = [
  ["space", /\p{White_Space}/u],
  ["Lu", /\p{Lu}/u],
  ["Ll", /\p{Ll}/u],
  ["Lt", /\p{Lt}/u],
  ["Lm", /\p{Lm}/u],
  ["Han", /\p{Script=Han}/u],
  ["Kana", new RegExp(kana, "u")],
  ["Hangul", /\p{Script=Hangul}/u],
  ["Lo", new RegExp(`(?!\\p{Script=Han}|${kana}|\\p{Script=Hangul})\\p{Lo}`, "u")],
  ["M", /\p{M}/u],
  ["Nd", /\p{Nd}/u],
  ["N", /\p{N}/u],
  ["Pc", /\p{Pc}/u],
  ["P", /\p{P}/u],
  ["S", /\p{S}/u],
  ["C", /\p{C}/u],
];

/** Some other class than C. */
const hasClass = /\P{C}/u;
const unassigned = classes.filter(([name]) => name === "C");

function classOf(character: string): string {
  return classes.find(([, expression]) => expression.test(character))?.[0] ?? "C";
}

/** Letters that contractions of the known patterns name. */
const contractionLetters = new Set([..."strevmldSTREVMLD\u017f"]);

/** Known representatives, by what characters are reduced to. */
const reduced = { classes: new Map<number, string>(), letters: new Map<number, string>() };

/** The character that stands for one in a shape. */
function reduceCharacter(codePoint: number, { reduces }: ShapeRules): string {
  const character = String.fromCodePoint(codePoint);
  if (reduces === "nothing" || contractionLetters.has(character)) return character;
  let representative = reduced[reduces].get(codePoint);
  if (representative === undefined) {
    representative = reduces === "classes" ? classMember(character) : letterMember(character);
    reduced[reduces].set(codePoint, representative);
  }
  return representative;
}

function letterMember(character: string): string {
  if (/\p{L}/u.test(character)) return "a";
  if (/\p{N}/u.test(character)) return "1";
  return character === "'" || /\p{White_Space}/u.test(character) ? character : ".";
}

function classMember(character: string): string {
  switch (classOf(character)) {
    case "Ll":
      return "a";
    case "Lu":
      return "A";
    case "Lt":
      return "\u01c5";
    case "Lm":
      return "\u02b0";
    case "Han":
    case "Kana":
    case "Hangul":
    case "Lo":
      return /\p{L}/u.test(character) ? "\u4e00" : /\p{N}/u.test(character) ? "1" : ".";
    case "M":
      return "\u0301";
    case "Nd":
    case "N":
      return "1";
    case "space":
      return character;
    default:
      return "'/".includes(character) ? character : ".";
  }
}

/** Shortens runs of one class, and forgets letters that no contraction can read any more. */
function compress(shape: string, { reduces }: ShapeRules): string {
  if (reduces === "nothing" || shape.length < 2) return shape;
  let result = shape;
  if (/[strevmldſ]/iu.test(result)) result = result.replace(plainLetters, letterClass[reduces]);
  return result.length > 2 ? result.replace(/(a|A|\.|一|\u0301|[\t\n ])\1{2,}/gu, "$1$1") : result;
}

/** The same for a shape that begins a word, so that no apostrophe stands before it. */
export function settleShape(shape: string, rules: ShapeRules): string {
  if (rules.reduces === "nothing") return shape;
  return compress(shape.replace(settledLetters, letterClass[rules.reduces]), rules);
}

// Boundaries between words (U+DD00) are no characters.
const settledLetters = /(?<!'\udd00?|'\udd00?.\udd00?)[strevmldſ]/giu;

/** Letters of contractions that stand neither at the beginning nor within two characters of an apostrophe. */
const plainLetters = /(?<=[^'\udd00]\udd00?[^'\udd00]\udd00?)[strevmldſ]/giu;

const letterClass = {
  classes: (letter: string): string => (letter === letter.toLowerCase() ? "a" : "A"),
  letters: (): string => "a",
};
