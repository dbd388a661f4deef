/** Qtok's report as tables for a terminal, CSV, and one page of SVG. */
import { formatTable, type TableColumn } from "../../core/index.ts";
import { escapeText, shadeShare } from "../svg-parts.ts";
import { type TokenCategory, tokenCategories } from "./classify-tokens.ts";
import type { QtokReport, VocabularyReport } from "./qtok.ts";

const percent = (part: number, whole: number): string =>
  whole === 0 ? "-" : ((part / whole) * 100).toFixed(2);

/** Label, cell of each vocabulary, and the last cell. */
type Row = readonly [string, (vocabulary: VocabularyReport) => string, string?];

const coreRow: Row = [
  "core tokens, %",
  ({ core }) => (core === undefined ? "-" : percent(core.present, core.total)),
];

type MakeTable = (title: string, rows: readonly Row[], last?: string) => string;

/** The main tables, for a terminal, with a heading before each. */
export function formatReport(report: QtokReport): string {
  const { vocabularies } = report;
  const names: TableColumn[] = vocabularies.map(({ name }) => ({ title: name, align: "right" }));
  const table: MakeTable = (title, rows, last) => {
    const columns: TableColumn[] = [{ title }, ...names];
    if (last !== undefined) columns.push({ title: last, align: "right" });
    return formatTable(
      columns,
      rows.map(([label, cell, end = ""]) => [label, ...vocabularies.map(cell), end]),
    );
  };
  const parts = [...vocabularyTables(report, table), ...textTables(report, table)];
  if (vocabularies.length > 1) {
    const rows = vocabularies.map(({ name }, i): Row => {
      const similarities = report.similarity[i]!;
      return [name, (other) => percent(similarities[vocabularies.indexOf(other)]!, 1)];
    });
    parts.push(table("% shared with", rows));
  }
  return parts.join("\n\n");
}

function vocabularyTables({ vocabularies, union }: QtokReport, table: MakeTable): string[] {
  const scripts = mostCommon(vocabularies, ({ scripts: counts, size }) => shares(counts, size));
  return [
    table(
      "",
      [
        ["model", ({ kind }) => kind],
        ["spelling", ({ spelling }) => spelling],
        ["tokens", ({ size }) => String(size), String(union.size)],
        ...(vocabularies.some(({ core }) => core !== undefined) ? [coreRow] : []),
      ],
      "together",
    ),
    table(
      "% of tokens",
      tokenCategories.map((category) => [
        category,
        ({ categories, size }) => percent(categories[category], size),
        percent(union.categories[category], union.size),
      ]),
      "together",
    ),
    table(
      "% in letters of",
      scripts.map((script) => [
        script.toLowerCase(),
        ({ scripts: counts, size }) => percent(counts[script] ?? 0, size),
      ]),
    ),
    table(
      "% of letters there",
      mostCommon(vocabularies, ({ completeness }) => completeness, 60).map((language) => [
        language,
        ({ completeness }) => percent(completeness[language]!, 1),
      ]),
    ),
  ];
}

/** Tables of what the vocabularies make of texts; none where there were no texts. */
function textTables({ vocabularies }: QtokReport, table: MakeTable): string[] {
  const languages = vocabularies[0]!.text.map(({ language }) => language);
  if (languages.length === 0) return [];
  const textTable = (
    title: string,
    cell: (of: VocabularyReport["text"][number]) => string,
  ): string =>
    table(
      title,
      languages.map((language, i) => [language, ({ text }) => cell(text[i]!)]),
    );
  return [
    textTable("tokens per word", ({ fertility }) => fertility.toFixed(2)),
    textTable("tokens, relative", ({ parity }) => parity.toFixed(2)),
    textTable("% of words cut", ({ continuedWords }) => percent(continuedWords, 1)),
    textTable("bytes per token", ({ bytesPerToken }) => bytesPerToken.toFixed(2)),
    textTable("% fragments", ({ fragments }) => percent(fragments, 1)),
    table(
      "% of tokens of words",
      languages.map((language) => [
        language,
        ({ languages: found }) => percent(found!.shares[language]!, 1),
      ]),
    ),
  ];
}

function shares(counts: Readonly<Record<string, number>>, size: number): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([key, count]) => [key, count / size]));
}

/** Keys with the largest values over all vocabularies. */
function mostCommon(
  vocabularies: readonly VocabularyReport[],
  valuesOf: (vocabulary: VocabularyReport) => Readonly<Record<string, number>>,
  most = 16,
): string[] {
  const best = new Map<string, number>();
  for (const vocabulary of vocabularies) {
    for (const [key, value] of Object.entries(valuesOf(vocabulary))) {
      best.set(key, Math.max(best.get(key) ?? 0, value));
    }
  }
  return [...best]
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(0, most)
    .map(([key]) => key);
}

/**
 * Everything as CSV, one number a line: `tokenizer,measure,item,value`. Counts are counts and shares
 * lie between 0 and 1; fields are quoted where they need it.
 */
export function writeCsv(report: QtokReport): string {
  const lines = ["tokenizer,measure,item,value"];
  const add = (name: string, measure: string, item: string, value: number): void => {
    lines.push([name, measure, item, String(value)].map(quote).join(","));
  };
  for (const [i, vocabulary] of report.vocabularies.entries()) {
    const { name, core, languages } = vocabulary;
    add(name, "size", "", vocabulary.size);
    add(name, "repeated", "", vocabulary.repeated);
    add(name, "spaced", "", vocabulary.spaced);
    for (const [key, count] of Object.entries(vocabulary.categories))
      add(name, "category", key, count);
    for (const [key, count] of Object.entries(vocabulary.scripts)) add(name, "script", key, count);
    for (const [key, share] of Object.entries(vocabulary.completeness)) {
      add(name, "completeness", key, share);
    }
    if (core !== undefined) add(name, "core", "", core.present / core.total);
    if (languages !== undefined) {
      for (const [key, share] of Object.entries(languages.shares))
        add(name, "language", key, share);
      add(name, "language", "unseen", languages.unseen);
    }
    for (const { language, ...measures } of vocabulary.text) {
      for (const [key, value] of Object.entries(measures)) add(name, key, language, value);
    }
    for (const [j, other] of report.vocabularies.entries()) {
      if (j !== i) add(name, "similarity", other.name, report.similarity[i]![j]!);
    }
  }
  return `${lines.join("\n")}\n`;
}

function quote(field: string): string {
  return /[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

const colours: Readonly<Record<TokenCategory, string>> = {
  control: "#64748b",
  byte: "#cbd5e1",
  character: "#0d9488",
  "spaced word": "#2563eb",
  "inner piece": "#93c5fd",
  "other character": "#f59e0b",
  "spaced other": "#fbbf24",
  "inner other": "#fde68a",
  "broken character": "#dc2626",
  "nameless character": "#9333ea",
  "spaced nameless": "#c084fc",
  "inner nameless": "#e9d5ff",
};

/** A table of coloured numbers: a row for each vocabulary, a column for each key. */
interface Heatmap {
  readonly title: string;
  readonly keys: readonly string[];
  readonly value: (vocabulary: VocabularyReport, key: string, column: number) => number;
  readonly show: (value: number) => string;
  readonly fill: (value: number) => string;
}

/** Sections of the page beside the categories. */
function listHeatmaps({ vocabularies }: QtokReport): Heatmap[] {
  const inPercent = (value: number): string => {
    const number = value * 100;
    return number >= 99.95 ? "100" : number.toFixed(number < 10 ? 2 : 1);
  };
  const share = { show: inPercent, fill: shadeShare };
  const maps: Heatmap[] = [
    {
      title: "Tokens in letters of each script, %",
      keys: mostCommon(vocabularies, ({ scripts, size }) => shares(scripts, size)),
      value: ({ scripts, size }, script) => (scripts[script] ?? 0) / size,
      ...share,
    },
    {
      title: "Letters of each language that are tokens, %",
      keys: Object.keys(vocabularies[0]!.completeness).sort(),
      value: ({ completeness }, language) => completeness[language]!,
      ...share,
    },
  ];
  const languages = vocabularies[0]!.text.map(({ language }) => language);
  if (languages.length === 0) return maps;
  const cost = { keys: languages, show: (value: number) => value.toFixed(2) };
  maps.push(
    {
      ...cost,
      title: "Tokens for the same sentences, in multiples of the reference language",
      value: ({ text }, _, i) => text[i]!.parity,
      fill: shadeCost,
    },
    {
      ...cost,
      title: "Tokens for each word",
      value: ({ text }, _, i) => text[i]!.fertility,
      fill: shadeCost,
    },
    {
      title: "Words that are cut, %",
      keys: languages,
      value: ({ text }, _, i) => text[i]!.continuedWords,
      ...share,
    },
    {
      title: "Tokens of words by the language that they occur in, %",
      keys: languages,
      value: ({ languages: found }, language) => found!.shares[language]!,
      ...share,
    },
  );
  return maps;
}

/**
 * One page: what each vocabulary is made of as bars, its scripts and the letters that it holds, and,
 * where texts were measured, what they cost in each language. Plain SVG, no script, no font.
 */
export function renderReport(report: QtokReport): string {
  const { vocabularies } = report;
  const labelWidth = 20 + 7 * Math.max(8, ...vocabularies.map(({ name }) => name.length));
  const cell = 44;
  const cellsPerRow = 16;
  const barWidth = cellsPerRow * cell;
  const rowHeight = 24;
  const body: string[] = [];
  const text = (x: number, y: number, content: string, more = ""): void => {
    body.push(`<text x="${x}" y="${y}"${more}>${escapeText(content)}</text>`);
  };
  const heading = ' font-size="16" font-weight="bold"';

  text(16, 28, "What the vocabularies are made of", heading);
  let y = 46;
  for (const { name, size, categories } of vocabularies) {
    text(16, y + 14, name);
    let x = labelWidth;
    for (const category of tokenCategories) {
      const width = (categories[category] / size) * barWidth;
      if (width === 0) continue;
      const title = `${name}, ${category}: ${categories[category]} (${percent(categories[category], size)} %)`;
      body.push(
        `<rect x="${x.toFixed(2)}" y="${y}" width="${width.toFixed(2)}" height="18" fill="${colours[category]}"><title>${escapeText(title)}</title></rect>`,
      );
      x += width;
    }
    text(labelWidth + barWidth + 8, y + 14, `${size} tokens`);
    y += rowHeight;
  }
  y += 8;
  const perRow = 4;
  for (const [i, category] of tokenCategories.entries()) {
    const x = labelWidth + (i % perRow) * (barWidth / perRow);
    const top = y + Math.floor(i / perRow) * 18;
    body.push(`<rect x="${x}" y="${top}" width="12" height="12" fill="${colours[category]}"/>`);
    text(x + 17, top + 10.5, category);
  }
  y += Math.ceil(tokenCategories.length / perRow) * 18 + 24;

  for (const { title, keys, value, show, fill } of listHeatmaps(report)) {
    text(16, y + 4, title, heading);
    y += 22;
    for (let from = 0; from < keys.length; from += cellsPerRow) {
      const row = keys.slice(from, from + cellsPerRow);
      for (const [i, key] of row.entries()) {
        text(
          labelWidth + (i + 0.5) * cell,
          y + 10,
          shorten(key),
          ' font-size="10" text-anchor="middle"',
        );
      }
      y += 16;
      for (const vocabulary of vocabularies) {
        text(16, y + 16, vocabulary.name);
        for (const [i, key] of row.entries()) {
          const x = labelWidth + i * cell;
          const number = value(vocabulary, key, from + i);
          const tip = escapeText(`${vocabulary.name}, ${key.toLowerCase()}: ${show(number)}`);
          body.push(
            `<rect x="${x}" y="${y}" width="${cell - 2}" height="${rowHeight - 2}" fill="${fill(number)}"><title>${tip}</title></rect>`,
          );
          text(x + cell / 2 - 1, y + 15, show(number), ' text-anchor="middle"');
        }
        y += rowHeight;
      }
      y += 8;
    }
    y += 16;
  }
  const width = labelWidth + barWidth + 120;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}" ` +
    `font-family="sans-serif" font-size="12">\n` +
    `<rect width="100%" height="100%" fill="white"/>\n${body.join("\n")}\n</svg>\n`
  );
}

/** A name that fits over a column. */
function shorten(key: string): string {
  const name = key.toLowerCase();
  return name.length > 7 ? `${name.slice(0, 6)}…` : name;
}

/** White where a text costs as much as the reference or a word is a token, red from four times as much. */
function shadeCost(times: number): string {
  const strength = Math.min(1, Math.max(0, Math.log2(Math.max(times, 1)) / 2));
  const other = Math.round(255 - strength * 150);
  return `rgb(255,${other},${other})`;
}
