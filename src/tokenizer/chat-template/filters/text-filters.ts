/** Filters that make texts. */
import { bindArguments, bindPositional } from "../python/arguments.ts";
import { reserve } from "../python/budget.ts";
import { isTrue } from "../python/compare.ts";
import { Dict } from "../python/containers/dict.ts";
import { toJson } from "../python/containers/json.ts";
import {
  isIterable,
  joinTexts,
  requireLength,
  toList,
  unpack,
} from "../python/containers/sequence.ts";
import { failure, typeFailure } from "../python/failure.ts";
import { add } from "../python/numbers/arithmetic.ts";
import { prettyPrint } from "../python/pretty-print.ts";
import { toText } from "../python/representation.ts";
import { capitalize } from "../python/strings/letter-case.ts";
import { escapeMarkup, formatMarkup } from "../python/strings/markup.ts";
import { formatPercent } from "../python/strings/percent-format.ts";
import { centerText } from "../python/strings/string-methods.ts";
import { replaceText, requireInteger, requireText } from "../python/strings/string-search.ts";
import {
  codePointLength,
  codePoints,
  sliceCodePoints,
  splitLines,
  strip,
  whitespaceClass,
} from "../python/strings/text.ts";
import { asInteger, asText, Markup, Tuple, typeName, type Value } from "../python/values.ts";
import type { Filter, FilterTable } from "./filter.ts";
import { wrapText } from "./wrap-text.ts";

/** A filter without arguments that maps texts; `Markup` stays `Markup`. */
function mapText(name: string, apply: (text: string) => string): Filter {
  return (value, callArguments) => {
    bindArguments(name, callArguments, []);
    return keepMarkup(value, apply(toText(value)));
  };
}

/** A text as the kind of text that the value was. */
function keepMarkup(value: Value, text: string): Value {
  return value instanceof Markup ? new Markup(text) : text;
}

const wordEnd = new RegExp(`([-${whitespaceClass}({[<]+)`);

/** Upper case for the first letter of each word; words end at space, hyphen and opening brackets. */
function titleFilter(text: string): string {
  const parts = text.split(wordEnd).filter((part) => part !== "");
  return parts
    .map((part) => {
      const [first = "", ...rest] = codePoints(part);
      return first.toUpperCase() + rest.join("").toLowerCase();
    })
    .join("");
}

function truncate(value: Value, given: readonly (Value | undefined)[]): Value {
  const [lengthValue = 255, killWords = false, endValue = "...", leeway] = given;
  const length = requireInteger(lengthValue);
  const slack = leeway === undefined || leeway === null ? 5 : requireInteger(leeway);
  const end = requireText(endValue, "truncate");
  const endLength = codePointLength(end);
  if (length < endLength) {
    throw failure("AssertionError", `expected length >= ${endLength}, got ${length}`);
  }
  if (slack < 0) throw failure("AssertionError", `expected leeway >= 0, got ${slack}`);
  const text = asText(value);
  if (text === undefined) return truncateOther(value, length + slack);
  if (codePointLength(text) <= length + slack) return value;
  const head = sliceCodePoints(text, 0, length - endLength);
  const space = head.lastIndexOf(" ");
  const kept = isTrue(killWords) || space < 0 ? head : head.slice(0, space);
  return add(keepMarkup(value, kept), endValue);
}

/** What has a length that is small enough stays as it is; anything else cannot be cut as a text. */
function truncateOther(value: Value, most: number): Value {
  if (requireLength(value) <= most) return value;
  throw typeFailure(`'${typeName(value)}' object cannot be truncated`);
}

function indent(value: Value, given: readonly (Value | undefined)[]): Value {
  const [width = 4, first = false, blank = false] = given;
  const text = asText(value);
  if (text === undefined) {
    throw typeFailure(`unsupported operand type(s) for +=: '${typeName(value)}' and 'str'`);
  }
  const indention = asText(width) ?? " ".repeat(checkedLength(requireInteger(width)));
  const lines = splitLines(`${text}\n`);
  reserve(text.length + lines.length * indention.length);
  const indented = lines.map((line, i) =>
    i > 0 && (isTrue(blank) || line !== "") ? indention + line : line,
  );
  return keepMarkup(value, (isTrue(first) ? indention : "") + indented.join("\n"));
}

function checkedLength(length: number): number {
  reserve(length);
  return Math.max(0, length);
}

function wordWrap(value: Value, given: readonly (Value | undefined)[]): Value {
  const [width = 79, breakLong = true, separator, breakHyphens = true] = given;
  const wrapString =
    separator === undefined || separator === null ? "\n" : requireText(separator, "join");
  const text = asText(value);
  if (text === undefined) {
    throw failure("AttributeError", `'${typeName(value)}' object has no attribute 'splitlines'`);
  }
  const options = {
    width: requireInteger(width),
    breakLongWords: isTrue(breakLong),
    breakOnHyphens: isTrue(breakHyphens),
  };
  const lines = splitLines(text).map((line) => joinTexts(wrapText(line, options), wrapString));
  return joinTexts(lines, wrapString);
}

const formatFilter: Filter = (value, { positional, keyword }) => {
  if (positional.length > 0 && keyword.size > 0) {
    throw failure(
      "FilterArgumentError",
      "can't handle positional and keyword arguments at the same time",
    );
  }
  const values = keyword.size > 0 ? new Dict(keyword) : new Tuple(positional);
  return value instanceof Markup
    ? formatMarkup(value, values)
    : formatPercent(toText(value), values);
};

const replaceFilter: Filter = (value, callArguments, runtime) => {
  const [old, replacement, count = null] = bindArguments("replace", callArguments, [
    "old",
    "new",
    "count?",
  ]);
  const limit = count === null ? -1 : requireInteger(count);
  const replaced = (text: string, from: string, to: string): string =>
    replaceText(text, from, to, limit);
  if (!runtime.autoescape) return replaced(toText(value), toText(old!), toText(replacement!));
  const marked = [old!, replacement!, value].some((part) => part instanceof Markup);
  if (!marked) return replaced(toText(value), toText(old!), toText(replacement!));
  const text =
    old instanceof Markup || replacement instanceof Markup ? escapeMarkup(value) : toText(value);
  return new Markup(replaced(text, escapeMarkup(old!), escapeMarkup(replacement!)));
};

function jsonFilter(value: Value, given: readonly (Value | undefined)[]): Value {
  const [ensureAscii = false, indentValue = null, separators = null, sortKeys = false] = given;
  let indentText: string | undefined;
  if (indentValue !== null) {
    const width = asInteger(indentValue);
    indentText =
      width === undefined
        ? requireText(indentValue, "indent")
        : " ".repeat(checkedLength(Number(width)));
  }
  const pair = separators === null ? undefined : unpack(separators, 2);
  return toJson(value, {
    ensureAscii: isTrue(ensureAscii),
    sortKeys: isTrue(sortKeys),
    ...(indentText !== undefined && { indent: indentText }),
    ...(pair !== undefined && {
      separators: [requireText(pair[0]!, "separator"), requireText(pair[1]!, "separator")],
    }),
  });
}

/** Everything but the unreserved characters as percent escapes of UTF-8. */
function quoteUrl(value: Value, forQuery: boolean): string {
  const escaped = Array.from(new TextEncoder().encode(toText(value)), (byte) => {
    const character = String.fromCharCode(byte);
    if (/[\w.~-]/.test(character) || (character === "/" && !forQuery)) return character;
    if (character === " " && forQuery) return "+";
    return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return escaped.join("");
}

const urlencode: Filter = (value, callArguments) => {
  bindArguments("urlencode", callArguments, []);
  if (asText(value) !== undefined || !isIterable(value)) return quoteUrl(value, false);
  const pairs =
    value instanceof Dict
      ? Array.from(value.entries())
      : toList(value).map((item) => unpack(item, 2));
  return pairs.map(([key, item]) => `${quoteUrl(key!, true)}=${quoteUrl(item!, true)}`).join("&");
};

export const textFilters: FilterTable = {
  upper: mapText("upper", (text) => text.toUpperCase()),
  lower: mapText("lower", (text) => text.toLowerCase()),
  capitalize: mapText("capitalize", capitalize),
  string: mapText("string", (text) => text),
  title(value, callArguments) {
    bindArguments("title", callArguments, []);
    return titleFilter(toText(value));
  },
  trim(value, callArguments) {
    const [characters = null] = bindArguments("trim", callArguments, ["chars?"]);
    const set = characters === null ? null : requireText(characters, "strip");
    return keepMarkup(value, strip(toText(value), set));
  },
  center(value, callArguments) {
    const [width = 80] = bindArguments("center", callArguments, ["width?"]);
    return keepMarkup(value, centerText(toText(value), requireInteger(width), " "));
  },
  wordcount(value, callArguments) {
    bindArguments("wordcount", callArguments, []);
    return toText(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0;
  },
  truncate: (value, callArguments) =>
    truncate(
      value,
      bindArguments("truncate", callArguments, ["length?", "killwords?", "end?", "leeway?"]),
    ),
  indent: (value, callArguments) =>
    indent(value, bindArguments("indent", callArguments, ["width?", "first?", "blank?"])),
  wordwrap: (value, callArguments) =>
    wordWrap(
      value,
      bindArguments("wordwrap", callArguments, [
        "width?",
        "break_long_words?",
        "wrapstring?",
        "break_on_hyphens?",
      ]),
    ),
  format: formatFilter,
  replace: replaceFilter,
  urlencode,
  tojson: (value, callArguments) =>
    jsonFilter(
      value,
      bindArguments("tojson", callArguments, [
        "ensure_ascii?",
        "indent?",
        "separators?",
        "sort_keys?",
      ]),
    ),
  pprint(value, callArguments) {
    bindPositional("pprint", callArguments, 0, 0);
    return prettyPrint(value);
  },
};
