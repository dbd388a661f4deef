/** Queries, keys and values that one matrix makes together. */
import type { ReferencePlan } from "../reference-plan.ts";

/** Of one token. */
export interface Projections {
  readonly query: Float64Array;
  readonly key: Float64Array;
  readonly value: Float64Array;
}

/** Queries, keys and values out of the product with one joined matrix. */
export function splitHeads(
  all: Float64Array,
  plan: Pick<ReferencePlan, "numAttentionHeads" | "headDim" | "joinedHeads">,
): Projections {
  const { numAttentionHeads, headDim } = plan;
  const width = numAttentionHeads * headDim;
  if (plan.joinedHeads === "by-head") {
    // GPTNeoXAttention: view(-1, 3 * head_size), then chunk(3)
    const part = (which: number): Float64Array =>
      Float64Array.from({ length: width }, (_, i) => {
        const head = Math.floor(i / headDim);
        return all[(3 * head + which) * headDim + (i % headDim)]!;
      });
    return { query: part(0), key: part(1), value: part(2) };
  }
  return {
    query: all.slice(0, width),
    key: all.slice(width, 2 * width),
    value: all.slice(2 * width),
  };
}
