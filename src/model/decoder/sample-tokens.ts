/** Sampling and the mass of a nucleus inside the graph, so that whole rows of logits need not leave it. */
import {
  add,
  cast,
  cumulativeSum,
  exp,
  gather,
  gatherElements,
  less,
  lessOrEqual,
  maximum,
  minimum,
  multiply,
  pad,
  range,
  reshape,
  slice,
  subtract,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";

/** Columns of `sampling`: uniform in [0, 1), one over the temperature, log of min-p, top-p (0: none). */
export const sampleColumns = 4;

/** One column of `sampling`, `[rows, 1]`. */
function sampleColumn(sampling: Tensor, at: number): Tensor {
  return slice(sampling, { axis: 1, start: at, end: at + 1 });
}

/** Elements in which masses are summed up: float64, or float32 for devices that have no wider floats. */
export type RunningSums = "float64" | "float32";

/** The share of a sum below which a draw stays: more than rounding errors away from its end. */
const drawnBelow: Readonly<Record<RunningSums, number>> = {
  float64: 1 - 1e-9,
  float32: 1 - 1e-6,
};

/** Tokens are summed in blocks, because a running sum over the whole vocabulary is not parallel. */
const block = 256;

/**
 * Samples a token for each row: the one at which the cumulative distribution, in ascending order of
 * ids, passes the row's uniform number.
 *
 * Exponentials are float32, so a number within about 1e-7 of a boundary may give the neighbouring token;
 * with sums in float32 one within about 5e-5.
 *
 * @param logits `[rows, vocabulary]`
 * @param largest `[rows, 1]`, the largest logit of each row
 * @param sampling `[rows, sampleColumns]`
 * @returns int32 `[rows]`
 */
export function sampleTokens(
  logits: Tensor,
  {
    largest,
    sampling,
    sums = "float64",
  }: { readonly largest: Tensor; readonly sampling: Tensor; readonly sums?: RunningSums },
): Tensor {
  const below = drawnBelow[sums];
  const [rows, vocabulary] = logits.shape as [string, number];
  const column = (at: number): Tensor => sampleColumn(sampling, at);
  const scaled = multiply(subtract(logits, largest), column(1));
  const kept = where(less(scaled, column(2)), 0, exp(scaled));
  const blocks = Math.ceil(vocabulary / block);
  const inBlocks = reshape(pad(kept, { axis: 1, after: blocks * block - vocabulary }), [
    rows,
    blocks,
    block,
  ]);
  const ends = cumulativeSum(cast(sum(inBlocks, { axes: [2] }), sums), 1);
  const whole = slice(ends, { axis: 1, start: blocks - 1, end: blocks });
  // Below the end the token found has some mass.
  const aim = multiply(whole, minimum(cast(column(0), sums), below));
  const passed = sum(cast(lessOrEqual(ends, aim), "int32"), { axes: [1], keepAxes: true });
  const first = multiply(reshape(range(rows), [rows, 1]), blocks);
  const chosen = reshape(add(first, passed), [rows]);
  const inside = gather(reshape(inBlocks, [-1, block]), chosen);
  const within = cumulativeSum(cast(inside, sums), 1);
  const total = slice(within, { axis: 1, start: block - 1, end: block });
  const rest = subtract(aim, subtract(gatherElements(ends, passed, 1), total));
  const goal = maximum(minimum(rest, multiply(total, below)), 0);
  const steps = sum(cast(lessOrEqual(within, goal), "int32"), { axes: [1] });
  return add(multiply(reshape(passed, [rows]), block), steps);
}

/** Candidates among which a nucleus is sought; a wider one needs whole rows of logits. */
export const nucleusCandidates = 128;

/** Rows are padded to a multiple of this, because reductions group terms by their place in memory. */
const alignedColumns = 64;

/**
 * Mass of each row at its temperature, and the number of rows whose nucleus reaches beyond the most
 * probable tokens, because these hold less than top-p of the mass.
 *
 * @param logits `[rows, vocabulary]`
 * @param top the most probable tokens' logits `[rows, k]`, of which the first `nucleusCandidates` count
 * @param largest `[rows, 1]`, the largest logit of each row
 * @param sampling `[rows, sampleColumns]`
 * @returns `mass` `[rows]`, the sum over all tokens of exp((logit - largest) / temperature), negative
 *   where the candidates hold too little of it; `missing`, how many rows those are, an int32 scalar
 */
export function nucleusMass(
  logits: Tensor,
  {
    top,
    largest,
    sampling,
  }: { readonly top: Tensor; readonly largest: Tensor; readonly sampling: Tensor },
): { readonly mass: Tensor; readonly missing: Tensor } {
  const [rows, vocabulary] = logits.shape as [string, number];
  const scale = sampleColumn(sampling, 1);
  const massOf = (values: Tensor): Tensor => {
    const width = values.shape[1] as number;
    const filled = alignedColumns * Math.ceil(width / alignedColumns);
    const masses = exp(multiply(subtract(values, largest), scale));
    return sum(pad(masses, { axis: 1, after: filled - width }), { axes: [1], keepAxes: true });
  };
  const mass = massOf(logits);
  const candidates = slice(top, { axis: 1, end: Math.min(nucleusCandidates, vocabulary) });
  const isShort = less(massOf(candidates), multiply(mass, sampleColumn(sampling, 3)));
  return {
    mass: reshape(where(isShort, multiply(mass, -1), mass), [rows]),
    missing: sum(cast(isShort, "int32"), { axes: [0, 1] }),
  };
}
