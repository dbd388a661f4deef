/** The table of a recorded result that stands in its system's README. */
import { describePaper, formatInterval, formatNumber } from "./figures.ts";
import type { ClaimResult, ReproductionResult } from "./run-reproduction.ts";

/** Lines between which the table stands. */
export const measuredMarks: RegExp = /<!-- measured -->[\s\S]*?<!-- \/measured -->/;

const columns = ["claim", "paper", "here", "beside", "effect, 95 % interval", "control", "verdict"];
const alignments = ["---", "---", "---:", "---:", "---:", "---:", "---"];
/** Significant digits. */
const digits = 3;

/** The table in Markdown, with its marks, and a line that says where the numbers come from. */
export function measuredTable(
  result: Pick<
    ReproductionResult,
    "claims" | "machine" | "seconds" | "system" | "quick" | "date" | "withoutSpeed"
  >,
  /** Models of the package that are others now than in the record (`changedModels`). */
  changed: readonly string[] = [],
): string {
  const { claims, machine, seconds, system, quick, date, withoutSpeed } = result;
  const where = `on ${machine.cores} x ${machine.processor}`;
  const left =
    withoutSpeed === undefined
      ? ""
      : ` Not recorded, as the machine was loaded: ${withoutSpeed.join(", ")}.`;
  const earlier = changed.length === 0 ? "" : ` Measured with an earlier ${changed.join(", ")}.`;
  const minutes = Math.ceil(seconds / 60);
  const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    "<!-- measured -->",
    row(columns),
    `|${alignments.join("|")}|`,
    ...claims.map((claim) => row(cellsOf(claim).map(escapeCell))),
    "",
    quick
      ? `(A quick run, ${where}: verdicts are indicative.)`
      : `(\`reproductions/${system}.json\`, ${minutes} minutes ${where}, ${date.slice(0, 10)}.${left}${earlier})`,
    "<!-- /measured -->",
  ].join("\n");
}

function cellsOf(claim: ClaimResult): string[] {
  const { text, paper, measured, baseline, baselineName, unit, verdict } = claim;
  const { effect, control, units } = claim;
  const number = (value: number): string => formatNumber(value, digits);
  return [
    text,
    describePaper(paper, { digits }),
    `${number(measured)} ${unit}`,
    baseline === null ? "" : `${number(baseline)} (${baselineName ?? "baseline"})`,
    `${formatInterval(effect.interval, digits)} (${units.count} ${units.name})`,
    `${number(control.measured)} (${control.name})${control.passes ? ": passes as well" : ""}`,
    verdict,
  ];
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
