/** A system's README in its sections. */

/** One section: `The idea`, `Changes from the paper`, …; the text before the first heading has none. */
export interface ReadmeSection {
  /** Empty for the text before the first heading. */
  readonly title: string;
  /** Markdown without its heading. */
  readonly markdown: string;
}

/** Titles that READMEs write as bold words at the start of a paragraph. */
const boldTitles =
  "The idea|Where the steps are|Changes from the paper|Measured|Limits|Citation|Example|Where it pays";

/** Splits a README at `## Title` and at paragraphs that begin with `**Title.**`. */
export function readmeSections(markdown: string): ReadmeSection[] {
  const heading = new RegExp(`^## (.+)$|^\\*\\*(${boldTitles})\\.?\\*\\*\\.? ?`);
  const sections: { title: string; lines: string[] }[] = [{ title: "", lines: [] }];
  let inCode = false;
  for (const line of markdown.split("\n")) {
    if (line.startsWith("```")) inCode = !inCode;
    if (!inCode && /^# /.test(line)) continue;
    const match = inCode ? null : heading.exec(line);
    if (match)
      sections.push({ title: (match[1] ?? match[2])!, lines: [line.slice(match[0].length)] });
    else sections.at(-1)!.lines.push(line);
  }
  return sections
    .map(({ title, lines }) => ({ title, markdown: withoutComments(lines.join("\n")).trim() }))
    .filter(({ title, markdown: text }) => title !== "" || text !== "");
}

/** The text without HTML comments, and without the table that stands between the marks of the measured one. */
function withoutComments(text: string): string {
  return text
    .replace(/<!-- measured -->[\s\S]*?<!-- \/measured -->/g, "")
    .replace(/<!--[\s\S]*?-->\n?/g, "");
}
