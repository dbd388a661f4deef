/** An evaluation's report as tables for a terminal. */
import { formatCount, formatTable } from "../../core/index.ts";
import type { EffectiveLimit } from "./accuracy.ts";
import type { CellResult } from "./evaluate-cells.ts";
import type { EvaluationReport } from "./evaluate-grid.ts";

/**
 * A table for each group: accuracies in percent with their 95 % intervals by length and difficulty, and below them the
 * effective context in characters. A cell that did not fit the model's context is a dash.
 */
export function formatEvaluation(report: EvaluationReport): string {
  const { cells, limits, threshold, contextLength, windowCharacters } = report;
  const tables = limits.map(({ group, axis, limits: own }) => {
    const members = cells.filter((cell) => cell.group === group);
    const difficulties = distinct(members.map(({ difficulty }) => difficulty));
    const rows = distinct(members.map(({ characters }) => characters)).map((characters) => [
      String(characters),
      ...difficulties.map((difficulty) =>
        formatCell(
          members.find((cell) => cell.difficulty === difficulty && cell.characters === characters),
        ),
      ),
    ]);
    const ends = difficulties.map((difficulty) =>
      formatLimit(own.find((limit) => limit.difficulty === difficulty)),
    );
    rows.push([`${Math.round(threshold * 100)} % up to`, ...ends]);
    const columns = [
      { title: `${group}: characters`, align: "right" as const },
      ...difficulties.map((difficulty, i) => ({
        title: i === 0 ? `${axis} ${difficulty}` : String(difficulty),
        align: "right" as const,
      })),
    ];
    return formatTable(columns, rows);
  });
  const notes: string[] = [];
  const skipped = cells.filter((cell) => cell.skipped !== undefined).length;
  if (skipped > 0) notes.push(`${skipped} of ${cells.length} cells do not fit the context: -`);
  if (windowCharacters !== null && contextLength !== null) {
    notes.push(
      `window: ${formatCount(contextLength)} tokens, about ${formatCount(windowCharacters)} such characters`,
    );
  }
  return [...tables, ...(notes.length > 0 ? [notes.join("\n")] : [])].join("\n\n");
}

/** The different values, ascending. */
export function distinct(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

function formatCell(cell: CellResult | undefined): string {
  if (cell === undefined || cell.accuracy === null || cell.interval === null) return "-";
  const percent = (share: number): string => String(Math.round(share * 100));
  const { low, high } = cell.interval;
  return `${percent(cell.accuracy)} (${percent(low)}-${percent(high)})`;
}

/** A limit in characters: with ≥ where no measured length ends it, with * where accuracy rises again behind it. */
export function formatLimit(limit: EffectiveLimit | undefined): string {
  if (limit === undefined) return "-";
  const more = limit.isLowerBound ? "≥ " : "";
  return `${more}${Math.round(limit.characters)}${limit.isCrossedAgain ? " *" : ""}`;
}
