/** How numbers of a result are written, on screen and in READMEs. */
import type { IntervalEnd, PaperResult } from "./run-reproduction.ts";

/** Significant digits, whole numbers as they are. Default 4 digits. */
export function formatNumber(value: number, digits = 4): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const size = Math.abs(value);
  if (size >= 10 ** (digits - 1) && size < 1e9) return value.toFixed(0);
  if (size >= 1e-3 && size < 1e9) return String(Number(value.toPrecision(digits)));
  return value.toExponential(2);
}

/** With a sign, also before numbers above zero. */
export function formatSigned(value: number): string {
  return `${value > 0 ? "+" : ""}${formatNumber(value)}`;
}

/** Both ends of an interval, e.g. `1.02 to inf`. */
export function formatInterval(
  [low, high]: readonly [IntervalEnd, IntervalEnd],
  digits?: number,
): string {
  const end = (value: IntervalEnd): string =>
    typeof value === "number" ? formatNumber(value, digits) : value;
  return `${end(low)} to ${end(high)}`;
}

/** What the paper reports, with ours beside it where both are the same quantity. */
export function describePaper(paper: PaperResult, digits?: number): string {
  if (!("value" in paper)) return paper.words;
  const setting = paper.setting === undefined ? "" : ` (${paper.setting})`;
  const distance =
    paper.distance === undefined ? "" : `; ours is ${formatSigned(paper.distance)} from it`;
  return `${formatNumber(paper.value, digits)} ${paper.unit}${setting}${distance}`;
}
