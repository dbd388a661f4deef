/**
 * What goes into a generation and what comes out of it.
 */
import type { LoadedModel } from "../model/index.ts";
import type { Drafter } from "./speculative/drafter.ts";
import type { DraftStatistics } from "./speculative/statistics.ts";

/** How the next token is drawn from the logits of a row. Every option may be left out. */
export interface SamplingOptions {
  /** 0 means greedy. Default: the model's `generation_config.json`, otherwise 1. */
  temperature?: number;
  /** Keep the k most probable tokens; 0 keeps all. Default: generation config, otherwise 0. */
  topK?: number;
  /** Keep the smallest set of tokens whose probability reaches p, in (0, 1]. Default 1. */
  topP?: number;
  /** Keep tokens at least this fraction of the most probable one, in [0, 1]. Default 0. */
  minP?: number;
  /** Divides positive and multiplies negative logits of tokens seen before (CTRL). Default 1. */
  repetitionPenalty?: number;
  /** Always the most probable token; overrides the generation config's `do_sample`. */
  greedy?: boolean;
  /** Draws are keyed by (seed, sequence, position). Default: a fresh random seed, reported back. */
  seed?: number;
}

export interface GenerateOptions extends SamplingOptions {
  /** Default 256, or whatever the context leaves. */
  maxTokens?: number;
  /** Generation ends before the first of these strings; the string itself is not part of the text. */
  stop?: readonly string[];
  /** Generation ends at these ids besides the model's own end-of-sequence ids. */
  stopIds?: readonly number[];
  /** True: end-of-sequence ids are generated like any other token. Default false. */
  ignoreEos?: boolean;
  /**
   * Guesses tokens ahead, many of which one forward verifies. The text is the same as without: token
   * for token with greedy decoding and deterministic drafters, in law with drafters that sample.
   * Default: none, one token for each forward.
   */
  drafter?: Drafter;
  /** Most guesses of one forward, at most 1,024. Default 64; drafters may stop earlier. */
  maxDraft?: number;
  /** Number of the sequence for keyed randomness, where one request asks for several. Default 0. */
  sequence?: number;
  /** Also report this many of the most probable tokens of every step, at most 20. Default 0. */
  topLogProbabilities?: number;
  /**
   * `[rows, width]`, at least one row: what the model reads in place of the prompt, such as a soft prompt or
   * merged tokens with rows of their own. The prompt then stands for it with drafters, the repetition
   * penalty and the streaming decoder only. Default: the rows of the prompt's tokens.
   */
  promptEmbeddings?: Float32Array;
  /** Most prompt tokens that one forward takes. Default: chosen so that a chunk stays under 0.5 s. */
  prefillChunk?: number;
  /** Called after each chunk of the prompt. */
  onPrefill?: (progress: { done: number; total: number; reused: number }) => void;
  signal?: AbortSignal;
}

/** How a token came to be. */
export type TokenOrigin =
  | { readonly kind: "decoded" }
  | { readonly kind: "accepted"; readonly drafter: string; readonly depth: number };

export interface GeneratedToken {
  readonly id: number;
  /**
   * The text that this token adds. Pieces are withheld while they hold half a character or may turn
   * into a stop string, so it may be empty here and longer at a later token; the pieces of all
   * tokens joined, plus `GenerateResult.tail`, are exactly the text.
   */
  readonly text: string;
  /** Natural logarithm of the probability under the model (temperature 1, nothing cut off). */
  readonly logProbability: number;
  readonly topLogProbabilities?: readonly {
    readonly id: number;
    readonly logProbability: number;
  }[];
  readonly origin: TokenOrigin;
}

export type FinishReason = "length" | "stop";

export interface GenerateResult {
  /** The whole generated text. */
  readonly text: string;
  /** Text that was withheld until the end and belongs to no yielded token. */
  readonly tail: string;
  /** The generated ids, without a final end-of-sequence id. */
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  readonly seed: number;
  readonly promptTokens: number;
  /** Prompt tokens whose keys and values were still in the cache. */
  readonly reusedTokens: number;
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
  /** What guessing ahead brought, where a drafter was asked for. */
  readonly drafting?: DraftStatistics;
}

/**
 * A prompt: text (encoded with the tokenizer's special tokens), or ids taken as they are. The empty
 * text is the beginning-of-sequence token alone.
 */
export type Prompt = string | readonly number[] | Int32Array;

export type Generate = (
  model: LoadedModel,
  prompt: Prompt,
  options?: GenerateOptions,
) => AsyncGenerator<GeneratedToken, GenerateResult, void>;

export interface ScoredToken {
  readonly id: number;
  readonly text: string;
  /** Natural logarithm. */
  readonly logProbability: number;
  /** The most probable tokens at this place, most probable first, where asked for. */
  readonly topLogProbabilities?: readonly {
    readonly id: number;
    readonly logProbability: number;
  }[];
}

export interface ScoreResult {
  /** The scored tokens: those of the text, without its first one where nothing precedes that. */
  readonly tokens: readonly ScoredToken[];
  /** Sum over the scored tokens, natural logarithm. */
  readonly logProbability: number;
  /** exp(-mean log-probability) over the scored tokens. */
  readonly perplexity: number;
  /** -sum / (`bytes` * ln 2). */
  readonly bitsPerByte: number;
  readonly scoredTokens: number;
  /** UTF-8 bytes of the scored text. */
  readonly bytes: number;
}
