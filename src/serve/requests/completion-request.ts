/**
 * Bodies of `POST /v1/completions`.
 */
import { z } from "zod";
import { invalidValue, unsupportedParameter } from "../middleware/errors.ts";
import { type CheckedRequest, checkBody, type Equal, type Expect } from "./request-schema.ts";
import {
  checkBytes,
  checkMinTokens,
  checkResponseFormat,
  checkSampling,
  responseFormat,
  type SamplingRequest,
  samplingFields,
  streamOptionFields,
  tokenId,
  tokenLimit,
} from "./sampling-fields.ts";

/** OpenAI's default for this endpoint. */
export const defaultMaxTokens = 16;

const completionSchema = z.object({
  ...samplingFields,
  prompt: z.union(
    [
      z.string(),
      z.array(z.string()).min(1).max(128),
      z.array(tokenId).min(1),
      z.array(z.array(tokenId).min(1)).min(1).max(128),
    ],
    { error: "expected a text, token ids, or a list of at most 128 of either" },
  ),
  n: z.number().int().min(1).max(128).nullish(),
  best_of: z.number().int().nullish(),
  max_tokens: tokenLimit(0).nullish(),
  echo: z.boolean().nullish(),
  logprobs: z.number().int().min(0).max(20).nullish(),
  prompt_logprobs: z.number().int().min(0).max(20).nullish(),
  suffix: z.string().nullish(),
  add_special_tokens: z.boolean().nullish(),
  response_format: responseFormat.nullish(),
});

/** A checked body of `POST /v1/completions`. */
export interface CompletionRequest extends SamplingRequest {
  prompt: string | string[] | number[] | number[][];
  n?: number | null | undefined;
  best_of?: number | null | undefined;
  /** 0: none, to score a prompt alone. */
  max_tokens?: number | null | undefined;
  echo?: boolean | null | undefined;
  logprobs?: number | null | undefined;
  /** vLLM's: log-probabilities of the prompt's tokens with this many alternatives. */
  prompt_logprobs?: number | null | undefined;
  /** Text that follows the gap: needs a model with fill-in-the-middle tokens. */
  suffix?: string | null | undefined;
  /** vLLM's: whether the tokenizer puts its special tokens around a prompt of text. Default true. */
  add_special_tokens?: boolean | null | undefined;
  response_format?: { type: string; [field: string]: unknown } | null | undefined;
}

type _CompletionMatches = Expect<Equal<z.infer<typeof completionSchema>, CompletionRequest>>;

/** Checks a body of `POST /v1/completions`. @throws ApiError 400 that names the parameter. */
export function readCompletionRequest(body: unknown): CheckedRequest<CompletionRequest> {
  const checked = checkBody("completion", completionSchema, body, {
    stream_options: streamOptionFields,
  });
  const { body: request } = checked;
  const warnings = [...checked.warnings, ...checkSampling(request)];
  const logprobs = request.logprobs != null ? "logprobs" : undefined;
  checkBytes(request, logprobs);
  checkMinTokens(request, request.max_tokens ?? defaultMaxTokens);
  checkResponseFormat("response_format", request.response_format);
  if ((request.best_of ?? 1) !== 1 && request.best_of !== (request.n ?? 1)) {
    throw unsupportedParameter("best_of", "'best_of' is not supported beyond 'n'.");
  }
  if (request.prompt_logprobs != null && request.stream === true) {
    throw invalidValue("prompt_logprobs", "'prompt_logprobs' is not available in a stream.");
  }
  return { body: request, warnings };
}
