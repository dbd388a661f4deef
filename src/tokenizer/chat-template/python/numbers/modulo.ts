/** `a % b`: the remainder of numbers, formatting of texts. */

import { formatMarkup } from "../strings/markup.ts";
import { formatPercent } from "../strings/percent-format.ts";
import { Markup, type Value } from "../values.ts";
import { remainder } from "./arithmetic.ts";

export function modulo(a: Value, b: Value): Value {
  if (a instanceof Markup) return formatMarkup(a, b);
  return typeof a === "string" ? formatPercent(a, b) : remainder(a, b);
}
