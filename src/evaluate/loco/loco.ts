/**
 * LoCoV1 (Saad-Falcon et al., 2024): twelve tasks of retrieval among long documents, each over its own documents by exact
 * search, judged by nDCG@10 and averaged.
 */
import { JetonError } from "../../core/index.ts";
import { checkRequired, countRule } from "../../core/option-rules.ts";
import { rankQueries } from "../ranking/rank-queries.ts";
import type { RankedText, Ranker } from "../ranking/rankers.ts";
import { type Evaluation, evaluateRun } from "../trec/index.ts";

/** One task: queries, the documents that they are looked for in, and which answer. */
export interface LocoTask {
  readonly name: string;
  readonly queries: readonly RankedText[];
  readonly documents: readonly RankedText[];
  /** By query, the documents that answer it. */
  readonly answers: ReadonlyMap<string, ReadonlySet<string>>;
}

/** How many tasks the benchmark has: only over all of them is a mean LoCoV1's. */
export const locoTaskCount = 12;

/** What a ranker reached on a task. */
export interface LocoEvaluation {
  readonly task: string;
  readonly ranker: string;
  readonly queries: number;
  readonly documents: number;
  /** Mean length of a document in characters, as the benchmark counts. */
  readonly documentLength: number;
  /** nDCG@10, the benchmark's figure. */
  readonly ndcg: number;
  readonly evaluation: Evaluation;
  /** Seconds for all documents, and for a query on average. */
  readonly indexSeconds: number;
  readonly querySeconds: number;
}

/** Documents of each query that are judged, as the benchmark's search keeps. */
const depth = 1000;

/**
 * Evaluates a ranker on a task.
 *
 * @throws JetonError `loco-ranking-invalid` for a document that is not of the task, or is there twice
 *
 * @example
 * const [task] = await readLocoTasks("loco");
 * const { ndcg } = await evaluateLocoTask(task!, createBm25Ranker("BM25"));
 */
export async function evaluateLocoTask(task: LocoTask, ranker: Ranker): Promise<LocoEvaluation> {
  const { queries, documents, answers } = task;
  const ranked = await rankQueries({ documents, queries }, ranker, {
    depth,
    code: "loco-ranking-invalid",
  });
  const judgments = new Map(
    [...answers].map(([query, ids]) => [query, new Map([...ids].map((id) => [id, 1]))]),
  );
  const evaluation = evaluateRun(judgments, ranked.run, { measures: ["ndcg@10"] });
  const { values, count } = evaluation.means.all;
  const characters = documents.reduce((sum, { text }) => sum + text.length, 0);
  return {
    task: task.name,
    ranker: ranker.name,
    queries: count,
    documents: documents.length,
    documentLength: documents.length === 0 ? 0 : characters / documents.length,
    ndcg: values["ndcg@10"]!,
    evaluation,
    indexSeconds: ranked.indexSeconds,
    querySeconds: ranked.querySeconds,
  };
}

/**
 * The mean of tasks, each as much as any other. `isComplete` says whether they are the benchmark's twelve in number.
 *
 * @throws JetonError `loco-tasks-none`
 */
export function averageLoco(evaluations: readonly LocoEvaluation[]): {
  readonly ndcg: number;
  readonly tasks: number;
  readonly isComplete: boolean;
} {
  if (evaluations.length === 0) {
    throw new JetonError("there is no task to average over", {
      code: "loco-tasks-none",
      details: { found: 0, expected: "at least one task" },
    });
  }
  const tasks = evaluations.length;
  const ndcg = evaluations.reduce((sum, { ndcg: own }) => sum + own, 0) / tasks;
  return { ndcg, tasks, isComplete: tasks === locoTaskCount };
}

/**
 * The same task over the first words of its documents: what a model with a short context is given.
 *
 * @param words by white space; 0 leaves none
 * @throws JetonError `loco-option-invalid` for a number of words that is no count
 */
export function truncateDocuments(task: LocoTask, words: number): LocoTask {
  checkRequired({ words }, { words: countRule }, "loco-option-invalid");
  // A repetition of more than 2^32 - 1 is none to the engine; no document has so many words.
  const before = Math.min(Math.max(words, 1), 1e9) - 1;
  const expression = new RegExp(`^\\s*(?:\\S+\\s+){0,${before}}\\S+`);
  const documents = task.documents.map((document) => ({
    ...document,
    text: words < 1 ? "" : (expression.exec(document.text)?.[0] ?? ""),
  }));
  return { ...task, documents };
}
