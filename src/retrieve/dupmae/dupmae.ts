/**
 * DupMAE's two-part representation in an index (Xiao et al., 2023): the dense part and the words of a text stand in one
 * sparse vector, so that one inner product scores both, and an index needs one ranking.
 */
import { JetonError } from "../../core/index.ts";
import type { HybridVector } from "../../model/index.ts";
import type { SparseVector } from "../types.ts";

/**
 * Both parts as one sparse vector: ids of the vocabulary for the words, and behind them one for each number of the dense
 * part. The product of a query's and a document's is the score of `scoreHybrid`.
 *
 * @param vocabSize rows of the model's table of tokens: `model.config.vocabSize`
 * @throws JetonError `dupmae-term-unknown` for an id that is not in the vocabulary
 */
export function hybridTerms(
  { dense, ids, weights }: HybridVector,
  vocabSize: number,
): SparseVector {
  const unknown = ids.find((id) => id >= vocabSize);
  if (unknown !== undefined) {
    throw new JetonError(`there is no token ${unknown}, expected 0 to ${vocabSize - 1}`, {
      code: "dupmae-term-unknown",
      details: { found: unknown, vocabSize },
    });
  }
  const all = {
    ids: new Uint32Array(ids.length + dense.length),
    weights: new Float32Array(ids.length + dense.length),
  };
  all.ids.set(ids);
  all.weights.set(weights);
  for (let at = 0; at < dense.length; at++) all.ids[ids.length + at] = vocabSize + at;
  all.weights.set(dense, ids.length);
  return all;
}

/**
 * The score of a document for a query: the product of the dense parts, and of the query's weights with the document's at
 * the words that the document keeps.
 *
 * @param query with all tokens of the vocabulary, or as many as it keeps: others count nothing
 */
export function scoreHybrid(query: HybridVector, document: HybridVector): number {
  return hybridScorer(query)(document);
}

/** The scores of many documents for one query, as `scoreHybrid` gives each. */
export function hybridScorer(query: HybridVector): (document: HybridVector) => number {
  const last = query.ids.reduce((most, id) => Math.max(most, id), 0);
  const weights = new Float32Array(last + 1);
  for (const [at, id] of query.ids.entries()) weights[id] = query.weights[at]!;
  return ({ dense, ids, weights: own }) => {
    let score = 0;
    for (let at = 0; at < dense.length; at++) score += query.dense[at]! * dense[at]!;
    for (let at = 0; at < ids.length; at++) score += (weights[ids[at]!] ?? 0) * own[at]!;
    return score;
  };
}
