/**
 * Landmark attention in decoding (Mohtashami and Jaggi, 2023): each row attends to its own block, to the other
 * blocks of its chunk, and to those of the cache whose landmarks it scores highest, under one grouped softmax.
 */
import { JetonError } from "../../core/index.ts";
import {
  add,
  and,
  broadcastTo,
  cast,
  concat,
  type Dimension,
  divide,
  equal,
  gather,
  less,
  lessOrEqual,
  matmul,
  multiply,
  multiplyDimensions,
  range,
  reshape,
  sizeValue,
  slice,
  split,
  subtract,
  type Tensor,
  transpose,
  unsqueeze,
  where,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type {
  PassPlace,
  PolicyAttention,
  PolicyInput,
  PolicyOptions,
  PolicyOutput,
  PolicyPassRules,
  PolicyProgram,
} from "../policy/context-policy.ts";
import { cappedScores, inGroups, markPlaces, never, pickRows } from "../policy/pass-tensors.ts";
import { rowsWithin } from "../policy/row-by-row.ts";
import { groupedSoftmax } from "./grouped-softmax.ts";
import { rowsOfTokens, tokensOfRows } from "./landmark-config.ts";
import { type LandmarkOptions, type LandmarkSettings, needLandmarks } from "./landmark-options.ts";
import { type RetrievedBlocks, retrieveBlocks } from "./retrieve-blocks.ts";
import { placeRows, type RowPlaces } from "./row-places.ts";

/** This module, for workers. A bundler takes `new URL` with a name that it cannot read for a fault. */
export const programModule: string = import.meta.url;

/**
 * The policy's program; called in the model worker.
 *
 * @throws JetonError `context-policy-unavailable`
 */
export function createPolicy(options: PolicyOptions, config?: DecoderConfig): PolicyProgram {
  if (!config) {
    throw new JetonError("landmark: the model's configuration is not known here", {
      code: "context-policy-unavailable",
      details: { policy: "landmark" },
    });
  }
  const { block } = needLandmarks(config);
  return { attention: decodeLandmarks({ ...(options as unknown as LandmarkOptions), block }) };
}

/** Landmark attention of a model's layers. */
export function decodeLandmarks(settings: LandmarkSettings): PolicyAttention {
  const { block, blocks } = settings;
  const period = block + 1;
  return {
    keys: "raw",
    positions: (blocks + 2) * period,
    isSequential: settings.mode === "maxOverTokens",
    passes: passRules(settings),
    passSizes: (pass) => ({
      blocks: Math.max(1, Math.ceil(pass.capacity / period)),
      local: localBlocks(settings, pass),
    }),
    attend: (input) => attendBlocks(input, settings),
  };
}

/** Blocks from the chunk's first one to that of the pass's last row. */
function localBlocks({ block, chunk }: LandmarkSettings, pass: PassPlace): number {
  const { length, count, promptLength } = pass;
  if (length >= promptLength) return 1;
  const begin = Math.floor(tokensOfRows(length, block) / chunk) * chunk;
  const last = Math.floor((length + count - 1) / (block + 1));
  return last - Math.floor(begin / block) + 1;
}

/** A token and the landmark behind it stay in one pass; chunks whose tokens retrieve together are one. */
function passRules(settings: LandmarkSettings): PolicyPassRules {
  const { block, chunk, mode, blocks } = settings;
  const period = block + 1;
  const isShared = mode === "maxOverTokens";
  const behindLandmark = (row: number): number => (row % period === block ? row + 1 : row);
  const ofChunk = (row: number): number => Math.floor(tokensOfRows(row, block) / chunk);
  return {
    end({ length, promptLength }, usual) {
      if (length >= promptLength) return behindLandmark(length + (isShared ? 1 : usual));
      const end = Math.min(promptLength, rowsOfTokens((ofChunk(length) + 1) * chunk, block));
      if (isShared) return end;
      const most = Math.min(usual, rowsWithin(Math.max(1, blocks) * period));
      return Math.min(end, behindLandmark(length + most));
    },
    isGroup: ({ length, promptLength }) => isShared || length < promptLength,
    ...(isShared && { isBoundary: (row) => rowsOfTokens(ofChunk(row) * chunk, block) === row }),
  };
}

/** Scores and values of rows with some tokens, as the grouped softmax wants them. */
interface Part {
  /** `[groups, heads, span, blocks]` */
  readonly gates: Tensor;
  /** `[groups, heads, span, blocks, block]` */
  readonly inner: Tensor;
  /** Values mixed by weights `[groups, heads, span, blocks * block]`: `[groups, heads, span, headDim]`. */
  mix(weights: Tensor): Tensor;
}

function attendBlocks(input: PolicyInput, settings: LandmarkSettings): PolicyOutput {
  const { config, pass, key, value } = input;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const { block, blocks } = settings;
  const { groups, span, time } = pass;
  const places = placeRows(pass, settings);
  const query = rotateQueries(input, places);
  const local = attendLocal(input, query, { settings, places });
  const retrieved = blocks > 0 ? retrieveBlocks(input, query, { settings, places }) : undefined;
  const others = retrieved && attendRetrieved(input, query, { settings, retrieved });
  const join = (a: Tensor | undefined, b: Tensor): Tensor => (a ? concat([a, b], 3) : b);
  const weights = groupedSoftmax({
    own: reshape(local.own, [groups, heads, span, multiplyDimensions("local", block)]),
    gates: join(others?.gates, local.gates),
    inner: join(others?.inner, local.inner),
  });
  const flat = (x: Tensor): Tensor => reshape(x, [groups, heads, span, -1]);
  const [first, last] = others
    ? (split(weights.inner, [blocks, "local"], 3) as [Tensor, Tensor])
    : [undefined, weights.inner];
  const near = local.mix(add(weights.own, flat(last)));
  const mixed = first ? add(near, others!.mix(flat(first))) : near;
  const rowsOfKv = multiplyDimensions(heads / kvHeads, time);
  return {
    attention: {
      output: reshape(transpose(mixed, [1, 0, 2, 3]), [1, kvHeads, rowsOfKv, headDim]),
      cached: { key, value },
    },
    attended: () => markAttended(input, { settings, places, retrieved }),
  };
}

/** Queries at the positions of their chunk, `[groups, heads, span, headDim]`. */
function rotateQueries({ config, query, pass, rotate }: PolicyInput, places: RowPlaces): Tensor {
  const { numAttentionHeads: heads, headDim } = config;
  const positions = reshape(places.positions, [1, pass.time]);
  return inGroups(reshape(rotate(query, positions), [heads, pass.time, headDim]), pass);
}

/** The blocks from the chunk's first one on: those that are complete have gates, the row's own has none. */
function attendLocal(
  input: PolicyInput,
  query: Tensor,
  { settings, places }: { readonly settings: LandmarkSettings; readonly places: RowPlaces },
): Part & { readonly own: Tensor } {
  const { config, pass } = input;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const { groups, span } = pass;
  const { block } = settings;
  const period = block + 1;
  const count = multiplyDimensions("local", period);
  const rowsOfKv = multiplyDimensions(heads / kvHeads, span);
  const everyKey = Array.from({ length: kvHeads }, (_, at) => at);
  const offsets = reshape(range(count), [1, count]);
  const at = add(multiply(places.first, period), offsets);
  const pick = (past: Tensor, fresh: Tensor): Tensor =>
    pickRows(
      { past, fresh },
      broadcastTo(reshape(at, [groups, 1, count]), [groups, kvHeads, count]),
      everyKey,
      pass,
    );
  const keys = input.rotate(pick(input.pastKey, input.key), add(places.base, offsets));
  const values = tokensOf(pick(input.pastValue, input.value), "local", block);
  const scores = reshape(
    cappedScores(input, reshape(query, [groups, kvHeads, rowsOfKv, headDim]), keys),
    [groups, heads, span, "local", period],
  );
  const tokens = slice(scores, { axis: 4, end: block });
  const landmarks = reshape(slice(scores, { axis: 4, start: block }), [
    groups,
    heads,
    span,
    "local",
  ]);
  const blocksAt = add(
    reshape(places.first, [groups, 1, 1]),
    reshape(range("local"), [1, 1, "local"]),
  );
  const own = reshape(places.own, [groups, span, 1]);
  const inBlocks = slice(reshape(at, [groups, 1, "local", period]), { axis: 3, end: block });
  const isOwn = and(
    unsqueeze(equal(blocksAt, own), 3),
    lessOrEqual(inBlocks, reshape(pass.places, [groups, span, 1, 1])),
  );
  const masked = (seen: Tensor): Tensor => unsqueeze(where(seen, 0, never), 1);
  return {
    own: add(tokens, masked(isOwn)),
    gates: add(landmarks, masked(less(blocksAt, own))),
    inner: tokens,
    mix(weights) {
      const width = multiplyDimensions("local", block);
      const mixed = matmul(reshape(weights, [groups, kvHeads, rowsOfKv, width]), values);
      return reshape(mixed, [groups, heads, span, headDim]);
    },
  };
}

/** Rows `[…, blocks * (block + 1), width]` without those of landmarks. */
function tokensOf(rows: Tensor, blocks: Dimension, block: number): Tensor {
  const [first, heads, , width] = rows.shape as [Dimension, number, Dimension, number];
  const inBlocks = reshape(rows, [first, heads, blocks, block + 1, width]);
  const tokens = slice(inBlocks, { axis: 3, end: block });
  return reshape(tokens, [first, heads, multiplyDimensions(blocks, block), width]);
}

/** Attention to retrieved blocks, which each set of rows gathers for itself. */
function attendRetrieved(
  input: PolicyInput,
  query: Tensor,
  {
    settings,
    retrieved,
  }: { readonly settings: LandmarkSettings; readonly retrieved: RetrievedBlocks },
): Part {
  const { config, pass } = input;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const { groups, span } = pass;
  const { block, blocks } = settings;
  const { ids, starts, valid } = retrieved;
  const [units, sets] = ids.shape as [Dimension, number, number];
  const period = block + 1;
  const slots = blocks * period;
  // One set for all heads: those that share keys share their copies.
  const copies = sets === 1 ? kvHeads : heads;
  const each = heads / copies;
  const isByRow = units !== groups;
  const rowsOfUnit = isByRow ? 1 : span;
  const headOf = Array.from({ length: copies }, (_, at) =>
    Math.floor((at * each * kvHeads) / heads),
  );
  const offsets = reshape(range(period), [1, 1, 1, period]);
  const expand = (x: Tensor): Tensor =>
    reshape(add(reshape(x, [units, sets, blocks, 1]), offsets), [units, sets, slots]);
  const places = expand(multiply(ids, period));
  const pick = (past: Tensor, fresh: Tensor): Tensor =>
    pickRows(
      { past, fresh },
      sets === copies ? places : broadcastTo(places, [units, copies, slots]),
      headOf,
      pass,
    );
  const setsOf = [multiplyDimensions(units, sets), copies / sets, slots, headDim] as const;
  const positions = reshape(expand(starts), [multiplyDimensions(units, sets), slots]);
  const picked = reshape(pick(input.pastKey, input.key), setsOf);
  const keys = reshape(input.rotate(picked, positions), [units, copies, slots, headDim]);
  const values = tokensOf(pick(input.pastValue, input.value), blocks, block);
  const rows = multiplyDimensions(each, rowsOfUnit);
  /** `[groups, heads, span, …]` as `[units, copies, rows, …]`, and back. */
  const toUnits = (x: Tensor, width: Dimension): Tensor =>
    reshape(isByRow ? transpose(x, [0, 2, 1, 3]) : x, [units, copies, rows, width]);
  const fromUnits = (x: Tensor, width: Dimension): Tensor =>
    isByRow
      ? transpose(reshape(x, [groups, span, heads, width]), [0, 2, 1, 3])
      : reshape(x, [groups, heads, span, width]);
  const scores = reshape(fromUnits(cappedScores(input, toUnits(query, headDim), keys), slots), [
    groups,
    heads,
    span,
    blocks,
    period,
  ]);
  const gates = reshape(slice(scores, { axis: 4, start: block }), [groups, heads, span, blocks]);
  const isThere = reshape(valid, [groups, isByRow ? span : 1, 1, blocks]);
  return {
    gates: add(gates, transpose(where(isThere, 0, never), [0, 2, 1, 3])),
    inner: slice(scores, { axis: 4, end: block }),
    mix: (weights) => fromUnits(matmul(toUnits(weights, blocks * block), values), headDim),
  };
}

/** Tokens that the last token of a pass attends to: of its chunk and of what it retrieved. */
function markAttended(
  { pass }: PolicyInput,
  {
    settings,
    places,
    retrieved,
  }: {
    readonly settings: LandmarkSettings;
    readonly places: RowPlaces;
    readonly retrieved: RetrievedBlocks | undefined;
  },
): Tensor {
  const { block, blocks } = settings;
  const period = block + 1;
  const { capacity, count, places: rows } = pass;
  const lastRow = subtract(count, 1);
  const isLandmark = equal(modulo(gather(rows, lastRow), period), block);
  const last = subtract(lastRow, cast(isLandmark, "int32"));
  const place = gather(rows, last);
  const first = gather(places.firstOfRow, last);
  const at = range(capacity);
  const isToken = less(modulo(at, period), block);
  const isLocal = and(
    and(lessOrEqual(multiply(first, period), at), lessOrEqual(at, place)),
    isToken,
  );
  const near = reshape(cast(isLocal, "float32"), [1, capacity]);
  if (!retrieved) return near;
  const { ids, valid } = retrieved;
  const [units, sets] = ids.shape as [Dimension, number, number];
  const unit = units === pass.groups ? divide(last, sizeValue(pass.span)) : last;
  const chosen = reshape(gather(ids, unit), [sets, blocks, 1]);
  const tokens = add(multiply(chosen, period), reshape(range(block), [1, 1, block]));
  const isThere = broadcastTo(reshape(gather(valid, unit), [1, blocks, 1]), [sets, blocks, block]);
  const slots = blocks * block;
  const far = markPlaces(reshape(tokens, [sets, slots]), reshape(isThere, [sets, slots]), pass);
  return add(near, far);
}

/** Remainder of int32. */
function modulo(x: Tensor, divisor: number): Tensor {
  return subtract(x, multiply(divide(x, divisor), divisor));
}
