/** Sequences of a batch as rows in blocks, each closed by its landmark: what a model with landmark attention learns from. */
import { fillerDocument, type LandmarkConfig, rowsOfBlock } from "../../model/index.ts";
import type { LanguageModelBatch } from "./language-model-graph.ts";
import { maskRandom } from "./mask-random.ts";
import { ignoredTarget } from "./training-graph.ts";

/** Rows that sequences of so many tokens take, wherever in a block they begin. */
export function landmarkRowCount(config: Pick<LandmarkConfig, "block">, tokens: number): number {
  return rowsOfBlock(config) * Math.ceil((tokens + config.block - 1) / config.block);
}

/** Options of `insertLandmarks`. */
export interface InsertLandmarksOptions {
  /** Tokens of the first block, from 1 to a whole block. Default: random by the sequence's ids and the seed. */
  readonly first?: number;
  /** Default 0. */
  readonly seed?: number;
  /** False: all tokens of a sequence are one document. Default true. */
  readonly documentMask?: boolean;
}

/**
 * Puts a landmark after every block. Windows are cut from a stream that holds landmarks, so their first block may
 * be a part of one and their last may have no landmark; rows that fill up blocks belong to `fillerDocument`. The
 * token before a landmark has the token after it as its target; landmarks have none.
 *
 * @returns rows `[batch, time]`, `time` as `landmarkRowCount` says
 */
export function insertLandmarks(
  config: LandmarkConfig,
  batch: LanguageModelBatch,
  { first, seed = 0, documentMask = true }: InsertLandmarksOptions = {},
): Required<Pick<LanguageModelBatch, "batch" | "time" | "ids" | "targets" | "segments">> {
  const { block, id } = config;
  const time = landmarkRowCount(config, batch.time);
  const size = batch.batch * time;
  const ids = new Int32Array(size);
  const targets = new Int32Array(size).fill(ignoredTarget);
  const segments = new Int32Array(size).fill(fillerDocument);
  for (let sequence = 0; sequence < batch.batch; sequence++) {
    const from = sequence * batch.time;
    const own = batch.ids.subarray(from, from + batch.time);
    const missing = block - (first ?? 1 + maskRandom(seed, own).integer(block));
    for (const [at, token] of own.entries()) {
      const slot = missing + at;
      const row = sequence * time + slot + Math.floor(slot / block);
      const segment = documentMask ? (batch.segments?.[from + at] ?? 0) : 0;
      ids[row] = token;
      targets[row] = batch.targets[from + at]!;
      segments[row] = segment;
      if ((slot + 1) % block !== 0) continue;
      ids[row + 1] = id;
      segments[row + 1] = segment;
    }
  }
  return { batch: batch.batch, time, ids, targets, segments };
}
