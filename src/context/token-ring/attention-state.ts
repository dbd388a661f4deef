/** Attention over a part of the keys, as a state that can be merged with those of other parts. */

/** Elements of queries, keys, values and results. */
export type RingArray = Float64Array | Float32Array;

/** Shapes of an attention. */
export interface RingShape {
  /** Query heads. */
  readonly heads: number;
  /** Key and value heads; divides `heads`. */
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Normalised output of each row and head with the log-sum-exp of its scaled scores; -Infinity where nothing was seen. */
export interface AttentionState {
  /** `[rows, heads, headDim]`. */
  readonly output: RingArray;
  /** `[rows, heads]`. */
  readonly logSumExp: RingArray;
}

/** An empty state: no key seen. */
export function createState(like: RingArray, rows: number, shape: RingShape): AttentionState {
  const make = (length: number): RingArray =>
    like instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
  const logSumExp = make(rows * shape.heads).fill(Number.NEGATIVE_INFINITY);
  return { output: make(rows * shape.heads * shape.headDim), logSumExp };
}

/**
 * Attention of queries `[rows, heads, headDim]` to keys and values `[keys, kvHeads, headDim]`, scores scaled by
 * 1/sqrt(headDim).
 *
 * @param isCausal query i sees the keys 0 to i
 */
export function attend(
  queries: RingArray,
  keys: RingArray,
  values: RingArray,
  shape: RingShape,
  isCausal = false,
): AttentionState {
  const { heads, kvHeads, headDim } = shape;
  const rows = queries.length / (heads * headDim);
  const count = keys.length / (kvHeads * headDim);
  const state = createState(queries, rows, shape);
  const scale = 1 / Math.sqrt(headDim);
  const scores = new Float64Array(count);
  const mixed = new Float64Array(headDim);
  for (let row = 0; row < rows; row++) {
    const seen = isCausal ? Math.min(row + 1, count) : count;
    for (let head = 0; head < heads; head++) {
      const kvHead = Math.floor((head * kvHeads) / heads);
      const at = (row * heads + head) * headDim;
      let most = Number.NEGATIVE_INFINITY;
      for (let key = 0; key < seen; key++) {
        const from = (key * kvHeads + kvHead) * headDim;
        let dot = 0;
        for (let d = 0; d < headDim; d++) dot += queries[at + d]! * keys[from + d]!;
        scores[key] = dot * scale;
        most = Math.max(most, scores[key]!);
      }
      if (seen === 0) continue;
      let sum = 0;
      mixed.fill(0);
      for (let key = 0; key < seen; key++) {
        const weight = Math.exp(scores[key]! - most);
        const from = (key * kvHeads + kvHead) * headDim;
        sum += weight;
        for (let d = 0; d < headDim; d++) mixed[d]! += weight * values[from + d]!;
      }
      for (let d = 0; d < headDim; d++) state.output[at + d] = mixed[d]! / sum;
      state.logSumExp[row * heads + head] = most + Math.log(sum);
    }
  }
  return state;
}

/**
 * Merges the state of further keys into rows of a state, from `firstRow` on: the result is that of both parts in one
 * attention. The order of merges changes rounding only.
 */
export function mergeState(
  into: AttentionState,
  part: AttentionState,
  shape: RingShape,
  firstRow = 0,
): void {
  const { heads, headDim } = shape;
  for (let i = 0; i < part.logSumExp.length; i++) {
    const at = firstRow * heads + i;
    const [own, other] = [into.logSumExp[at]!, part.logSumExp[i]!];
    // Neither saw a key: the difference would be no number.
    if (other === Number.NEGATIVE_INFINITY) continue;
    const most = Math.max(own, other);
    const sum = Math.exp(own - most) + Math.exp(other - most);
    const share = Math.exp(other - most) / sum;
    into.logSumExp[at] = most + Math.log(sum);
    for (let d = 0; d < headDim; d++) {
      const place = at * headDim + d;
      const before = into.output[place]!;
      into.output[place] = before + share * (part.output[i * headDim + d]! - before);
    }
  }
}
