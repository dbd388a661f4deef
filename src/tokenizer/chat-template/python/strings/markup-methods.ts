/** The methods of `Markup`: those of `str`, with results that count as escaped. */

import { toList } from "../containers/sequence.ts";
import { valueFailure } from "../failure.ts";
import { asText, Markup, Tuple, type Value } from "../values.ts";
import { formatValue } from "./format-spec.ts";
import { formatString } from "./format-string.ts";
import { escapeMarkup, escapeText } from "./markup.ts";
import { type Method, stringMethods } from "./string-methods.ts";
import { splitWords } from "./text.ts";

function markUp(value: Value): Value {
  if (typeof value === "string") return new Markup(value);
  if (Array.isArray(value)) return value.map(markUp);
  return value instanceof Tuple ? new Tuple(value.items.map(markUp)) : value;
}

/** Methods whose results are no texts. */
const plainResult = /^(is|r?find|r?index|count|startswith|endswith|encode|maketrans)/;

function markupMethod(name: string, method: Method): Method {
  if (plainResult.test(name)) return method;
  if (name !== "join" && name !== "replace") {
    return (self, callArguments, runtime) => markUp(method(self, callArguments, runtime));
  }
  return (self, callArguments, runtime) => {
    const positional = callArguments.positional.map((value) => {
      if (name === "join") return toList(value).map(escapeMarkup);
      return asText(value) === undefined ? value : escapeMarkup(value);
    });
    return markUp(method(self, { ...callArguments, positional }, runtime));
  };
}

/** Methods of `Markup` by name. */
export const markupMethods: ReadonlyMap<string, Method> = new Map([
  ...Array.from(stringMethods, ([name, method]): [string, Method] => [
    name,
    markupMethod(name, method),
  ]),
  [
    "format",
    (self, callArguments, runtime) =>
      new Markup(
        formatString(asText(self)!, callArguments, runtime, (value, spec) => {
          if (!(value instanceof Markup)) return escapeText(formatValue(value, spec));
          if (spec === "") return value.text;
          throw valueFailure("Unsupported format specification for Markup.");
        }),
      ),
  ],
  ["striptags", (self) => stripTags(asText(self)!)],
  ["unescape", (self) => unescapeText(asText(self)!)],
]);

const entities: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "©",
  reg: "®",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  euro: "€",
};

/** Character references of HTML as characters: numeric ones and the most frequent names. */
export function unescapeText(text: string): string {
  return text.replace(/&(?:#(\d+)|#[xX]([0-9a-fA-F]+)|(\w+));?/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return entities[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    if (code === 0 || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return "\ufffd";
    return String.fromCodePoint(code);
  });
}

/** A text without tags and comments, with single spaces. */
export function stripTags(text: string): string {
  let stripped = removeBetween(text, "<!--", "-->");
  stripped = removeBetween(stripped, "<", ">");
  return unescapeText(splitWords(stripped).join(" "));
}

function removeBetween(text: string, open: string, close: string): string {
  let kept = "";
  let at = 0;
  while (true) {
    const start = text.indexOf(open, at);
    const end = start < 0 ? -1 : text.indexOf(close, start);
    if (end < 0) return kept + text.slice(at);
    kept += text.slice(at, start);
    at = end + close.length;
  }
}
