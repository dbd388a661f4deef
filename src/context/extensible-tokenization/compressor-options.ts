/** What the training of a compressor is asked for, and what it returns. */
import type { ModelConfig } from "../../checkpoint/index.ts";
import type { TrainLanguageModelOptions } from "../../train/index.ts";
import type { RunOptions } from "../../train/language-model-options.ts";
import type { Settings } from "../../train/run/run-settings.ts";
import type { CompressorConfig } from "./compressor.ts";

/** Options of `trainCompressor`; those of `trainLanguageModel` mean the same. */
export interface TrainCompressorOptions
  extends RunOptions,
    Pick<TrainLanguageModelOptions, "corpora" | "heldOut" | "evaluationSequences"> {
  /** A checkpoint folder: the decoder whose embeddings are replaced. It does not change. */
  model: string;
  /** A file to go on from, of the same form. Default: the decoder's first layers. */
  initialCompressor?: string;
  /** First layers of the decoder that the compressor is made of. Default: a quarter of them, at least 1. */
  layers?: number;
  /** Tokens that are compressed together (L). Default: a quarter of the model's context. */
  window?: number;
  /** Windows of a sample. Default 4. */
  windows?: number;
  /** Tokens that are predicted together (C), far fewer than the context. Default: an eighth of the model's context. */
  chunk?: number;
  /** Factors (k), of which each sample draws one; divisors of window and chunk. Default 2, 4, 8, 16, 32. */
  factors?: readonly number[];
  /** Default `"final"`. */
  norm?: CompressorConfig["norm"];
  /** Default true. */
  projection?: boolean;
  /** Samples of one update. Default 8. */
  batch?: number;
}

/** Result of `trainCompressor`; losses in nats a token. */
export interface TrainedCompressor {
  /** The compressor's file in the folder of the run. */
  readonly file: string;
  readonly steps: number;
  /** Tokens predicted in all steps. */
  readonly tokens: number;
  /** Mean over the last twentieth of the steps. */
  readonly loss: number;
  readonly heldOutLoss: number | undefined;
  /** Number of values of the compressor's parameters. */
  readonly parameters: number;
}

/** What determines the compressor in the end; recorded in `run.json`. */
export interface CompressorSettings
  extends CompressorConfig,
    Pick<Settings, "steps" | "batch" | "schedule" | "optimizer" | "averageDecay" | "seed">,
    Record<string, unknown> {
  /** `config.json` of the frozen model. */
  readonly config: ModelConfig;
  /** Digest of the frozen model. */
  readonly modelDigest: string;
  readonly windows: number;
  readonly chunk: number;
}
