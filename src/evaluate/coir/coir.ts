/**
 * CoIR (Li and others, 2024): one protocol for every set. Rankers give their best thousand documents for each
 * query; trec_eval's measures judge them.
 */
import { JetonError } from "../../core/index.ts";
import { checkOptionRules, flagRule, integerRule } from "../../core/option-rules.ts";
import { rankQueries } from "../ranking/rank-queries.ts";
import type { Ranker } from "../ranking/rankers.ts";
import { type Evaluation, evaluateRun, type MeasureName } from "../trec/index.ts";
import type { CoirSet, CoirText } from "./tasks.ts";

/** Options of `evaluateSet`. */
export interface EvaluateSetOptions {
  /** Documents of each query that are judged, from 1. Default 1,000, as the benchmark. */
  depth?: number;
  /**
   * True: a document's title stands before its text, as MTEB has it. Default false, as CoIR has it: the scores of
   * the two cannot be compared.
   */
  useTitle?: boolean;
  /**
   * True: documents with the same text are one, relevant where one of them is. Default false: as the benchmark,
   * where a copy of the right document is wrong. The one has the id of the first that is no query's, so that no query
   * leaves it out; copies that all have ids of queries stay apart.
   */
  mergeDuplicates?: boolean;
}

/** What a ranker reached on a set. */
export interface SetEvaluation {
  readonly set: string;
  readonly ranker: string;
  readonly queries: number;
  readonly documents: number;
  /** nDCG@10, the benchmark's figure. */
  readonly ndcg: number;
  /** Every measure of the benchmark, at 1, 3, 5, 10, 100 and 1,000: the mean over queries. */
  readonly means: Readonly<Record<MeasureName, number>>;
  readonly evaluation: Evaluation;
  /** Seconds for all documents, and for a query on average. */
  readonly indexSeconds: number;
  readonly querySeconds: number;
}

const cuts = [1, 3, 5, 10, 100, 1000];
const measures: readonly MeasureName[] = cuts.flatMap((k): MeasureName[] => [
  `ndcg@${k}`,
  `map@${k}`,
  `recall@${k}`,
  `precision@${k}`,
  `mrr@${k}`,
]);

/**
 * Evaluates a ranker on a set. A document with the query's own id is left out, as in the benchmark.
 *
 * @throws JetonError `coir-ranking-invalid` for a document that is not of the set, or is there twice;
 *   `coir-option-invalid`
 *
 * @example
 * const set = await readCoirSet("cosqa");
 * const ranker = createBm25Ranker("BM25", { analyzer: { words: "code" } });
 * const { ndcg } = await evaluateSet(set, ranker);
 */
export async function evaluateSet(
  set: CoirSet,
  ranker: Ranker,
  options: EvaluateSetOptions = {},
): Promise<SetEvaluation> {
  checkOptionRules(
    options,
    {
      depth: integerRule(1, Number.MAX_SAFE_INTEGER - 1),
      useTitle: flagRule,
      mergeDuplicates: flagRule,
    },
    { what: "an evaluation of a set", invalidCode: "coir-option-invalid" },
  );
  const { depth = 1000, useTitle = false, mergeDuplicates = false } = options;
  const titled = useTitle ? withTitles(set) : set;
  const { documents, queries, judgments } = mergeDuplicates ? mergeDocuments(titled) : titled;
  const { run, indexSeconds, querySeconds } = await rankQueries({ documents, queries }, ranker, {
    depth,
    code: "coir-ranking-invalid",
  });
  const evaluation = evaluateRun(judgments, run, { measures });
  const { values, count } = evaluation.means.all;
  return {
    set: set.name,
    ranker: ranker.name,
    queries: count,
    documents: documents.length,
    ndcg: values["ndcg@10"]!,
    means: values,
    evaluation,
    indexSeconds,
    querySeconds,
  };
}

/**
 * The mean nDCG@10 of sets, as the benchmark's overall figure is made. Only over all ten sets is it CoIR's.
 *
 * @throws JetonError `coir-sets-none`
 */
export function averageNdcg(evaluations: readonly SetEvaluation[]): number {
  if (evaluations.length === 0) {
    throw new JetonError("there is no set to average over", {
      code: "coir-sets-none",
      details: { found: 0, expected: "at least one set" },
    });
  }
  return evaluations.reduce((sum, { ndcg }) => sum + ndcg, 0) / evaluations.length;
}

function withTitles(set: CoirSet): CoirSet {
  const documents = set.documents.map((document): CoirText => {
    const { id, title, text } = document;
    return title === undefined ? document : { id, text: `${title} ${text}` };
  });
  return { ...set, documents };
}

/**
 * One document for each text, under the first id that is no query's; its level is the highest of theirs. A query leaves
 * out the document with its own id, which must not hide that document's copies.
 */
function mergeDocuments(set: CoirSet): CoirSet {
  const asked = new Set(set.queries.map(({ id }) => id));
  const first = new Map<string, string>();
  for (const { id, text } of set.documents) {
    if (!asked.has(id) && !first.has(text)) first.set(text, id);
  }
  const nameOf = new Map(set.documents.map(({ id, text }) => [id, first.get(text) ?? id]));
  const judgments = new Map<string, Map<string, number>>();
  for (const [query, levels] of set.judgments) {
    const merged = new Map<string, number>();
    for (const [id, level] of levels) {
      const name = nameOf.get(id) ?? id;
      merged.set(name, Math.max(level, merged.get(name) ?? level));
    }
    judgments.set(query, merged);
  }
  const documents = set.documents.filter(({ id }) => nameOf.get(id) === id);
  return { ...set, documents, judgments };
}
