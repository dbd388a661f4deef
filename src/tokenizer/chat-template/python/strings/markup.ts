/** Escaping for HTML, and strings that count as escaped. */

import { represent, toText } from "../representation.ts";
import { Markup, type Value } from "../values.ts";
import { formatPercent } from "./percent-format.ts";

const replacements: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};

/** A text with the five characters of HTML escaped. */
export function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => replacements[character]!);
}

/** The text of any value, escaped unless it already counts as escaped. */
export function escapeMarkup(value: Value): string {
  return value instanceof Markup ? value.text : escapeText(toText(value));
}

/** `markup % values`: what is put in is escaped. */
export function formatMarkup(markup: Markup, values: Value): Markup {
  return new Markup(
    formatPercent(markup.text, values, {
      text: escapeMarkup,
      representation: (value) => escapeText(represent(value)),
    }),
  );
}
