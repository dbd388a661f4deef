/** Examples that an encoder learns from, as lines of JSON. */
import { readText } from "../../checkpoint/files/read-text.ts";
import { JetonError } from "../../core/index.ts";
import { listCorpusFiles } from "../data/corpus-files.ts";

/** A query with documents: the first answers it, the others (hard negatives) do not. */
export interface RankedExample {
  readonly query: string;
  readonly documents: readonly string[];
  /** A teacher's score of each document. */
  readonly scores?: readonly number[];
}

/** A text or a pair of texts, and what it is. */
export interface ClassifiedExample {
  readonly text: string;
  readonly pair?: string;
  /** Index of the class; of classes that do not exclude each other one number each; or a score. */
  readonly target: number | readonly number[];
}

/** A text whose parts belong to classes. */
export interface LabelledExample {
  readonly text: string;
  /** `[start, end)` in UTF-16 units, and the index of the class. */
  readonly spans: readonly (readonly [start: number, end: number, label: number])[];
}

type Line = Readonly<Record<string, unknown>>;

/**
 * Lines of `{"query", "document"}`, with `"negatives"` (a list) where there are hard negatives; or of
 * `{"query", "documents", "scores"}` with the scores of a teacher.
 *
 * @throws JetonError `example-invalid`, and those of `listCorpusFiles`
 */
export async function readRankedExamples(files: readonly string[]): Promise<RankedExample[]> {
  return readLines(files, '{"query", "document", "negatives"?}', (line) => {
    const { query, document, negatives = [], documents, scores } = line;
    const own = Array.isArray(negatives) ? [document, ...(negatives as unknown[])] : undefined;
    const listed = documents ?? own;
    if (typeof query !== "string" || !isTexts(listed)) return undefined;
    if (scores === undefined) return { query, documents: listed };
    const isScored = isNumbers(scores) && scores.length === listed.length;
    return isScored ? { query, documents: listed, scores } : undefined;
  });
}

/** Lines of `{"text"}`. @throws JetonError `example-invalid` */
export async function readTexts(files: readonly string[]): Promise<string[]> {
  return readLines(files, '{"text"}', ({ text }) => (typeof text === "string" ? text : undefined));
}

/**
 * Lines of `{"text", "pair"?, "label"}`: the name of a class, a list of names where classes do not exclude each
 * other, or a number where `labels` has one entry.
 *
 * @throws JetonError `example-invalid`
 */
export async function readClassifiedExamples(
  files: readonly string[],
  labels: readonly string[],
  problem: "single-label" | "multi-label" | "regression",
): Promise<ClassifiedExample[]> {
  const expected = `{"text", "pair"?, "label"} with ${problem === "regression" ? "a number" : labels.join(", ")}`;
  return readLines(files, expected, ({ text, pair, label }) => {
    if (typeof text !== "string" || (pair !== undefined && typeof pair !== "string"))
      return undefined;
    const target = readTarget(label, labels, problem);
    return target === undefined ? undefined : { text, ...(pair !== undefined && { pair }), target };
  });
}

function readTarget(
  label: unknown,
  labels: readonly string[],
  problem: "single-label" | "multi-label" | "regression",
): number | number[] | undefined {
  if (problem === "regression") {
    return typeof label === "number" && Number.isFinite(label) ? [label] : undefined;
  }
  const names = problem === "multi-label" ? label : [label];
  if (!isTexts(names) && !(Array.isArray(names) && names.length === 0)) return undefined;
  const found = (names as readonly string[]).map((name) => labels.indexOf(name));
  if (found.includes(-1)) return undefined;
  return problem === "multi-label" ? labels.map((_, at) => (found.includes(at) ? 1 : 0)) : found[0];
}

/**
 * Lines of `{"text", "spans": [[start, end, "label"], …]}`; tokens outside of spans belong to the class `O`.
 *
 * @throws JetonError `example-invalid`
 */
export async function readLabelledExamples(
  files: readonly string[],
  labels: readonly string[],
): Promise<LabelledExample[]> {
  const expected = `{"text", "spans": [[start, end, label]]} with ${labels.join(", ")}`;
  return readLines(files, expected, ({ text, spans }) => {
    if (typeof text !== "string" || !Array.isArray(spans)) return undefined;
    const read = spans.map((span: unknown) => readSpan(span, text.length, labels));
    return read.every((span) => span !== undefined) ? { text, spans: read } : undefined;
  });
}

function readSpan(
  span: unknown,
  length: number,
  labels: readonly string[],
): readonly [number, number, number] | undefined {
  const [start, end, name] = Array.isArray(span) ? (span as unknown[]) : [];
  const label = labels.indexOf(name as string);
  const isPlace = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  if (!isPlace || label < 0) return undefined;
  const [from, to] = [start as number, end as number];
  return from >= 0 && from < to && to <= length ? [from, to, label] : undefined;
}

async function readLines<T>(
  names: readonly string[],
  expected: string,
  read: (line: Line) => T | undefined,
): Promise<T[]> {
  const examples: T[] = [];
  for (const file of await listCorpusFiles(names)) {
    for (const [at, line] of (await readText(file)).split("\n").entries()) {
      if (line.trim() === "") continue;
      const example = read(parseLine(line));
      if (example === undefined) throw invalidLine(file, at + 1, line, expected);
      examples.push(example);
    }
  }
  return examples;
}

function parseLine(line: string): Line {
  try {
    const value = JSON.parse(line) as unknown;
    return typeof value === "object" && value !== null ? (value as Line) : {};
  } catch {
    return {};
  }
}

function invalidLine(file: string, line: number, found: string, expected: string): JetonError {
  return new JetonError(`${file}:${line}: ${found.slice(0, 80)}; expected ${expected}`, {
    code: "example-invalid",
    details: { file, line, found: found.slice(0, 80), expected },
  });
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string");

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((one) => typeof one === "number" && Number.isFinite(one));
