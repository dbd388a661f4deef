/** A loaded encoder as the modules above see it. */
import type { Checkpoint } from "../../checkpoint/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { LoadModelOptions, WeightFormat } from "../types.ts";
import type { EncoderResult } from "../worker/encoder-service.ts";
import type { EncoderConfig } from "./config.ts";
import type { EncoderOutput } from "./encoder-graph.ts";
import type { HeadName } from "./heads/heads.ts";
import type { LateInteraction } from "./sentence/late-interaction.ts";
import type { PoolingMode } from "./sentence/pooling.ts";
import type { SentencePipeline } from "./sentence/sentence-modules.ts";
import type { ScoreActivation } from "./tasks/score-activation.ts";

export type { EncoderResult } from "../worker/encoder-service.ts";
export type { EncoderOutput } from "./encoder-graph.ts";

/** Options of `loadEncoder`. */
export type LoadEncoderOptions = Pick<
  LoadModelOptions,
  | "format"
  | "threads"
  | "contextLength"
  | "inline"
  | "cacheFolder"
  | "onProgress"
  | "onWarning"
  | "signal"
>;

/** What one text asks of a forward pass. */
export interface EncoderRequest {
  /** Ids with the special tokens of the template, at most `contextLength`, at least one but for a static model. */
  readonly ids: ArrayLike<number>;
  /** Token types. Default: all 0. */
  readonly types?: ArrayLike<number>;
  /** 1 for tokens that others see. Default: all 1. */
  readonly attended?: ArrayLike<number>;
  readonly outputs: readonly EncoderOutput[];
  /** Positions whose tokens are predicted, for `masked`. Default: none. */
  readonly rows?: readonly number[];
  /** For `embedding`. Default: the model's own. */
  readonly poolings?: readonly PoolingMode[];
  /** For `embedding`: leading tokens that are not pooled. Default 0. */
  readonly skipped?: number;
}

/** How a sentence-transformers folder wants texts to be prepared. */
export interface SentenceSettings extends SentencePipeline {
  /** Texts are cut to this many tokens. */
  readonly maxLength: number;
  /** To how many queries and documents are cut, where the folder says so. */
  readonly roleLengths?: { readonly query?: number; readonly document?: number };
  readonly doLowerCase: boolean;
  /** What stands before a text, by the prompt's name. */
  readonly prompts: Readonly<Record<string, string>>;
  readonly defaultPrompt: string | undefined;
  /** Vectors are cut to so many numbers unless a caller says otherwise; undefined: they are not. */
  readonly dimensions: number | undefined;
  /** `cosine`, `dot`, `euclidean`, `manhattan` or `MaxSim`, where the folder says so. */
  readonly similarity: string | undefined;
  /** What makes scores of the logits of classes, where a cross encoder's folder names it. */
  readonly scoreActivation: ScoreActivation | undefined;
  /** Queries and documents of a late-interaction model (ColBERT, XTR). */
  readonly lateInteraction: LateInteraction | undefined;
}

/** An open encoder checkpoint. */
export interface LoadedEncoder {
  readonly kind: "encoder";
  readonly name: string;
  /** The model's folder, where `modules.json` lies if there is one. */
  readonly folder: string;
  readonly checkpoint: Pick<Checkpoint, "config" | "tensors" | "files">;
  readonly tokenizer: Tokenizer;
  readonly config: EncoderConfig;
  readonly format: WeightFormat;
  readonly threads: number;
  /** Longest sequence in tokens. */
  readonly contextLength: number;
  /** What the folder's `modules.json` says; mean pooling alone where there is none. */
  readonly sentence: SentenceSettings;
  /** Heads whose weights are stored. */
  readonly heads: readonly HeadName[];
  /** Width of the vectors that `embed` gives. */
  readonly embeddingSize: number;
  /**
   * One forward pass for a text; texts that wait together run as batches, sorted by length. A result
   * does not depend on the texts beside it.
   */
  run(
    request: EncoderRequest,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<Partial<Record<EncoderOutput, EncoderResult>>>;
  /** Has `run` called before the model is closed. */
  onClose(run: () => void | Promise<void>): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
