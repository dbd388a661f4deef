/**
 * The normalizers of tokenizer files: text → text, with or without the place of every character.
 */
import { JetonError } from "../../core/error.ts";
import { toByteAlphabet } from "../decoders/byte-alphabet.ts";
import {
  asObject,
  type JsonObject,
  readBoolean,
  readField,
  readList,
  readString,
} from "../formats/json-reader.ts";
import { isIdeograph, isOther, isWhitespace } from "../pre-tokenizers/character-classes.ts";
import { readPattern } from "../pre-tokenizers/pattern.ts";
import {
  AlignedBuilder,
  type AlignedText,
  applyChanges,
  type Changes,
  characterLength,
} from "./aligned-text.ts";
import type { Normalizer } from "./normalizer.ts";
import { createPrecompiledMap } from "./precompiled-map.ts";
import { describeForm, normalizeForm, type UnicodeForm } from "./unicode-forms.ts";
import { type Disagreement, markDisagreement, nonspacingDisagreement } from "./unicode-versions.ts";

/** Reads the `normalizer` of a tokenizer file; null means none. */
export function readNormalizer(value: unknown, path: string): Normalizer | null {
  if (value === undefined || value === null) return null;
  return readStep(value, path, 0);
}

function readStep(value: unknown, path: string, depth: number): Normalizer {
  const object = asObject(value, path);
  const type = readString(object, "type", path);
  switch (type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return createUnicodeForm(type);
    case "Lowercase":
      return fromChanges(lowercase, describeLowercase);
    case "Strip":
      return createStrip(
        readBoolean(object, "strip_left", path, true),
        readBoolean(object, "strip_right", path, true),
      );
    case "StripAccents":
      return createFilter(/\p{M}/gu, markDisagreement);
    case "Nmt":
      return createSequence([
        createFilter(/[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g),
        createMapping(/[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g, () => " "),
      ]);
    case "Replace":
      return createReplace(
        readPattern(readField(object, "pattern"), `${path}.pattern`).expression,
        readString(object, "content", path),
      );
    case "Prepend":
      return createPrepend(readString(object, "prepend", path));
    case "BertNormalizer":
      return readBert(object, path);
    case "Precompiled":
      return createPrecompiledMap(readString(object, "precompiled_charsmap", path, ""), path);
    case "ByteLevel":
      return fromChanges(toByteAlphabet, describeBytes);
    case "Sequence": {
      if (depth > 16) throw tooDeep(path);
      return createSequence(
        readList(object, "normalizers", path, (item, at) => readStep(item, at, depth + 1)),
      );
    }
    default:
      throw new JetonError(`${path}.type names the unknown normalizer ${JSON.stringify(type)}`, {
        code: "tokenizer-unknown-component",
        details: { path, type },
      });
  }
}

/** The error for components nested beyond reason. */
export function tooDeep(path: string): JetonError {
  return new JetonError(`${path} nests sequences too deeply, expected at most 16 levels`, {
    code: "tokenizer-json-invalid",
    details: { path },
  });
}

/** Applies normalizers one after the other. */
export function createSequence(steps: readonly Normalizer[]): Normalizer {
  return {
    normalize: (text) => steps.reduce((current, step) => step.normalize(current), text),
    align: (aligned) => steps.reduce((current, step) => step.align(current), aligned),
  };
}

/** A normalizer whose places follow from the change of each new character. */
function fromChanges(
  normalize: (text: string) => string,
  describe: (text: string) => Changes,
): Normalizer {
  return {
    normalize,
    align(aligned) {
      const text = normalize(aligned.text);
      return text === aligned.text ? aligned : applyChanges(aligned, describe(aligned.text));
    },
  };
}

function createUnicodeForm(form: UnicodeForm): Normalizer {
  return fromChanges(
    (text) => normalizeForm(text, form),
    (text) => describeForm(text, form),
  );
}

/** Lower case character by character: a final sigma is not special. */
function lowercase(text: string): string {
  if (!text.includes("Σ")) return text.toLowerCase();
  let result = "";
  for (const character of text) result += character.toLowerCase();
  return result;
}

function describeLowercase(text: string): Changes {
  const described: Changes = { codePoints: [], changes: [], dropped: 0 };
  for (const character of text) addReplacement(described, character.toLowerCase());
  return described;
}

function describeBytes(text: string): Changes {
  const described: Changes = { codePoints: [], changes: [], dropped: 0 };
  for (const character of text) addReplacement(described, toByteAlphabet(character));
  return described;
}

/** One old character becomes `replacement`, at least one character. */
function addReplacement(described: Changes, replacement: string): void {
  let change = 0;
  for (const character of replacement) {
    described.codePoints.push(character.codePointAt(0)!);
    described.changes.push(change);
    change = 1;
  }
}

/** Drops every match of a class of characters; the others keep their place. */
function createFilter(dropped: RegExp, disagreement?: Disagreement): Normalizer {
  if (disagreement === undefined) return createMapping(dropped, () => "");
  const either = new RegExp(`${dropped.source}|${disagreement.expression.source}`, "gu");
  const one = new RegExp(`^${dropped.source}$`, "u");
  return createMapping(either, (character) => {
    const isDropped = one.test(character) !== disagreement.has(character.codePointAt(0)!);
    return isDropped ? "" : character;
  });
}

/** Replaces every match of a class of characters by one character with the same place, or none. */
function createMapping(matched: RegExp, replacement: (character: string) => string): Normalizer {
  return {
    normalize: (text) => text.replace(matched, replacement),
    align(aligned) {
      const builder = new AlignedBuilder(aligned);
      let from = 0;
      for (const match of aligned.text.matchAll(matched)) {
        builder.copy(from, match.index);
        from = match.index + match[0].length;
        for (const c of replacement(match[0])) builder.add(c.codePointAt(0)!, match.index);
      }
      if (from === 0) return aligned;
      builder.copy(from, aligned.text.length);
      return builder.build();
    },
  };
}

function createStrip(left: boolean, right: boolean): Normalizer {
  const bounds = (text: string): [number, number] => {
    let start = 0;
    let end = text.length;
    // Every whitespace character is one UTF-16 unit.
    if (left) while (start < end && isWhitespace(text.charCodeAt(start))) start++;
    if (right) while (end > start && isWhitespace(text.charCodeAt(end - 1))) end--;
    return [start, end];
  };
  return {
    normalize: (text) => text.slice(...bounds(text)),
    align(aligned) {
      const builder = new AlignedBuilder(aligned);
      builder.copy(...bounds(aligned.text));
      return builder.build();
    },
  };
}

/** Replaces every match by fixed text, which gets the place of the last character replaced. */
export function createReplace(expression: RegExp, content: string): Normalizer {
  const points = Array.from(content, (character) => character.codePointAt(0)!);
  return {
    normalize: (text) => text.replace(expression, () => content),
    align(aligned) {
      const builder = new AlignedBuilder(aligned);
      let from = 0;
      let changed = false;
      for (const match of aligned.text.matchAll(expression)) {
        changed = true;
        builder.copy(from, match.index);
        from = match.index + match[0].length;
        for (const codePoint of points) builder.add(codePoint, from - 1);
      }
      if (!changed) return aligned;
      builder.copy(from, aligned.text.length);
      return builder.build();
    },
  };
}

/** Puts text before any text that is not empty. */
export function createPrepend(prefix: string): Normalizer {
  return {
    normalize: (text) => (text === "" ? text : prefix + text),
    align: (aligned) => prependAligned(aligned, prefix),
  };
}

/** Puts `prefix` before an aligned text; it gets the place of the first character. */
export function prependAligned(aligned: AlignedText, prefix: string): AlignedText {
  if (aligned.text === "" || prefix === "") return aligned;
  const builder = new AlignedBuilder(aligned);
  for (const character of prefix) builder.add(character.codePointAt(0)!, 0);
  builder.copy(0, aligned.text.length);
  return builder.build();
}

function readBert(object: JsonObject, path: string): Normalizer {
  const lower = readBoolean(object, "lowercase", path, true);
  const steps: Normalizer[] = [];
  if (readBoolean(object, "clean_text", path, true)) steps.push(createCleaning());
  if (readBoolean(object, "handle_chinese_chars", path, true)) {
    steps.push(fromChanges(spaceIdeographs, describeIdeographs));
  }
  if (readBoolean(object, "strip_accents", path, lower)) {
    steps.push(createUnicodeForm("NFD"), createFilter(/\p{Mn}/gu, nonspacingDisagreement));
  }
  if (lower) steps.push(fromChanges(lowercase, describeLowercase));
  const whole = createSequence(steps);
  return {
    // Printable ASCII, which most text is, changes in its case alone.
    normalize(text) {
      if (!/^[ -~]*$/.test(text)) return whole.normalize(text);
      return lower ? text.toLowerCase() : text;
    },
    align: whole.align,
  };
}

/** Drops control characters and writes every kind of whitespace as a space. */
function createCleaning(): Normalizer {
  const removed = (codePoint: number): boolean =>
    codePoint === 0xfffd ||
    (codePoint < 32 || codePoint >= 127
      ? codePoint !== 9 && codePoint !== 10 && codePoint !== 13 && isOther(codePoint)
      : false);
  const special = /[^\x20-\x7e]/gu;
  return createMapping(special, (character) => {
    const codePoint = character.codePointAt(0)!;
    if (removed(codePoint)) return "";
    return isWhitespace(codePoint) ? " " : character;
  });
}

function spaceIdeographs(text: string): string {
  let result = "";
  let from = 0;
  for (let i = 0; i < text.length; ) {
    const length = characterLength(text, i);
    if (text.charCodeAt(i) >= 0x3400 && isIdeograph(text.codePointAt(i)!)) {
      result += `${text.slice(from, i)} ${text.slice(i, i + length)} `;
      from = i + length;
    }
    i += length;
  }
  return from === 0 ? text : result + text.slice(from);
}

function describeIdeographs(text: string): Changes {
  const described: Changes = { codePoints: [], changes: [], dropped: 0 };
  for (const character of text) {
    const codePoint = character.codePointAt(0)!;
    if (isIdeograph(codePoint)) {
      described.codePoints.push(32, codePoint, 32);
      described.changes.push(0, 1, 1);
    } else {
      described.codePoints.push(codePoint);
      described.changes.push(0);
    }
  }
  return described;
}
