/** Documents in the order of how well they answer a query. */
import { JetonError } from "../../../core/index.ts";
import type { LoadedEncoder } from "../types.ts";
import { checkTask } from "./check-task.ts";
import { sequenceLogits } from "./classify.ts";
import { embedTokensCounted, type TokenVectors } from "./embed.ts";
import { scoreLogits } from "./score-activation.ts";

/** A document and how well it answers the query. */
export interface RankedDocument {
  /** Place among the documents that were given. */
  readonly index: number;
  /**
   * The larger the better. Of a cross encoder what the activation that its folder names makes of the logit (with `Identity`
   * the logit itself), otherwise sigmoid, as in sentence-transformers; of a late-interaction model between 0 and 1.
   */
  readonly score: number;
  /** What the head gives: of two classes the second logit less the first; of a late-interaction model the mean of the query's best products (MaxSim). */
  readonly logit: number;
}

/** Options of `rerank`. */
export interface RerankOptions {
  /** Only the so many best. Default: all. */
  readonly topN?: number;
  readonly maxLength?: number;
  readonly signal?: AbortSignal;
}

/**
 * Whether a model can rerank: a cross encoder (a sequence classifier of one class, or of two whose second means
 * "relevant"), or a late-interaction model.
 */
export function canRerank({ heads, config, sentence }: LoadedEncoder): boolean {
  return heads.includes("sequence")
    ? config.labels.length <= 2
    : sentence.lateInteraction !== undefined;
}

/**
 * Documents by how well they answer a query, the best first: a cross encoder reads each together with the query, a
 * late-interaction model (ColBERT) compares the vectors of their tokens. Equal scores keep the order of the documents.
 *
 * @example
 * const [best] = await rerank(model, "Where is the king?", ["In his castle.", "On Tuesday."]);
 * console.log(best?.index);
 *
 * @throws JetonError `encoder-head-missing`, `encoder-rerank-classes`, `encoder-prompt-unknown`, `encoder-option-invalid`
 */
export async function rerank(
  model: LoadedEncoder,
  query: string,
  documents: readonly string[],
  given: RerankOptions = {},
): Promise<RankedDocument[]> {
  return (await rerankCounted(model, query, documents, given)).ranked;
}

/** Documents of `rerank`, and how many tokens the model read. */
export interface CountedRanking {
  readonly ranked: RankedDocument[];
  /**
   * Tokens of all passes, special ones included: a cross encoder reads the query once with each document, a
   * late-interaction model once in all.
   */
  readonly tokens: number;
}

/** `rerank`, with the number of tokens. */
export async function rerankCounted(
  model: LoadedEncoder,
  query: string,
  documents: readonly string[],
  given: RerankOptions = {},
): Promise<CountedRanking> {
  checkTask("rerank", model, Array.isArray(documents) ? [query, ...documents] : documents, given);
  const { topN, ...options } = given;
  if (topN !== undefined && !(Number.isSafeInteger(topN) && topN > 0)) {
    throw new JetonError(`topN is ${topN}, expected a whole number above 0`, {
      code: "encoder-option-invalid",
      details: { option: "topN", found: topN },
    });
  }
  const { labels } = model.config;
  if (model.heads.includes("sequence") && labels.length > 2) {
    throw new JetonError(
      `${model.name} has the ${labels.length} classes ${labels.slice(0, 5).join(", ")}; a reranker has one, or two`,
      { code: "encoder-rerank-classes", details: { labels } },
    );
  }
  const isLate = !model.heads.includes("sequence") && model.sentence.lateInteraction !== undefined;
  const { scores, tokens } = isLate
    ? await compareTokens(model, query, documents, options)
    : await readPairs(model, query, documents, options);
  const ranked = scores
    .map((score, index) => ({ index, ...score }))
    .sort((a, b) => b.score - a.score || b.logit - a.logit || a.index - b.index)
    .slice(0, topN);
  return { ranked, tokens };
}

interface CountedScores {
  readonly scores: Omit<RankedDocument, "index">[];
  readonly tokens: number;
}

async function readPairs(
  model: LoadedEncoder,
  query: string,
  documents: readonly string[],
  options: Omit<RerankOptions, "topN">,
): Promise<CountedScores> {
  const pairs = documents.map((document) => [query, document] as const);
  const { logits, tokens } = await sequenceLogits(model, pairs, options);
  const { scoreActivation: named = "sigmoid" } = model.sentence;
  const scores = logits.map((row) => {
    const [first, second] = row as unknown as [number, number?];
    const logit = second === undefined ? first : second - first;
    // The softmax of two logits is the sigmoid of their difference.
    const activation = second !== undefined && named === "softmax" ? "sigmoid" : named;
    const [score] = scoreLogits([logit], activation);
    return { score: score!, logit };
  });
  return { scores, tokens };
}

async function compareTokens(
  model: LoadedEncoder,
  query: string,
  documents: readonly string[],
  { maxLength, signal }: Omit<RerankOptions, "topN">,
): Promise<CountedScores> {
  if (maxLength !== undefined) {
    throw new JetonError(
      "maxLength means nothing for a late-interaction model, which has its own",
      {
        code: "encoder-option-invalid",
        details: { option: "maxLength", found: maxLength },
      },
    );
  }
  const abort = signal && { signal };
  const [asked, found] = await Promise.all([
    embedTokensCounted(model, [query], { role: "query", ...abort }),
    embedTokensCounted(model, documents, { role: "document", ...abort }),
  ]);
  const scores = found.found.map((document) => {
    const logit = maxSim(asked.found[0]!, document);
    // Means of products of unit vectors: from -1 to 1.
    return { score: Math.min(1, Math.max(0, (1 + logit) / 2)), logit };
  });
  return { scores, tokens: asked.tokens + found.tokens };
}

/** The mean over the query's tokens of the best product with a token of the document; -1 without tokens. */
function maxSim(query: TokenVectors, document: TokenVectors): number {
  const { width } = query;
  const [rows, others] = [query.vectors.length / width, document.vectors.length / width];
  if (rows === 0 || others === 0) return -1;
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    let best = Number.NEGATIVE_INFINITY;
    for (let other = 0; other < others; other++) {
      let product = 0;
      for (let at = 0; at < width; at++) {
        product += query.vectors[row * width + at]! * document.vectors[other * width + at]!;
      }
      best = Math.max(best, product);
    }
    sum += best;
  }
  return sum / rows;
}
