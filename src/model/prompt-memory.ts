/** How much memory reading a prompt takes, said before it is taken. */
import { rowsOfTokens } from "./landmark/landmark-config.ts";
import type { LoadedModel } from "./types.ts";
import { defaultCacheType, rowsOfPass } from "./worker/pass-sizes.ts";

/** Bytes that a prompt takes beside a loaded model. */
export interface PromptMemory {
  /** Keys and values of all tokens, held for as long as the sequence is open. */
  readonly cache: number;
  /** At most during one forward pass: scores, and copies of one layer's keys and values. */
  readonly pass: number;
}

/** Buffers of the size of a layer's scores that are alive at once: scores, masked ones, weights. */
const scoreBuffers = 3;
/** Copies of a layer's keys or values: those of this layer, in single precision and joined with the new rows. */
const rowBuffers = 4;

/**
 * Memory of a prompt of `tokens` tokens, an upper estimate for attention to all of them: policies that choose tokens
 * compute fewer scores. What a policy keeps of each token besides is not counted.
 *
 * Measured: 8,192 tokens of random weights of SmolLM2-135M's shape took 272 MB of resident memory in int8-channel (271 MB
 * by this estimate), with six of its layers in f32 220 MB (214 MB).
 */
export function promptMemory(
  { config, format, contextPolicy }: Pick<LoadedModel, "config" | "format" | "contextPolicy">,
  tokens: number,
): PromptMemory {
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim, layers } = config;
  const every = contextPolicy?.inserts?.every;
  const rows = every === undefined ? tokens : rowsOfTokens(tokens, every);
  const width = kvHeads * headDim;
  const bytes = defaultCacheType(format) === "float32" ? 4 : 2;
  const computed = Math.min(rows, rowsOfPass(format, rows));
  return {
    cache: 2 * layers.length * width * rows * bytes,
    pass: 4 * rows * (scoreBuffers * heads * computed + rowBuffers * width),
  };
}
