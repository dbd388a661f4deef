/**
 * Options and results of a generation.
 */
import type { ContextPolicy, LoadedModel, PolicyOptions } from "../model/index.ts";
import type { ChatMessage } from "../tokenizer/index.ts";
import type { LogitsProcessor } from "./sampling/logits-processors.ts";
import type { Drafter } from "./speculative/drafter.ts";
import type { DraftStatistics } from "./speculative/statistics.ts";

/**
 * How the next token is sampled from a row of logits: penalties, temperature, top-k, top-p, min-p, typical-p,
 * epsilon and eta cutoff, in this order. Every option is optional; defaults come from the checkpoint's
 * `generation_config.json` first.
 */
export interface SamplingOptions {
  /** 0 means greedy. Default: the generation config's, otherwise 1. */
  temperature?: number;
  /** Keep the k most probable tokens; 0 keeps all. Default: the generation config's, otherwise 0. */
  topK?: number;
  /** Keep the smallest set of tokens whose probability reaches p, in (0, 1]. Default 1. */
  topP?: number;
  /** Keep tokens at least this fraction of the most probable one, in [0, 1]. Default 0. */
  minP?: number;
  /**
   * Keep the tokens whose information is nearest to the entropy until they hold this share, in (0, 1]
   * (locally typical sampling). Default: the generation config's, otherwise 1.
   */
  typicalP?: number;
  /** Keep tokens of at least this probability, in [0, 1). Default: the generation config's, otherwise 0. */
  epsilonCutoff?: number;
  /**
   * Keep tokens of at least this probability, or less where the distribution is flat, in [0, 1) (eta
   * sampling). Default: the generation config's, otherwise 0.
   */
  etaCutoff?: number;
  /**
   * Divides positive and multiplies negative logits of tokens in prompt or text (CTRL). Default: the
   * generation config's, otherwise 1.
   */
  repetitionPenalty?: number;
  /** Subtracted from a token's logit for each time it was generated, in [-2, 2] (OpenAI). Default 0. */
  frequencyPenalty?: number;
  /** Subtracted once from the logit of every token that was generated, in [-2, 2] (OpenAI). Default 0. */
  presencePenalty?: number;
  /** Always the most probable token; overrides the generation config's `do_sample`. */
  greedy?: boolean;
  /** Samples are keyed by (seed, sequence, position). Default: a fresh random seed, reported back. */
  seed?: number;
}

/**
 * Rules that exclude or favour tokens before sampling, with the semantics of transformers. Defaults: the
 * keys of the same names (`suppress_tokens`, …) of the checkpoint's `generation_config.json`.
 */
export interface TokenConstraints {
  /** Added to the logits of these ids; -Infinity excludes one. Default: none. */
  logitBias?: Readonly<Record<number, number>> | ReadonlyMap<number, number>;
  /**
   * End tokens, `stopIds` and stop strings do not end the text before this many tokens. Default: the
   * config's `min_new_tokens`, otherwise 0.
   */
  minTokens?: number;
  /** Ids that are never generated. */
  suppressTokens?: readonly number[];
  /** The only ids that are generated, at least one; an end token among them may end the text. Default: all. */
  allowedTokens?: readonly number[];
  /** Ids that are not the first generated token. */
  beginSuppressTokens?: readonly number[];
  /** Sequences of ids that are never completed. */
  badWordsIds?: readonly (readonly number[])[];
  /** No n-gram of this size comes twice in prompt and text; 0: any may. */
  noRepeatNgramSize?: number;
  /** Edit each row of logits after all of the above and before the temperature. Default: none. */
  logitsProcessors?: readonly LogitsProcessor[];
}

/** Options of `generate` and `complete`: length, sampling, penalties, stops, drafting. */
export interface GenerateOptions extends SamplingOptions, TokenConstraints {
  /**
   * Default: the generation config's `max_new_tokens` or `max_length`, otherwise 256; at most what the
   * context leaves.
   */
  maxTokens?: number;
  /**
   * Generation ends before the first of these strings, which is not part of the text. Spellings of special
   * tokens count, although the text leaves them out. Default: the generation config's `stop_strings`.
   */
  stop?: readonly string[];
  /**
   * Text that the prompt's last token holds beyond the prompt, as `healPrompt` reports it: the generated text and
   * that of its first token begin with it, and stop strings count it. Default: none.
   */
  begunText?: string;
  /** Generation ends at these ids besides the model's own EOS ids. */
  stopIds?: readonly number[];
  /** True: EOS ids are generated like any other token. Default false. */
  ignoreEos?: boolean;
  /**
   * Speculative decoding: drafts tokens, several of which one forward pass verifies. The text is the same
   * as without, token for token with greedy decoding and deterministic drafters, in distribution with
   * drafters that sample. Default: none, one token per forward pass.
   */
  drafter?: Drafter;
  /** Most draft tokens of one forward pass, at most 1,024. Default 64; drafters may stop earlier. */
  maxDraft?: number;
  /** Number of the sequence for keyed randomness, where one request asks for several. Default 0. */
  sequence?: number;
  /** Also report this many of the most probable tokens of every step, at most 20. Default 0. */
  topLogProbabilities?: number;
  /**
   * `[rows, hiddenSize]`, at least one row: what the model reads in place of the prompt's embeddings, such
   * as a soft prompt or merged tokens. The prompt then serves drafters, penalties and the streaming decoder
   * only. Default: the embeddings of the prompt's tokens.
   */
  promptEmbeddings?: Float32Array;
  /**
   * Which tokens of the text each layer attends to, e.g. `tokenSelect()`. The text may then be longer than the
   * trained context. Default: that of the model, which is all tokens unless it is a view under a policy.
   */
  contextPolicy?: ContextPolicy;
  /**
   * True: the result lists which tokens the first decoded token attends to, where the policy chooses them. Nothing
   * is drafted before that token. Default false.
   */
  reportContext?: boolean;
  /** Most prompt tokens of one forward pass. Default: chosen so that a chunk stays under 0.5 s. */
  prefillChunk?: number;
  /** Called after each chunk of the prompt. */
  onPrefill?: (progress: { done: number; total: number; reused: number }) => void;
  /** Aborting ends the generation with the signal's reason. */
  signal?: AbortSignal;
}

/** How a token was generated: by the model alone, or as an accepted draft token. */
export type TokenOrigin =
  | { readonly kind: "decoded" }
  | { readonly kind: "accepted"; readonly drafter: string; readonly depth: number };

/** One generated token, as `generate` yields it. */
export interface GeneratedToken {
  /** Id of the token. */
  readonly id: number;
  /**
   * The text that this token adds. Text is withheld while it ends in half a character or may turn into a
   * stop string, so it may be empty here and longer at a later token; the texts of all tokens and
   * `GenerateResult.tail`, joined, are exactly the whole text.
   */
  readonly text: string;
  /** Natural logarithm of the probability under the model (temperature 1, no filter or penalty). */
  readonly logProbability: number;
  /** The most probable tokens at this place, most probable first, where asked for; natural logarithms. */
  readonly topLogProbabilities?: readonly {
    readonly id: number;
    readonly logProbability: number;
  }[];
  /** Decoded, or accepted from a draft. */
  readonly origin: TokenOrigin;
}

/**
 * Why a text ended: `"length"`, the limit of tokens or of the context; `"stop"`, an EOS token, stop id
 * or stop string.
 */
export type FinishReason = "length" | "stop";

/** Result of a generation, as `generate` returns it after its last token. */
export interface GenerateResult {
  /** The whole generated text. */
  readonly text: string;
  /** Text that was withheld until the end and belongs to no yielded token. */
  readonly tail: string;
  /** The generated ids, without a final EOS or stop id. */
  readonly ids: readonly number[];
  /** The EOS or stop id that ended the text, where one did; it is in neither `ids` nor `text`. */
  readonly endToken?: Omit<GeneratedToken, "text">;
  /** Why the text ended. */
  readonly finishReason: FinishReason;
  /** Seed of the sampling: the given one, or the one that was chosen. */
  readonly seed: number;
  /** Tokens of the prompt, special tokens included. */
  readonly promptTokens: number;
  /** Prompt tokens whose keys and values were in the cache already. */
  readonly reusedTokens: number;
  /** Seconds of the prompt, until its last forward pass ended. */
  readonly prefillSeconds: number;
  /** Seconds of decoding after the prompt. */
  readonly decodeSeconds: number;
  /** Statistics of speculative decoding, where a drafter was given. */
  readonly drafting?: DraftStatistics;
  /** The context policy, where there was one. */
  readonly context?: GeneratedContext;
}

/** What a generation tells of its context policy. */
export interface GeneratedContext {
  readonly policy: string;
  /** Every option of the policy. */
  readonly options: PolicyOptions;
  /** Places of the prompt's tokens from which the text was generated, where the policy filters the prompt. */
  readonly chosen?: readonly number[];
  /** Where `reportContext` asked for it and layers choose. */
  readonly attended?: AttendedContext;
}

/** Which tokens of a sequence one of them attends to. */
export interface AttendedContext {
  /** Tokens of the sequence, that one included: it is the last. */
  readonly tokens: number;
  /** Of each layer, the places of the tokens that any of its heads attends to, ascending. */
  readonly layers: readonly (readonly number[])[];
}

/**
 * A prompt: text, encoded with the tokenizer's special tokens, or ids, taken as they are. Text that begins
 * with the BOS token's own spelling (a rendered chat template) gets no second BOS. The empty text is the BOS
 * token alone.
 */
export type Prompt = string | readonly number[] | Int32Array;

/** A conversation. The model's chat template renders it, with the beginning of an answer at its end. */
export type Conversation = readonly ChatMessage[];

/** The signature of `generate`, for code that takes another implementation. */
export type Generate = (
  model: LoadedModel,
  prompt: Prompt,
  options?: GenerateOptions,
) => AsyncGenerator<GeneratedToken, GenerateResult, void>;

/** One token of a scored text. */
export interface ScoredToken {
  /** Id of the token. */
  readonly id: number;
  /** The text that this token adds. */
  readonly text: string;
  /** Natural logarithm. */
  readonly logProbability: number;
  /** The most probable tokens at this place, most probable first, where asked for. */
  readonly topLogProbabilities?: readonly {
    readonly id: number;
    readonly logProbability: number;
  }[];
}

/** Log-probabilities of a text, as `score` returns them; sums are over the scored tokens. */
export interface ScoreResult {
  /** The scored tokens: those of the text, without its first one where nothing precedes that. */
  readonly tokens: readonly ScoredToken[];
  /** Sum over the scored tokens, natural logarithm. */
  readonly logProbability: number;
  /** exp(-mean log-probability) over the scored tokens. */
  readonly perplexity: number;
  /** -sum / (`bytes` * ln 2). */
  readonly bitsPerByte: number;
  /** Number of `tokens`. */
  readonly scoredTokens: number;
  /** UTF-8 bytes of the scored text. */
  readonly bytes: number;
}
