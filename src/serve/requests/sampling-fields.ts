/**
 * The fields that all endpoints that generate share. `null` means the same as leaving a field out.
 */
import { z } from "zod";
import { type DrafterChoice, drafterChoices } from "../../generate/speculative/drafter-names.ts";
import { invalidValue, unsupportedParameter } from "../middleware/errors.ts";
import type { Equal, Expect } from "./request-schema.ts";
import { describeName, ignoredParameter, type RequestWarning } from "./request-warning.ts";

/** Most stop strings of one request. */
const maxStops = 16;
/** Most characters of one stop string: the generator withholds text that might become one. */
const maxStopLength = 1000;
/** Most tokens in `stop_token_ids`. */
const maxListedTokens = 4096;
/** Most entries of `bad_words`. */
const maxBadWords = 1024;

const int64Error = { error: "expected an integer of 64 bits" };

/** A token id, before it is compared with the vocabulary. */
export const tokenId: z.ZodNumber = z.number().int().min(0).max(0x7fff_ffff);
const stopString = z.string().min(1).max(maxStopLength);

/** Known fields of `stream_options`. */
export const streamOptionFields: readonly string[] = [
  "include_usage",
  "continuous_usage_stats",
  "include_obfuscation",
];

/** A limit on generated tokens; -1: all that the context leaves. */
export function tokenLimit(min: 0 | 1): z.ZodNumber {
  const expected = `expected an integer from ${min} on, or -1 for all that the context leaves`;
  return z
    .number()
    .int()
    .min(-1, { error: expected })
    .refine((value) => value === -1 || value >= min, { error: expected });
}

/** zod's shape of `SamplingRequest`. */
// biome-ignore format: one field a line
const samplingShape = {
  model: z.string().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.number().int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  typical_p: z.number().gt(0).max(1).nullish(),
  repetition_penalty: z.number().positive().max(100).nullish(),
  repeat_penalty: z.number().positive().max(100).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(
    z.string().regex(/^\d{1,10}$/, { error: "expected a token id" }),
    z.number().min(-100).max(100),
    { error: "expected an object with numbers from -100 to 100 by token id" },
  ).nullish(),
  allowed_token_ids: z.array(tokenId).min(1).nullish(),
  bad_words: z.array(stopString).max(maxBadWords).nullish(),
  no_repeat_ngram_size: z.number().int().min(0).nullish(),
  seed: z.union([
    z.number().int(int64Error),
    z.bigint().min(-(2n ** 63n), int64Error).max(2n ** 63n - 1n, int64Error),
  ], int64Error).nullish(),
  stop: z.union([stopString, z.array(stopString).max(maxStops)], {
    error: `expected a text or at most ${maxStops} texts`,
  }).nullish(),
  stop_token_ids: z.array(tokenId).max(maxListedTokens).nullish(),
  min_tokens: z.number().int().min(0).nullish(),
  ignore_eos: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({
    include_usage: z.boolean().nullish(),
    continuous_usage_stats: z.boolean().nullish(),
    include_obfuscation: z.boolean().nullish(),
  }).nullish(),
  drafter: z.enum(drafterChoices).nullish(),
  context_policy: z.string().min(1).max(200).nullish(),
  bytes: z.boolean().nullish(),
};

/** The parameters of every kind of generation, checked. */
export interface SamplingRequest {
  model?: string | null | undefined;
  temperature?: number | null | undefined;
  top_p?: number | null | undefined;
  top_k?: number | null | undefined;
  min_p?: number | null | undefined;
  /** llama.cpp's and Text Generation Inference's: locally typical sampling. */
  typical_p?: number | null | undefined;
  repetition_penalty?: number | null | undefined;
  /** llama.cpp's name of `repetition_penalty`. */
  repeat_penalty?: number | null | undefined;
  frequency_penalty?: number | null | undefined;
  presence_penalty?: number | null | undefined;
  /** Added to logits, by token id. */
  logit_bias?: Record<string, number> | null | undefined;
  /** vLLM's: the only tokens that are generated. */
  allowed_token_ids?: number[] | null | undefined;
  /** vLLM's: texts whose tokens are never generated one after another. */
  bad_words?: string[] | null | undefined;
  /** transformers' and Text Generation Inference's: no n-gram of so many tokens comes twice. */
  no_repeat_ngram_size?: number | null | undefined;
  /** Any integer of 64 bits; a bigint beyond what a double holds exactly. */
  seed?: number | bigint | null | undefined;
  stop?: string | string[] | null | undefined;
  stop_token_ids?: number[] | null | undefined;
  min_tokens?: number | null | undefined;
  ignore_eos?: boolean | null | undefined;
  stream?: boolean | null | undefined;
  stream_options?:
    | {
        include_usage?: boolean | null | undefined;
        continuous_usage_stats?: boolean | null | undefined;
        include_obfuscation?: boolean | null | undefined;
      }
    | null
    | undefined;
  /** jeton's own: which drafter proposes tokens. The distribution of the text is the same. */
  drafter?: DrafterChoice | null | undefined;
  /** jeton's own: which tokens each layer attends to, one of the policies that the server was started with. */
  context_policy?: string | null | undefined;
  /** jeton's own: the text is generated byte by byte; limits and usage then count bytes. */
  bytes?: boolean | null | undefined;
}

type _SamplingMatches = Expect<Equal<z.infer<z.ZodObject<typeof samplingShape>>, SamplingRequest>>;

/** `samplingShape` for the schemas of other files. */
export const samplingFields: {
  [Name in keyof SamplingRequest]-?: z.ZodOptional<
    z.ZodNullable<z.ZodType<NonNullable<SamplingRequest[Name]>>>
  >;
} = samplingShape;

/**
 * Checks what a schema cannot say.
 *
 * @returns what has no effect
 * @throws ApiError 400 that names the parameter
 */
export function checkSampling(request: SamplingRequest): RequestWarning[] {
  const { repetition_penalty: penalty, repeat_penalty: alias } = request;
  if (penalty != null && alias != null && penalty !== alias) {
    throw invalidValue(
      "repeat_penalty",
      `'repeat_penalty' (${alias}) and 'repetition_penalty' (${penalty}) are two names of one ` +
        "parameter; give one of them.",
    );
  }
  if (request.stream_options != null && request.stream !== true) {
    throw invalidValue("stream_options", "'stream_options' needs 'stream' to be true.");
  }
  if (request.stream_options?.include_obfuscation !== true) return [];
  const param = "stream_options.include_obfuscation";
  return [ignoredParameter(param, "events are not padded")];
}

/** Fields that speak of tokens, with the value that asks for nothing. */
const fieldsOfTokens = {
  typical_p: 1,
  no_repeat_ngram_size: 0,
  repetition_penalty: 1,
  repeat_penalty: 1,
  frequency_penalty: 0,
  presence_penalty: 0,
  min_tokens: 0,
  drafter: "none",
  context_policy: "",
} as const satisfies { readonly [Name in keyof SamplingRequest]?: number | string };

/** Fields that list tokens; an empty list asks for nothing. */
const listsOfTokens = [
  "logit_bias",
  "stop_token_ids",
  "allowed_token_ids",
  "bad_words",
] as const satisfies readonly (keyof SamplingRequest)[];

/**
 * Fields that mean nothing where bytes are generated.
 *
 * @param logprobs name of a field that asks for log-probabilities of tokens, if one does
 * @throws ApiError 400 that names the parameter
 */
export function checkBytes(request: SamplingRequest, logprobs: string | undefined): void {
  if (request.bytes !== true) return;
  const names = Object.keys(fieldsOfTokens) as (keyof typeof fieldsOfTokens)[];
  const set = names.find((name) => {
    const value = request[name];
    return value != null && value !== fieldsOfTokens[name];
  });
  const listed = listsOfTokens.find((name) => Object.keys(request[name] ?? {}).length > 0);
  const wrong = set ?? listed ?? logprobs;
  if (wrong === undefined) return;
  throw unsupportedParameter(wrong, `'${wrong}' is about tokens, and 'bytes' is true.`);
}

/** Token limits of both kinds together. @throws ApiError 400 where `min_tokens` is above the limit. */
export function checkMinTokens(request: SamplingRequest, limit: number | null | undefined): void {
  const { min_tokens: min } = request;
  if (min == null || limit == null || limit === -1 || min <= limit) return;
  throw invalidValue("min_tokens", `'min_tokens' is ${min}, above the limit of ${limit} tokens.`);
}

/** A field that asks for a form of answer. */
export const responseFormat: z.ZodType<{ type: string; [field: string]: unknown }> = z.looseObject({
  type: z.string(),
});

/** Answers are free text. @throws ApiError 400 for JSON modes. */
export function checkResponseFormat(
  param: string,
  format: { readonly type: string } | null | undefined,
): void {
  if (format == null || format.type === "text") return;
  throw unsupportedParameter(
    param,
    `'${param}' of type '${describeName(format.type)}' is not supported, only 'text': ` +
      "constrained decoding is not available.",
  );
}
