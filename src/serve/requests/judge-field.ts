/**
 * Judges the fields of a request that its endpoint does not obey.
 */
import { unsupportedParameter } from "../middleware/errors.ts";
import { fieldNotes, type GenerationKind } from "./field-notes.ts";
import { isNeutral, type NeutralValues, otherFields } from "./other-fields.ts";
import type { RequestKind } from "./request-schema.ts";
import { ignoredParameter, type RequestWarning } from "./request-warning.ts";

/** What asks for nothing, of fields that only some endpoints obey. */
const neutralElsewhere: Readonly<Record<string, NeutralValues>> = {
  n: [1],
  best_of: [1],
  echo: "empty",
  suffix: "empty",
  logprobs: [false],
  top_logprobs: [0],
  add_special_tokens: [false],
  add_generation_prompt: [true],
  continue_final_message: [false],
  truncation: ["disabled"],
  tool_choice: ["none", "auto"],
  function_call: ["none", "auto"],
  tools: "empty",
  functions: "empty",
  documents: "empty",
  include: "empty",
  chat_template_kwargs: "empty",
};

/** What to use instead. */
const hints: Readonly<Record<GenerationKind, Readonly<Record<string, string>>>> = {
  completion: {
    messages: "'prompt' here, or /v1/chat/completions",
    input: "'prompt'",
    max_completion_tokens: "'max_tokens'",
    max_output_tokens: "'max_tokens'",
    top_logprobs: "'logprobs', a number",
    instructions: "/v1/responses",
    tools: "/v1/chat/completions",
  },
  chat: {
    prompt: "'messages'",
    input: "'messages'",
    instructions: "a message of the system",
    max_output_tokens: "'max_completion_tokens'",
    reasoning: "'reasoning_effort'",
    text: "'response_format'",
  },
  responses: {
    messages: "'input'",
    prompt: "'input': there are no stored prompts",
    max_tokens: "'max_output_tokens'",
    max_completion_tokens: "'max_output_tokens'",
    logprobs: "'include' or 'top_logprobs'",
    response_format: "'text'",
    reasoning_effort: "'reasoning'",
    functions: "'tools'",
    function_call: "'tool_choice'",
  },
};

const kinds = ["completion", "chat", "responses"] as const;

/** Names of the fields that an endpoint refuses although another one obeys them. */
export function listForeignFields(kind: GenerationKind): string[] {
  const own = fieldNotes[kind];
  const names = kinds.flatMap((other) => Object.keys(fieldNotes[other]));
  return [...new Set(names)].filter(
    (name) => !Object.hasOwn(own, name) && !Object.hasOwn(otherFields, name),
  );
}

const foreignFields = new Map(kinds.map((kind) => [kind, new Set(listForeignFields(kind))]));

/** True where a field that only other endpoints obey asks for nothing. */
export function isNeutralElsewhere(name: string, value: unknown): boolean {
  const neutral = Object.hasOwn(neutralElsewhere, name) ? neutralElsewhere[name]! : [];
  return isNeutral(value, neutral);
}

/**
 * Judges a field outside the schema of its endpoint.
 *
 * @returns a warning, undefined where there is nothing to say, or `"unknown"`
 * @throws ApiError 400 `unsupported_parameter`
 */
export function judgeOtherField(
  kind: RequestKind,
  name: string,
  value: unknown,
): RequestWarning | "unknown" | undefined {
  if (kind === "embeddings" || kind === "rerank") return "unknown";
  if (kind === "tokenize" || kind === "detokenize") return name === "model" ? undefined : "unknown";
  const rule = Object.hasOwn(otherFields, name) ? otherFields[name] : undefined;
  if (rule !== undefined) {
    if (rule.kind === "inert" || isNeutral(value, rule.neutral)) return undefined;
    if (rule.kind === "warn") return ignoredParameter(name, rule.why);
    throw unsupportedParameter(name, `'${name}' is not supported: ${rule.why}.`);
  }
  if (!foreignFields.get(kind)!.has(name)) return "unknown";
  if (isNeutralElsewhere(name, value)) return undefined;
  const hint = Object.hasOwn(hints[kind], name) ? `; use ${hints[kind][name]}` : "";
  throw unsupportedParameter(name, `'${name}' is not a parameter of this endpoint${hint}.`);
}
