/** A model as evaluations see it: a name, a limit, and answers to prompts. */
import { type GenerateOptions, generate } from "../../generate/index.ts";
import type { LoadedModel } from "../../model/index.ts";

/** What an answer may take. */
export interface AnswerOptions {
  /** The answer ends after this many characters. */
  readonly maxCharacters: number;
  /** Called with the text so far; true ends the answer. A model that cannot stop early may leave it out. */
  readonly isComplete?: (text: string) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A model, or a model under a context policy, that an evaluation asks. */
export interface EvaluatedModel {
  readonly name: string;
  /** Longest sequence in tokens, prompt and answer together; undefined where it is not known. */
  readonly contextLength: number | undefined;
  /** Context that the model was trained for, where sequences may be longer, as under a context policy. */
  readonly trainedLength?: number;
  /** Tokens that a prompt takes; undefined where the tokenizer is not known. */
  readonly countTokens: ((prompt: string) => number) | undefined;
  /** Questions that may be under way at the same time. */
  readonly concurrency: number;
  /** The most probable continuation (greedy decoding, temperature 0). */
  answer(prompt: string, options: AnswerOptions): Promise<string>;
}

/** Options of `evaluateLocally`. */
export interface EvaluateLocallyOptions {
  /** Default: the model's own name. */
  readonly name?: string;
  /** How texts are generated besides greedily, e.g. with a drafter. Default: nothing. */
  readonly generation?: Omit<GenerateOptions, "greedy" | "maxTokens" | "signal">;
}

/** A loaded model, decoded greedily. Questions about one haystack share its rows in the key-value cache. */
export function evaluateLocally(
  model: LoadedModel,
  { name = model.name, generation = {} }: EvaluateLocallyOptions = {},
): EvaluatedModel {
  return {
    name,
    contextLength: model.contextLength,
    ...(model.contextPolicy && { trainedLength: model.config.contextLength }),
    countTokens: (prompt) => model.tokenizer.encodeIds(prompt, { applyLimits: false }).length,
    concurrency: 1,
    async answer(prompt, { maxCharacters, isComplete, signal }) {
      const ids = model.tokenizer.encodeIds(prompt, { applyLimits: false });
      // A right answer fits, the caller sees to it; a longer one ends where the context does.
      const maxTokens = Math.min(maxCharacters, Math.max(1, model.contextLength - ids.length));
      const options: GenerateOptions = { ...generation, greedy: true, maxTokens };
      let text = "";
      for await (const token of generate(model, ids, { ...options, ...(signal && { signal }) })) {
        text += token.text;
        if (text.length >= maxCharacters || isComplete?.(text)) return text;
      }
      return text;
    },
  };
}
