/** Votes of heads for tokens. */
import {
  cast,
  type Dimension,
  fill,
  greater,
  maxPool2d,
  reshape,
  scatterAdd,
  softmax,
  sum,
  type Tensor,
  topK,
  where,
} from "../../tensor/index.ts";

/** How heads vote. */
export interface VoteOptions {
  /** Tokens that a head marks where `vote` is `"hard"`. */
  readonly k: number;
  /** `"soft"`, `"hard"` or `"sum"`. */
  readonly vote: string;
  /** Odd width of the max-pooling. */
  readonly pool: number;
}

/**
 * Sums the votes of all heads.
 *
 * @param scores float32 `[groups, heads, tokens]`
 * @param candidates bool `[groups, tokens]`
 * @returns `[groups, tokens]`, of use for candidates only
 */
export function countVotes(
  scores: Tensor,
  candidates: Tensor,
  { vote, pool }: VoteOptions,
): Tensor {
  const [groups, , tokens] = scores.shape as [Dimension, number, Dimension];
  const masked = where(reshape(candidates, [groups, 1, tokens]), scores, never);
  const votes = vote === "hard" ? markBest(masked) : vote === "sum" ? masked : softmax(masked);
  const summed = sum(votes, { axes: [1] });
  return pool === 1 ? summed : poolVotes(where(candidates, summed, never), pool);
}

/** Finite, so that a group without candidates gives numbers. */
const never = -1e30;

/** 1 for each of a head's `k` best candidates. */
function markBest(scores: Tensor): Tensor {
  const { values, indices } = topK(scores, "chosen");
  const marks = cast(greater(values, 0.5 * never), "float32");
  return scatterAdd(fill(scores.shape, 0), indices, marks, 2);
}

/** The largest vote of each token and its neighbours. */
function poolVotes(votes: Tensor, width: number): Tensor {
  const [groups, tokens] = votes.shape as [Dimension, Dimension];
  const image = reshape(votes, [groups, 1, 1, tokens]);
  const margin = (width - 1) / 2;
  const pooled = maxPool2d(image, { size: [1, width], stride: [1, 1], padding: [0, margin] });
  return reshape(pooled, [groups, tokens]);
}
