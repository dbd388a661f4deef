/**
 * Tables as plain text: columns aligned by the width that a terminal gives their characters.
 */

export interface TableColumn {
  /** Heading; empty headings everywhere leave the heading line out. */
  readonly title: string;
  /** Default `"left"`. */
  readonly align?: "left" | "right";
}

/** Options of `formatTable`. */
export interface FormatTableOptions {
  /** Written before every line. Default `""`. */
  indent?: string;
  /** Between two columns. Default two spaces. */
  gap?: string;
  /** Applied to the heading line, e.g. to make it bold. Default: as it is. */
  styleHeading?: (line: string) => string;
}

/** The rows under their headings, one line each, without a final line break or trailing spaces. */
export function formatTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  options: FormatTableOptions = {},
): string {
  const { indent = "", gap = "  ", styleHeading = (line) => line } = options;
  const titles = columns.map((column) => column.title);
  const widths = columns.map((_, at) =>
    [titles, ...rows].reduce((widest, row) => Math.max(widest, displayWidth(row[at] ?? "")), 0),
  );
  const formatRow = (row: readonly string[]): string => {
    const cells = columns.map(({ align }, at) => {
      const cell = row[at] ?? "";
      const space = " ".repeat(widths[at]! - displayWidth(cell));
      return align === "right" ? space + cell : cell + space;
    });
    return (indent + cells.join(gap)).trimEnd();
  };
  const lines = rows.map(formatRow);
  if (titles.some((title) => title !== "")) lines.unshift(styleHeading(formatRow(titles)));
  return lines.join("\n");
}

const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;
const withoutWidth = /[\p{Mn}\p{Me}\p{Cf}\p{Cc}]/u;
const escapeSequence = /\u001b\[[0-9;]*m/g;

/**
 * Columns that a terminal uses for a text: two for East Asian wide characters and emoji, none for
 * combining marks, control characters and colour sequences.
 */
export function displayWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text.replace(escapeSequence, "")) {
    if (withoutWidth.test(character)) continue;
    width += wide.test(character) ? 2 : 1;
  }
  return width;
}
