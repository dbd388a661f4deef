/** A loaded encoder-decoder as the modules above see it. */
import type { Checkpoint } from "../../checkpoint/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { LoadedModel, ModelMemory, WeightFormat } from "../types.ts";
import type { ReadSource } from "../worker/seq2seq-service.ts";
import type { Seq2SeqConfig } from "./config.ts";

export type { ReadSource } from "../worker/seq2seq-service.ts";

/** How a text is read by an encoder with a delete gate; others ignore none of it: they reject it. */
export interface ReadOptions {
  /** Gate values at or below this are deleted; -Infinity keeps all. Default: the checkpoint's. */
  readonly threshold?: number;
  /** True: nothing is deleted, the gate is a term of the scores, as in training. Default false. */
  readonly soft?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * A decoder that attends to one text. It is a `LoadedModel`: `generate` writes from the id
 * `bosTokenId` on, with any sampling, processors and drafter.
 */
export interface ConditionedModel extends LoadedModel {
  /** Tokens of the text. */
  readonly sourceTokens: number;
  /** Their ids. */
  readonly sourceIds: readonly number[];
  /** Positions that the decoder attends to: fewer than tokens where some were deleted. */
  readonly sourceLength: number;
}

/** An open encoder-decoder checkpoint. */
export interface LoadedSeq2Seq {
  readonly kind: "seq2seq";
  readonly name: string;
  /** The checkpoint's folder. */
  readonly folder: string;
  readonly checkpoint: Pick<Checkpoint, "config" | "generationConfig" | "tensors" | "files">;
  readonly tokenizer: Tokenizer;
  readonly config: Seq2SeqConfig;
  readonly format: WeightFormat;
  readonly threads: number;
  /** Ids that end an output. */
  readonly eosTokenIds: readonly number[];
  /**
   * Reads a text, or its ids, and gives a model that writes from it. Close that model when the output is
   * written; the encoder-decoder stays open.
   */
  read(text: string | ArrayLike<number>, options?: ReadOptions): Promise<ConditionedModel>;
  /** Encodes texts as one batch: states, and what a delete gate kept. */
  encode(
    texts: readonly (string | ArrayLike<number>)[],
    options?: ReadOptions,
  ): Promise<Omit<ReadSource, "handle">[]>;
  memory(): Promise<ModelMemory>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
