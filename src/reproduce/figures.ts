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

/** Options of `describePaper`. */
export interface DescribePaperOptions {
  /** As of `formatNumber`. */
  readonly digits?: number;
  /** Writes the paper's figure. Default: the number, then its unit. */
  readonly writeFigure?: (value: number, unit: string) => string;
}

/** What the paper reports, with ours beside it where both are the same quantity. */
export function describePaper(paper: PaperResult, options: DescribePaperOptions = {}): string {
  const { digits } = options;
  const { writeFigure = (value, unit) => `${formatNumber(value, digits)} ${unit}` } = options;
  if (!("value" in paper)) return paper.words;
  const setting = paper.setting === undefined ? "" : ` (${paper.setting})`;
  const distance =
    paper.distance === undefined ? "" : `; ours is ${formatSigned(paper.distance)} from it`;
  return `${writeFigure(paper.value, paper.unit)}${setting}${distance}`;
}
