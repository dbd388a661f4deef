/** Judgments and runs as trec_eval's text files hold them. */
import { JetonError } from "../../core/index.ts";
import { describeValue } from "../../core/option-rules.ts";
import { compareUtf8 } from "../../lexical/index.ts";

/** Judged level of documents, by query and document. Unjudged documents are absent. */
export type Judgments = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Scores of retrieved documents, by query and document. Higher is better. */
export type Run = ReadonlyMap<string, ReadonlyMap<string, number>>;

/**
 * Reads judgments ("qrels"): lines `query 0 document level`, fields separated by white space, in any
 * order; the second field is ignored. Levels are whole numbers, negative ones too.
 *
 * @throws JetonError `judgments-invalid` for a line of another form or a level that is no whole number,
 *   `judgments-repeated` for a document that is judged twice for a query
 */
export function parseJudgments(text: string): Judgments {
  const judgments = new Map<string, Map<string, number>>();
  for (const { line, fields } of readLines(text)) {
    const [query, , document, level] = fields;
    if (fields.length !== 4 || !/^[+-]?\d+$/.test(level!)) {
      throw invalid("judgments-invalid", line, fields, "query 0 document level");
    }
    if (!put(judgments, query!, document!, Number(level))) {
      throw repeated("judgments-repeated", line, query!, document!);
    }
  }
  return judgments;
}

const decimal = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * Reads a run: lines `query Q0 document rank score tag`, fields separated by white space, in any order.
 * Only query, document and score count.
 *
 * @throws JetonError `run-invalid` for a line of another form or a score that is no finite number,
 *   `run-repeated` for a document that is there twice for a query
 */
export function parseRun(text: string): Run {
  const run = new Map<string, Map<string, number>>();
  for (const { line, fields } of readLines(text)) {
    const [query, , document, , score] = fields;
    const value = decimal.test(score ?? "") ? Number(score) : Number.NaN;
    if (fields.length !== 6 || !Number.isFinite(value)) {
      throw invalid("run-invalid", line, fields, "query Q0 document rank score tag");
    }
    if (!put(run, query!, document!, value))
      throw repeated("run-repeated", line, query!, document!);
  }
  return run;
}

/**
 * A run as text, each query's documents as they rank, ranks from 1. Ends with a line break.
 *
 * @throws JetonError `run-invalid` for what no line of the file can hold: a name with white space or none, a
 *   score that is no finite number
 */
export function formatRun(run: Run, tag = "jeton"): string {
  let text = "";
  checkField("tag", tag);
  for (const [query, scores] of run) {
    checkField("query", query);
    for (const [document, score] of scores) {
      checkField("document", document);
      if (!Number.isFinite(score)) throw unwritable("score", score, "a finite number");
    }
    for (const [at, document] of rankDocuments(scores).entries()) {
      text += `${query} Q0 ${document} ${at + 1} ${scores.get(document)!} ${tag}\n`;
    }
  }
  return text;
}

function checkField(field: string, found: string): void {
  if (typeof found === "string" && /^\S+$/.test(found)) return;
  throw unwritable(field, found, "a name without white space");
}

function unwritable(field: string, found: unknown, expected: string): JetonError {
  return new JetonError(`a run's ${field}: ${describeValue(found)}; expected ${expected}`, {
    code: "run-invalid",
    details: { field, found, expected },
  });
}

/** Documents by score downwards, equal scores by id downwards, compared by UTF-8 bytes. */
export function rankDocuments(scores: ReadonlyMap<string, number>): string[] {
  return [...scores]
    .sort(([a, scoreA], [b, scoreB]) => scoreB - scoreA || compareUtf8(b, a))
    .map(([document]) => document);
}

function* readLines(text: string): Generator<{ line: number; fields: string[] }> {
  const lines = text.split("\n");
  for (const [at, line] of lines.entries()) {
    const trimmed = line.trim();
    if (trimmed !== "") yield { line: at + 1, fields: trimmed.split(/\s+/) };
  }
}

function put(
  table: Map<string, Map<string, number>>,
  query: string,
  document: string,
  value: number,
): boolean {
  let documents = table.get(query);
  if (documents === undefined) {
    documents = new Map();
    table.set(query, documents);
  }
  if (documents.has(document)) return false;
  documents.set(document, value);
  return true;
}

function invalid(code: string, line: number, fields: string[], expected: string): JetonError {
  const found = fields.join(" ");
  return new JetonError(`line ${line}: ${JSON.stringify(found)}; expected "${expected}"`, {
    code,
    details: { line, found, expected },
  });
}

function repeated(code: string, line: number, query: string, document: string): JetonError {
  return new JetonError(
    `line ${line}: document ${JSON.stringify(document)} is there twice for query ${JSON.stringify(query)}`,
    { code, details: { line, query, found: document, expected: "each document once" } },
  );
}
