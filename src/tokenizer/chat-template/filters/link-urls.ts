/** `urlize`: addresses in a text as links. */
import { escapeMarkup, escapeText } from "../python/strings/markup.ts";
import { codePointLength, sliceCodePoints, whitespaceClass } from "../python/strings/text.ts";
import type { Value } from "../python/values.ts";

export interface LinkOptions {
  /** Most characters of an address that are shown. */
  readonly limit: number | undefined;
  readonly rel: string;
  readonly target: string | undefined;
  /** Beginnings of further addresses, e.g. `tel:`. */
  readonly schemes: readonly string[];
}

const word = "[\\p{L}\\p{N}_%-]";
const webAddress = new RegExp(
  `^(?:(?:https?://|www\\.)(?:${word}+\\.)*(?:[a-z]{2,63}|xn--[\\p{L}\\p{N}_%]{2,59})` +
    `|(?:${word}{2,63}\\.)+(?:com|net|int|edu|gov|org|info|mil)` +
    "|https?://(?:\\d{1,3}(?:\\.\\d{1,3}){3}|\\[(?:[\\da-f]{0,4}:){2}(?:[\\da-f]{0,4}:?){1,6}\\]))" +
    "(?::\\d{1,5})?(?:[/?#]\\S*)?$",
  "iu",
);
const mailAddress = /^\S+@[\p{L}\p{N}_][\p{L}\p{N}_.-]*\.[\p{L}\p{N}_]+$/u;
const brackets: readonly (readonly [string, string])[] = [
  ["(", ")"],
  ["<", ">"],
  ["&lt;", "&gt;"],
];

const spaceBetween = new RegExp(`([${whitespaceClass}]+)`);

/** The text, escaped, with links. */
export function linkUrls(value: Value, options: LinkOptions): string {
  const rel = options.rel === "" ? "" : ` rel="${escapeText(options.rel)}"`;
  const target = options.target === undefined ? "" : ` target="${escapeText(options.target)}"`;
  const attributes = rel + target;
  return escapeMarkup(value)
    .split(spaceBetween)
    .map((part) => linkWord(part, attributes, options))
    .join("");
}

function linkWord(part: string, attributes: string, options: LinkOptions): string {
  const head = /^(?:[(<]|&lt;)+/.exec(part)?.[0] ?? "";
  let middle = part.slice(head.length);
  let tail = /(?:[)>.,\n]|&gt;)+$/.exec(middle)?.[0] ?? "";
  middle = middle.slice(0, middle.length - tail.length);
  for (const [open, close] of brackets) {
    const opened = count(middle, open);
    if (opened <= count(middle, close)) continue;
    // Closing brackets that were opened inside the address belong to it.
    for (let i = Math.min(opened, count(tail, close)); i > 0; i--) {
      const end = tail.indexOf(close) + close.length;
      middle += tail.slice(0, end);
      tail = tail.slice(end);
    }
  }
  return head + linkAddress(middle, attributes, options) + tail;
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

function linkAddress(address: string, attributes: string, options: LinkOptions): string {
  const { limit, schemes } = options;
  if (webAddress.test(address)) {
    const url = /^https?:\/\//.test(address) ? address : `https://${address}`;
    const long = limit !== undefined && codePointLength(address) > limit;
    const shown = long ? `${sliceCodePoints(address, 0, Math.max(0, limit))}...` : address;
    return `<a href="${url}"${attributes}>${shown}</a>`;
  }
  if (address.startsWith("mailto:") && mailAddress.test(address.slice(7))) {
    return `<a href="${address}">${address.slice(7)}</a>`;
  }
  const mail = address.includes("@") && !address.startsWith("www.") && !address.includes(":");
  if (mail && mailAddress.test(address)) return `<a href="mailto:${address}">${address}</a>`;
  const scheme = schemes.find((start) => address !== start && address.startsWith(start));
  return scheme === undefined ? address : `<a href="${address}"${attributes}>${address}</a>`;
}
