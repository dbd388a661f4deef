/** Answers of a model as JSON lines: a run that was interrupted goes on where it was. */
import { type FileHandle, mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { JetonError } from "../../core/index.ts";

/** The answers known so far. */
export interface AnswerRecord {
  get(id: string): string | undefined;
  /** Keeps an answer; it is in the file when the promise resolves. */
  add(id: string, answer: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens or begins a file of answers; without a path they are kept in memory only. The first line says what they answer.
 *
 * @throws JetonError `evaluation-answers-foreign` for answers of another model or to other settings,
 *   `evaluation-answers-damaged`
 */
export async function openAnswers(path: string | undefined, head: object): Promise<AnswerRecord> {
  if (path === undefined) {
    const known = new Map<string, string>();
    return {
      get: (id) => known.get(id),
      add: async (id, answer) => void known.set(id, answer),
      close: async () => {},
    };
  }
  const { known, hasHead, complete } = await readAnswers(path, head);
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "a");
  // A line that an interruption cut in half is written over.
  if (complete !== undefined) await file.truncate(complete);
  let last: Promise<void> = hasHead ? Promise.resolve() : append(file, head);
  return {
    get: (id) => known.get(id),
    add(id, answer) {
      known.set(id, answer);
      last = last.then(() => append(file, { id, answer }));
      return last;
    },
    async close() {
      await last.catch(() => {});
      await file.close();
    },
  };
}

async function append(file: FileHandle, line: object): Promise<void> {
  await file.appendFile(`${JSON.stringify(line)}\n`);
}

async function readAnswers(
  path: string,
  head: object,
): Promise<{ known: Map<string, string>; hasHead: boolean; complete?: number }> {
  const known = new Map<string, string>();
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return { known, hasHead: false };
  }
  const end = text.lastIndexOf("\n") + 1;
  const lines = text.slice(0, end).split("\n").slice(0, -1);
  const [first, ...others] = lines;
  if (first !== undefined && first !== JSON.stringify(head)) {
    throw new JetonError(`${path} holds answers of another model, or to other settings`, {
      code: "evaluation-answers-foreign",
      details: { path, found: first, expected: JSON.stringify(head) },
    });
  }
  for (const [i, line] of others.entries()) {
    const { id, answer } = parseLine(path, line, i + 2);
    known.set(id, answer);
  }
  const complete = Buffer.byteLength(text.slice(0, end));
  return { known, hasHead: first !== undefined, complete };
}

function parseLine(path: string, line: string, number: number): { id: string; answer: string } {
  try {
    const { id, answer } = JSON.parse(line) as { id: unknown; answer: unknown };
    if (typeof id === "string" && typeof answer === "string") return { id, answer };
  } catch {
    // Reported below, as a line of another form is.
  }
  throw new JetonError(`${path}, line ${number}: no answer of an evaluation`, {
    code: "evaluation-answers-damaged",
    details: { path, line: number, found: line.slice(0, 200), expected: '{"id":…,"answer":…}' },
  });
}
