/** LoCoV1's records from local files: lines of JSON, as the benchmark publishes them. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readText } from "../../checkpoint/files/read-text.ts";
import { fileError } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import type { RankedText } from "../ranking/rankers.ts";
import type { LocoTask } from "./loco.ts";

/** Options of `readLocoTasks`. */
export interface ReadLocoOptions {
  /** Names of the tasks that are wanted. Default: all. */
  tasks?: readonly string[];
}

interface Line {
  readonly path: string;
  readonly number: number;
  readonly record: Readonly<Record<string, unknown>>;
}

interface Draft {
  readonly queries: Map<string, RankedText>;
  readonly documents: Map<string, RankedText>;
  readonly answers: Map<string, ReadonlySet<string>>;
}

/**
 * Reads tasks from the `.jsonl` files of a folder, also `.gz`: queries `{"dataset", "qid", "query", "answer_pids"}` and
 * documents `{"dataset", "pid", "passage"}`, in any files. A task is what has one `dataset`.
 *
 * @throws JetonError `loco-task-invalid` for a line of another form, an id that is there twice, an answer that is no
 *   document of the task, or a name of no task
 */
export async function readLocoTasks(
  folder: string,
  options: ReadLocoOptions = {},
): Promise<LocoTask[]> {
  const drafts = new Map<string, Draft>();
  for (const line of await readFolder(folder)) addRecord(drafts, line);
  for (const [name, { answers, documents }] of drafts) {
    for (const [query, ids] of answers) {
      const missing = [...ids].find((id) => !documents.has(id));
      if (missing !== undefined) {
        throw invalid(
          folder,
          0,
          { dataset: name, query, answer: missing },
          "documents of the task",
        );
      }
    }
  }
  const names = options.tasks ?? [...drafts.keys()];
  const unknown = names.find((name) => !drafts.has(name));
  if (unknown !== undefined || names.length === 0) {
    const known = [...drafts.keys()].join(", ");
    throw invalid(folder, 0, unknown ?? "no task", known === "" ? "lines of tasks" : known);
  }
  return names.map((name) => {
    const { queries, documents, answers } = drafts.get(name)!;
    return { name, queries: [...queries.values()], documents: [...documents.values()], answers };
  });
}

async function readFolder(folder: string): Promise<Line[]> {
  const entries = await readdir(folder).catch((error: unknown) => {
    throw fileError(error, folder);
  });
  const names = entries.filter((name) => /\.jsonl(\.gz)?$/.test(name)).sort();
  const lines: Line[] = [];
  for (const name of names) {
    const path = join(folder, name);
    for (const [at, line] of (await readText(path)).split("\n").entries()) {
      if (line.trim() === "") continue;
      lines.push({ path, number: at + 1, record: parseRecord(path, at + 1, line) });
    }
  }
  return lines;
}

function parseRecord(
  path: string,
  number: number,
  line: string,
): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(line);
    if (typeof json === "object" && json !== null) return json as Record<string, unknown>;
  } catch {
    // Reported like any other line that is no record.
  }
  throw invalid(path, number, line.slice(0, 80), "an object");
}

function addRecord(drafts: Map<string, Draft>, { path, number, record }: Line): void {
  const { dataset, qid, query, answer_pids: answers, pid, passage } = record;
  if (typeof dataset !== "string") throw invalid(path, number, record, "a dataset");
  const draft = drafts.get(dataset) ?? {
    queries: new Map(),
    documents: new Map(),
    answers: new Map(),
  };
  drafts.set(dataset, draft);
  if (isId(pid) && typeof passage === "string") {
    addText(draft.documents, { id: String(pid), text: passage }, path, number);
    return;
  }
  if (isId(qid) && typeof query === "string" && Array.isArray(answers) && answers.every(isId)) {
    addText(draft.queries, { id: String(qid), text: query }, path, number);
    draft.answers.set(String(qid), new Set(answers.map(String)));
    return;
  }
  const expected = "qid, query and answer_pids, or pid and passage";
  throw invalid(path, number, record, expected);
}

function addText(
  texts: Map<string, RankedText>,
  text: RankedText,
  path: string,
  number: number,
): void {
  if (texts.has(text.id)) throw invalid(path, number, text.id, "each id once");
  texts.set(text.id, text);
}

function isId(value: unknown): value is string | number {
  return (typeof value === "string" && value !== "") || typeof value === "number";
}

function invalid(path: string, line: number, found: unknown, expected: string): JetonError {
  const where = line > 0 ? `${path}:${line}` : path;
  const shown = JSON.stringify(found).slice(0, 200);
  return new JetonError(`${where}: ${shown}; expected ${expected}`, {
    code: "loco-task-invalid",
    details: { path, line, found: shown, expected },
  });
}
