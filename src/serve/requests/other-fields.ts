/**
 * Fields of other servers that this one does not act on. Where such a field would change the answer it
 * is refused unless it holds a value that asks for nothing; where it would not, it is named in a warning.
 */

/** Values of a field that ask for nothing: these, or anything empty. */
export type NeutralValues = readonly unknown[] | "empty";

/** What to do with a field outside the schemas. */
export type FieldRule =
  /** It asks for nothing that an answer could show. */
  | { readonly kind: "inert"; readonly why: string }
  /** It has no effect here, which the client is told unless the value asks for nothing. */
  | { readonly kind: "warn"; readonly why: string; readonly neutral: NeutralValues }
  /** It would change the answer. */
  | { readonly kind: "refuse"; readonly why: string; readonly neutral: NeutralValues };

function inert(why: string): FieldRule {
  return { kind: "inert", why };
}

function warn(why: string, ...neutral: readonly unknown[]): FieldRule {
  return { kind: "warn", why, neutral };
}

function refuse(why: string, ...neutral: readonly unknown[]): FieldRule {
  return { kind: "refuse", why, neutral };
}

function refuseUnlessEmpty(why: string): FieldRule {
  return { kind: "refuse", why, neutral: "empty" };
}

/** True for a value of a field that asks for nothing. */
export function isNeutral(value: unknown, neutral: NeutralValues): boolean {
  if (value === null || value === undefined) return true;
  if (neutral !== "empty") return neutral.includes(value);
  return (
    value === false ||
    value === "" ||
    (typeof value === "object" && Object.keys(value).length === 0)
  );
}

const constrained = "constrained decoding is not available";
const sampler = "this sampler is not available";
const stateless = "this server keeps no conversations";
const textOnly = "answers are plain text";
const bookkeeping = "names the request for its sender; nothing is kept";
const cache = "prompts are always cached";
const calls = "no answer holds a tool call";
const otherName = (name: string): FieldRule => refuse(`use '${name}'`);

/** Fields that no endpoint obeys, by name. */
export const otherFields: Readonly<Record<string, FieldRule>> = {
  // OpenAI
  user: inert(bookkeeping),
  metadata: inert(bookkeeping),
  safety_identifier: inert(bookkeeping),
  prompt_cache_key: inert(cache),
  prompt_cache_retention: inert(cache),
  parallel_tool_calls: inert(calls),
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
  max_tool_calls: inert(calls),
  context_management: refuse(stateless),
  // vLLM
  use_beam_search: refuse("beam search is not available", false),
  length_penalty: refuse("beam search is not available", 1),
  early_stopping: refuse("beam search is not available", false),
  include_stop_str_in_output: refuse("stop strings are left out of the text", false),
  skip_special_tokens: refuse("special tokens are left out of the text", true),
  spaces_between_special_tokens: warn("special tokens are left out of the text", true),
  truncate_prompt_tokens: refuse("prompts are not truncated"),
  logits_processors: refuseUnlessEmpty("requests cannot bring code"),
  prompt_embeds: refuse("prompts are texts or token ids"),
  chat_template: refuse("the model's own template is used"),
  guided_json: refuse(constrained),
  guided_regex: refuse(constrained),
  guided_choice: refuse(constrained),
  guided_grammar: refuse(constrained),
  guided_decoding_backend: warn(constrained),
  guided_whitespace_pattern: refuse(constrained),
  structured_outputs: refuse(constrained),
  media_io_kwargs: refuseUnlessEmpty(textOnly),
  repetition_detection: refuseUnlessEmpty(
    "texts end at their limit, a stop string or an end token",
  ),
  return_tokens_as_token_ids: refuse("log-probabilities name tokens by their text", false),
  return_token_ids: refuse("answers hold text", false),
  mm_processor_kwargs: refuseUnlessEmpty(textOnly),
  kv_transfer_params: refuseUnlessEmpty("caches are not transferred"),
  vllm_xargs: refuseUnlessEmpty("these are another server's"),
  thinking_token_budget: refuse("reasoning is not separated from the text"),
  include_reasoning: warn("reasoning is not separated from the text"),
  priority: warn("requests are served in order of arrival", 0),
  request_id: warn("the header x-request-id names a request"),
  cache_salt: warn("the cache is shared by all requests"),
  // llama.cpp
  n_predict: otherName("max_tokens"),
  n_cmpl: otherName("n"),
  n_probs: refuse("use 'logprobs'", 0),
  n_keep: refuse("prompts are not truncated", 0),
  n_indent: refuse("texts do not end at an indentation", 0),
  n_cache_reuse: warn("the cache is reused by common prefixes", 0),
  cache_prompt: refuse("prompts are always cached", true),
  id_slot: warn("the server chooses the slot", -1),
  t_max_predict_ms: refuse("texts have no time limit", 0, -1),
  grammar: refuse(constrained),
  json_schema: refuse(constrained),
  grammar_lazy: refuse(constrained, false),
  grammar_triggers: refuseUnlessEmpty(constrained),
  samplers: refuse("the order of the filters is fixed"),
  min_keep: refuse(sampler, 0, 1),
  top_n_sigma: refuse(sampler, -1, 0),
  mirostat: refuse(sampler, 0),
  mirostat_tau: warn("'mirostat' is not available"),
  mirostat_eta: warn("'mirostat' is not available"),
  dynatemp_range: refuse(sampler, 0),
  dynatemp_exponent: warn("'dynatemp_range' is not available"),
  xtc_probability: refuse(sampler, 0),
  xtc_threshold: warn("'xtc_probability' is not available"),
  dry_multiplier: refuse(sampler, 0),
  dry_base: warn("'dry_multiplier' is not available"),
  dry_allowed_length: warn("'dry_multiplier' is not available"),
  dry_penalty_last_n: warn("'dry_multiplier' is not available"),
  dry_sequence_breakers: warn("'dry_multiplier' is not available"),
  repeat_last_n: refuse("penalties count the whole sequence", -1),
  penalize_nl: refuse("penalties count every token", true),
  post_sampling_probs: refuse("log-probabilities are the model's own", false),
  return_tokens: refuse("answers hold text", false),
  return_progress: refuse("streams begin with the first token", false),
  response_fields: refuseUnlessEmpty("answers are whole"),
  timings_per_token: warn("'usage' counts tokens", false),
  image_data: refuseUnlessEmpty(textOnly),
  parse_tool_calls: refuse("calls in an answer stay text", false),
  reasoning_format: warn("reasoning is not separated from the text", "none", "auto"),
  thinking_forced_open: warn("reasoning is not separated from the text", false),
  reasoning_control: warn("reasoning is not separated from the text", false),
  sse_ping_interval: warn("streams have no pings", -1),
  lora: refuseUnlessEmpty("there are no adapters"),
  // SGLang
  regex: refuse(constrained),
  ebnf: refuse(constrained),
  min_new_tokens: otherName("min_tokens"),
  no_stop_trim: refuse("stop strings are left out of the text", false),
  separate_reasoning: warn("reasoning is not separated from the text", false),
  stream_reasoning: warn("reasoning is not separated from the text"),
  lora_path: refuseUnlessEmpty("there are no adapters"),
  session_params: refuseUnlessEmpty(stateless),
  custom_logit_processor: refuse("requests cannot bring code"),
  return_hidden_states: refuse("answers hold text", false),
  rid: warn("the header x-request-id names a request"),
  // Ollama
  options: refuseUnlessEmpty("sampling options stand beside 'messages'"),
  format: refuse(constrained, ""),
  think: otherName("chat_template_kwargs"),
  num_predict: otherName("max_tokens"),
  num_ctx: warn("the server sets the context length"),
  keep_alive: warn("the model stays loaded"),
  raw: refuse("use /v1/completions for prompts without a template", false),
  template: refuse("the model's own template is used", ""),
  images: refuseUnlessEmpty(textOnly),
  // Anthropic
  system: refuse("give it as a message of the system"),
  thinking: otherName("chat_template_kwargs"),
  max_tokens_to_sample: otherName("max_tokens"),
  // Text Generation Inference, transformers
  inputs: refuse("this server takes OpenAI's requests"),
  parameters: refuse("sampling options stand beside the prompt"),
  stop_sequences: otherName("stop"),
  truncate: refuse("prompts are not truncated"),
  watermark: refuse("watermarks are not available", false),
  max_new_tokens: otherName("max_tokens"),
  max_length: otherName("max_tokens"),
  do_sample: refuse("use 'temperature'", true),
  num_beams: refuse("beam search is not available", 1),
  num_return_sequences: otherName("n"),
  // gateways and other front ends
  top_a: refuse(sampler, 0),
  tfs_z: refuse(sampler, 1),
  enable_thinking: otherName("chat_template_kwargs"),
  transforms: refuseUnlessEmpty("prompts are not changed"),
  models: refuseUnlessEmpty("the server has one model"),
  provider: warn("the server has one model"),
  plugins: refuseUnlessEmpty("there are no plugins"),
  usage: inert("usage stands in every answer; a stream has it with 'stream_options'"),
  ttl: warn("the model stays loaded"),
  draft_model: warn("'drafter' chooses how tokens are drafted"),
};
