/**
 * Attention to chosen rows of the cache. Keys lie there before the rotation: they are gathered, numbered
 * from 0 in the order of the sequence, and rotated at those numbers.
 */
import {
  add,
  and,
  cast,
  cumulativeSum,
  gather,
  lessOrEqual,
  matmul,
  maximum,
  multiplyDimensions,
  reshape,
  softmax,
  subtract,
  sum,
  type Tensor,
  transpose,
  where,
} from "../../tensor/index.ts";
import { logOfSum } from "../layers/attention.ts";
import type { PolicyInput, PolicyOutput } from "./context-policy.ts";
import {
  cappedScores,
  inGroups,
  isWithin,
  lastGroup,
  markPlaces,
  pickRows,
  seenTokens,
} from "./pass-tensors.ts";

/** Rows that each group of new rows attends to. */
export interface ChosenRows {
  /**
   * int32 `[groups, sets, slots]`: places in the sequence, ascending where valid. One set serves all heads;
   * otherwise there is one for each query head. Every new row's own place is in its group's sets.
   */
  readonly places: Tensor;
  /** bool, as `places` */
  readonly valid: Tensor;
}

/** Attends to the chosen rows at renumbered positions, each new row to those up to its own place. */
export function attendChosen(
  input: PolicyInput,
  { places, valid }: ChosenRows,
): Pick<PolicyOutput, "attention" | "attended"> {
  const { config, query, key, value, pass } = input;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const { groups, span, time } = pass;
  const [, sets, slots] = places.shape as [string, number, number];
  const group = heads / kvHeads;
  // One set: heads that share keys share their copies too.
  const copies = sets === 1 ? kvHeads : heads;
  const queriesPerCopy = heads / copies;
  const headOf = Array.from({ length: copies }, (_, at) =>
    Math.floor((at * queriesPerCopy) / group),
  );

  const own = reshape(pass.places, [groups, 1, span, 1]);
  const visible = and(
    reshape(valid, [groups, sets, 1, slots]),
    lessOrEqual(reshape(places, [groups, sets, 1, slots]), own),
  );
  const number = maximum(subtract(cumulativeSum(cast(valid, "float32"), 2), 1), 0);
  const keyPositions = reshape(cast(number, "int32"), [multiplyDimensions(groups, sets), slots]);
  const seen = sum(cast(visible, "float32"), { axes: [3] });
  const queryPositions = reshape(cast(maximum(subtract(seen, 1), 0), "int32"), [
    multiplyDimensions(groups, sets),
    span,
  ]);

  const chosen = where(valid, places, 0);
  const rows = (past: Tensor, fresh: Tensor): Tensor =>
    pickRows({ past, fresh }, chosen, headOf, pass);
  const perSet = (x: Tensor, positions: Tensor): Tensor => {
    const [, all, count, width] = x.shape as [string, number, string, number];
    const shape = [multiplyDimensions(groups, sets), all / sets, count, width] as const;
    return reshape(input.rotate(reshape(x, shape), positions), x.shape);
  };
  const keys = perSet(rows(input.pastKey, key), keyPositions);
  const values = rows(input.pastValue, value);
  const queries = perSet(inGroups(reshape(query, [heads, time, headDim]), pass), queryPositions);

  const rowsOfCopy = multiplyDimensions(queriesPerCopy, span);
  const capped = cappedScores(input, reshape(queries, [groups, copies, rowsOfCopy, headDim]), keys);
  const mask = reshape(where(visible, 0, Number.NEGATIVE_INFINITY), [groups, sets, 1, span, slots]);
  const scores = reshape(
    add(reshape(capped, [groups, copies, queriesPerCopy, span, slots]), mask),
    [groups, copies, rowsOfCopy, slots],
  );
  const weights = softmax(scores);
  const rowsOfKv = multiplyDimensions(group, time);
  const backInOrder = (x: Tensor, width: number): Tensor =>
    reshape(transpose(reshape(x, [groups, heads, span, width]), [1, 0, 2, 3]), [
      1,
      kvHeads,
      rowsOfKv,
      width,
    ]);
  return {
    attention: {
      output: backInOrder(matmul(weights, values), headDim),
      logSumExp: () => backInOrder(logOfSum(scores, weights), 1),
      cached: { key, value },
    },
    attended: () => {
      const last = lastGroup(pass);
      const at = reshape(gather(places, last), [sets, slots]);
      const limit = gather(seenTokens(pass), last);
      const isThere = and(reshape(gather(valid, last), [sets, slots]), isWithin(at, 0, limit));
      return markPlaces(at, isThere, pass);
    },
  };
}
