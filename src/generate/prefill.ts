/** Prefill: takes a prompt into the KV cache, chunk by chunk. */
import type { OpenSequence, SequenceStep, StepResult } from "../model/index.ts";

/** Longest chunk: longer ones delay cancelling and other sequences too much. */
const maxChunkSeconds = 0.5;
const firstChunk = 256;
const maxChunk = 1024;

export interface PrefillOptions {
  /** Fixed chunk size in tokens. Default: by the measured speed of the chunks before. */
  readonly chunk?: number | undefined;
  /** Chunks are multiples of this many tokens. Default 1. */
  readonly multiple?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
  /** `[ids, hiddenSize]`, read in place of the ids. */
  readonly embeddings?: Float32Array | undefined;
}

/**
 * Feeds `ids` to a sequence. The last chunk returns what `last` asks for, the others return nothing.
 *
 * @returns the result of the last chunk
 */
export async function prefill(
  sequence: OpenSequence,
  ids: readonly number[],
  last: Pick<SequenceStep, "results" | "topK" | "logits" | "nucleus" | "sample" | "targets">,
  options: PrefillOptions = {},
): Promise<StepResult> {
  const { embeddings, multiple = 1 } = options;
  const whole = (tokens: number): number => Math.ceil(tokens / multiple) * multiple;
  const width = embeddings ? embeddings.length / ids.length : 0;
  let size = options.chunk ?? whole(firstChunk);
  let done = 0;
  for (;;) {
    const part = ids.slice(done, done + size);
    const final = done + part.length >= ids.length;
    const begin = performance.now();
    const result = await sequence.step(
      {
        ids: part,
        ...(embeddings && {
          embeddings: embeddings.subarray(done * width, (done + part.length) * width),
        }),
        ...(final ? last : { results: "none" as const }),
      },
      options.signal ? { signal: options.signal } : {},
    );
    done += part.length;
    options.onProgress?.(done);
    if (final) return result;
    if (options.chunk === undefined) {
      const rate = (part.length / (performance.now() - begin)) * 1000;
      const fits = Math.floor((rate * maxChunkSeconds) / 64) * 64;
      size = whole(Math.min(maxChunk, Math.max(64, fits)));
    }
  }
}
