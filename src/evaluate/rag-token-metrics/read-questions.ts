/** Questions with the passages that answer them, from the CSV files of the Chroma report. */
import { JetonError } from "../../core/index.ts";
import type { CorpusRange } from "./rag-token-metrics.ts";

/** A question with the ranges that hold its answer, in UTF-16 units. */
export interface SpanQuestion {
  readonly question: string;
  readonly corpus: string;
  readonly references: readonly (CorpusRange & { readonly content: string })[];
}

/**
 * Reads questions: columns `question`, `references` (JSON: a list of `content`, `start_index`,
 * `end_index`) and `corpus_id`. Offsets are code points, as Python counts, and become UTF-16 units; each
 * must cut out its `content`.
 *
 * @param corpora the texts, by `corpus_id`
 * @throws JetonError `span-questions-invalid` for a file of another form, an unknown corpus, or an offset
 *   that does not fit its content
 */
export function readSpanQuestions(
  csv: string,
  corpora: ReadonlyMap<string, string>,
): SpanQuestion[] {
  const [header, ...rows] = parseCsv(csv);
  const columns = ["question", "references", "corpus_id"].map((name) => {
    const at = header?.indexOf(name) ?? -1;
    if (at < 0) throw invalid(1, header, `a column ${name}`);
    return at;
  });
  const offsets = new Map<string, Uint32Array>();
  return rows.map((row, i) => {
    const [question, json, corpus] = columns.map((at) => row[at] ?? "") as [string, string, string];
    const text = corpora.get(corpus);
    if (text === undefined)
      throw invalid(i + 2, corpus, `one of ${[...corpora.keys()].join(", ")}`);
    const units = offsets.get(corpus) ?? unitOffsets(text);
    offsets.set(corpus, units);
    const references = parseReferences(json, i + 2).map(({ content, start, end }) => {
      const range = { corpus, start: units[start] ?? -1, end: units[end] ?? -1, content };
      const isInside = range.start >= 0 && range.end >= 0;
      if (!isInside || text.slice(range.start, range.end) !== content) {
        throw invalid(i + 2, [start, end], `offsets of ${JSON.stringify(content)}`);
      }
      return range;
    });
    return { question, corpus, references };
  });
}

/** The UTF-16 offset of each code point, and of the end. */
function unitOffsets(text: string): Uint32Array {
  const offsets = new Uint32Array(text.length + 1);
  let count = 0;
  let at = 0;
  for (const character of text) {
    offsets[count++] = at;
    at += character.length;
  }
  offsets[count] = at;
  return offsets.subarray(0, count + 1);
}

function parseReferences(
  json: string,
  row: number,
): { content: string; start: number; end: number }[] {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch (cause) {
    throw invalid(row, json, "references as JSON", cause);
  }
  if (!Array.isArray(list)) throw invalid(row, list, "a list of references");
  return list.map((entry: unknown) => {
    const {
      content,
      start_index: start,
      end_index: end,
    } = (entry ?? {}) as Record<string, unknown>;
    const isValid = typeof content === "string" && Number.isInteger(start) && Number.isInteger(end);
    if (!isValid) throw invalid(row, entry, "content, start_index, end_index");
    return { content, start: start as number, end: end as number };
  });
}

/** Rows of a CSV file (RFC 4180): fields in quotes may hold commas, line breaks and doubled quotes. */
export function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  const endField = (): void => {
    row.push(field);
    field = "";
  };
  const endRow = (): void => {
    endField();
    rows.push(row);
    row = [];
  };
  while (at < text.length) {
    const character = text[at]!;
    if (character === '"' && field === "") {
      at = readQuoted(text, at, (part) => {
        field += part;
      });
      continue;
    }
    if (character === ",") endField();
    else if (character === "\n") endRow();
    else if (character !== "\r" || text[at + 1] !== "\n") field += character;
    at++;
  }
  if (field !== "" || row.length > 0) endRow();
  return rows;
}

/** Reads a field in quotes that opens at a place; gives the place after it. */
function readQuoted(text: string, from: number, add: (part: string) => void): number {
  for (let at = from + 1; ; ) {
    const close = text.indexOf('"', at);
    if (close < 0) throw invalid(0, text.slice(from, from + 40), "a closing quote");
    add(text.slice(at, close));
    if (text[close + 1] !== '"') return close + 1;
    add('"');
    at = close + 2;
  }
}

function invalid(row: number, found: unknown, expected: string, cause?: unknown): JetonError {
  const where = row > 0 ? `row ${row}: ` : "";
  return new JetonError(`${where}${JSON.stringify(found)}; expected ${expected}`, {
    code: "span-questions-invalid",
    details: { row, found, expected },
    ...(cause !== undefined && { cause }),
  });
}
