/** `a % b`: the remainder of numbers, formatting of texts. */
import { remainder } from "./arithmetic.ts";
import { formatMarkup } from "./markup.ts";
import { formatPercent } from "./percent-format.ts";
import { Markup, type Value } from "./values.ts";

export function modulo(a: Value, b: Value): Value {
  if (a instanceof Markup) return formatMarkup(a, b);
  return typeof a === "string" ? formatPercent(a, b) : remainder(a, b);
}
