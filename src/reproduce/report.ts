/** A result as people read it. */
import { formatDuration, formatTable } from "../core/index.ts";
import type { Claim } from "./define-reproduction.ts";
import type { ClaimResult, ReproductionResult } from "./run-reproduction.ts";
import type { Verdict } from "./verdict.ts";

/** Options of `formatResult`. */
export interface FormatResultOptions {
  /** Applied to a verdict, e.g. to colour it. Default: as it is. */
  styleVerdict?: (text: string, verdict: Verdict | "skipped") => string;
  styleHeading?: (line: string) => string;
  /** Width for the sentences of the claims. Default 92. */
  width?: number;
}

/** The table of claims, then each claim's sentence, then what was skipped and why. */
export function formatResult(
  result: ReproductionResult,
  claims: readonly Claim[],
  options: FormatResultOptions = {},
): string {
  const { styleVerdict = (text) => text, styleHeading = (line) => line, width = 92 } = options;
  const found = new Map(result.claims.map((claim) => [claim.id, claim]));
  const skipped = new Set(result.skipped?.claims);
  const texts: string[] = [];
  const rows = claims.flatMap(
    ({ id, text, paper, unit, effect, direction, reproduced, partly }) => {
      const claim = found.get(id);
      if (claim === undefined && !skipped.has(id)) return [];
      texts.push(
        ...wrap(`${id}: ${text}`, width - 2),
        `    ${describeCondition({ effect, direction, reproduced, partly })}` +
          `${claim?.baselineName === undefined ? "" : `; baseline: ${claim.baselineName}`}`,
        ...(typeof paper === "string"
          ? wrap(`paper: ${paper}`, width - 4).map((line) => `  ${line}`)
          : []),
      );
      const verdict = claim?.verdict ?? "skipped";
      return [
        [
          id,
          typeof paper === "number" ? formatNumber(paper) : "see below",
          claim === undefined ? "-" : formatMeasured(claim),
          claim?.baseline == null ? "-" : formatNumber(claim.baseline),
          unit,
          styleVerdict(verdict, verdict),
        ],
      ];
    },
  );
  const columns = [
    { title: "claim" },
    { title: "paper", align: "right" },
    { title: "measured", align: "right" },
    { title: "baseline", align: "right" },
    { title: "unit" },
    { title: "verdict" },
  ] as const;
  const fullOnly = result.quick ? claims.filter((claim) => claim.fullOnly).length : 0;
  const lines = [
    formatTable(columns, rows, { styleHeading }),
    "",
    ...texts,
    "",
    `${result.system}, seed ${result.seed}, ${result.quick ? "quick" : "full"} run, ${formatDuration(result.seconds)}`,
  ];
  if (fullOnly > 0) {
    lines.push(`${fullOnly === 1 ? "one claim is" : `${fullOnly} claims are`} left to full runs`);
  }
  for (const { file, source, licence } of result.skipped?.files ?? []) {
    lines.push(`missing: ${file}, from ${source} (${licence}); JETON_DATA names the data folder`);
  }
  return `${lines.join("\n")}\n`;
}

function formatMeasured({ measured, uncertainty }: ClaimResult): string {
  const text = formatNumber(measured);
  return uncertainty === undefined ? text : `${text} ± ${formatNumber(uncertainty)}`;
}

/** Four significant digits, whole numbers as they are. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e9) return value.toFixed(0);
  if (size >= 1e-3 && size < 1000) return String(Number(value.toPrecision(4)));
  return value.toExponential(2);
}

function describeCondition({
  effect,
  direction,
  reproduced,
  partly,
}: Pick<Claim, "effect" | "direction" | "reproduced" | "partly">): string {
  const isHigher = direction === "higher";
  const bound = (threshold: number): string => {
    const number = formatNumber(threshold);
    if (effect === "value") return `${isHigher ? "at least" : "at most"} ${number}`;
    if (effect === "difference") return `${number} ${isHigher ? "above" : "below"} the baseline`;
    return `${number} times ${isHigher ? "the baseline" : "lower than the baseline"}`;
  };
  return `reproduced: ${bound(reproduced)}; partly: ${bound(partly)}`;
}

/** Breaks a sentence into lines, those after the first indented. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = " ";
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > width && line.trim() !== "") {
      lines.push(line);
      line = "   ";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
