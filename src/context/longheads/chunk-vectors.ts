/**
 * Vectors of chunks in key space: a mix of a chunk's keys, weighted towards tokens that the chunk itself finds
 * important. They depend on nothing but the chunk.
 */
import { asCached, type PolicyInput, pickRows, scoreScale } from "../../model/index.ts";
import {
  add,
  broadcastTo,
  constant,
  type Dimension,
  divide,
  equal,
  gather,
  matmul,
  maximum,
  mean,
  minimum,
  multiply,
  multiplyDimensions,
  range,
  reshape,
  sizeValue,
  softmax,
  stack,
  subtract,
  type Tensor,
  transpose,
  unsqueeze,
  where,
} from "../../tensor/index.ts";

/** Vectors of chunks, and what the cache keeps of them. */
export interface ChunkVectors {
  /** `[heads, chunks, headDim]`; those of incomplete chunks are arbitrary. */
  readonly all: Tensor;
  /** New rows of the token arenas, `[1, kvHeads, time, headDim]` for each query head of a group. */
  readonly rows: readonly Tensor[];
}

/**
 * How a chunk is represented: the method's way for each query head, or for the heads that share keys; by the plain mean of
 * its keys, or by keys rotated at their places in the text (ablations).
 */
export type Representation = "perHead" | "groupMean" | "meanKey" | "rotatedKeys";

/** How vectors are made. */
export interface ChunkVectorOptions {
  /** Tokens of a chunk. */
  readonly chunk: number;
  readonly representation: Representation;
}

/** The vectors of all chunks: new ones are computed where their last token is new, others lie in the cache. */
export function chunkVectors(
  input: PolicyInput,
  { chunk, representation }: ChunkVectorOptions,
): ChunkVectors {
  const { config, query, pass, tokenArenas } = input;
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const { time } = pass;
  const group = heads / kvHeads;
  const first = divide(pass.length, chunk);
  const ids = add(range("completed"), first);
  const fresh = representChunks(input, ids, { chunk, representation });
  // Where a new token ends a chunk, its row holds the chunk's vector in place of its query.
  const own = divide(pass.places, chunk);
  const isEnd = equal(subtract(add(pass.places, 1), multiply(add(own, 1), chunk)), 0);
  const last = subtract(sizeValue("completed"), 1);
  const order = minimum(maximum(subtract(own, first), 0), last);
  const rows = where(
    reshape(isEnd, [1, time, 1]),
    gather(fresh, order, 1),
    reshape(query, [heads, time, headDim]),
  );
  const freshArenas = Array.from({ length: group }, (_, at) => {
    const byKey = gather(
      reshape(rows, [kvHeads, group, time, headDim]),
      constant([at], { dtype: "int32" }),
      1,
    );
    return asCached(reshape(byKey, [1, kvHeads, time, headDim]), tokenArenas[at]!);
  });
  const ends = add(multiply(range("chunks"), chunk), chunk - 1);
  const places = broadcastTo(reshape(ends, [1, 1, "chunks"]), [1, kvHeads, "chunks"]);
  const everyKey = Array.from({ length: kvHeads }, (_, at) => at);
  const byArena = freshArenas.map((arena, at) =>
    reshape(pickRows({ past: tokenArenas[at]!, fresh: arena }, places, everyKey, pass), [
      kvHeads,
      "chunks",
      headDim,
    ]),
  );
  return {
    all: reshape(stack(byArena, 1), [heads, "chunks", headDim]),
    rows: freshArenas,
  };
}

/** The vector of each given chunk, `[heads, chunks, headDim]`; arbitrary where a chunk is not complete. */
function representChunks(
  { config, layer, query, key, value, pastKey, pastValue, tokenArenas, pass, rotate }: PolicyInput,
  ids: Tensor,
  { chunk, representation }: ChunkVectorOptions,
): Tensor {
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const { time } = pass;
  const group = heads / kvHeads;
  const count = ids.shape[0]!;
  const tokens = multiplyDimensions(count, chunk);
  const offsets = reshape(range(chunk), [1, chunk]);
  const flat = reshape(add(multiply(reshape(ids, [count, 1]), chunk), offsets), [1, 1, tokens]);
  const places = broadcastTo(flat, [1, kvHeads, tokens]);
  const everyKey = Array.from({ length: kvHeads }, (_, at) => at);
  const pick = (past: Tensor, fresh: Tensor): Tensor =>
    reshape(pickRows({ past, fresh }, places, everyKey, pass), [kvHeads, count, chunk, headDim]);
  const inChunk = broadcastTo(offsets, [count, chunk]);
  // Positions count within the chunk: [count, heads, chunk, headDim] and back.
  const turn = (x: Tensor, positions = inChunk): Tensor =>
    transpose(rotate(transpose(x, [1, 0, 2, 3]), positions), [1, 0, 2, 3]);
  const rawKeys = pick(pastKey, key);
  const keys = unsqueeze(turn(rawKeys), 1);
  const values = unsqueeze(pick(pastValue, value), 1);
  const ownQueries = reshape(query, [kvHeads, group, time, headDim]);
  const queries = stack(
    tokenArenas.map((arena, at) => {
      const fresh = reshape(gather(ownQueries, constant([at], { dtype: "int32" }), 1), [
        1,
        kvHeads,
        time,
        headDim,
      ]);
      return turn(pick(arena, asCached(fresh, arena)));
    }),
    1,
  );
  const shape: Dimension[] = [kvHeads, group, count, chunk, headDim];
  const spread = (x: Tensor): Tensor => broadcastTo(x, shape);
  const alpha = scoreScale(config, layer);
  const mixed = matmul(
    softmax(matmul(queries, spread(keys), { transposeB: true, alpha })),
    spread(values),
  );
  if (representation === "meanKey") {
    return reshape(mean(spread(keys), { axes: [3] }), [heads, count, headDim]);
  }
  let chunkQuery = mean(mixed, { axes: [3], keepAxes: true });
  if (representation === "groupMean") {
    const shared = mean(chunkQuery, { axes: [1], keepAxes: true });
    chunkQuery = broadcastTo(shared, [kvHeads, group, count, 1, headDim]);
  }
  const weights = softmax(matmul(chunkQuery, spread(keys), { transposeB: true, alpha }));
  const inText = reshape(flat, [count, chunk]);
  const combined = representation === "rotatedKeys" ? unsqueeze(turn(rawKeys, inText), 1) : keys;
  return reshape(matmul(weights, spread(combined)), [heads, count, headDim]);
}
