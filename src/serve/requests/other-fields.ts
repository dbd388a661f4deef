/**
 * Fields of other servers that this one does not act on. Where such a field would change the answer it
 * is refused unless it holds a value that asks for nothing; where it would not, it is named in a warning.
 */
import { unsupportedParameter } from "../middleware/errors.ts";
import type { RequestKind } from "./request-schema.ts";
import { ignoredParameter, type RequestWarning } from "./request-warning.ts";

/** What to do with a field outside the schemas. */
type FieldRule =
  /** It asks for nothing that an answer could show. */
  | { readonly kind: "inert" }
  /** It has no effect here, which the client is told unless the value asks for nothing. */
  | { readonly kind: "warn"; readonly why: string; readonly neutral?: (value: unknown) => boolean }
  /** It would change the answer. */
  | {
      readonly kind: "refuse";
      readonly why: string;
      readonly neutral?: (value: unknown) => boolean;
    };

const inert: FieldRule = { kind: "inert" };

function warn(why: string, ...neutral: readonly unknown[]): FieldRule {
  return { kind: "warn", why, neutral: (value) => neutral.includes(value) };
}

function refuse(why: string, ...neutral: readonly unknown[]): FieldRule {
  return { kind: "refuse", why, neutral: (value) => neutral.includes(value) };
}

const isEmpty = (value: unknown): boolean =>
  value === false ||
  value === "" ||
  (typeof value === "object" && Object.keys(value!).length === 0);

function refuseUnlessEmpty(why: string): FieldRule {
  return { kind: "refuse", why, neutral: isEmpty };
}

const constrained = "constrained decoding is not available";
const sampler = "this sampler is not available";
const stateless = "this server keeps no conversations";
const textOnly = "answers are plain text";

/** By name; the servers that know the field in brackets. */
const rules: Readonly<Record<string, FieldRule>> = {
  // OpenAI
  user: inert,
  metadata: inert,
  safety_identifier: inert,
  prompt_cache_key: inert,
  prompt_cache_retention: inert,
  parallel_tool_calls: inert,
  service_tier: warn("there is one tier", "auto", "default"),
  store: warn("answers are not stored", false),
  prediction: warn("'drafter' chooses how tokens are drafted"),
  verbosity: refuse("the model has no such control", "medium"),
  audio: refuse(textOnly),
  web_search_options: refuse("there is no web search"),
  moderation: refuse("there is no moderation"),
  // OpenAI responses
  background: refuse("answers are given in the response", false),
  conversation: refuse(stateless),
  previous_response_id: refuse(`${stateless}; send the earlier messages as 'input'`),
  prompt: refuse("there are no stored prompts"),
  max_tool_calls: inert,
  context_management: refuse(stateless),
  // vLLM
  use_beam_search: refuse("beam search is not available", false),
  length_penalty: refuse("beam search is not available", 1),
  early_stopping: refuse("beam search is not available", false),
  include_stop_str_in_output: refuse("stop strings are left out of the text", false),
  skip_special_tokens: refuse("special tokens are left out of the text", true),
  spaces_between_special_tokens: warn("special tokens are left out of the text", true),
  truncate_prompt_tokens: refuse("prompts are not truncated"),
  allowed_token_ids: refuse("'logit_bias' can exclude tokens"),
  bad_words: refuseUnlessEmpty("'logit_bias' can exclude tokens"),
  logits_processors: refuseUnlessEmpty("requests cannot bring code"),
  prompt_embeds: refuse("prompts are texts or token ids"),
  chat_template: refuse("the model's own template is used"),
  guided_json: refuse(constrained),
  guided_regex: refuse(constrained),
  guided_choice: refuse(constrained),
  guided_grammar: refuse(constrained),
  structured_outputs: refuse(constrained),
  return_tokens_as_token_ids: refuse("log-probabilities name tokens by their text", false),
  return_token_ids: refuse("answers hold text", false),
  mm_processor_kwargs: refuseUnlessEmpty(textOnly),
  kv_transfer_params: refuseUnlessEmpty("caches are not transferred"),
  vllm_xargs: refuseUnlessEmpty("these are another server's"),
  thinking_token_budget: refuse("thoughts are not told from text"),
  include_reasoning: warn("thoughts are not told from text"),
  priority: warn("requests are served in order of arrival", 0),
  request_id: warn("the header x-request-id names a request"),
  cache_salt: warn("the cache is shared by all requests"),
  // llama.cpp
  n_predict: refuse("use 'max_tokens'"),
  cache_prompt: refuse("prompts are always cached", true),
  grammar: refuse(constrained),
  json_schema: refuse(constrained),
  typical_p: refuse(sampler, 1),
  top_n_sigma: refuse(sampler, -1, 0),
  mirostat: refuse(sampler, 0),
  mirostat_tau: warn("'mirostat' is not available"),
  mirostat_eta: warn("'mirostat' is not available"),
  dynatemp_range: refuse(sampler, 0),
  dynatemp_exponent: warn("'dynatemp_range' is not available"),
  xtc_probability: refuse(sampler, 0),
  xtc_threshold: warn("'xtc_probability' is not available"),
  dry_multiplier: refuse(sampler, 0),
  repeat_last_n: refuse("penalties count the whole sequence", -1),
  samplers: refuse("the order of the filters is fixed"),
  n_keep: refuse("prompts are not truncated", 0),
  n_probs: refuse("use 'logprobs'", 0),
  id_slot: warn("the server chooses the slot", -1),
  timings_per_token: warn("'usage' counts tokens", false),
  reasoning_format: warn("thoughts are not told from text", "none", "auto"),
  thinking_forced_open: warn("thoughts are not told from text", false),
  lora: refuseUnlessEmpty("there are no adapters"),
  // other servers and gateways
  top_a: refuse(sampler, 0),
  tfs_z: refuse(sampler, 1),
  options: refuseUnlessEmpty("sampling options stand beside 'messages'"),
  format: refuse(constrained, ""),
  think: refuse("use 'chat_template_kwargs'"),
  enable_thinking: refuse("use 'chat_template_kwargs'"),
  num_predict: refuse("use 'max_tokens'"),
  num_ctx: warn("the server sets the context length"),
  keep_alive: warn("the model stays loaded"),
  max_new_tokens: refuse("use 'max_tokens'"),
  do_sample: refuse("use 'temperature'", true),
  max_length: refuse("use 'max_tokens'"),
  no_repeat_ngram_size: refuse(sampler, 0),
  input: refuse("this endpoint takes 'messages' or 'prompt'"),
  messages: refuse("this endpoint takes 'prompt'; /v1/chat/completions takes 'messages'"),
  max_output_tokens: refuse("use 'max_tokens'"),
  max_completion_tokens: refuse("use 'max_tokens'"),
};

/** Fields that the other endpoints obey; here they would be ignored, so they are refused. */
const elsewhere: Readonly<Partial<Record<RequestKind, readonly string[]>>> = {
  responses: ["max_tokens", "max_completion_tokens", "n", "logprobs", "messages", "echo"],
  chat: ["prompt", "suffix", "echo"],
};

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
  if (kind === "tokenize" || kind === "detokenize") return name === "model" ? undefined : "unknown";
  if (elsewhere[kind]?.includes(name) === true) {
    throw unsupportedParameter(name, `'${name}' is not a parameter of this endpoint.`);
  }
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
  if (rule === undefined) return "unknown";
  if (rule.kind === "inert" || rule.neutral?.(value) === true) return undefined;
  if (rule.kind === "warn") return ignoredParameter(name, rule.why);
  throw unsupportedParameter(name, `'${name}' is not supported: ${rule.why}.`);
}
