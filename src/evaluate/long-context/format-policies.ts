/** Reports of one evaluation under several context policies, side by side. */
import { formatTable } from "../../core/index.ts";
import { effectiveLimit } from "./accuracy.ts";
import type { CellResult } from "./evaluate-cells.ts";
import type { EvaluationReport } from "./evaluate-grid.ts";
import { distinct, formatEvaluation, formatLimit } from "./format-evaluation.ts";

/**
 * The tables of each report, and one over all of them: accuracy in percent by length, the mean over difficulties.
 *
 * @param reports of the same grid
 */
export function formatPolicies(reports: readonly EvaluationReport[]): string {
  const each = reports.map((report) => `${report.model}\n${formatEvaluation(report)}`);
  const groups = [...new Set(reports.flatMap(({ cells }) => cells.map(({ group }) => group)))];
  const tables = groups.map((group) => {
    const cellsOf = ({ cells }: EvaluationReport) => cells.filter((cell) => cell.group === group);
    const lengths = distinct(reports.flatMap((report) => cellsOf(report).map((c) => c.characters)));
    const rows = reports.map((report) => [
      report.model,
      ...lengths.map((length) => {
        const mean = meanAccuracy(cellsOf(report), length);
        return mean === undefined ? "-" : String(Math.round(100 * mean));
      }),
      formatMeanLimit(report, lengths, (length) => meanAccuracy(cellsOf(report), length)),
    ]);
    const columns = [
      { title: `${group}: %, by characters` },
      ...lengths.map((length) => ({ title: String(length), align: "right" as const })),
      { title: `${Math.round(100 * reports[0]!.threshold)} % up to`, align: "right" as const },
    ];
    return formatTable(columns, rows);
  });
  return [...each, ...tables].join("\n\n");
}

/** Mean over difficulties at a length; undefined where no cell was measured. */
function meanAccuracy(cells: readonly CellResult[], length: number): number | undefined {
  const own = cells.filter(
    ({ characters, accuracy }) => characters === length && accuracy !== null,
  );
  if (own.length === 0) return undefined;
  return own.reduce((sum, { accuracy }) => sum + accuracy!, 0) / own.length;
}

/** The effective context of the means, in characters. */
function formatMeanLimit(
  { threshold }: EvaluationReport,
  lengths: readonly number[],
  meanAt: (length: number) => number | undefined,
): string {
  const points = lengths.flatMap((characters) => {
    const accuracy = meanAt(characters);
    return accuracy === undefined ? [] : [{ characters, accuracy }];
  });
  return formatLimit(effectiveLimit(points, threshold));
}
