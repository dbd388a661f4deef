/** Which blocks of the cache rows open: those whose landmarks they score highest. */
import {
  add,
  addDimensions,
  and,
  broadcastTo,
  cast,
  concat,
  type Dimension,
  fill,
  greater,
  greaterOrEqual,
  less,
  lessOrEqual,
  max,
  multiply,
  multiplyDimensions,
  range,
  reshape,
  sizeValue,
  softmax,
  subtract,
  type Tensor,
  transpose,
  where,
} from "../../tensor/index.ts";
import type { PolicyInput } from "../policy/context-policy.ts";
import { cappedScores, largestPlaces, never, pickRows } from "../policy/pass-tensors.ts";
import type { LandmarkSettings } from "./landmark-options.ts";
import { ofRows, type RowPlaces } from "./row-places.ts";

/** Blocks that rows retrieved, in the order of the text. */
export interface RetrievedBlocks {
  /**
   * int32 `[units, sets, blocks]`: numbers of blocks. A unit is a row, or a group whose rows retrieve together; a set
   * is a head's, or that of all heads.
   */
  readonly ids: Tensor;
  /** int32, as `ids`: position of each block's first token. */
  readonly starts: Tensor;
  /** bool `[units, 1, blocks]` */
  readonly valid: Tensor;
}

/** What retrieving reads besides queries. */
interface RetrieveOptions {
  readonly settings: LandmarkSettings;
  readonly places: RowPlaces;
}

/** Candidates: every block of the cache at the position of old ones, then the latest ones at their own. */
const listed = (blocks: number): Dimension => addDimensions("blocks", blocks);

/**
 * Retrieves blocks for all rows.
 *
 * @param query rotated at the rows' positions, `[groups, heads, span, headDim]`
 */
export function retrieveBlocks(
  input: PolicyInput,
  query: Tensor,
  { settings, places }: RetrieveOptions,
): RetrievedBlocks {
  const { pass, config } = input;
  const { block, blocks, mode } = settings;
  const isByRow = mode !== "maxOverTokens";
  const units = isByRow ? pass.time : pass.groups;
  const sets = mode === "maxOverHeads" ? 1 : config.numAttentionHeads;
  const ofUnits = (x: Tensor): Tensor => reshape(isByRow ? ofRows(x, pass) : x, [units, 1, 1]);
  const [first, cached] = [ofUnits(places.first), ofUnits(places.cached)];
  const found = scoreLandmarks(input, query, { settings, places });
  const scores = settings.rescore?.(found, input.layer) ?? found;
  const votes = countVotes(input, scores, { settings, places });
  const allowed = broadcastTo(isCandidate(first, cached, blocks), [units, sets, listed(blocks)]);
  const at = largestPlaces(votes, allowed, blocks);
  const slot = reshape(range(blocks), [1, 1, blocks]);
  // Up to `blocks` of them are all retrieved, at their places.
  const fits = lessOrEqual(cached, blocks);
  const isLatest = greaterOrEqual(at, sizeValue("blocks"));
  const latest = add(subtract(at, sizeValue("blocks")), subtract(first, blocks));
  const shape = [units, sets, blocks] as const;
  const ids = where(fits, add(subtract(first, cached), slot), where(isLatest, latest, at));
  // An empty slot stands between older blocks and the latest ones.
  const shift = where(fits, 0, cast(isLatest, "float32"));
  const starts = multiply(add(slot, cast(shift, "int32")), block + 1);
  return {
    ids: broadcastTo(ids, shape),
    starts: broadcastTo(starts, shape),
    valid: less(slot, where(fits, cached, blocks)),
  };
}

/** Which candidates there are, bool `[units, 1, listed]`, for blocks `first - cached` to before `first`. */
function isCandidate(first: Tensor, cached: Tensor, blocks: number): Tensor {
  const block = reshape(range("blocks"), [1, 1, "blocks"]);
  const isOld = and(
    greaterOrEqual(block, subtract(first, cached)),
    less(block, subtract(first, blocks)),
  );
  const isLatest = greater(cached, blocks);
  const units = first.shape[0]!;
  return concat([isOld, broadcastTo(isLatest, [units, 1, blocks])], 2);
}

/** Scores of all candidates, `[heads, time, listed]`. */
function scoreLandmarks(
  input: PolicyInput,
  query: Tensor,
  { settings, places }: RetrieveOptions,
): Tensor {
  const { pass, config, pastKey, key } = input;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const { groups, span, time } = pass;
  const { block, blocks } = settings;
  const period = block + 1;
  const everyKey = Array.from({ length: kvHeads }, (_, at) => at);
  const landmarksOf = (ids: Tensor): Tensor => {
    const [sets, count] = ids.shape as [Dimension, Dimension];
    const rows = reshape(add(multiply(ids, period), block), [sets, 1, count]);
    const at = broadcastTo(rows, [sets, kvHeads, count]);
    return pickRows({ past: pastKey, fresh: key }, at, everyKey, pass);
  };
  const byHead = reshape(transpose(query, [1, 0, 2, 3]), [
    1,
    kvHeads,
    multiplyDimensions(heads / kvHeads, time),
    headDim,
  ]);
  const all = landmarksOf(reshape(range("blocks"), [1, "blocks"]));
  const old = input.rotate(all, fill([1, "blocks"], block, "int32"));
  const slot = reshape(range(blocks), [1, blocks]);
  const recent = landmarksOf(add(subtract(places.first, blocks), slot));
  const positions = broadcastTo(add(multiply(slot, period), period + block), [groups, blocks]);
  const queries = reshape(query, [
    groups,
    kvHeads,
    multiplyDimensions(heads / kvHeads, span),
    headDim,
  ]);
  const latest = reshape(cappedScores(input, queries, input.rotate(recent, positions)), [
    groups,
    heads,
    span,
    blocks,
  ]);
  return concat(
    [
      reshape(cappedScores(input, byHead, old), [heads, time, "blocks"]),
      reshape(transpose(latest, [1, 0, 2, 3]), [heads, time, blocks]),
    ],
    2,
  );
}

/** What decides between candidates, `[units, sets, listed]`. */
function countVotes(
  { pass, config }: PolicyInput,
  scores: Tensor,
  { settings, places }: RetrieveOptions,
): Tensor {
  const { blocks, mode } = settings;
  if (mode === "perTokenAndHead") return transpose(scores, [1, 0, 2]);
  const { groups, span, time, count } = pass;
  const ofRow = (x: Tensor): Tensor => reshape(ofRows(x, pass), [time, 1, 1]);
  const allowed = isCandidate(ofRow(places.first), ofRow(places.cached), blocks);
  const masked = where(transpose(allowed, [1, 0, 2]), scores, never);
  const weights = softmax(masked);
  if (mode === "maxOverHeads") {
    return transpose(max(weights, { axes: [0], keepAxes: true }), [1, 0, 2]);
  }
  // Landmark rows count, rows that fill up a tile do not.
  const isReal = reshape(less(range(time), count), [1, time, 1]);
  const heads = config.numAttentionHeads;
  const inGroups = reshape(where(isReal, weights, -1), [heads, groups, span, listed(blocks)]);
  return transpose(max(inGroups, { axes: [2] }), [1, 0, 2]);
}
