/// <reference lib="esnext.disposable" preserve="true" />
/** A loaded model as the modules above see it. */
import type { Checkpoint } from "../checkpoint/index.ts";
import type { WarningHandler } from "../core/index.ts";
import type { Device } from "../tensor/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import type { DecoderConfig } from "./decoder/config.ts";
import type { StepRequest, StepResult } from "./decoder/step-outputs.ts";
import type { ContextPolicy } from "./policy/context-policy.ts";

export type { SampleRequest, StepRequest, StepResult } from "./decoder/step-outputs.ts";

/** How weights are held in memory. */
export type WeightFormat = "f32" | "int8" | "int8-channel" | "int4";

/** Options of `loadModel`. */
export interface LoadModelOptions {
  /** Default `"f32"` below 50 million parameters, otherwise `"int8"`. `inspect` states it. */
  format?: WeightFormat;
  /** Threads of one forward pass. Default: the number of cores, at most 8. */
  threads?: number;
  /** Most sequences that may be open at once. Default 16. */
  slots?: number;
  /** Longest sequence. Default and upper bound: the model's own context length. */
  contextLength?: number;
  /**
   * True (default): the result of a row does not depend, to the last bit, on the rows beside it in its
   * forward pass. So the same seed gives the same text with any drafter, beside any other requests, in
   * any chunks and every format; draft trees are cut to their best path. False: whole trees are
   * verified and passes have any size, which is sometimes faster; the last bits of a row, and with
   * them the text, may depend on both. Models of words are never exact: they refuse an explicit true.
   */
  exact?: boolean;
  /** True: the model runs on the calling thread (a browser's page, tests). Default false. */
  inline?: boolean;
  /** Folder of packed weights. Default: `JETON_CACHE`, otherwise under the user's cache folder. */
  cacheFolder?: string;
  /** Called while the model is downloaded, packed and loaded. */
  onProgress?: (progress: {
    stage: "download" | "pack" | "load";
    done: number;
    total: number;
  }) => void;
  /**
   * Takes what went otherwise than asked but is no reason to fail: `packed-cache-unwritable` where
   * packed weights cannot be kept on disk; `model-eos-disagrees`, `model-bos-disagrees` and
   * `model-vocabulary-disagrees` where files of the checkpoint disagree. Default: a warning of the
   * process.
   */
  onWarning?: WarningHandler;
  /** Aborting ends the loading with the signal's reason. */
  signal?: AbortSignal;
}

/** What one open sequence asks of a forward pass. */
export interface SequenceStep extends StepRequest {
  readonly slot: number;
  /** New tokens, parents before children. */
  readonly ids: readonly number[] | Int32Array;
  /** Index of each new token's parent among the new tokens, -1 for the cached prefix. Default: a chain. */
  readonly parents?: readonly number[];
  /**
   * Which rows' results are wanted: `"last"` (default), `"all"` or none (prefill before its end).
   */
  readonly results?: "last" | "all" | "none";
  /**
   * `[ids, hiddenSize]`, read in place of rows of the embedding table. Only the number of ids counts
   * then, and cached rows of embeddings are never reused as the prefix of a prompt.
   */
  readonly embeddings?: Float32Array;
  /**
   * True (default): the new tokens enter the cache at once, as a chain. False: they wait until
   * `accept` names the rows to keep.
   */
  readonly commit?: boolean;
}

/** Memory of a loaded model, in bytes. */
export interface ModelMemory {
  /** Bytes of weights as held, without what the runtime pre-packs besides. */
  readonly weights: number;
  readonly cache: number;
  /** Resident set of the whole process. */
  readonly resident: number;
}

/** An open checkpoint: tokenizer, decoder and its key-value cache. */
export interface LoadedModel {
  readonly name: string;
  /** The checkpoint's folder. */
  readonly folder: string;
  readonly checkpoint: Pick<Checkpoint, "config" | "generationConfig" | "tensors" | "files">;
  /** The stored weights in memory, of a model that was opened with `keepWeights`: for what reads them besides. */
  readonly stored?: Checkpoint;
  /** The tokenizer of the checkpoint folder. */
  readonly tokenizer: Tokenizer;
  /** The decoder's configuration, completed by the family's defaults. */
  readonly config: DecoderConfig;
  /** How the weights are held. */
  readonly format: WeightFormat;
  /** What computes forward passes. */
  readonly device?: Device;
  /** Threads of one forward pass. */
  readonly threads: number;
  /** True where forward passes give every row the same bits in any company: `LoadModelOptions.exact`. */
  readonly exact?: boolean;
  /**
   * Exact forward passes are filled up to a multiple of so many rows, because the kernels of this machine
   * treat those that are left over differently: the rows that fill up cost as much as draft tokens. Default 1.
   */
  readonly rowTile?: number;
  /** Longest sequence, prompt and generated tokens together. */
  readonly contextLength: number;
  /**
   * Phi-3 with longrope: where a text grows beyond this length, all of its keys and values are computed
   * anew. Draft tokens on both sides of it are rotated as those before it are, so drafts should end there.
   */
  readonly restartLength?: number | undefined;
  /** Ids that end a text. */
  readonly eosTokenIds: readonly number[];
  /** Id that begins a text; undefined where the model has none. */
  readonly bosTokenId: number | undefined;
  /** Most sequences that may be open at once. */
  readonly slots: number;

  /** Opens a sequence; waits while all slots are taken. */
  openSequence(options?: {
    /** Reuse the cached rows of the longest common prefix of a released sequence with these ids. */
    prefix?: readonly number[];
    /**
     * Tokens of the prompt, however many steps it takes. Default: the length of `prefix`. Rotary
     * embeddings whose scaling depends on the length (dynamic, longrope) take it for all of the prompt.
     */
    promptLength?: number;
    signal?: AbortSignal;
  }): Promise<OpenSequence>;
  /** Sequences open now. */
  readonly openSequences: number;
  /** The policy under which sequences of this view of a model are opened. */
  readonly contextPolicy?: ContextPolicy;
  /**
   * The same model, whose sequences attend as a context policy says. Its program is opened in the worker
   * with the first of them, beside the model's own; texts may be longer than the trained context.
   */
  withContextPolicy?(policy: ContextPolicy): LoadedModel;
  /** Bytes of the weights and of the key-value cache. */
  memory(): Promise<ModelMemory>;
  /** Has `run` called before the model is closed; what belongs to the model is freed there. */
  onClose?(run: () => void | Promise<void>): void;
  /** Ends the worker after the running forward; safe to call twice. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** One sequence in the cache. Steps of several open sequences that wait together run as one batch. */
export interface OpenSequence {
  /** Tokens in the cache. */
  readonly length: number;
  /** Tokens found in the cache when the sequence was opened. */
  readonly reused: number;
  step(step: Omit<SequenceStep, "slot">, options?: { signal?: AbortSignal }): Promise<StepResult>;
  /** Keeps these rows of the last uncommitted step, in order. */
  accept(rows: readonly number[]): Promise<void>;
  /** Forgets tokens from `length` on. */
  truncate(length: number): Promise<void>;
  /** Gives the slot back; its rows stay for prefix reuse until another sequence needs the slot. */
  release(): Promise<void>;
}
