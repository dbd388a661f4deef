/** Attention to all rows of the cache but for those that a mask excludes, at true positions. */
import {
  add,
  and,
  broadcastTo,
  cast,
  type Dimension,
  gather,
  greater,
  lessOrEqual,
  multiply,
  multiplyDimensions,
  overwrite,
  range,
  reshape,
  softmax,
  subtract,
  type Tensor,
  tanh,
  where,
} from "../../tensor/index.ts";
import { scoreScale } from "../decoder/decoder-layer.ts";
import { logOfSum, productByRow } from "../layers/attention.ts";
import type { PolicyAttention, PolicyInput, PolicyOutput } from "./context-policy.ts";
import { asCached } from "./pass-tensors.ts";

/** Attention in which all rows are scored. */
export interface MaskedAttention extends Pick<PolicyOutput, "attention" | "attended"> {
  /** `[heads, time, capacity]`, sum 1 over the last axis. */
  readonly weights: Tensor;
}

/** Scores and places of a layer whose cache holds rotated keys. */
export interface ScoredRows {
  /** `[heads, time, capacity]`, capped and scaled, not masked. */
  readonly scores: Tensor;
  /** bool `[1, time, capacity]`: rows that are not in the future, within the window. */
  readonly visible: Tensor;
  /** New keys, rotated. */
  readonly key: Tensor;
}

/**
 * Scores of the new rows with all rows, at true positions.
 *
 * @param window rows that each sees, itself included. Default: all.
 */
export function scoreRotated(input: PolicyInput, window?: number): ScoredRows {
  const { config, pass, query, pastKey } = input;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const { time, capacity, places, length } = pass;
  const rows = multiplyDimensions(heads / kvHeads, time);
  const positions = reshape(places, [1, time]);
  const key = asCached(input.rotate(input.key, positions), pastKey);
  const queries = reshape(input.rotate(query, positions), [1, kvHeads, rows, headDim]);
  const { attnLogitSoftcap: cap } = config;
  const scale = scoreScale(config, input.layer);
  const isSingleRow = heads === kvHeads;
  const options = { transposeB: true, factor: cap ? scale / cap : scale, isSingleRow };
  const plain = overwrite(
    productByRow(queries, cast(pastKey, "float32"), options),
    productByRow(queries, key, options),
    length,
    3,
  );
  const scores = reshape(cap ? multiply(tanh(plain), cap) : plain, [heads, time, capacity]);
  const at = reshape(range(capacity), [1, 1, capacity]);
  const own = reshape(places, [1, time, 1]);
  const past = lessOrEqual(at, own);
  const visible = window === undefined ? past : and(past, greater(at, subtract(own, window)));
  return { scores, visible, key };
}

/**
 * Attends to the visible rows, or to those among them that a mask allows.
 *
 * @param allowed bool that broadcasts to `[heads, time, capacity]`; every row may see itself
 */
export function attendMasked(
  input: PolicyInput,
  { scores, visible, key }: ScoredRows,
  allowed?: Tensor,
): MaskedAttention {
  const { config, pass, value, pastValue } = input;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads } = config;
  const { time, capacity, length, count } = pass;
  const seen = allowed ? and(visible, allowed) : visible;
  const masked = add(scores, where(seen, 0, Number.NEGATIVE_INFINITY));
  const weights = softmax(masked);
  const values = overwrite(cast(pastValue, "float32"), value, length, 2);
  const rows = multiplyDimensions(heads / kvHeads, time);
  const asCopies = (x: Tensor, width: Dimension): Tensor => reshape(x, [1, kvHeads, rows, width]);
  return {
    weights,
    attention: {
      output: productByRow(asCopies(weights, capacity), values, { isSingleRow: heads === kvHeads }),
      logSumExp: () => asCopies(logOfSum(masked, weights), 1),
      cached: { key, value },
    },
    attended: () => {
      const every = broadcastTo(cast(seen, "float32"), [heads, time, capacity]);
      return reshape(gather(every, subtract(count, 1), 1), [heads, capacity]);
    },
  };
}

/**
 * Attention of a layer with a window of its own under every policy: to all tokens within it, at true positions.
 * States stay as they are; nothing reads its token arenas, whose new rows may be any.
 */
export function attendWindow(
  input: PolicyInput,
  window: number,
  keys: PolicyAttention["keys"],
): PolicyOutput {
  const { key, value, pass, pastKey, tokenArenas, states } = input;
  const rest = { tokenArenas: tokenArenas.map(() => key), states };
  if (keys === "rotated") return { ...attendMasked(input, scoreRotated(input, window)), ...rest };
  const positions = reshape(range(pass.capacity), [1, pass.capacity]);
  const rotated = { ...input, pastKey: input.rotate(cast(pastKey, "float32"), positions) };
  const { attention, attended } = attendMasked(rotated, scoreRotated(rotated, window));
  return { attention: { ...attention, cached: { key, value } }, attended, ...rest };
}
