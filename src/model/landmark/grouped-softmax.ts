/** The softmax of landmark attention (Mohtashami and Jaggi, 2023): a softmax in each block, and one that opens blocks. */
import { concat, multiply, softmax, split, type Tensor, unsqueeze } from "../../tensor/index.ts";

/** Scores of rows by what they are scored with; masked ones are at most `never`, not -infinity. */
export interface GroupedScores {
  /** `[…, own]`: normal tokens of the row's own block. */
  readonly own: Tensor;
  /** `[…, blocks]`: landmarks of other blocks, which compete with the own tokens. */
  readonly gates: Tensor;
  /** `[…, blocks, block]`: normal tokens of these blocks, which compete within their block. */
  readonly inner: Tensor;
}

/** Attention weights; those of landmarks are 0 and are left out. */
export interface GroupedWeights {
  /** `[…, own]` */
  readonly own: Tensor;
  /** `[…, blocks, block]`; the sum over both is 1. */
  readonly inner: Tensor;
}

/**
 * Weights of one row: own tokens and landmarks share a softmax; what a landmark gets is what its block's tokens
 * share among themselves.
 */
export function groupedSoftmax({ own, gates, inner }: GroupedScores): GroupedWeights {
  const axis = own.shape.length - 1;
  const shared = softmax(concat([own, gates], axis));
  const sizes = [own.shape[axis]!, gates.shape[axis]!];
  const [local, opened] = split(shared, sizes, axis) as [Tensor, Tensor];
  return { own: local, inner: multiply(softmax(inner), unsqueeze(opened, axis + 1)) };
}
