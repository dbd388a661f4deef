/** A model that reads all but the end of a prompt as embeddings of a compressor. */
import {
  countKept,
  type OpenCompressor,
  promptWithContext,
  smallestFactor,
} from "../../context/index.ts";
import { type GenerateOptions, generate } from "../../generate/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import type { EvaluatedModel } from "./evaluated-model.ts";

/** Options of `evaluateCompressed`. */
export interface EvaluateCompressedOptions {
  /** Embeddings and tokens that a prompt takes at most. */
  readonly rows: number;
  /** Last tokens that stay tokens: the question is among them. Default: a quarter of `rows`. */
  readonly tokens?: number;
  /** Default: the model's own name and `"extensible"`. */
  readonly name?: string;
}

/**
 * A loaded model that reads prompts of any length in a fixed number of rows: the end as tokens, everything before as embeddings of
 * the smallest factor that fits, or of the largest one that the compressor knows, of which the oldest are dropped.
 */
export function evaluateCompressed(
  model: LoadedModel,
  compressor: OpenCompressor,
  options: EvaluateCompressedOptions,
): EvaluatedModel {
  const { rows, tokens = rows >> 2, name = `${model.name}, extensible` } = options;
  const { window, factors } = compressor.compressor.config;
  const encode = (prompt: string): Int32Array =>
    model.tokenizer.encodeIds(prompt, { applyLimits: false });
  return {
    name,
    contextLength: undefined,
    trainedLength: model.config.contextLength,
    countTokens: (prompt) => encode(prompt).length,
    concurrency: 1,
    async answer(prompt, { maxCharacters, isComplete, signal }) {
      const ids = encode(prompt);
      const generation: GenerateOptions = {
        ...{ greedy: true, maxTokens: Math.min(maxCharacters, model.contextLength - rows) },
        ...(signal && { signal }),
      };
      let given: { prompt: readonly number[]; options: GenerateOptions } = {
        ...{ prompt: [...ids], options: generation },
      };
      if (ids.length > rows) {
        const fitted = fitTexts(ids.length - tokens, rows - tokens, { window, factors });
        const before = ids.subarray(fitted.start, ids.length - tokens);
        const packed = await compressor.compress(before, signal ? { signal } : {});
        const { factor } = fitted;
        const question = [...ids.subarray(ids.length - tokens)];
        const made = await promptWithContext(model, [packed], question, { factor });
        const { promptEmbeddings } = made;
        given = { prompt: made.prompt, options: { ...generation, promptEmbeddings } };
      }
      let text = "";
      for await (const token of generate(model, given.prompt, given.options)) {
        text += token.text;
        if (text.length >= maxCharacters || isComplete?.(text)) return text;
      }
      return text;
    },
  };
}

/** The factor for a text, and its first token that is compressed: not 0 where even the largest factor leaves too much. */
function fitTexts(
  length: number,
  rows: number,
  how: { readonly window: number; readonly factors: readonly number[] },
): { readonly factor: number; readonly start: number } {
  const factor = smallestFactor([length], rows, how);
  if (factor !== undefined) return { factor, start: 0 };
  const { window } = how;
  const largest = Math.max(...how.factors);
  let start = 0;
  while (countKept(length - start, { window, factor: largest }) > rows) start += window;
  return { factor: largest, start };
}
