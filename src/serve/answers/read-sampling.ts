/**
 * From the sampling fields of a request to the library's options.
 */
import { isByteOption } from "../../generate/bytes/generate-as-tokens.ts";
import type { GenerateOptions } from "../../generate/types.ts";
import type { LoadedModel } from "../../model/types.ts";
import { invalidValue } from "../middleware/errors.ts";
import type { SamplingRequest } from "../requests/sampling-fields.ts";

/** What the options depend on beside the request. */
export type SamplingModel = Pick<LoadedModel, "config" | "tokenizer" | "eosTokenIds">;

/**
 * Options of a checked request; fields that it leaves out are left to the checkpoint.
 *
 * @throws ApiError 400 for ids beyond the vocabulary and for bad words that cannot be one
 */
export function readSampling(model: SamplingModel, request: SamplingRequest): GenerateOptions {
  const options = { ...readFilters(request), ...readConstraints(model, request) };
  if (request.bytes !== true) return options;
  // What is left of the others asks for nothing: `checkBytes` refused the rest.
  return Object.fromEntries(Object.entries(options).filter(([name]) => isByteOption(name)));
}

/** What the distribution of the next token becomes. */
function readFilters(request: SamplingRequest): GenerateOptions {
  const { temperature, top_p: topP, top_k: topK, min_p: minP, typical_p: typicalP } = request;
  const repetitionPenalty = request.repetition_penalty ?? request.repeat_penalty;
  const { frequency_penalty: frequencyPenalty, presence_penalty: presencePenalty } = request;
  return {
    ...(temperature != null && { temperature }),
    // OpenAI accepts an empty nucleus: the most probable token remains.
    ...(topP != null && (topP === 0 ? { greedy: true } : { topP })),
    ...(topK != null && { topK: Math.max(0, topK) }),
    ...(minP != null && { minP }),
    ...(typicalP != null && { typicalP }),
    ...(repetitionPenalty != null && { repetitionPenalty }),
    ...(frequencyPenalty != null && { frequencyPenalty }),
    ...(presencePenalty != null && { presencePenalty }),
  };
}

/** Which tokens may come, and where the text ends. */
function readConstraints(model: SamplingModel, request: SamplingRequest): GenerateOptions {
  const { stop, min_tokens: minTokens, ignore_eos: ignoreEos } = request;
  const { stop_token_ids: stopIds, allowed_token_ids: allowedTokens } = request;
  const { bad_words: badWords, no_repeat_ngram_size: noRepeatNgramSize } = request;
  const bias = Object.entries(request.logit_bias ?? {}).map(([id, value]) => [Number(id), value]);
  const biased = bias.map(([id]) => id!);
  const ends = new Set([...(stopIds ?? []), ...(ignoreEos ? [] : model.eosTokenIds)]);
  checkTokens(model, "stop_token_ids", stopIds ?? []);
  checkTokens(model, "allowed_token_ids", allowedTokens ?? []);
  checkTokens(model, "logit_bias", biased);
  return {
    ...(bias.length > 0 && { logitBias: Object.fromEntries(bias) as Record<number, number> }),
    ...(allowedTokens != null && { allowedTokens }),
    ...(badWords?.length && { badWordsIds: spellBadWords(model, badWords, ends) }),
    ...(noRepeatNgramSize != null && { noRepeatNgramSize }),
    ...(stop != null && { stop: typeof stop === "string" ? [stop] : stop }),
    ...(stopIds != null && { stopIds }),
    ...(minTokens != null && { minTokens }),
    ...(ignoreEos != null && { ignoreEos }),
  };
}

/** @throws ApiError 400 for ids beyond the vocabulary */
function checkTokens({ config }: SamplingModel, param: string, ids: readonly number[]): void {
  const { vocabSize } = config;
  const wrong = ids.find((id) => id >= vocabSize);
  if (wrong === undefined) return;
  throw invalidValue(
    param,
    `Invalid token id in '${param}': ${wrong}; the vocabulary has ${vocabSize} tokens.`,
  );
}

/**
 * Bad words as sequences of ids. As in vLLM a word counts with and without a space before it, which are
 * different tokens where tokens hold the space.
 */
function spellBadWords(
  { tokenizer }: SamplingModel,
  words: readonly string[],
  ends: ReadonlySet<number>,
): number[][] {
  const encode = (text: string): number[] => [
    ...tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false }),
  ];
  return words.flatMap((word, index) => {
    const bare = encode(word.trimStart());
    const spaced = encode(` ${word.trimStart()}`);
    const param = `bad_words[${index}]`;
    if (bare.length === 0) {
      throw invalidValue(param, `Invalid value for '${param}': the text has no tokens.`);
    }
    if (bare.length === 1 && ends.has(bare[0]!)) {
      const message = "the token ends the text; use 'min_tokens' or 'ignore_eos'";
      throw invalidValue(param, `Invalid value for '${param}': ${message}.`);
    }
    // A sequence that ends in another one is excluded with it.
    const isCovered = bare.every((id, at) => spaced[spaced.length - bare.length + at] === id);
    return isCovered ? [bare] : [bare, spaced];
  });
}
