/**
 * Measures retrieval of encoders beside BM25, on data that jeton-embed was not trained on:
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-embed/evaluate.ts FOLDER…
 *
 * SciFact's test queries (nDCG@10, recall@100) and Chroma's chunking questions over windows of 400 characters
 * (a window counts that holds a part of a reference). Dense vectors alone, and with BM25 as `jeton search` fuses them:
 * each ranking's scores brought to 0 to 1, those of vectors times a tenth.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { targetFolder } from "../../src/data/index.ts";
import { evaluateRun, type Run, readSpanQuestions } from "../../src/evaluate/index.ts";
import { embed, loadEncoder } from "../../src/model/index.ts";
import { createIndex, type SearchIndex, type SearchQuery } from "../../src/retrieve/index.ts";

interface Task {
  readonly name: string;
  readonly documents: readonly { readonly id: string; readonly text: string }[];
  readonly queries: ReadonlyMap<string, string>;
  readonly judgments: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

const data = join(targetFolder(), "retrieval");
const depth = 100;
const fusion = { method: "weighted", weights: { dense: 0.1 } } as const;
/** Tokens of a document that are read. */
const maxLength = 96;

const tasks = [await readSciFact(), await readChunking()];
for (const task of tasks) {
  console.log(`${task.name}: ${task.documents.length} documents, ${task.queries.size} queries`);
  await measure(task, undefined);
  for (const folder of process.argv.slice(2)) await measure(task, folder);
}

async function measure(task: Task, folder: string | undefined): Promise<void> {
  const index = createIndex({ analyzer: { stopWords: "english", stemmer: "english" } });
  if (folder === undefined) {
    await index.put([...task.documents]);
    await report(task, index, "BM25", (text) => ({ text }));
    return;
  }
  await using model = await loadEncoder(folder, { format: "f32", threads: 1 });
  const name = folder.split("/").slice(-2).join("/");
  const texts = task.documents.map(({ text }) => text);
  const vectors = await embed(model, texts, { normalize: true, maxLength });
  await index.put(task.documents.map((document, at) => ({ ...document, dense: vectors[at]! })));
  const asked = new Map<string, Float32Array>();
  const queries = [...task.queries.values()];
  for (const [at, vector] of (await embed(model, queries, { normalize: true })).entries()) {
    asked.set(queries[at]!, vector);
  }
  await report(task, index, name, (text) => ({ dense: asked.get(text)! }));
  await report(task, index, `${name} + BM25`, (text) => ({
    text,
    dense: asked.get(text)!,
    fusion,
  }));
}

async function report(
  task: Task,
  index: SearchIndex,
  name: string,
  ask: (text: string) => Omit<SearchQuery, "k">,
): Promise<void> {
  const run: Map<string, Map<string, number>> = new Map();
  for (const [id, text] of task.queries) {
    const hits = await index.search({ ...ask(text), k: depth });
    run.set(id, new Map(hits.map((hit) => [hit.id, hit.score])));
  }
  const measures = ["ndcg@10", "mrr@10", "success@5", "recall@100"] as const;
  const { means } = evaluateRun(task.judgments as never, run as never as Run, { measures });
  const shown = measures.map((measure) => `${measure} ${means.all.values[measure]!.toFixed(4)}`);
  console.log(`  ${name.padEnd(34)} ${shown.join("  ")}`);
}

async function readSciFact(): Promise<Task> {
  const lines = async (name: string): Promise<Record<string, string>[]> => {
    const bytes = await readFile(join(data, "scifact", name));
    const text = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, string>);
  };
  const documents = (await lines("corpus.jsonl.gz")).map(({ _id, title, text }) => ({
    id: _id!,
    text: `${title} ${text}`,
  }));
  const judgments = new Map<string, Map<string, number>>();
  const table = (await readFile(join(data, "scifact/qrels-test.tsv"), "utf8")).trim().split("\n");
  for (const line of table.slice(1)) {
    const [query, document, score] = line.split("\t") as [string, string, string];
    judgments.set(query, (judgments.get(query) ?? new Map()).set(document, Number(score)));
  }
  const queries = new Map(
    (await lines("queries-test.jsonl")).map(({ _id, text }) => [_id!, text!]),
  );
  for (const id of queries.keys()) if (!judgments.has(id)) queries.delete(id);
  return { name: "SciFact (test)", documents, queries, judgments };
}

async function readChunking(): Promise<Task> {
  const width = 400;
  const documents: { id: string; text: string }[] = [];
  const corpora = new Map<string, string>();
  for (const name of ["chatlogs", "finance", "pubmed", "state_of_the_union", "wikitexts"]) {
    const text = await readFile(join(data, `chunking/${name}.md`), "utf8");
    corpora.set(name, text);
    for (let at = 0; at < text.length; at += width) {
      documents.push({ id: `${name}#${at}`, text: text.slice(at, at + width) });
    }
  }
  const queries = new Map<string, string>();
  const judgments = new Map<string, Map<string, number>>();
  const csv = await readFile(join(data, "chunking/questions.csv"), "utf8");
  for (const [at, { question, references }] of readSpanQuestions(csv, corpora).entries()) {
    const id = `q${at}`;
    const right = new Map<string, number>();
    for (const { corpus, start, end } of references) {
      for (let window = Math.floor(start / width) * width; window < end; window += width) {
        right.set(`${corpus}#${window}`, 1);
      }
    }
    queries.set(id, question);
    judgments.set(id, right);
  }
  return { name: "Chroma's questions", documents, queries, judgments };
}
