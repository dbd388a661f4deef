/** Figures with their units as people write them: records hold units in the short form of tables. */
import { formatNumber } from "../reproduce/figures.ts";

const digits = 3;

/** What stands below the stroke of a rate, in full. */
const divisors: Readonly<Record<string, string>> = {
  forward: "forward pass",
  pass: "forward pass",
  s: "second",
};

/** Measures by name stand before their value; counts and units behind it. */
const measures: ReadonlySet<string> = new Set([
  "IoU",
  "L1 distance",
  "P_Omega",
  "Spearman's rho",
  "correlation",
  "cosine",
  "index",
  "log10 MSE",
  "nDCG@10",
  "p-value",
  "precision",
  "ratio",
  "recall",
  "tau",
]);

/**
 * A figure with its unit, e.g. `2.24 tokens a forward pass`, `40 % of sets`, `recall 0.936`.
 *
 * @param unit as a record has it: `tokens/forward`, `share of sets`, `recall`
 */
export function describeFigure(value: number, unit: string): string {
  const part = /^(?:share )?(of .*)$/.exec(unit);
  if (part) return `${formatNumber(100 * value, digits)} % ${part[1]}`;
  const number = formatNumber(value, digits);
  if (measures.has(unit)) return `${unit} ${number}`;
  const rate = /^([^/ ]+)\/([^/]+)$/.exec(unit);
  if (!rate) return `${number} ${unit}`.trim();
  const [, counted, divisor] = rate as unknown as readonly [string, string, string];
  return `${number} ${counted} a ${divisors[divisor] ?? divisor}`;
}
