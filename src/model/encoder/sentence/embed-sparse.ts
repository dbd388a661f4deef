/** Texts as weights of the vocabulary (SPLADE; Formal et al., 2021). */
import { checkTask } from "../tasks/check-task.ts";
import { choosePrompt, type EmbedOptions, encodeText } from "../tasks/embed.ts";
import type { LoadedEncoder } from "../types.ts";
import { checkTerms, keepLargest } from "./largest-terms.ts";

/** The tokens that a text stands for, and how strongly. */
export interface SparseEmbedding {
  /** Ids of tokens of the vocabulary whose weight is above 0, ascending. */
  readonly ids: Uint32Array;
  readonly weights: Float32Array;
}

/** Options of `embedSparse`. */
export interface EmbedSparseOptions
  extends Pick<
    EmbedOptions,
    "prompt" | "promptName" | "role" | "maxLength" | "signal" | "onProgress"
  > {
  /** Tokens of the vocabulary that a text keeps: those with the largest weights. Default: all above 0. */
  readonly terms?: number;
}

/**
 * Weights of tokens of the vocabulary for each text, by a SPLADE model: a folder of sentence-transformers with a head for
 * masked tokens and `SpladePooling`. The product of a query's and a document's weights is the score.
 *
 * @example
 * const [query] = await embedSparse(model, ["Who is the king?"], { role: "query" });
 *
 * @throws JetonError `encoder-head-missing` where the model makes no such weights, `encoder-prompt-unknown`,
 *   `encoder-option-invalid`, `encoder-option-unknown`
 */
export async function embedSparse(
  model: LoadedEncoder,
  texts: readonly string[],
  options: EmbedSparseOptions = {},
): Promise<SparseEmbedding[]> {
  checkTask("embedSparse", model, texts, options);
  const { vocabSize } = model.config;
  const { terms = vocabSize, maxLength, role, signal, onProgress } = options;
  checkTerms(terms);
  const prompt = choosePrompt(model, options);
  let done = 0;
  return Promise.all(
    texts.map(async (text) => {
      const { length: _, ...input } = encodeText(model, prompt + text, { maxLength, role });
      const results = await model.run({ ...input, outputs: ["sparse"] }, { signal });
      onProgress?.(++done, texts.length);
      const { ids, weights } = keepLargest(results.sparse!.data, Math.min(terms, vocabSize));
      const kept = [...ids.keys()].filter((at) => weights[at]! > 0);
      return {
        ids: Uint32Array.from(kept, (at) => ids[at]!),
        weights: Float32Array.from(kept, (at) => weights[at]!),
      };
    }),
  );
}
