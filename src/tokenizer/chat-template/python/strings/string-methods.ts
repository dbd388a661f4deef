/** The methods of `str`. */
import { bindArguments, bindPositional } from "../arguments.ts";
import { reserve } from "../budget.ts";
import { Dict } from "../containers/dict.ts";
import { joinTexts, toList } from "../containers/sequence.ts";
import { failure, typeFailure, valueFailure } from "../failure.ts";
import type { Runtime } from "../runtime-type.ts";
import { asText, Bytes, type CallArguments, typeName, type Value } from "../values.ts";
import { formatMap, formatString } from "./format-string.ts";
import {
  capitalize,
  characterTests,
  foldCase,
  hasOnlyCase,
  isTitle,
  swapCase,
  titleWords,
} from "./letter-case.ts";
import { requireInteger, requireText, searchMethods, type TextMethod } from "./string-search.ts";
import { codePointLength, codePoints, isSpace, splitLines } from "./text.ts";

/** A method of a value. */
export type Method = (self: Value, callArguments: CallArguments, runtime: Runtime) => Value;

function withoutArguments(name: string, apply: (text: string) => Value): TextMethod {
  return (text, callArguments) => {
    bindPositional(name, callArguments, 0, 0);
    return apply(text);
  };
}

/** Pads a text on either side to a width in code points. */
export function padText(text: string, width: number, fill: string, side: "left" | "right"): string {
  const missing = width - codePointLength(text);
  if (missing <= 0) return text;
  reserve(missing + text.length);
  return side === "left" ? fill.repeat(missing) + text : text + fill.repeat(missing);
}

/** `str.center`: of an odd number of fills, the one more stands left if the width is odd. */
export function centerText(text: string, width: number, fill: string): string {
  const missing = width - codePointLength(text);
  if (missing <= 0) return text;
  reserve(missing + text.length);
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

function padder(
  name: string,
  pad: (text: string, width: number, fill: string) => string,
): TextMethod {
  return (text, callArguments) => {
    const [width, fill = " "] = bindPositional(name, callArguments, 1, 2);
    const fillText = asText(fill);
    if (fillText === undefined || codePointLength(fillText) !== 1) {
      throw typeFailure("The fill character must be exactly one character long");
    }
    return pad(text, requireInteger(width!), fillText);
  };
}

function joinMethod(separator: string, callArguments: CallArguments): string {
  const [items] = bindPositional("join", callArguments, 1, 1);
  const texts = toList(items!).map((item, index) => {
    const text = asText(item);
    if (text === undefined) {
      throw typeFailure(`sequence item ${index}: expected str instance, ${typeName(item)} found`);
    }
    return text;
  });
  return joinTexts(texts, separator);
}

function expandTabs(text: string, size: number): string {
  let column = 0;
  let expanded = "";
  for (const character of text) {
    if (character === "\t") {
      const width = size > 0 ? size - (column % size) : 0;
      expanded += " ".repeat(width);
      column += width;
    } else {
      expanded += character;
      column = character === "\n" || character === "\r" ? 0 : column + 1;
    }
  }
  reserve(expanded.length);
  return expanded;
}

function zeroFill(text: string, width: number): string {
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + padText(text.slice(sign.length), width - sign.length, "0", "left");
}

/** `str.translate`: characters by code point, to a text, a code point or nothing. */
function translate(text: string, table: Value): string {
  if (!(table instanceof Dict) && !Array.isArray(table)) {
    throw typeFailure(`'${typeName(table)}' object is not subscriptable`);
  }
  const parts = codePoints(text).map((character) => {
    const code = character.codePointAt(0)!;
    const found = table instanceof Dict ? table.get(code) : table[code];
    if (found === undefined) return character;
    if (found === null) return "";
    const replacement = asText(found);
    return replacement ?? String.fromCodePoint(requireInteger(found));
  });
  return joinTexts(parts, "");
}

function makeTranslation(callArguments: CallArguments): Value {
  const [from, to, removed] = bindPositional("maketrans", callArguments, 1, 3);
  const table = new Dict();
  if (to === undefined) {
    if (!(from instanceof Dict)) {
      throw typeFailure("if you give only one argument to maketrans it must be a dict");
    }
    for (const [key, value] of from.entries()) {
      const text = asText(key);
      if (text !== undefined && codePointLength(text) !== 1) {
        throw valueFailure("string keys in translate table must be of length 1");
      }
      table.set(text === undefined ? requireInteger(key) : text.codePointAt(0)!, value);
    }
    return table;
  }
  const sources = codePoints(requireText(from!, "maketrans"));
  const targets = codePoints(requireText(to, "maketrans"));
  if (sources.length !== targets.length) {
    throw valueFailure("the first two maketrans arguments must have equal length");
  }
  for (const [i, source] of sources.entries()) {
    table.set(source.codePointAt(0)!, targets[i]!.codePointAt(0)!);
  }
  for (const character of removed === undefined ? "" : requireText(removed, "maketrans")) {
    table.set(character.codePointAt(0)!, null);
  }
  return table;
}

function encode(text: string, callArguments: CallArguments): Value {
  const [encoding = "utf-8", errors = "strict"] = bindArguments("encode", callArguments, [
    "encoding?",
    "errors?",
  ]);
  const name = requireText(encoding, "encode").toLowerCase().replaceAll(/[-_ ]/g, "");
  if (name === "utf8") {
    if (/\p{Surrogate}/u.test(text)) {
      throw failure("UnicodeEncodeError", "'utf-8' codec can't encode: surrogates not allowed");
    }
    return new Bytes(new TextEncoder().encode(text));
  }
  const limit = { ascii: 0x7f, usascii: 0x7f, latin1: 0xff, iso88591: 0xff }[name];
  if (limit === undefined) throw failure("LookupError", `unknown encoding: ${name}`);
  const bytes = codePoints(text).flatMap((character) => {
    const code = character.codePointAt(0)!;
    if (code <= limit) return [code];
    if (errors === "ignore") return [];
    if (errors === "replace") return [0x3f];
    throw failure("UnicodeEncodeError", `'${name}' codec can't encode character ${code}`);
  });
  return new Bytes(Uint8Array.from(bytes));
}

const textMethods: Readonly<Record<string, TextMethod>> = {
  ...searchMethods,
  ...Object.fromEntries(
    Object.entries(characterTests).map(([name, test]) => [name, withoutArguments(name, test)]),
  ),
  isspace: withoutArguments("isspace", isSpace),
  islower: withoutArguments("islower", (text) => hasOnlyCase(text, "lower")),
  isupper: withoutArguments("isupper", (text) => hasOnlyCase(text, "upper")),
  istitle: withoutArguments("istitle", isTitle),
  upper: withoutArguments("upper", (text) => text.toUpperCase()),
  lower: withoutArguments("lower", (text) => text.toLowerCase()),
  casefold: withoutArguments("casefold", foldCase),
  capitalize: withoutArguments("capitalize", capitalize),
  title: withoutArguments("title", titleWords),
  swapcase: withoutArguments("swapcase", swapCase),
  ljust: padder("ljust", (text, width, fill) => padText(text, width, fill, "right")),
  rjust: padder("rjust", (text, width, fill) => padText(text, width, fill, "left")),
  center: padder("center", centerText),
  join: joinMethod,
  encode,
  zfill(text, callArguments) {
    return zeroFill(text, requireInteger(bindPositional("zfill", callArguments, 1, 1)[0]!));
  },
  expandtabs(text, callArguments) {
    const [size = 8] = bindArguments("expandtabs", callArguments, ["tabsize?"]);
    return expandTabs(text, requireInteger(size));
  },
  splitlines(text, callArguments) {
    const [keepEnds = false] = bindArguments("splitlines", callArguments, ["keepends?"]);
    return splitLines(text, requireInteger(keepEnds) !== 0);
  },
  translate(text, callArguments) {
    return translate(text, bindPositional("translate", callArguments, 1, 1)[0]!);
  },
  maketrans: (_text, callArguments) => makeTranslation(callArguments),
};

const formatMethods: Readonly<Record<string, Method>> = {
  format: (self, callArguments, runtime) => formatString(asText(self)!, callArguments, runtime),
  format_map(self, callArguments, runtime) {
    const [mapping] = bindPositional("format_map", callArguments, 1, 1);
    return formatMap(asText(self)!, mapping!, runtime);
  },
};

/** Methods of `str` by name. */
export const stringMethods: ReadonlyMap<string, Method> = new Map([
  ...Object.entries(textMethods).map(([name, method]): [string, Method] => [
    name,
    (self, callArguments) => method(asText(self)!, callArguments),
  ]),
  ...Object.entries(formatMethods),
]);
