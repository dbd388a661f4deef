/** Texts as a dense vector and the weights of words (DupMAE; Xiao et al., 2023). */
import { JetonError } from "../../../core/index.ts";
import { checkTask } from "../tasks/check-task.ts";
import { encodeText } from "../tasks/embed.ts";
import type { LoadedEncoder } from "../types.ts";

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
  if (!(Number.isSafeInteger(terms) && terms >= 1)) {
    throw new JetonError(`terms is ${terms}, expected a positive number`, {
      code: "encoder-option-invalid",
      details: { option: "terms", found: terms },
    });
  }
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

/** The largest weights and their places; of equal ones the first. */
function keepLargest(
  weights: Float32Array,
  count: number,
): { readonly ids: Uint32Array; readonly weights: Float32Array } {
  const order = Uint32Array.from(weights.keys());
  if (count === weights.length) return { ids: order, weights };
  order.sort((a, b) => weights[b]! - weights[a]! || a - b);
  const ids = order.slice(0, count).sort((a, b) => a - b);
  return { ids, weights: Float32Array.from(ids, (id) => weights[id]!) };
}
