/** A result as people read it. */
import { formatDuration, formatTable } from "../core/index.ts";
import type { Claim } from "./define-reproduction.ts";
import { describePaper, formatInterval, formatNumber, formatSigned } from "./figures.ts";
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
  const asked = claims.filter(({ id }) => found.has(id) || skipped.has(id));
  const rows = asked.map((claim) => {
    const own = found.get(claim.id);
    const verdict = own?.verdict ?? "skipped";
    const shown = own?.indicative ? `indicative: ${verdict}` : verdict;
    return [...cellsOf(claim, own), styleVerdict(shown, verdict)];
  });
  const columns = [
    { title: "claim" },
    { title: "paper", align: "right" },
    { title: "measured", align: "right" },
    { title: "baseline", align: "right" },
    { title: "control", align: "right" },
    { title: "unit" },
    { title: "effect, 95 % interval", align: "right" },
    { title: "verdict" },
  ] as const;
  return `${[
    formatTable(columns, rows, { styleHeading }),
    "",
    ...asked.flatMap((claim) => sentencesOf(claim, found.get(claim.id), width)),
    "",
    ...describeRun(result, claims),
  ].join("\n")}\n`;
}

function cellsOf({ id, paper, unit }: Claim, claim: ClaimResult | undefined): string[] {
  const figure = "value" in paper ? formatNumber(paper.value) : "see below";
  if (claim === undefined) return [id, figure, "-", "-", "-", unit, "-"];
  const { measured, baseline, control, effect } = claim;
  return [
    id,
    figure,
    formatNumber(measured),
    baseline === null ? "-" : formatNumber(baseline),
    formatNumber(control.measured),
    unit,
    formatInterval(effect.interval),
  ];
}

/** The sentence of a claim and what it was judged by. */
function sentencesOf(claim: Claim, found: ClaimResult | undefined, width: number): string[] {
  const { id, text, units, control } = claim;
  const thresholds = found?.effect ?? claim;
  const further = (line: string): string[] => wrap(line, width - 4).map((part) => `  ${part}`);
  const baseline = found?.baselineName === undefined ? "" : `; baseline: ${found.baselineName}`;
  return [
    ...wrap(`${id}: ${text}`, width - 2),
    ...further(`${describeCondition(claim, thresholds)}${baseline}`),
    ...further(found === undefined ? `over ${units}` : `over ${found.units.count} ${units}`),
    ...further(
      `control: ${control}${found?.control.passes ? ", which passes as well: the claim fails" : ""}`,
    ),
    ...further(`paper: ${describePaper(found?.paper ?? claim.paper)}`),
    ...(found?.original === undefined
      ? []
      : further(
          `original: ${formatNumber(found.original.value)}; ` +
            `measured is ${formatSigned(found.original.distancePercent)} % from it`,
        )),
  ];
}

function describeRun(result: ReproductionResult, claims: readonly Claim[]): string[] {
  const { system, seed, quick, seconds, skipped, withoutSpeed, load } = result;
  const lines = [
    `${system}, seed ${seed}, ${quick ? "quick" : "full"} run, ${formatDuration(seconds)}`,
  ];
  if (!load.quiet) {
    lines.push(
      `loaded machine: load average ${load.loadAverage}, ${load.coresBusyElsewhere} cores busy elsewhere`,
    );
  }
  const left = quick ? claims.filter((claim) => claim.quick === "full-only").length : 0;
  if (left > 0) {
    lines.push(`${left === 1 ? "one claim is" : `${left} claims are`} left to full runs`);
  }
  if (quick)
    lines.push("verdicts of a quick run are indicative: few units, thresholds of their own");
  if (withoutSpeed !== undefined) lines.push(`left out (speed): ${withoutSpeed.join(", ")}`);
  for (const { file, source, licence, derived } of skipped?.files ?? []) {
    const remedy =
      derived === undefined
        ? `jeton data fetch ${file} downloads it, or JETON_DATA names a folder that has it`
        : `not downloadable (${derived}); JETON_DATA may name a folder that has it`;
    lines.push(`missing: ${file}, from ${source} (${licence}); ${remedy}`);
  }
  return lines;
}

function describeCondition(
  { effect, direction }: Pick<Claim, "effect" | "direction">,
  { reproduced, partly }: Pick<Claim, "reproduced" | "partly">,
): string {
  const isHigher = direction === "higher";
  const bound = (threshold: number): string => {
    const number = formatNumber(threshold);
    // A bound that the effect may fall short of: "-20 above" is at most 20 below.
    if (effect === "difference" && threshold < 0) {
      const side = isHigher ? "below" : "above";
      return `at most ${formatNumber(-threshold)} ${side} the baseline`;
    }
    if (effect === "value") return `${isHigher ? "at least" : "at most"} ${number}`;
    if (effect === "difference") return `${number} ${isHigher ? "above" : "below"} the baseline`;
    return `${number} times ${isHigher ? "the baseline" : "lower than the baseline"}`;
  };
  return `reproduced: the whole interval ${bound(reproduced)}; partly: ${bound(partly)}`;
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
