/** Escaping for HTML, and strings that count as escaped. */
import { toText } from "./representation.ts";
import { Markup, type Value } from "./values.ts";

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
