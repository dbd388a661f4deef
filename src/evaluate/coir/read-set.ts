/** Sets from local files, as BEIR and MTEB lay them out. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readText } from "../../checkpoint/files/read-text.ts";
import { fileError } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { checkOptionRules, pathRule } from "../../core/option-rules.ts";
import {
  addText,
  expectedId,
  type NamedText,
  type RecordLine,
  readId,
  readRecords,
  recordError,
} from "../ranking/read-records.ts";
import type { CoirSet, CoirText } from "./tasks.ts";

/** Options of `readCoirSet`. */
export interface ReadCoirSetOptions {
  /** Default the folder's name. Where a folder holds several sets in MTEB's layout, the one that is read. */
  name?: string;
  /** Default `"test"`. */
  split?: string;
}

const code = "coir-set-invalid";

/**
 * Reads a set. In BEIR's layout the folder has `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`; in MTEB's
 * it has folders `NAME-queries-corpus` (`corpus.jsonl`, `queries.jsonl`) and `NAME-qrels` (`test.jsonl` or
 * `test.tsv`). A table of judgments may lack its heading, also in the four columns of trec_eval; where there is a table
 * and lines of JSON, the table is read. Files may end in `.gz`. Ids are texts or whole numbers, levels whole numbers, 0
 * and negative ones too. Queries without judgments are left out.
 *
 * @throws JetonError `coir-set-invalid` with file and line for a missing file, a line of another form, an id that is
 *   there twice, a judgment of an unknown query or document, or several sets of which none is named;
 *   `coir-option-invalid`; those of a file that cannot be read
 */
export async function readCoirSet(
  folder: string,
  options: ReadCoirSetOptions = {},
): Promise<CoirSet> {
  checkOptionRules(
    options,
    { name: pathRule, split: pathRule },
    { what: "reading a set", invalidCode: "coir-option-invalid" },
  );
  const { split = "test" } = options;
  const name =
    options.name ??
    folder
      .replace(/[\\/]+$/, "")
      .split(/[\\/]/)
      .at(-1)!;
  const { texts, judged } = await findLayout(folder, options.name);
  const read = (...names: string[]) => readFirst(folder, names);
  const documents = parseTexts(await read(`${texts}/corpus.jsonl`));
  const queries = parseTexts(await read(`${texts}/queries.jsonl`));
  const judgments = parseJudged(await read(`${judged}/${split}.tsv`, `${judged}/${split}.jsonl`), {
    queries,
    documents,
  });
  return {
    name,
    documents: [...documents.values()],
    queries: [...queries.values()].filter(({ id }) => judgments.has(id)),
    judgments,
  };
}

const textsEnd = "-queries-corpus";
const judgedEnd = "-qrels";

/** Folders of the texts and of the judgments: always those of one set. */
async function findLayout(
  folder: string,
  name: string | undefined,
): Promise<{ readonly texts: string; readonly judged: string }> {
  const entries = await readdir(folder).catch((error: unknown) => {
    throw fileError(error, folder);
  });
  const isBeir = entries.some((entry) => /^corpus\.jsonl(\.gz)?$/.test(entry));
  const found = entries.filter((entry) => entry.endsWith(textsEnd)).sort();
  const named = found.filter((entry) => entry === `${name}${textsEnd}`);
  const chosen = named.length > 0 ? named : [...found, ...(isBeir ? ["."] : [])];
  if (chosen.length > 1) {
    const sets = found.map((entry) => entry.slice(0, -textsEnd.length)).join(", ");
    const also = isBeir ? ", and corpus.jsonl beside it" : "";
    const expected = isBeir ? "one set" : "one set, or the option name";
    throw recordError(code, { path: folder }, `sets ${sets}${also}`, expected);
  }
  const [texts = "."] = chosen;
  if (texts !== ".") {
    const judged = `${texts.slice(0, -textsEnd.length)}${judgedEnd}`;
    return { texts, judged: entries.includes(judged) ? judged : "qrels" };
  }
  const judged = entries.filter((entry) => entry.endsWith(judgedEnd)).sort();
  if (entries.includes("qrels") || judged.length === 0) return { texts, judged: "qrels" };
  if (judged.length === 1) return { texts, judged: judged[0]! };
  throw recordError(code, { path: folder }, judged.join(", "), "judgments of one set");
}

async function readFirst(folder: string, names: readonly string[]): Promise<NamedText> {
  for (const name of names.flatMap((one) => [one, `${one}.gz`])) {
    const path = join(folder, name);
    try {
      return { path, text: await readText(path) };
    } catch (error) {
      if (!(JetonError.isInstance(error) && error.code === "file-not-found")) throw error;
    }
  }
  throw recordError(code, { path: folder }, "no such file", names.join(" or "));
}

function parseTexts(file: NamedText): Map<string, CoirText> {
  const texts = new Map<string, CoirText>();
  for (const place of readRecords(file, code)) {
    const { _id, id: other, text, title } = place.record;
    const id = readId(_id ?? other);
    if (id === undefined || typeof text !== "string") {
      throw recordError(code, place, place.record, `_id (or id), ${expectedId}, and a text`);
    }
    if (typeof (title ?? "") !== "string") {
      throw recordError(code, place, place.record, "a title that is a text");
    }
    const hasTitle = typeof title === "string" && title !== "";
    addText(texts, { id, text, ...(hasTitle && { title }) }, place, code);
  }
  return texts;
}

interface KnownTexts {
  readonly queries: ReadonlyMap<string, CoirText>;
  readonly documents: ReadonlyMap<string, CoirText>;
}

function parseJudged(
  file: NamedText,
  { queries, documents }: KnownTexts,
): Map<string, Map<string, number>> {
  const judgments = new Map<string, Map<string, number>>();
  const isTable = !file.path.replace(/\.gz$/, "").endsWith(".jsonl");
  for (const place of isTable ? readRows(file) : readRecords(file, code)) {
    const { record } = place;
    const query = readId(record["query_id"] ?? record["query-id"]);
    const document = readId(record["corpus_id"] ?? record["corpus-id"]);
    const level = readLevel(record["score"]);
    const refuse = (expected: string) => recordError(code, place, record, expected);
    if (query === undefined || document === undefined || level === undefined) {
      throw refuse("query_id, corpus_id and score, a whole number");
    }
    if (!queries.has(query)) throw refuse("a query of queries.jsonl");
    if (!documents.has(document)) throw refuse("a document of corpus.jsonl");
    const levels = judgments.get(query) ?? new Map<string, number>();
    if (levels.has(document)) throw refuse("each judgment once");
    judgments.set(query, levels.set(document, level));
  }
  return judgments;
}

/** A level as JSON or a table has it: `1`, `"1"`, `"1.0"`. */
function readLevel(score: unknown): number | undefined {
  const isNumeral = typeof score === "string" && /^[+-]?\d+(\.0*)?$/.test(score);
  const level = isNumeral ? Number(score) : score;
  return Number.isSafeInteger(level) ? (level as number) : undefined;
}

/**
 * Rows of a table, separated by tabs: with a heading, or without one as three columns, or as the four of trec_eval, whose
 * second counts for nothing.
 */
function* readRows({ path, text }: NamedText): Generator<RecordLine> {
  const lines = text.split(/\r?\n/);
  const heading = (lines[0] ?? "").split("\t");
  const hasHeading = heading.some((cell) => /^(query|corpus)[-_]id$|^score$/.test(cell));
  const names = hasHeading ? heading : columns[heading.length];
  if (names === undefined || new Set(names).size < names.length) {
    const expected = "query-id, corpus-id and score, with tabs between them";
    throw recordError(code, { path, line: 1 }, lines[0] ?? "", expected);
  }
  for (const [at, content] of lines.entries()) {
    if (content === "" || (at === 0 && hasHeading)) continue;
    const cells = content.split("\t");
    const line = at + 1;
    if (cells.length !== names.length) {
      throw recordError(code, { path, line }, content, `${names.join(", ")}, as in line 1`);
    }
    yield { path, line, record: Object.fromEntries(names.map((name, i) => [name, cells[i]])) };
  }
}

/** Names of the columns of tables without a heading, by their number. */
const columns: Readonly<Record<number, readonly string[]>> = {
  3: ["query-id", "corpus-id", "score"],
  4: ["query-id", "iteration", "corpus-id", "score"],
};
