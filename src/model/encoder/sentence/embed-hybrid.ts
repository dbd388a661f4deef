/** Texts as a dense vector and the weights of words (DupMAE; Xiao et al., 2023). */
import { checkTask } from "../tasks/check-task.ts";
import { encodeText } from "../tasks/embed.ts";
import type { LoadedEncoder } from "../types.ts";
import { checkTerms, keepLargest } from "./largest-terms.ts";

/** The two parts of a text's representation. */
export interface HybridVector {
  /** The pooled state behind the model's modules. */
  readonly dense: Float32Array;
  /** Ids of tokens of the vocabulary, ascending. */
  readonly ids: Uint32Array;
  /** Weight of each; may be negative. */
  readonly weights: Float32Array;
}

/** Options of `embedHybrid`. */
export interface EmbedHybridOptions {
  /** Tokens of the vocabulary that a text keeps: those with the largest weights. Default: all, as queries do. */
  readonly terms?: number;
  /** Texts are cut to this many tokens. Default and upper bound: what the model takes. */
  readonly maxLength?: number;
  readonly signal?: AbortSignal;
  /** Called as texts are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Both parts for each text: the vector that `embed` gives, and for every token of the vocabulary the largest logit that
 * the head for masked tokens gives it at a position of the text.
 *
 * @example
 * const [query] = await embedHybrid(model, ["Who is the king?"]);
 * const documents = await embedHybrid(model, ["The king of Denmark"], { terms: 384 });
 *
 * @throws JetonError `encoder-head-missing` where the model has no head for masked tokens, `encoder-option-invalid`
 */
export async function embedHybrid(
  model: LoadedEncoder,
  texts: readonly string[],
  options: EmbedHybridOptions = {},
): Promise<HybridVector[]> {
  checkTask("embedHybrid", model, texts, options);
  const { vocabSize } = model.config;
  const { terms = vocabSize, maxLength, signal, onProgress } = options;
  checkTerms(terms);
  let done = 0;
  return Promise.all(
    texts.map(async (text) => {
      const { length: _, ...input } = encodeText(model, text, {
        ...(maxLength !== undefined && { maxLength }),
      });
      const outputs = ["embedding", "lexical"] as const;
      const results = await model.run({ ...input, outputs }, { signal });
      onProgress?.(++done, texts.length);
      const dense = results.embedding!.data;
      return { dense, ...keepLargest(results.lexical!.data, Math.min(terms, vocabSize)) };
    }),
  );
}
