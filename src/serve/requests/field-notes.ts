/**
 * The fields that each endpoint obeys, in the words of docs/server.md.
 */
import type { ChatRequest } from "./chat-request.ts";
import type { CompletionRequest } from "./completion-request.ts";
import type { ResponsesRequest } from "./responses-request.ts";
import type { SamplingRequest } from "./sampling-fields.ts";

/** A note for each field that only this request has. */
type Notes<Request extends SamplingRequest> = {
  readonly [Name in Exclude<keyof Request, keyof SamplingRequest>]-?: string;
};

const notesOfSampling: { readonly [Name in keyof SamplingRequest]-?: string } = {
  model: "This server's model; another name is a 404. Default: this model",
  temperature: "0 to 2; 0 is greedy. Default: the checkpoint's, otherwise 1",
  top_p: "0 to 1; 0 is greedy. Default: the checkpoint's, otherwise 1",
  top_k: "The k most probable tokens; 0 and -1 keep all",
  min_p: "0 to 1; drops tokens below this share of the most probable one",
  typical_p:
    "Above 0 to 1; keeps the tokens whose information is nearest to the entropy until they hold this share (locally typical sampling). Default: the checkpoint's, otherwise 1",
  repetition_penalty: "Above 0 to 100; tokens of prompt and text (CTRL)",
  repeat_penalty: "llama.cpp's name of `repetition_penalty`",
  frequency_penalty: "-2 to 2, for each time that a token was generated",
  presence_penalty: "-2 to 2, once for each token that was generated",
  logit_bias: "Token id to -100…100, added to the logit",
  allowed_token_ids:
    "vLLM's: the only tokens that are generated, at least one id; a text ends before its limit only where an end token is among them",
  bad_words:
    "vLLM's: up to 1,024 texts whose tokens, in the tokenizer's spelling with and without a space before, are never completed; replaces the checkpoint's",
  no_repeat_ngram_size:
    "No n-gram of this many tokens comes twice in prompt and text; 0: any may. Default: the checkpoint's, otherwise 0",
  seed: "Any integer of 64 bits. The same request with the same seed gives the same text",
  stop: "A text or up to 16; spellings of special tokens count. The text ends before it",
  stop_token_ids: "Ids that end the text, besides the model's own",
  min_tokens: "The text does not end before",
  ignore_eos: "End tokens are generated like others",
  stream: "Server-sent events",
  stream_options: "`include_usage`, `continuous_usage_stats`; needs `stream`",
  drafter: "jeton's own: which drafter proposes tokens; the distribution is the same",
  context_policy:
    "jeton's own: which tokens each layer attends to; one of those of `jeton serve --context-policy`",
  bytes:
    "jeton's own: generates byte by byte with exact probabilities, so that a prompt may end anywhere; limits and usage count bytes",
};

const notesOfCompletion: Notes<CompletionRequest> = {
  prompt: "A text, token ids, or up to 128 of either",
  n: "1 to 128 texts for each prompt",
  best_of: "Only `n` or 1: texts are not ranked",
  max_tokens:
    "From 0 on, -1: all that the context leaves; lowered to that, with a warning. Default 16",
  echo: "The prompt stands before the text; with `logprobs` its tokens have theirs",
  logprobs: "0 to 20 alternatives of each token",
  prompt_logprobs: "vLLM's: 0 to 20 alternatives of each prompt token, by id; not in a stream",
  suffix: "Text after the gap; needs a model with fill-in-the-middle tokens",
  add_special_tokens: "Whether a prompt of text gets the tokenizer's special tokens. Default true",
  response_format: "Only `text`: constrained decoding is not available",
};

const notesOfChat: Notes<ChatRequest> = {
  messages: "Roles `system`, `developer`, `user`, `assistant`, `tool`; text and refusal parts",
  n: "1 to 128 answers",
  max_tokens:
    "From 1 on, -1: all that the context leaves, the default; lowered to that, with a warning",
  max_completion_tokens: "The same, and wins where both are given",
  logprobs: "True: each token has its own",
  top_logprobs: "0 to 20 alternatives of each token; needs `logprobs`",
  prompt_logprobs: "vLLM's: 0 to 20 alternatives of each prompt token, by id; not in a stream",
  response_format: "Only `text`: constrained decoding is not available",
  tools:
    "Told to the template, unless `tool_choice` is `none`; calls in an answer stay text, with a warning",
  tool_choice: "Only `none` and `auto`",
  functions: "Older form of `tools`",
  function_call: "Older form of `tool_choice`",
  modalities: "Only `text`",
  documents: "Told to the template; a warning where it does not read them",
  reasoning_effort: "Told to the template; a warning where it does not read it",
  chat_template_kwargs: "Variables of the template; a warning for those that it does not read",
  add_generation_prompt: "Whether the prompt ends with the beginning of an answer. Default true",
  continue_final_message: "The answer goes on with the last message",
  add_special_tokens:
    "Whether the tokenizer adds its special tokens to the template's. Default false",
};

const notesOfResponses: Notes<ResponsesRequest> = {
  input:
    "A text, or messages, function calls, their outputs; reasoning is left out, with a warning",
  instructions: "The system's message",
  max_output_tokens:
    "From 1 on, -1: all that the context leaves, the default; lowered to that, with a warning",
  top_logprobs: "0 to 20 alternatives of each token; above 0 adds log-probabilities",
  include:
    "`message.output_text.logprobs` adds log-probabilities; entries about other things have no effect",
  text: "`format` only `text`, `verbosity` only `medium`",
  reasoning: "`effort` is told to the template; `summary` has no effect, with a warning",
  tools: "Functions only; as in chat",
  tool_choice: "Only `none` and `auto`",
  truncation: "Only `disabled`",
  metadata: "Stands in the response",
  chat_template_kwargs: "As in chat",
};

/** Endpoints that generate. */
export type GenerationKind = "completion" | "chat" | "responses";

/** What each endpoint does with the fields that it obeys, by name. */
export const fieldNotes: Readonly<Record<GenerationKind, Readonly<Record<string, string>>>> = {
  completion: { ...notesOfCompletion, ...notesOfSampling },
  chat: { ...notesOfChat, ...notesOfSampling },
  responses: { ...notesOfResponses, ...notesOfSampling },
};
