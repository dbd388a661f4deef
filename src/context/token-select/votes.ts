/** Votes of heads for tokens. */
import { markLargest, never } from "../../model/index.ts";
import {
  type Dimension,
  maxPool2d,
  reshape,
  softmax,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";

/** How heads vote. */
export interface VoteOptions {
  /** `"soft"`, `"hard"` (each head marks as many as are chosen) or `"sum"`. */
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
  const votes =
    vote === "hard" ? markLargest(masked, "chosen") : vote === "sum" ? masked : softmax(masked);
  const summed = sum(votes, { axes: [1] });
  return pool === 1 ? summed : poolVotes(where(candidates, summed, never), pool);
}

/** The largest vote of each token and its neighbours. */
function poolVotes(votes: Tensor, width: number): Tensor {
  const [groups, tokens] = votes.shape as [Dimension, Dimension];
  const image = reshape(votes, [groups, 1, 1, tokens]);
  const margin = (width - 1) / 2;
  const pooled = maxPool2d(image, { size: [1, width], stride: [1, 1], padding: [0, margin] });
  return reshape(pooled, [groups, tokens]);
}
