/** What the training of an encoder is asked for, and what it returns. */
import type { PoolingMode } from "../../model/index.ts";
import type { RunOptions, TrainLanguageModelOptions } from "../language-model-options.ts";
import type { Settings } from "../run/run-settings.ts";

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
      /**
       * A vector for each text: its cosine with the query's is 1 for the right document and 0 for others, which needs
       * no batch (orthogonal projection loss of LoCo).
       */
      readonly kind: "orthogonal-projection";
      /**
       * Negatives of each example: its own, and others drawn from the documents of the same file, each once for an
       * example. Default 32, or as many as every example can have.
       */
      readonly negatives?: number;
    }
  | {
      /**
       * Plain texts: the first state learns to carry a text so that a weak decoder rebuilds it, the others its words
       * (DupMAE). Each weight is a factor of a mean over tokens, beside that of the masked ones; 0 leaves a part out.
       */
      readonly kind: "dupmae";
      /** Default 1. */
      readonly decodingWeight?: number;
      /** Default 1. */
      readonly lexicalWeight?: number;
      /** Share of the tokens that are hidden from the encoder, in whole words. Default 0.3. */
      readonly masking?: number;
      /** Share that each row of the decoder does not see. Default 0.5. */
      readonly hiding?: number;
    }
  | {
      /** A dense vector and the weights of words together: the score is one inner product (DupMAE). */
      readonly kind: "hybrid-contrastive";
      /** Length of the dense part. Default: half of the hidden size. */
      readonly width?: number;
      /** Words that a document keeps. Default 384. */
      readonly terms?: number;
      /** Default 1. */
      readonly temperature?: number;
      /** Default 1. */
      readonly negatives?: number;
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
  extends RunOptions,
    Pick<TrainLanguageModelOptions, "initialization" | "frozen" | "dtype"> {
  objective: EncoderObjective;
  /**
   * A checkpoint folder to begin with; heads that it lacks begin with random weights. Where it is one of
   * sentence-transformers, the checkpoint lies where its `modules.json` says, and its pooling is the default one.
   */
  initialWeights?: string;
  /** Without `initialWeights`: `config.json` of the encoder, a family and its sizes. */
  config?: TrainLanguageModelOptions["config"];
  /** A checkpoint folder or a tokenizer file. Default: that of `initialWeights`. */
  tokenizer?: string;
  /**
   * Lines of JSON, as `listCorpusFiles` finds them: `{"query", "document", "negatives"?}`, for distillation
   * `{"query", "documents", "scores"}`, for plain texts `{"text"}`, for classes `{"text", "pair"?, "label"}`, for classes of tokens
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
  /** Of vectors of texts. Default that of `initialWeights`, otherwise `"mean"`; a Monarch Mixer has `"cls"` or `"mean"`, by default its configuration's. */
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
export interface EncoderSettings
  extends Pick<Settings, "steps" | "batch" | "schedule" | "optimizer" | "averageDecay" | "seed">,
    Record<string, unknown> {
  readonly objective: TrainEncoderOptions["objective"];
  readonly config: TrainLanguageModelOptions["config"];
  readonly queryLength: number;
  readonly documentLength: number;
  readonly pooling: NonNullable<TrainEncoderOptions["pooling"]>;
  readonly frozen: readonly string[] | undefined;
}
