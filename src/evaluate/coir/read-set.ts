/** Sets from local files, as BEIR and MTEB lay them out. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readText } from "../../checkpoint/files/read-text.ts";
import { fileError } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import type { CoirSet, CoirText } from "./tasks.ts";

/** Options of `readCoirSet`. */
export interface ReadCoirSetOptions {
  /** Default the folder's name. */
  name?: string;
  /** Default `"test"`. */
  split?: string;
}

/**
 * Reads a set. In BEIR's layout the folder has `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`; in MTEB's
 * it has folders `NAME-queries-corpus` (`corpus.jsonl`, `queries.jsonl`) and `NAME-qrels` (`test.jsonl` or
 * `test.tsv`). A table of judgments may lack its heading, also in the four columns of trec_eval. Files may end in `.gz`. Queries without judgments are left out.
 *
 * @throws JetonError `coir-set-invalid` for a missing file, a line of another form, an id that is there twice,
 *   or a judgment of an unknown document
 */
export async function readCoirSet(
  folder: string,
  options: ReadCoirSetOptions = {},
): Promise<CoirSet> {
  const { split = "test" } = options;
  const name =
    options.name ??
    folder
      .replace(/[\\/]+$/, "")
      .split(/[\\/]/)
      .at(-1)!;
  const entries = await readdir(folder).catch((error: unknown) => {
    throw fileError(error, folder);
  });
  const texts = entries.find((entry) => entry.endsWith("-queries-corpus")) ?? ".";
  const judged = entries.find((entry) => entry.endsWith("-qrels")) ?? "qrels";
  const read = (...names: string[]) => readFirst(folder, names);
  const documents = parseTexts(await read(`${texts}/corpus.jsonl`));
  const queries = parseTexts(await read(`${texts}/queries.jsonl`));
  const judgments = parseJudged(await read(`${judged}/${split}.tsv`, `${judged}/${split}.jsonl`));
  const known = new Set(documents.map(({ id }) => id));
  for (const [query, levels] of judgments) {
    for (const document of levels.keys()) {
      if (!known.has(document)) {
        throw invalid(folder, 0, { query, document }, "judgments of documents of the corpus");
      }
    }
  }
  return { name, documents, queries: queries.filter(({ id }) => judgments.has(id)), judgments };
}

interface NamedText {
  readonly path: string;
  readonly text: string;
}

async function readFirst(folder: string, names: readonly string[]): Promise<NamedText> {
  for (const name of names.flatMap((one) => [one, `${one}.gz`])) {
    const path = join(folder, name);
    try {
      return { path, text: (await readText(path)).replace(/^\ufeff/, "") };
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw fileError(error, path);
    }
  }
  throw invalid(folder, 0, "no such file", names.join(" or "));
}

function* readLines({ path, text }: NamedText): Generator<{ line: number; json: unknown }> {
  for (const [at, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch {
      throw invalid(path, at + 1, line.slice(0, 80), "a line of JSON");
    }
    yield { line: at + 1, json };
  }
}

function parseTexts(file: NamedText): CoirText[] {
  const texts: CoirText[] = [];
  const seen = new Set<string>();
  for (const { line, json } of readLines(file)) {
    const { _id, id: other, text, title } = (json ?? {}) as Record<string, unknown>;
    const own = _id ?? other;
    if (!isId(own) || typeof text !== "string")
      throw invalid(file.path, line, json, "_id (or id) and text");
    const id = String(own);
    if (seen.has(id)) throw invalid(file.path, line, id, "each id once");
    seen.add(id);
    texts.push({ id, text, ...(typeof title === "string" && title !== "" && { title }) });
  }
  return texts;
}

function parseJudged(file: NamedText): Map<string, Map<string, number>> {
  const judgments = new Map<string, Map<string, number>>();
  const rows = file.path.replace(/\.gz$/, "").endsWith(".jsonl") ? readLines(file) : readRows(file);
  for (const { line, json } of rows) {
    const row = (json ?? {}) as Record<string, unknown>;
    const query = row["query_id"] ?? row["query-id"];
    const document = row["corpus_id"] ?? row["corpus-id"];
    const score = row["score"];
    const level = score === "" ? Number.NaN : Number(score);
    if (!isId(query) || !isId(document) || !Number.isInteger(level)) {
      throw invalid(file.path, line, json, "query_id, corpus_id, score");
    }
    const levels = judgments.get(String(query)) ?? new Map<string, number>();
    if (levels.has(String(document))) throw invalid(file.path, line, json, "each judgment once");
    judgments.set(String(query), levels.set(String(document), level));
  }
  return judgments;
}

/**
 * Rows of a table, separated by tabs: with a heading, or without one as three columns, or as the four of trec_eval, whose
 * second counts for nothing.
 */
function* readRows({ path, text }: NamedText): Generator<{ line: number; json: unknown }> {
  const lines = text.split(/\r?\n/);
  const heading = (lines[0] ?? "").split("\t");
  const hasHeading = heading.some((cell) => /^(query|corpus)[-_]id$|^score$/.test(cell));
  const names = hasHeading ? heading : columns[heading.length];
  if (names === undefined) {
    throw invalid(path, 1, lines[0], "query-id, corpus-id and score, with tabs between them");
  }
  for (const [at, line] of lines.entries()) {
    if (line === "" || (at === 0 && hasHeading)) continue;
    const cells = line.split("\t");
    yield { line: at + 1, json: Object.fromEntries(names.map((name, i) => [name, cells[i]])) };
  }
}

/** Names of the columns of tables without a heading, by their number. */
const columns: Readonly<Record<number, readonly string[]>> = {
  3: ["query-id", "corpus-id", "score"],
  4: ["query-id", "iteration", "corpus-id", "score"],
};

function isId(value: unknown): value is string | number {
  return (typeof value === "string" && value !== "") || typeof value === "number";
}

function invalid(path: string, line: number, found: unknown, expected: string): JetonError {
  const where = line > 0 ? `${path}:${line}` : path;
  return new JetonError(`${where}: ${JSON.stringify(found)}; expected ${expected}`, {
    code: "coir-set-invalid",
    details: { path, line, found, expected },
  });
}
