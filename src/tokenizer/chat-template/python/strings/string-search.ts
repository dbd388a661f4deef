/** Methods of `str` that look for a text: `find`, `count`, `split`, `replace` and their relatives. */
import { bindArguments, bindPositional } from "../arguments.ts";
import { reserve, spend } from "../budget.ts";
import { typeFailure, valueFailure } from "../failure.ts";
import { asInteger, asText, type CallArguments, Tuple, typeName, type Value } from "../values.ts";
import {
  codePointLength,
  isBasic,
  sliceCodePoints,
  splitWords,
  strip,
  stripEnd,
  stripStart,
  toCodePointIndex,
  whitespaceClass,
} from "./text.ts";

/** A method of `str`: the text, its arguments. */
export type TextMethod = (text: string, callArguments: CallArguments) => Value;

/** A whole number among the arguments. */
export function requireInteger(value: Value): number {
  const integer = asInteger(value);
  if (integer === undefined) {
    throw typeFailure(`'${typeName(value)}' object cannot be interpreted as an integer`);
  }
  return Number(integer);
}

/** A text among the arguments. */
export function requireText(value: Value, name: string): string {
  const text = asText(value);
  if (text === undefined) {
    throw typeFailure(`${name} argument must be str, not ${typeName(value)}`);
  }
  return text;
}

interface SearchPart {
  /** The part of the text between the bounds. */
  readonly part: string;
  /** Where it begins, in code points. */
  readonly offset: number;
  /** False when the bounds leave nothing, not even an empty text. */
  readonly valid: boolean;
}

/** The part of a text that optional bounds select. */
function selectPart(text: string, start: Value | undefined, end: Value | undefined): SearchPart {
  if ((start ?? null) === null && (end ?? null) === null)
    return { part: text, offset: 0, valid: true };
  const length = codePointLength(text);
  const resolve = (value: Value | undefined, otherwise: number): number => {
    if ((value ?? null) === null) return otherwise;
    const integer = asInteger(value!);
    if (integer === undefined) {
      throw typeFailure("slice indices must be integers or None or have an __index__ method");
    }
    const index = Number(integer);
    return index < 0 ? Math.max(0, index + length) : index;
  };
  const from = resolve(start, 0);
  const to = Math.min(length, resolve(end, length));
  const valid = from <= length && from <= to;
  return { part: valid ? sliceCodePoints(text, from, to) : "", offset: from, valid };
}

function finder(name: string, last: boolean, required: boolean): TextMethod {
  return (text, callArguments) => {
    const [wanted, start, end] = bindPositional(name, callArguments, 1, 3);
    const sub = requireText(wanted!, name);
    const { part, offset, valid } = selectPart(text, start, end);
    const at = last ? part.lastIndexOf(sub) : part.indexOf(sub);
    if (at >= 0 && valid) return offset + toCodePointIndex(part, at);
    if (required) throw valueFailure("substring not found");
    return -1;
  };
}

function affixTest(name: "startswith" | "endswith"): TextMethod {
  return (text, callArguments) => {
    const [affix, start, end] = bindPositional(name, callArguments, 1, 3);
    const affixes = affix instanceof Tuple ? affix.items : [affix!];
    const { part, valid } = selectPart(text, start, end);
    return affixes.some((candidate) => {
      const wanted = asText(candidate);
      if (wanted === undefined) {
        throw typeFailure(
          `${name} first arg must be str or a tuple of str, not ${typeName(candidate)}`,
        );
      }
      return valid && (name === "startswith" ? part.startsWith(wanted) : part.endsWith(wanted));
    });
  };
}

/** How often a text holds another one, without overlaps. */
export function countText(text: string, sub: string): number {
  if (sub === "") return codePointLength(text) + 1;
  return text.split(sub).length - 1;
}

/** `str.replace`; a negative count replaces all. */
export function replaceText(text: string, old: string, replacement: string, count: number): string {
  if (count === 0) return text;
  const parts =
    old === "" ? ["", ...(isBasic(text) ? text.split("") : Array.from(text)), ""] : text.split(old);
  const replaced = count < 0 ? parts.length - 1 : Math.min(count, parts.length - 1);
  reserve(text.length + replaced * Math.max(0, replacement.length - old.length));
  const head = parts.slice(0, replaced + 1).join(replacement);
  return [head, ...parts.slice(replaced + 1)].join(old);
}

/** `str.split` and `str.rsplit` with a separator. */
export function splitText(text: string, separator: string, limit: number, last: boolean): string[] {
  if (separator === "") throw valueFailure("empty separator");
  const parts = text.split(separator);
  if (limit < 0 || parts.length <= limit + 1) return parts;
  return last
    ? [parts.slice(0, parts.length - limit).join(separator), ...parts.slice(parts.length - limit)]
    : [...parts.slice(0, limit), parts.slice(limit).join(separator)];
}

const word = new RegExp(`[^${whitespaceClass}]+`, "g");

/** `str.split` and `str.rsplit` at white space. */
function splitAtSpace(text: string, limit: number, last: boolean): string[] {
  const words = splitWords(text);
  if (limit < 0 || words.length <= limit) return words;
  const found = Array.from(text.matchAll(word));
  if (last) {
    const first = found[found.length - limit];
    const rest = first === undefined ? text : text.slice(0, first.index);
    const head = strip(rest, null) === "" ? [] : [stripEnd(rest, null)];
    return [...head, ...words.slice(words.length - limit)];
  }
  const next = found[limit];
  return next === undefined
    ? words
    : [...words.slice(0, limit), stripStart(text.slice(next.index), null)];
}

function splitter(name: "split" | "rsplit"): TextMethod {
  return (text, callArguments) => {
    const [separator = null, maximum = -1] = bindArguments(name, callArguments, [
      "sep?",
      "maxsplit?",
    ]);
    const limit = requireInteger(maximum);
    const last = name === "rsplit";
    const parts =
      separator === null
        ? splitAtSpace(text, limit, last)
        : splitText(text, requireSeparator(separator), limit, last);
    spend(parts.length);
    return parts;
  };
}

function requireSeparator(separator: Value): string {
  const text = asText(separator);
  if (text === undefined) throw typeFailure(`must be str or None, not ${typeName(separator)}`);
  return text;
}

function partition(name: "partition" | "rpartition"): TextMethod {
  return (text, callArguments) => {
    const [separator] = bindPositional(name, callArguments, 1, 1);
    const sub = requireText(separator!, name);
    if (sub === "") throw valueFailure("empty separator");
    const at = name === "partition" ? text.indexOf(sub) : text.lastIndexOf(sub);
    if (at < 0) return new Tuple(name === "partition" ? [text, "", ""] : ["", "", text]);
    return new Tuple([text.slice(0, at), sub, text.slice(at + sub.length)]);
  };
}

function stripper(
  name: string,
  remove: (text: string, characters: string | null) => string,
): TextMethod {
  return (text, callArguments) => {
    const [characters = null] = bindPositional(name, callArguments, 0, 1);
    if (characters === null) return remove(text, null);
    const set = asText(characters);
    if (set === undefined) {
      throw typeFailure(`${name} arg must be None or str, not ${typeName(characters)}`);
    }
    return remove(text, set);
  };
}

export const searchMethods: Readonly<Record<string, TextMethod>> = {
  find: finder("find", false, false),
  rfind: finder("rfind", true, false),
  index: finder("index", false, true),
  rindex: finder("rindex", true, true),
  startswith: affixTest("startswith"),
  endswith: affixTest("endswith"),
  split: splitter("split"),
  rsplit: splitter("rsplit"),
  partition: partition("partition"),
  rpartition: partition("rpartition"),
  strip: stripper("strip", strip),
  lstrip: stripper("lstrip", stripStart),
  rstrip: stripper("rstrip", stripEnd),
  count(text, callArguments) {
    const [sub, start, end] = bindPositional("count", callArguments, 1, 3);
    const { part, valid } = selectPart(text, start, end);
    const wanted = requireText(sub!, "count");
    return valid ? countText(part, wanted) : 0;
  },
  replace(text, callArguments) {
    const [old, replacement, count = -1] = bindPositional("replace", callArguments, 2, 3);
    return replaceText(
      text,
      requireText(old!, "replace"),
      requireText(replacement!, "replace"),
      requireInteger(count),
    );
  },
  removeprefix(text, callArguments) {
    const [affix] = bindPositional("removeprefix", callArguments, 1, 1);
    const prefix = requireText(affix!, "removeprefix");
    return text.startsWith(prefix) ? text.slice(prefix.length) : text;
  },
  removesuffix(text, callArguments) {
    const [affix] = bindPositional("removesuffix", callArguments, 1, 1);
    const suffix = requireText(affix!, "removesuffix");
    return suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
  },
};
