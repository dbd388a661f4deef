/** What the training of an encoder is asked for, and what it returns. */
import type { PoolingMode } from "../../model/index.ts";
import type { TrainLanguageModelOptions } from "../language-model-options.ts";

/** What an encoder learns. */
export type EncoderObjective =
  | {
      /** A vector for each text: queries near to their documents and far from others. */
      readonly kind: "contrastive";
      /** Default 0.05. */
      readonly temperature?: number;
      /** Hard negatives of each example. Default 1. */
      readonly negatives?: number;
      /**
       * Texts of one pass: larger batches then need no more memory, at the price of a second pass without
       * gradients. Default: all at once.
       */
      readonly chunk?: number;
    }
  | {
      /** A vector for each token. */
      readonly kind: "token-contrastive";
      /** `"max-sim"`: ColBERT's; `"xtr"`: only tokens that are retrieved from the batch count. Default `"xtr"`. */
      readonly scoring?: "max-sim" | "xtr";
      /** Tokens of the batch that each token of a query retrieves, with `"xtr"`. Default 128. */
      readonly candidates?: number;
      /** Default 0.05. */
      readonly temperature?: number;
      /** Default 1. */
      readonly negatives?: number;
      /** Length of the vectors. Default 128. */
      readonly width?: number;
    }
  | {
      /** A vector for each text, from the scores of a teacher. */
      readonly kind: "distillation";
      /** Of the student; default 0.05. The teacher's scores are taken as they are. */
      readonly temperature?: number;
    }
  | {
      /** Classes of texts or of pairs. */
      readonly kind: "classes";
      readonly labels: readonly string[];
      /** Default: `"regression"` for one label, otherwise `"single-label"`. */
      readonly problem?: "single-label" | "multi-label" | "regression";
    }
  | {
      /** Classes of tokens. One of the labels is `O`, which tokens outside of spans belong to. */
      readonly kind: "token-classes";
      readonly labels: readonly string[];
    };

/** Options of `trainEncoder`; those of `trainLanguageModel` mean the same. */
export interface TrainEncoderOptions
  extends Pick<
    TrainLanguageModelOptions,
    | "folder"
    | "steps"
    | "schedule"
    | "optimizer"
    | "averageDecay"
    | "initialization"
    | "frozen"
    | "seed"
    | "threads"
    | "checkpointEvery"
    | "keepCheckpoints"
    | "evaluateEvery"
    | "existing"
    | "dtype"
    | "name"
    | "onProgress"
    | "onCheckpoint"
    | "onWarning"
    | "signal"
  > {
  objective: EncoderObjective;
  /** A checkpoint folder to begin with; heads that it lacks begin with random weights. */
  initialWeights?: string;
  /** Without `initialWeights`: `config.json` of the encoder, a family and its sizes. */
  config?: TrainLanguageModelOptions["config"];
  /** A checkpoint folder or a tokenizer file. Default: that of `initialWeights`. */
  tokenizer?: string;
  /**
   * Lines of JSON, as `listCorpusFiles` finds them: `{"query", "document", "negatives"?}`, for distillation
   * `{"query", "documents", "scores"}`, for classes `{"text", "pair"?, "label"}`, for classes of tokens
   * `{"text", "spans": [[start, end, label]]}`.
   */
  examples: readonly string[];
  /** Examples that are only measured. */
  heldOut?: readonly string[];
  /** Examples of one update. Default 32. */
  batch?: number;
  /** Tokens of a query at most. Default 32, or the encoder's context. */
  queryLength?: number;
  /** Tokens of a document, or of a text, at most. Default 128, or the encoder's context. */
  documentLength?: number;
  /** Of vectors of texts. Default `"mean"`. */
  pooling?: Exclude<PoolingMode, "max">;
}

/** Result of `trainEncoder`. */
export interface TrainedEncoder {
  /** The exported checkpoint folder; of vectors in the layout of sentence-transformers or PyLate. */
  readonly modelFolder: string;
  readonly steps: number;
  /** Tokens of all steps. */
  readonly tokens: number;
  /** Mean over the last twentieth of the steps, in nats a query, a text or a token. */
  readonly loss: number;
  readonly heldOutLoss: number | undefined;
  readonly parameters: number;
}

/** What determines the weights in the end; recorded in `run.json`. */
export interface EncoderSettings extends Record<string, unknown> {
  readonly objective: TrainEncoderOptions["objective"];
  readonly config: TrainLanguageModelOptions["config"];
  readonly steps: number;
  readonly batch: number;
  readonly queryLength: number;
  readonly documentLength: number;
  readonly pooling: NonNullable<TrainEncoderOptions["pooling"]>;
  readonly schedule: NonNullable<TrainEncoderOptions["schedule"]>;
  readonly optimizer: NonNullable<TrainEncoderOptions["optimizer"]>;
  readonly averageDecay: number | undefined;
  readonly frozen: readonly string[] | undefined;
  readonly seed: number;
}
