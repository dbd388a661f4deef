/**
 * Landmark attention of whole sequences, for training: rows stand in blocks, each closed by its landmark, so that
 * every group of the softmax is a row of a tensor.
 */
import {
  add,
  and,
  cast,
  type Dimension,
  divideDimensions,
  equal,
  greater,
  less,
  lessOrEqual,
  matmul,
  max,
  maximum,
  multiply,
  multiplyDimensions,
  range,
  reshape,
  slice,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import { type Attention, type AttentionInput, scoreQueries } from "../layers/attention.ts";
import { never } from "../policy/pass-tensors.ts";
import { type GroupedWeights, groupedSoftmax } from "./grouped-softmax.ts";
import { type LandmarkConfig, rowsOfBlock } from "./landmark-config.ts";

/** The document of rows that only fill up blocks: no token sees them. */
export const fillerDocument = -2;

/** Rows of a batch in blocks. */
export interface LandmarkRows {
  /**
   * int32 `[batch, blocks * (block + 1)]`: the document of each row; a landmark's is that of the token before it.
   * Tokens see only their own document.
   */
  readonly segments: Tensor;
  /** Number of blocks. */
  readonly blocks: Dimension;
}

/** What weights of all rows need, made once for all layers. */
interface RowMasks {
  /** `[batch, 1, 1, time, block]` */
  readonly own: Tensor;
  /** `[batch, 1, 1, time, blocks]` */
  readonly gates: Tensor;
  /** `[batch, 1, 1, time, blocks, block]` */
  readonly inner: Tensor;
  /** `[batch, 1, 1, time, 1]`: 0 for a landmark that sees nothing at all. */
  readonly sees: Tensor;
  /** `[batch, 1, time, 1]`: 0 for rows that only fill up. */
  readonly exists: Tensor;
}

/** Rows of `LandmarkRows` as a dimension. */
export function landmarkTime(config: LandmarkConfig, blocks: Dimension): Dimension {
  return multiplyDimensions(rowsOfBlock(config), blocks);
}

/**
 * Attention of sequences whose rows stand in blocks.
 *
 * @param onWeights called with the weights of each layer, as `weighRows` gives them
 */
export function attendLandmarks(
  config: LandmarkConfig,
  rows: LandmarkRows,
  onWeights?: (weights: GroupedWeights) => void,
): Attention {
  let made: RowMasks | undefined;
  return (input) => {
    made ??= maskRows(config, rows);
    const weights = weighRows(config, rows.blocks, input, made);
    onWeights?.(weights);
    return { output: mixValues(config, rows.blocks, { input, weights, masks: made }) };
  };
}

function maskRows({ block }: LandmarkConfig, { segments, blocks }: LandmarkRows): RowMasks {
  const batch = segments.shape[0]!;
  const time = multiplyDimensions(block + 1, blocks);
  const inBlocks = reshape(segments, [batch, blocks, block + 1]);
  const ofTokens = slice(inBlocks, { axis: 2, end: block });
  const ofLandmarks = slice(inBlocks, { axis: 2, start: block });
  const own = reshape(segments, [batch, time, 1]);
  const isSame = (others: Tensor): Tensor => equal(own, reshape(others, [batch, 1, -1]));
  const offset = reshape(range(block + 1), [block + 1, 1]);
  const isOwn = and(
    equal(
      reshape(inBlocks, [batch, blocks, block + 1, 1]),
      reshape(ofTokens, [batch, blocks, 1, block]),
    ),
    lessOrEqual(reshape(range(block), [1, block]), offset),
  );
  const place = reshape(range(blocks), [blocks, 1, 1]);
  const isEarlier = less(reshape(range(blocks), [1, 1, blocks]), place);
  const isGate = and(reshape(isSame(ofLandmarks), [batch, blocks, block + 1, blocks]), isEarlier);
  const anyOf = (seen: Tensor): Tensor =>
    max(cast(seen, "float32"), { axes: [-1], keepAxes: true });
  const masked = (seen: Tensor): Tensor => where(seen, 0, never);
  return {
    own: masked(reshape(isOwn, [batch, 1, 1, time, block])),
    gates: masked(reshape(isGate, [batch, 1, 1, time, blocks])),
    inner: masked(reshape(isSame(ofTokens), [batch, 1, 1, time, blocks, block])),
    sees: reshape(maximum(anyOf(isOwn), anyOf(isGate)), [batch, 1, 1, time, 1]),
    exists: reshape(cast(greater(segments, fillerDocument), "float32"), [batch, 1, time, 1]),
  };
}

/** Sizes of one layer's rows. */
function sizesOf({ block }: LandmarkConfig, blocks: Dimension, { query, key }: AttentionInput) {
  const [batch, kvHeads, queries, headDim] = query.shape as [Dimension, number, Dimension, number];
  const time = key.shape[2]!;
  const group = divideDimensions(queries, time) as number;
  const rowShape = [batch, kvHeads, group, time] as const;
  /** Keys or values `[batch, kvHeads, time, headDim]` in blocks. */
  const inBlocks = (x: Tensor): Tensor => reshape(x, [batch, kvHeads, blocks, block + 1, headDim]);
  const tokensOf = (x: Tensor): Tensor => slice(inBlocks(x), { axis: 3, end: block });
  return { batch, kvHeads, queries, headDim, group, rowShape, inBlocks, tokensOf };
}

/**
 * Attention weights of all rows.
 *
 * @returns `[batch, kvHeads, group, time, block]` and `[batch, kvHeads, group, time, blocks, block]`
 */
function weighRows(
  config: LandmarkConfig,
  blocks: Dimension,
  input: AttentionInput,
  masks: RowMasks,
): GroupedWeights {
  const { block } = config;
  const { batch, kvHeads, group, headDim, rowShape, inBlocks, tokensOf } = sizesOf(
    config,
    blocks,
    input,
  );
  const { query, key } = input;
  const score = (queries: Tensor, keys: Tensor): Tensor => scoreQueries(queries, keys, input);
  const tokens = tokensOf(key);
  const landmarks = slice(inBlocks(key), { axis: 3, start: block });
  const queryBlocks = reshape(query, [batch, kvHeads, group, blocks, block + 1, headDim]);
  const own = score(queryBlocks, reshape(tokens, [batch, kvHeads, 1, blocks, block, headDim]));
  const gates = score(query, reshape(landmarks, [batch, kvHeads, blocks, headDim]));
  const inner = score(query, reshape(tokens, [batch, kvHeads, -1, headDim]));
  return groupedSoftmax({
    own: add(reshape(own, [...rowShape, block]), masks.own),
    gates: add(reshape(gates, [...rowShape, blocks]), masks.gates),
    inner: add(reshape(inner, [...rowShape, blocks, block]), masks.inner),
  });
}

function mixValues(
  config: LandmarkConfig,
  blocks: Dimension,
  {
    input,
    weights,
    masks,
  }: { readonly input: AttentionInput; readonly weights: GroupedWeights; readonly masks: RowMasks },
): Tensor {
  const { block } = config;
  const { batch, kvHeads, queries, group, headDim, rowShape, tokensOf } = sizesOf(
    config,
    blocks,
    input,
  );
  const values = tokensOf(multiply(input.value, masks.exists));
  const ownWeights = reshape(weights.own, [batch, kvHeads, group, blocks, block + 1, block]);
  const local = matmul(ownWeights, reshape(values, [batch, kvHeads, 1, blocks, block, headDim]));
  const others = matmul(
    reshape(weights.inner, [batch, kvHeads, queries, -1]),
    reshape(values, [batch, kvHeads, -1, headDim]),
  );
  const shape = [...rowShape, headDim] as const;
  const mixed = add(reshape(local, shape), reshape(others, shape));
  return reshape(multiply(mixed, masks.sees), [batch, kvHeads, queries, headDim]);
}
