/** Lines of JSON that benchmarks keep their texts in, each with the place that an error names. */
import { JetonError } from "../../core/index.ts";
import type { RankedText } from "./rankers.ts";

/** A file with its text. */
export interface NamedText {
  readonly path: string;
  readonly text: string;
}

/** A line's fields, and where it stands: from 1. */
export interface RecordLine {
  readonly path: string;
  readonly line: number;
  readonly record: Readonly<Record<string, unknown>>;
}

/**
 * The objects of a file, one a line; empty lines are none.
 *
 * @throws JetonError `code` with file and line
 */
export function* readRecords({ path, text }: NamedText, code: string): Generator<RecordLine> {
  for (const [at, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    const line = at + 1;
    let record: unknown;
    try {
      record = JSON.parse(content);
    } catch {
      // Reported as any other line that is no object.
    }
    if (typeof record !== "object" || record === null || Array.isArray(record)) {
      throw recordError(code, { path, line }, content, "a JSON object");
    }
    yield { path, line, record: record as RecordLine["record"] };
  }
}

/**
 * An id as text: a text that is not empty, or a number that JSON keeps exactly; `undefined` for anything else, such as
 * a number of 20 digits, which would be read as its neighbour.
 */
export function readId(value: unknown): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  return Number.isSafeInteger(value) ? String(value) : undefined;
}

/** What `readId` reads, for errors. */
export const expectedId = "a text or a whole number below 2^53";

/**
 * Adds a text under its id.
 *
 * @throws JetonError `code` for an id that is there
 */
export function addText(
  texts: Map<string, RankedText>,
  text: RankedText,
  place: Pick<RecordLine, "path" | "line">,
  code: string,
): void {
  if (texts.has(text.id)) throw recordError(code, place, text.id, "each id once");
  texts.set(text.id, text);
}

/** Names the file, the line where there is one, what stands there (at most 200 characters) and what was expected. */
export function recordError(
  code: string,
  { path, line }: { readonly path: string; readonly line?: number },
  found: unknown,
  expected: string,
): JetonError {
  const where = line === undefined ? path : `${path}:${line}`;
  const text = typeof found === "string" ? found : JSON.stringify(found);
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return new JetonError(`${where}: ${JSON.stringify(shown)}; expected ${expected}`, {
    code,
    details: { path, ...(line !== undefined && { line }), found: shown, expected },
  });
}
