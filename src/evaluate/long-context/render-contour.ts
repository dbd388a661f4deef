/** An evaluation's report as a page of SVG: accuracies as colours, the threshold as a line. */
import { escapeText, shadeShare } from "../svg-parts.ts";
import { findContour } from "./contour-lines.ts";
import type { CellResult } from "./evaluate-cells.ts";
import type { EvaluationReport, GroupLimits } from "./evaluate-grid.ts";
import { distinct } from "./format-evaluation.ts";

const cellWidth = 46;
const cellHeight = 26;
const labelWidth = 96;

/**
 * One panel for each group: rows are lengths in characters, columns difficulties, colours accuracies. The line is where the
 * accuracy crosses the threshold, a tick at each column its effective limit. Plain SVG, no script, no font.
 */
export function renderContour(report: EvaluationReport): string {
  const { model, evaluation, threshold, limits } = report;
  const title = `${evaluation}, ${model}: accuracy in %, line at ${Math.round(threshold * 100)} %`;
  const body = [
    `<text x="16" y="26" font-size="15" font-weight="bold">${escapeText(title)}</text>`,
  ];
  let [y, width] = [44, 16 + title.length * 9];
  for (const group of limits) {
    const panel = renderPanel(report, group, y);
    body.push(...panel.parts);
    y += panel.height;
    width = Math.max(width, panel.width);
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" ` +
    `font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n` +
    `${body.join("\n")}\n</svg>\n`
  );
}

interface PanelParts {
  readonly parts: readonly string[];
  readonly width: number;
  readonly height: number;
}

function renderPanel(report: EvaluationReport, limits: GroupLimits, top: number): PanelParts {
  const cells = report.cells.filter(({ group }) => group === limits.group);
  const columns = distinct(cells.map(({ difficulty }) => difficulty));
  const rows = distinct(cells.map(({ characters }) => characters));
  const cellAt = (row: number, column: number): CellResult | undefined =>
    cells.find((cell) => cell.characters === rows[row] && cell.difficulty === columns[column]);
  const gridTop = top + 42;
  const parts = [
    `<text x="16" y="${top + 14}" font-weight="bold">${escapeText(limits.group)}</text>`,
    `<text x="16" y="${top + 34}">characters</text>`,
    `<text x="${labelWidth + columns.length * cellWidth + 6}" y="${top + 34}">${escapeText(limits.axis)}</text>`,
  ];
  for (const [column, difficulty] of columns.entries()) {
    const x = labelWidth + (column + 0.5) * cellWidth;
    parts.push(`<text x="${x}" y="${top + 34}" text-anchor="middle">${difficulty}</text>`);
  }
  for (const [row, characters] of rows.entries()) {
    const y = gridTop + row * cellHeight;
    parts.push(
      `<text x="${labelWidth - 8}" y="${y + 17}" text-anchor="end">${characters}</text>`,
      ...columns.map((_, column) =>
        renderCell(cellAt(row, column), labelWidth + column * cellWidth, y),
      ),
    );
  }
  parts.push(...renderLine(report, limits, { columns, rows, cellAt, gridTop }));
  return {
    parts,
    width: labelWidth + columns.length * cellWidth + 24 + limits.axis.length * 8,
    height: 42 + rows.length * cellHeight + 20,
  };
}

function renderCell(cell: CellResult | undefined, x: number, y: number): string {
  const size = `width="${cellWidth - 1}" height="${cellHeight - 1}"`;
  const at = `x="${x + cellWidth / 2}" y="${y + 17}" text-anchor="middle"`;
  if (cell === undefined || cell.accuracy === null || cell.interval === null) {
    return `<rect x="${x}" y="${y}" ${size} fill="#f1f5f9"/><text ${at} fill="#94a3b8">-</text>`;
  }
  const { accuracy, interval, questions, group, characters, difficulty } = cell;
  const percent = (share: number): string => (share * 100).toFixed(0);
  const tip =
    `${group}, ${characters} characters, ${difficulty}: ${percent(accuracy)} % ` +
    `(${percent(interval.low)} to ${percent(interval.high)}), ${questions} questions`;
  return (
    `<rect x="${x}" y="${y}" ${size} fill="${shadeShare(accuracy)}"><title>${escapeText(tip)}</title></rect>` +
    `<text ${at}>${percent(accuracy)}</text>`
  );
}

interface PanelGrid {
  readonly columns: readonly number[];
  readonly rows: readonly number[];
  readonly cellAt: (row: number, column: number) => CellResult | undefined;
  readonly gridTop: number;
}

/** The contour through the centres of the cells, and a tick for the limit of each column. */
function renderLine(
  { threshold }: EvaluationReport,
  { limits }: GroupLimits,
  { columns, rows, cellAt, gridTop }: PanelGrid,
): string[] {
  const toX = (column: number): number => labelWidth + (column + 0.5) * cellWidth;
  const toY = (row: number): number => gridTop + (row + 0.5) * cellHeight;
  const values = rows.map((_, row) =>
    columns.map((_, column) => cellAt(row, column)?.accuracy ?? null),
  );
  const path = findContour(values, threshold)
    .map(({ from, to }) => `M${toX(from[0])} ${toY(from[1])}L${toX(to[0])} ${toY(to[1])}`)
    .join("");
  const parts =
    path === "" ? [] : [`<path d="${path}" stroke="#dc2626" stroke-width="2" fill="none"/>`];
  for (const { difficulty, characters, isLowerBound } of limits) {
    if (isLowerBound || characters === 0) continue;
    const row = rows.findLastIndex((length) => length <= characters);
    const next = rows[row + 1] ?? rows[row]!;
    const way = next === rows[row] ? 0 : (characters - rows[row]!) / (next - rows[row]!);
    const [x, y] = [toX(columns.indexOf(difficulty)), toY(row + way)];
    parts.push(
      `<path d="M${x - 8} ${y}L${x + 8} ${y}" stroke="#dc2626" stroke-width="2"><title>${Math.round(characters)} characters</title></path>`,
    );
  }
  return parts;
}
