/**
 * Bodies of `POST /v1/responses`.
 */
import { z } from "zod";
import { invalidValue, unsupportedParameter } from "../middleware/errors.ts";
import { type CheckedRequest, checkBody, type Equal, type Expect } from "./request-schema.ts";
import { adjustedParameter, ignoredParameter, type RequestWarning } from "./request-warning.ts";
import {
  checkBytes,
  checkMinTokens,
  checkResponseFormat,
  checkSampling,
  type SamplingRequest,
  samplingFields,
  streamOptionFields,
  tokenLimit,
} from "./sampling-fields.ts";
import { checkToolChoice } from "./tool-choice.ts";

const part = z.discriminatedUnion(
  "type",
  [
    z.looseObject({ type: z.literal("input_text"), text: z.string() }),
    z.looseObject({ type: z.literal("output_text"), text: z.string() }),
    z.looseObject({ type: z.literal("refusal"), refusal: z.string() }),
  ],
  { error: "expected a part of type input_text, output_text or refusal" },
);

const parts = { error: "expected a text or a list of text parts" };

const item = z.union(
  [
    z.looseObject({
      type: z.literal("message").optional(),
      role: z.enum(["user", "assistant", "system", "developer"]),
      content: z.union([z.string(), z.array(part)], parts),
    }),
    z.looseObject({
      type: z.literal("function_call"),
      call_id: z.string(),
      name: z.string(),
      arguments: z.string(),
    }),
    z.looseObject({
      type: z.literal("function_call_output"),
      call_id: z.string(),
      output: z.union([z.string(), z.array(part)], parts),
    }),
    z.looseObject({ type: z.literal("reasoning") }),
  ],
  { error: "expected a message, function_call, function_call_output or reasoning" },
);

const responsesSchema = z.object({
  ...samplingFields,
  input: z.union([z.string(), z.array(item).min(1)], {
    error: (issue) =>
      Array.isArray(issue.input)
        ? "expected messages of text, function_call, function_call_output or reasoning items"
        : "expected a text or a list of items",
  }),
  instructions: z.string().nullish(),
  max_output_tokens: tokenLimit(1).nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  include: z.array(z.string()).nullish(),
  text: z
    .looseObject({
      format: z.looseObject({ type: z.string() }).nullish(),
      verbosity: z.string().nullish(),
    })
    .nullish(),
  reasoning: z.looseObject({ effort: z.string().nullish() }).nullish(),
  tools: z.array(z.looseObject({ type: z.string() })).nullish(),
  tool_choice: z
    .union([z.string(), z.looseObject({ type: z.string() })], {
      error: "expected a name, or an object with a type",
    })
    .nullish(),
  truncation: z.string().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
});

/** A part of a message. */
export type ResponsePart =
  | { type: "input_text"; text: string; [field: string]: unknown }
  | { type: "output_text"; text: string; [field: string]: unknown }
  | { type: "refusal"; refusal: string; [field: string]: unknown };

/** One item of the input. */
export type ResponseItem =
  | {
      type?: "message" | undefined;
      role: "user" | "assistant" | "system" | "developer";
      content: string | ResponsePart[];
      [field: string]: unknown;
    }
  | {
      type: "function_call";
      call_id: string;
      name: string;
      arguments: string;
      [field: string]: unknown;
    }
  | {
      type: "function_call_output";
      call_id: string;
      output: string | ResponsePart[];
      [field: string]: unknown;
    }
  | { type: "reasoning"; [field: string]: unknown };

/** A checked body of `POST /v1/responses`. */
export interface ResponsesRequest extends SamplingRequest {
  input: string | ResponseItem[];
  /** The first message, of the system. */
  instructions?: string | null | undefined;
  max_output_tokens?: number | null | undefined;
  top_logprobs?: number | null | undefined;
  /** `message.output_text.logprobs` adds log-probabilities. */
  include?: string[] | null | undefined;
  text?:
    | {
        format?: { type: string; [field: string]: unknown } | null | undefined;
        verbosity?: string | null | undefined;
        [field: string]: unknown;
      }
    | null
    | undefined;
  reasoning?: { effort?: string | null | undefined; [field: string]: unknown } | null | undefined;
  tools?: { type: string; [field: string]: unknown }[] | null | undefined;
  tool_choice?: string | { type: string; [field: string]: unknown } | null | undefined;
  truncation?: string | null | undefined;
  /** Stands in the response as given. */
  metadata?: Record<string, unknown> | null | undefined;
  chat_template_kwargs?: Record<string, unknown> | null | undefined;
}

type _ResponsesMatches = Expect<Equal<z.infer<typeof responsesSchema>, ResponsesRequest>>;

/** The one entry of `include` that this server obeys. */
const includeLogProbabilities = "message.output_text.logprobs";

/** Entries of `include` about things that an answer here never has. */
const inertIncludes: ReadonlySet<string> = new Set([
  "reasoning.encrypted_content",
  "file_search_call.results",
  "web_search_call.action.sources",
  "web_search_call.results",
  "message.input_image.image_url",
  "computer_call_output.output.image_url",
  "code_interpreter_call.outputs",
]);

/** Checks a body of `POST /v1/responses`. @throws ApiError 400 that names the parameter. */
export function readResponsesRequest(body: unknown): CheckedRequest<ResponsesRequest> {
  const checked = checkBody("responses", responsesSchema, body, {
    // Usage stands in the last event; it is not counted on the way.
    stream_options: streamOptionFields.filter((name) => name !== "continuous_usage_stats"),
    text: ["format", "verbosity"],
    reasoning: ["effort", "summary", "generate_summary"],
  });
  const { body: request } = checked;
  const warnings = [...checked.warnings, ...checkSampling(request)];
  checkBytes(request, wantsLogProbabilities(request) ? "top_logprobs" : undefined);
  checkMinTokens(request, request.max_output_tokens);
  checkResponseFormat("text.format", request.text?.format);
  checkToolChoice("tool_choice", request.tool_choice);
  const { verbosity } = request.text ?? {};
  if (verbosity != null && verbosity !== "medium") {
    throw unsupportedParameter("text.verbosity", "'text.verbosity' is not supported.");
  }
  if (request.truncation != null && request.truncation !== "disabled") {
    throw unsupportedParameter(
      "truncation",
      "'truncation' is not supported, only 'disabled': conversations are not shortened.",
    );
  }
  const builtIn = request.tools?.find((tool) => tool.type !== "function");
  if (builtIn !== undefined) {
    throw unsupportedParameter(
      "tools",
      "'tools' of other types than 'function' are not available.",
    );
  }
  const unknown = request.include?.find(
    (entry) => entry !== includeLogProbabilities && !inertIncludes.has(entry),
  );
  if (unknown !== undefined) {
    throw invalidValue(
      "include",
      `Invalid value for 'include': there is no '${unknown.slice(0, 100)}'.`,
    );
  }
  return { body: request, warnings: [...warnings, ...warnOfReasoning(request)] };
}

/** Whether the answer holds log-probabilities. */
export function wantsLogProbabilities(request: ResponsesRequest): boolean {
  return (
    request.include?.includes(includeLogProbabilities) === true || (request.top_logprobs ?? 0) > 0
  );
}

/** Reasoning has no place in prompts and answers here. */
function warnOfReasoning({ input, reasoning }: ResponsesRequest): RequestWarning[] {
  const warnings: RequestWarning[] = [];
  for (const name of ["summary", "generate_summary"]) {
    if (reasoning?.[name] == null) continue;
    const why = "reasoning is not separated from the text";
    warnings.push(ignoredParameter(`reasoning.${name}`, why));
  }
  if (typeof input !== "string" && input.some(({ type }) => type === "reasoning")) {
    const message = "Items of type 'reasoning' are left out of the prompt.";
    warnings.push(adjustedParameter("input", message));
  }
  return warnings;
}
