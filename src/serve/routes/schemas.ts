/**
 * The bodies of requests, checked with zod. Parameters that nobody knows are ignored, as OpenAI's
 * own server does for most; known ones that this server cannot honour are refused, so that no
 * answer silently differs from what was asked for. `null` means the same as leaving out.
 */
import { z } from "zod";
import { type DrafterChoice, drafterChoices } from "../../generate/speculative/drafter-names.ts";
import { ApiError, invalidValue, unsupportedParameter } from "../middleware/errors.ts";

/** Most stop strings of one request. */
const maxStops = 16;
/** Most characters of one stop string: the generator withholds text that might become one. */
const maxStopLength = 1000;

const tokenId = z.number().int().min(0).max(0x7fff_ffff);
const count = z.number().int().min(1);
const stopString = z.string().min(1).max(maxStopLength);

/** What both kinds of generation share. */
const sampling = {
  model: z.string().nullish(),
  n: count.max(128).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.number().int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().positive().max(100).nullish(),
  seed: z.number().int().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER).nullish(),
  stop: z
    .union([stopString, z.array(stopString).max(maxStops)], {
      error: `expected a text or at most ${maxStops} texts`,
    })
    .nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: count.nullish(),
  drafter: z.enum(drafterChoices).nullish(),
  // Refused below when they would change the result.
  frequency_penalty: z.number().nullish(),
  presence_penalty: z.number().nullish(),
  logit_bias: z.record(z.string(), z.number()).nullish(),
};

/** The parameters of either kind of generation, checked. */
export interface SamplingRequest {
  model?: string | null | undefined;
  n?: number | null | undefined;
  temperature?: number | null | undefined;
  top_p?: number | null | undefined;
  top_k?: number | null | undefined;
  min_p?: number | null | undefined;
  repetition_penalty?: number | null | undefined;
  seed?: number | null | undefined;
  stop?: string | string[] | null | undefined;
  stream?: boolean | null | undefined;
  stream_options?: { include_usage?: boolean | null | undefined } | null | undefined;
  max_tokens?: number | null | undefined;
  /** Ours: who guesses tokens ahead; the text is the same. */
  drafter?: DrafterChoice | null | undefined;
  frequency_penalty?: number | null | undefined;
  presence_penalty?: number | null | undefined;
  logit_bias?: Record<string, number> | null | undefined;
}

const completionSchema = z.object({
  ...sampling,
  prompt: z.union(
    [
      z.string(),
      z.array(z.string()).min(1).max(128),
      z.array(tokenId).min(1),
      z.array(z.array(tokenId).min(1)).min(1).max(128),
    ],
    { error: "expected a text, token ids, or a list of at most 128 of either" },
  ),
  echo: z.boolean().nullish(),
  logprobs: z.number().int().min(0).max(5).nullish(),
  suffix: z.string().nullish(),
  best_of: z.number().int().nullish(),
});

/** A checked body of `POST /v1/completions`. */
export interface CompletionRequest extends SamplingRequest {
  prompt: string | string[] | number[] | number[][];
  echo?: boolean | null | undefined;
  logprobs?: number | null | undefined;
  suffix?: string | null | undefined;
  best_of?: number | null | undefined;
}

const textPart = z.looseObject({ type: z.literal("text"), text: z.string() });
const messageSchema = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool"]),
  content: z
    .union([z.string(), z.array(textPart)], { error: "expected a text or a list of text parts" })
    .nullish(),
});

const chatSchema = z.object({
  ...sampling,
  messages: z.array(messageSchema).min(1),
  max_completion_tokens: count.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  response_format: z.looseObject({ type: z.string() }).nullish(),
  tools: z.array(z.unknown()).nullish(),
  functions: z.array(z.unknown()).nullish(),
  modalities: z.array(z.string()).nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
});

/** A checked body of `POST /v1/chat/completions`. */
export interface ChatRequest extends SamplingRequest {
  messages: {
    role: "system" | "developer" | "user" | "assistant" | "tool";
    content?: string | { type: "text"; text: string }[] | null | undefined;
    [field: string]: unknown;
  }[];
  max_completion_tokens?: number | null | undefined;
  logprobs?: boolean | null | undefined;
  top_logprobs?: number | null | undefined;
  response_format?: { type: string; [field: string]: unknown } | null | undefined;
  tools?: unknown[] | null | undefined;
  functions?: unknown[] | null | undefined;
  modalities?: string[] | null | undefined;
  chat_template_kwargs?: Record<string, unknown> | null | undefined;
}

const tokenizeSchema = z.object({
  text: z.string(),
  add_special_tokens: z.boolean().nullish(),
});

/** A checked body of `POST /tokenize`. */
export interface TokenizeRequest {
  text: string;
  add_special_tokens?: boolean | null | undefined;
}

const detokenizeSchema = z.object({
  ids: z.array(tokenId),
  skip_special_tokens: z.boolean().nullish(),
});

/** A checked body of `POST /detokenize`. */
export interface DetokenizeRequest {
  ids: number[];
  skip_special_tokens?: boolean | null | undefined;
}

/** Checks a body of `POST /v1/completions`. @throws ApiError 400 that names the parameter. */
export function readCompletionRequest(body: unknown): CompletionRequest {
  const request = read(completionSchema, body);
  refuseUnsupported(request);
  if (typeof request.suffix === "string" && request.suffix !== "") {
    throw unsupportedParameter(
      "suffix",
      "'suffix' is not supported: the model only continues text.",
    );
  }
  if ((request.best_of ?? 1) !== 1 && request.best_of !== (request.n ?? 1)) {
    throw unsupportedParameter("best_of", "'best_of' is not supported beyond 'n'.");
  }
  if (request.echo === true && typeof request.logprobs === "number") {
    throw unsupportedParameter(
      "logprobs",
      "'logprobs' together with 'echo' is not supported: prompt tokens are not scored.",
    );
  }
  return request;
}

/** Checks a body of `POST /v1/chat/completions`. @throws ApiError 400 that names the parameter. */
export function readChatRequest(body: unknown): ChatRequest {
  const request = read(chatSchema, body);
  refuseUnsupported(request);
  for (const name of ["tools", "functions"] as const) {
    if ((request[name]?.length ?? 0) > 0) {
      throw unsupportedParameter(name, `'${name}' is not supported: answers are plain text.`);
    }
  }
  if (request.response_format != null && request.response_format.type !== "text") {
    throw unsupportedParameter(
      "response_format",
      `'response_format' of type '${request.response_format.type}' is not supported, only 'text'.`,
    );
  }
  if (request.modalities?.some((modality) => modality !== "text") === true) {
    throw unsupportedParameter("modalities", "'modalities' other than 'text' are not supported.");
  }
  if (typeof request.top_logprobs === "number" && request.logprobs !== true) {
    throw invalidValue("top_logprobs", "'top_logprobs' needs 'logprobs' to be true.");
  }
  return request;
}

/** Checks a body of `POST /tokenize`. @throws ApiError 400 that names the parameter. */
export function readTokenizeRequest(body: unknown): TokenizeRequest {
  return read(tokenizeSchema, renameField(body, "text", ["prompt", "content"]));
}

/** Checks a body of `POST /detokenize`. @throws ApiError 400 that names the parameter. */
export function readDetokenizeRequest(body: unknown): DetokenizeRequest {
  return read(detokenizeSchema, renameField(body, "ids", ["tokens"]));
}

/** The same body with the field under our name where it stands under one that other servers use. */
function renameField(body: unknown, name: string, others: readonly string[]): unknown {
  if (typeof body !== "object" || body === null || name in body) return body;
  const other = others.find((field) => field in body);
  return other === undefined ? body : { ...body, [name]: body[other as keyof typeof body] };
}

function refuseUnsupported(request: SamplingRequest): void {
  for (const name of ["frequency_penalty", "presence_penalty"] as const) {
    if ((request[name] ?? 0) !== 0) {
      throw unsupportedParameter(
        name,
        `'${name}' is not supported; 'repetition_penalty' has a similar effect.`,
      );
    }
  }
  if (Object.keys(request.logit_bias ?? {}).length > 0) {
    throw unsupportedParameter("logit_bias", "'logit_bias' is not supported.");
  }
  if (request.stream_options != null && request.stream !== true) {
    throw invalidValue("stream_options", "'stream_options' needs 'stream' to be true.");
  }
}

function read<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw describeIssue(result.error.issues[0]!, body);
}

/** The first thing that is wrong with a body, in OpenAI's words. */
function describeIssue(issue: z.core.$ZodIssue, body: unknown): ApiError {
  const param = writePath(issue.path);
  if (param === "") {
    return new ApiError("The body of the request must be a JSON object.", {
      status: 400,
      code: "invalid_type",
    });
  }
  if (issue.path.length > 0 && lookUp(body, issue.path) === undefined) {
    return invalidValue(
      param,
      `Missing required parameter: '${param}'.`,
      "missing_required_parameter",
    );
  }
  const code = issue.code === "invalid_type" ? "invalid_type" : "invalid_value";
  return invalidValue(param, `Invalid value for '${param}': ${explain(issue)}.`, code);
}

function explain(issue: z.core.$ZodIssue): string {
  return lowerFirst(issue.message.replace(/^Invalid (?:input|option): /, ""));
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}

function writePath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? String(step) : `.${String(step)}`;
  }
  return text;
}

function lookUp(value: unknown, path: readonly PropertyKey[]): unknown {
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}
