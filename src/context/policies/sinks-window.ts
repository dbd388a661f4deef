/**
 * Sinks and a window (StreamingLLM, Xiao et al., 2024): every token sees the first ones of the text and the
 * latest ones, at positions that are renumbered for each.
 */
import {
  type ContextPolicy,
  cappedScores,
  inGroups,
  lastGroup,
  logOfSum,
  markPlaces,
  type PolicyInput,
  type PolicyOptions,
  type PolicyOutput,
  type PolicyProgram,
  pickRows,
  rowsWithin,
} from "../../model/index.ts";
import {
  add,
  addDimensions,
  and,
  broadcastTo,
  concat,
  gather,
  greater,
  greaterOrEqual,
  lessOrEqual,
  matmul,
  minimum,
  multiplyDimensions,
  range,
  reshape,
  slice,
  softmax,
  subtract,
  type Tensor,
  transpose,
  unsqueeze,
  where,
} from "../../tensor/index.ts";
import { definePolicy, type NamedPolicy, type PolicyOptionValues } from "./define-policy.ts";

const options = {
  sinks: { kind: "integer", default: 4, min: 0, help: "first tokens that stay visible" },
  window: { kind: "integer", default: 512, min: 1, help: "latest tokens that are visible" },
  selfInWindow: {
    kind: "flag",
    default: true,
    help: "whether the window counts the token itself, else it lies before it",
  },
} as const;

/** Prompt tokens that gather the rows of their windows together. */
const promptChunk = 64;

/** Options of `sinksWindow`. */
export type SinksWindowOptions = Partial<PolicyOptionValues<typeof options>>;

/** The policy by its name. */
export const sinksWindowPolicy: NamedPolicy = definePolicy({
  name: "sinks-window",
  summary: "the first tokens and the latest ones, renumbered",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  reuse: () => ({ chunk: promptChunk }),
});

/** Attention to `sinks` first tokens (default 4) and the `window` latest ones (default 512). */
export function sinksWindow(given: SinksWindowOptions = {}): ContextPolicy {
  return sinksWindowPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const { sinks, window, selfInWindow } = given as PolicyOptionValues<typeof options>;
  const latest = selfInWindow ? window : window + 1;
  const budget = sinks + latest;
  return {
    attention: {
      keys: "raw",
      promptChunk,
      positions: budget + promptChunk,
      maxRows: () => rowsWithin(budget),
      attend: (input) => attendWithin(input, sinks, latest),
    },
  };
}

/** Rows of the cache that the new rows of a group share, and which of them each sees. */
interface SharedRows {
  /** int32 `[groups, slots]`: places in the sequence, some of them before it. */
  readonly places: Tensor;
  /** bool `[groups, span, slots]` */
  readonly visible: Tensor;
  /** int32 `[groups, slots]` and `[groups, span]`: positions whose differences are the distances. */
  readonly positions: Tensor;
  readonly queryPositions: Tensor;
}

/**
 * New rows follow each other, and so do their windows: keys of a group of rows are gathered and rotated once. Sinks
 * are at one distance from all rows that lie beyond them.
 */
function attendWithin(input: PolicyInput, sinks: number, latest: number): PolicyOutput {
  const { places: rows, groups, span, count, capacity } = input.pass;
  const own = reshape(rows, [groups, span]);
  const begin = subtract(slice(own, { axis: 1, end: 1 }), latest - 1);
  const slots = addDimensions(span, latest - 1);
  const frame = broadcastTo(reshape(range(slots), [1, slots]), [groups, slots]);
  const at = reshape(own, [groups, span, 1]);
  const places = add(frame, begin);
  const recent = reshape(places, [groups, 1, slots]);
  const isRecent = and(
    greaterOrEqual(recent, 0),
    and(greater(recent, subtract(at, latest)), lessOrEqual(recent, at)),
  );
  const queryPositions = subtract(own, begin);
  const lists: SharedRows[] = [{ places, visible: isRecent, positions: frame, queryPositions }];
  if (sinks > 0) {
    const first = broadcastTo(reshape(range(sinks), [1, sinks]), [groups, sinks]);
    lists.unshift({
      places: first,
      // Sinks that the window holds already are listed there.
      visible: lessOrEqual(reshape(first, [groups, 1, sinks]), subtract(at, latest)),
      positions: first,
      queryPositions: minimum(own, sinks + latest - 1),
    });
  }
  return {
    attention: attendShared(input, lists),
    attended: () => {
      const last = subtract(count, 1);
      const group = lastGroup(input.pass);
      const marks = lists.map((list) => {
        const width = list.places.shape[1]!;
        const seen = gather(reshape(list.visible, [input.pass.time, width]), last);
        return markPlaces(gather(list.places, group), seen, { capacity });
      });
      return marks.reduce((a, b) => add(a, b));
    },
  };
}

/** Attention to the rows of several lists under one softmax. */
function attendShared(input: PolicyInput, lists: readonly SharedRows[]): PolicyOutput["attention"] {
  const { config, query, key, value, pass } = input;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const { time, groups, span } = pass;
  const rows = multiplyDimensions(heads / kvHeads, span);
  const everyKey = Array.from({ length: kvHeads }, (_, at) => at);
  const pick = (past: Tensor, fresh: Tensor, places: Tensor): Tensor => {
    const slots = places.shape[1]!;
    const listed = broadcastTo(reshape(places, [groups, 1, slots]), [groups, kvHeads, slots]);
    return pickRows({ past, fresh }, listed, everyKey, pass);
  };
  const queries = inGroups(reshape(query, [heads, time, headDim]), pass);
  const scored = lists.map(({ places, visible, positions, queryPositions }) => {
    const slots = places.shape[1]!;
    const keys = input.rotate(pick(input.pastKey, key, places), positions);
    const turned = input.rotate(queries, queryPositions);
    const scores = cappedScores(input, reshape(turned, [groups, kvHeads, rows, headDim]), keys);
    const capped = reshape(scores, [groups, heads, span, slots]);
    return add(capped, unsqueeze(where(visible, 0, Number.NEGATIVE_INFINITY), 1));
  });
  const scores = concat(scored, 3);
  const weights = softmax(scores);
  const values = lists.map(({ places }) => pick(input.pastValue, value, places));
  const mixed = matmul(
    reshape(weights, [groups, kvHeads, rows, scores.shape[3]!]),
    concat(values, 2),
  );
  const inOrder = (x: Tensor, width: number): Tensor =>
    reshape(transpose(reshape(x, [groups, heads, span, width]), [1, 0, 2, 3]), [
      1,
      kvHeads,
      multiplyDimensions(heads / kvHeads, time),
      width,
    ]);
  return {
    output: inOrder(mixed, headDim),
    logSumExp: () => inOrder(logOfSum(scores, weights), 1),
    cached: { key, value },
  };
}
