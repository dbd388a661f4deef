/**
 * Bodies of `POST /v1/chat/completions`.
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
  tokenLimit,
} from "./sampling-fields.ts";
import { checkToolChoice } from "./tool-choice.ts";

const part = z.discriminatedUnion(
  "type",
  [
    z.looseObject({ type: z.literal("text"), text: z.string() }),
    z.looseObject({ type: z.literal("refusal"), refusal: z.string() }),
  ],
  { error: "expected a part of type text or refusal" },
);
const messageSchema = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
  content: z
    .union([z.string(), z.array(part)], { error: "expected a text or a list of text parts" })
    .nullish(),
});

const chatSchema = z.object({
  ...samplingFields,
  messages: z.array(messageSchema).min(1),
  n: z.number().int().min(1).max(128).nullish(),
  max_tokens: tokenLimit(1).nullish(),
  max_completion_tokens: tokenLimit(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  prompt_logprobs: z.number().int().min(0).max(20).nullish(),
  response_format: responseFormat.nullish(),
  tools: z.array(z.looseObject({ type: z.string() })).nullish(),
  tool_choice: z
    .union([z.string(), z.looseObject({ type: z.string() })], {
      error: "expected a name, or an object with a type",
    })
    .nullish(),
  functions: z.array(z.looseObject({ name: z.string() })).nullish(),
  function_call: z
    .union([z.string(), z.looseObject({ name: z.string() })], {
      error: "expected none, auto, or an object with a name",
    })
    .nullish(),
  modalities: z.array(z.string()).nullish(),
  documents: z.array(z.unknown()).nullish(),
  reasoning_effort: z.string().nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  add_generation_prompt: z.boolean().nullish(),
  continue_final_message: z.boolean().nullish(),
  add_special_tokens: z.boolean().nullish(),
});

/** A part of a message's content. */
export type ContentPart =
  | { type: "text"; text: string; [field: string]: unknown }
  | { type: "refusal"; refusal: string; [field: string]: unknown };

/** A checked body of `POST /v1/chat/completions`. */
export interface ChatRequest extends SamplingRequest {
  messages: {
    role: "system" | "developer" | "user" | "assistant" | "tool" | "function";
    content?: string | ContentPart[] | null | undefined;
    /** Templates may read further fields. */
    [field: string]: unknown;
  }[];
  n?: number | null | undefined;
  max_tokens?: number | null | undefined;
  max_completion_tokens?: number | null | undefined;
  logprobs?: boolean | null | undefined;
  top_logprobs?: number | null | undefined;
  /** vLLM's: log-probabilities of the prompt's tokens with this many alternatives. */
  prompt_logprobs?: number | null | undefined;
  response_format?: { type: string; [field: string]: unknown } | null | undefined;
  /** Handed to the template; answers are text. */
  tools?: { type: string; [field: string]: unknown }[] | null | undefined;
  tool_choice?: string | { type: string; [field: string]: unknown } | null | undefined;
  /** OpenAI's older form of `tools` and `tool_choice`. */
  functions?: { name: string; [field: string]: unknown }[] | null | undefined;
  function_call?: string | { name: string; [field: string]: unknown } | null | undefined;
  modalities?: string[] | null | undefined;
  /** vLLM's: handed to the template. */
  documents?: unknown[] | null | undefined;
  /** Handed to the template as a variable of this name. */
  reasoning_effort?: string | null | undefined;
  /** vLLM's: further variables of the template. */
  chat_template_kwargs?: Record<string, unknown> | null | undefined;
  /** vLLM's: whether the prompt ends with the beginning of an answer. Default true. */
  add_generation_prompt?: boolean | null | undefined;
  /** vLLM's: whether the answer goes on with the last message. Default false. */
  continue_final_message?: boolean | null | undefined;
  /** vLLM's: whether the tokenizer adds its special tokens to the template's. Default false. */
  add_special_tokens?: boolean | null | undefined;
}

type _ChatMatches = Expect<Equal<z.infer<typeof chatSchema>, ChatRequest>>;

/** Checks a body of `POST /v1/chat/completions`. @throws ApiError 400 that names the parameter. */
export function readChatRequest(body: unknown): CheckedRequest<ChatRequest> {
  const checked = checkBody("chat", chatSchema, body, { stream_options: streamOptionFields });
  const { body: request } = checked;
  const warnings = [...checked.warnings, ...checkSampling(request)];
  checkBytes(request, request.logprobs === true ? "logprobs" : undefined);
  checkMinTokens(request, request.max_completion_tokens ?? request.max_tokens);
  checkResponseFormat("response_format", request.response_format);
  checkToolChoice("tool_choice", request.tool_choice);
  checkToolChoice("function_call", request.function_call);
  if (request.modalities?.some((modality) => modality !== "text") === true) {
    throw unsupportedParameter("modalities", "'modalities' other than 'text' are not supported.");
  }
  if (typeof request.top_logprobs === "number" && request.logprobs !== true) {
    throw invalidValue("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.");
  }
  if (request.prompt_logprobs != null && request.stream === true) {
    throw invalidValue("prompt_logprobs", "'prompt_logprobs' is not available in a stream.");
  }
  if (request.continue_final_message === true && request.add_generation_prompt === true) {
    throw invalidValue(
      "continue_final_message",
      "'continue_final_message' and 'add_generation_prompt' cannot both be true.",
    );
  }
  return { body: request, warnings };
}
