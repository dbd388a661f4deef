/** Reports of one evaluation under several context policies, side by side. */
import { formatTable } from "../../core/index.ts";
import type { EvaluationReport } from "./evaluate-grid.ts";
import { distinct, formatEvaluation } from "./format-evaluation.ts";

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
        const own = cellsOf(report).filter(
          ({ characters, accuracy }) => characters === length && accuracy !== null,
        );
        if (own.length === 0) return "-";
        const mean = own.reduce((sum, { accuracy }) => sum + accuracy!, 0) / own.length;
        return String(Math.round(100 * mean));
      }),
    ]);
    const columns = [
      { title: `${group}: %, by characters` },
      ...lengths.map((length) => ({ title: String(length), align: "right" as const })),
    ];
    return formatTable(columns, rows);
  });
  return [...each, ...tables].join("\n\n");
}
