/** LoCoV1's records from local files: lines of JSON, as the benchmark publishes them. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readText } from "../../checkpoint/files/read-text.ts";
import { fileError } from "../../checkpoint/index.ts";
import { checkOptionRules, listRule } from "../../core/option-rules.ts";
import type { RankedText } from "../ranking/rankers.ts";
import {
  addText,
  type RecordLine,
  readId,
  readRecords,
  recordError,
} from "../ranking/read-records.ts";
import type { LocoTask } from "./loco.ts";

/** Options of `readLocoTasks`. */
export interface ReadLocoOptions {
  /** Names of the tasks that are wanted. Default: all. */
  tasks?: readonly string[];
}

interface Draft {
  readonly queries: Map<string, RankedText>;
  readonly documents: Map<string, RankedText>;
  readonly answers: Map<string, Answers>;
}

/** The ids that answer a query, and where they are listed. */
interface Answers {
  readonly ids: ReadonlySet<string>;
  readonly place: RecordLine;
}

const code = "loco-task-invalid";

/**
 * Reads tasks from the `.jsonl` files of a folder, also `.gz`: queries `{"dataset", "qid", "query", "answer_pids"}` and
 * documents `{"dataset", "pid", "passage"}`, in any files. A task is what has one `dataset`.
 *
 * @throws JetonError `loco-task-invalid` with file and line for a line of another form, an id or an answer that is there
 *   twice, an answer that is no document of the task, or a name of no task; `loco-option-invalid`; those of a file that
 *   cannot be read
 */
export async function readLocoTasks(
  folder: string,
  options: ReadLocoOptions = {},
): Promise<LocoTask[]> {
  checkOptionRules(
    options,
    { tasks: listRule },
    { what: "reading tasks", invalidCode: "loco-option-invalid" },
  );
  const drafts = new Map<string, Draft>();
  for (const path of await listFiles(folder)) {
    for (const line of readRecords({ path, text: await readText(path) }, code)) {
      addRecord(drafts, line);
    }
  }
  for (const { answers, documents } of drafts.values()) {
    for (const { ids, place } of answers.values()) {
      const missing = [...ids].find((id) => !documents.has(id));
      if (missing !== undefined) throw recordError(code, place, missing, "a document of the task");
    }
  }
  return chooseTasks(drafts, folder, options.tasks).map(([name, draft]) => ({
    name,
    queries: [...draft.queries.values()],
    documents: [...draft.documents.values()],
    answers: new Map([...draft.answers].map(([query, { ids }]) => [query, ids])),
  }));
}

function chooseTasks(
  drafts: ReadonlyMap<string, Draft>,
  folder: string,
  names: readonly string[] = [...drafts.keys()],
): [name: string, Draft][] {
  const unknown = names.find((name) => !drafts.has(name));
  if (unknown !== undefined || names.length === 0) {
    const known = [...drafts.keys()].join(", ");
    const expected = known === "" ? "lines of tasks" : known;
    throw recordError(code, { path: folder }, unknown ?? "no task", expected);
  }
  const twice = names.find((name, at) => names.indexOf(name) < at);
  if (twice !== undefined) throw recordError(code, { path: folder }, twice, "each task once");
  return names.map((name) => [name, drafts.get(name)!]);
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch((error: unknown) => {
    throw fileError(error, folder);
  });
  return entries
    .filter((name) => /\.jsonl(\.gz)?$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

function addRecord(drafts: Map<string, Draft>, place: RecordLine): void {
  const { dataset, qid, query, answer_pids: listed, pid, passage } = place.record;
  if (typeof dataset !== "string" || dataset === "") {
    throw recordError(code, place, place.record, "a dataset");
  }
  const draft: Draft = drafts.get(dataset) ?? {
    queries: new Map(),
    documents: new Map(),
    answers: new Map(),
  };
  drafts.set(dataset, draft);
  const [document, id] = [readId(pid), readId(qid)];
  if (document !== undefined && typeof passage === "string" && qid === undefined) {
    addText(draft.documents, { id: document, text: passage }, place, code);
    return;
  }
  const answers = Array.isArray(listed) ? listed.map(readId) : [undefined];
  const ids = new Set(answers.filter((answer) => answer !== undefined));
  if (
    id !== undefined &&
    pid === undefined &&
    typeof query === "string" &&
    ids.size === answers.length
  ) {
    addText(draft.queries, { id, text: query }, place, code);
    draft.answers.set(id, { ids, place });
    return;
  }
  const expected = "qid, query and answer_pids, each once, or pid and passage";
  throw recordError(code, place, place.record, expected);
}
