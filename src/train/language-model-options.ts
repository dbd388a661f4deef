/** What training a language model is asked for, reports on its way, and returns. */
import type { ModelConfig } from "../checkpoint/index.ts";
import { formatCount, formatDuration, formatRate, type WarningHandler } from "../core/index.ts";
import type { Corpus } from "./data/corpus.ts";
import type { InitializationOptions } from "./graph/parameters.ts";
import type { DeletionOptions } from "./graph/span-corruption-graph.ts";
import type { Transform } from "./optimizer/optimizer.ts";
import type { Schedule } from "./optimizer/schedule.ts";

/** Options of `trainLanguageModel`. */
export interface TrainLanguageModelOptions {
  /** The folder of the run; made when it does not exist. */
  folder: string;
  /**
   * `config.json` of the model: a family and its sizes. `vocab_size`, `bos_token_id` and
   * `eos_token_id` are those of the tokenizer unless they are given.
   */
  config: ModelConfig;
  /**
   * A checkpoint folder or a tokenizer file; `"bytes"`: the byte vocabulary, which models of words need; `"byt5"`:
   * bytes with ByT5's ids, which encoder-decoders over bytes need.
   */
  tokenizer: string;
  corpora: readonly Corpus[];
  /** Text that is only measured. */
  heldOut?: Corpus;
  /** Updates to make. */
  steps: number;
  /** Sequences of one update. Default 16. */
  batch?: number;
  /** Parts in which the sequences of an update are computed, to save memory. Default 1. */
  accumulation?: number;
  /** Tokens of a sequence. Default 256. */
  sequenceLength?: number;
  /** Default: cosine to a tenth of 1e-3, with a warm-up over a twentieth of the steps. */
  schedule?: Schedule;
  /** Default AdamW with clipping to norm 1; vectors do not decay. */
  optimizer?: readonly Transform[];
  /** Decay of an exponential moving average; the export then holds the averages. Default: none. */
  averageDecay?: number;
  /** Tokens see only their own document. Default true; false for a Monarch Mixer, which cannot. */
  documentMask?: boolean;
  /** How a model with a gate that deletes (MrT5) learns to delete; for no other. */
  deletion?: DeletionOptions;
  /** How random first weights are drawn. */
  initialization?: InitializationOptions;
  /** Start from the weights of a checkpoint folder. Default: random ones. */
  initialWeights?: string;
  /** Parameters that stay as they are, by name; `*` stands for any characters. Default: none. */
  frozen?: readonly string[];
  /** Default 0. */
  seed?: number;
  /** Default: what the machine has, at most 8. A run repeats bit for bit with the same number. */
  threads?: number;
  /** Steps between checkpoints. Default 100. */
  checkpointEvery?: number;
  /** Checkpoints that are kept. Default 2. */
  keepCheckpoints?: number;
  /** Steps between evaluations on `heldOut`. Default 100; the last step is always followed by one. */
  evaluateEvery?: number;
  /** Sequences of an evaluation, always the same ones. Default 64. */
  evaluationSequences?: number;
  /**
   * What to do with a run that the folder holds. `refuse` lets one be begun anew that did not come to
   * its first step. Default `refuse`.
   */
  existing?: "refuse" | "resume";
  /** How exported weights are stored. Default F16. */
  dtype?: "F32" | "F16" | "BF16";
  /** Goes into the model card. Default: the name of the folder. */
  name?: string;
  onProgress?: (progress: TrainingProgress) => void;
  /** Takes what deserves a look, e.g. embedding rows that no token reaches. Default: a process warning. */
  onWarning?: WarningHandler;
  /** Called when a checkpoint lies on the disk: from there the run goes on after an interruption. */
  onCheckpoint?: (checkpoint: { readonly step: number; readonly path: string }) => void;
  /** Aborting saves a checkpoint after the step under way, then throws the signal's reason. */
  signal?: AbortSignal;
}

/** Options that every kind of run has. */
export type RunOptions = Pick<
  TrainLanguageModelOptions,
  | "folder"
  | "steps"
  | "schedule"
  | "optimizer"
  | "averageDecay"
  | "seed"
  | "threads"
  | "checkpointEvery"
  | "keepCheckpoints"
  | "evaluateEvery"
  | "existing"
  | "name"
  | "onProgress"
  | "onCheckpoint"
  | "onWarning"
  | "signal"
>;

/** Where a run stands. */
export interface TrainingProgress {
  readonly stage: "tokenize" | "train" | "export";
  /** Steps done. */
  readonly step: number;
  readonly steps: number;
  /** Tokens learned from, or written while tokenizing. */
  readonly tokens: number;
  /** Of the last step; smoothing is the reader's. Undefined before the first. */
  readonly loss?: number;
  readonly heldOutLoss?: number;
  readonly heldOutBitsPerByte?: number;
  readonly learningRate?: number;
  /** Tokens a second, over the last seconds. */
  readonly tokensPerSecond: number;
  readonly secondsLeft: number | undefined;
}

/** Result of `trainLanguageModel`: the exported folder and the losses in nats. */
export interface TrainedLanguageModel {
  /** The exported checkpoint folder. */
  readonly modelFolder: string;
  /** Steps in all. */
  readonly steps: number;
  /** Tokens that counted, of all steps. */
  readonly tokens: number;
  /** Mean over the last twentieth of the steps. */
  readonly loss: number;
  /** Loss of the held-out text after the last step, in nats per token; undefined without one. */
  readonly heldOutLoss: number | undefined;
  /** The same in bits per byte of text; undefined for an encoder too, which predicts masked words alone. */
  readonly heldOutBitsPerByte: number | undefined;
  /** Number of parameters. */
  readonly parameters: number;
}

/** Progress as one line: `step 120/2000 · loss 3.412 · 4.1K tokens/s · 12 min 05 s left`. */
export function formatTrainingProgress(progress: TrainingProgress): string {
  const { stage, step, steps, tokens, loss, heldOutLoss, tokensPerSecond, secondsLeft } = progress;
  if (stage === "tokenize") return `tokenizing · ${formatCount(tokens)} tokens`;
  if (stage === "export") return "writing the model";
  const parts = [`step ${step}/${steps}`];
  if (loss !== undefined) parts.push(`loss ${loss.toFixed(3)}`);
  if (heldOutLoss !== undefined) parts.push(`held out ${heldOutLoss.toFixed(3)}`);
  parts.push(`${formatCount(tokens)} tokens`);
  if (tokensPerSecond > 0) parts.push(`${formatRate(tokensPerSecond)} tokens/s`);
  if (secondsLeft !== undefined) parts.push(`${formatDuration(secondsLeft)} left`);
  return parts.join(" · ");
}
