/** A loaded static model: vectors of texts as means of rows, on the calling thread. */
import { JetonError } from "../../../core/index.ts";
import type { TextResults } from "../batch-scheduler.ts";
import { moduleWidth } from "../sentence/sentence-modules.ts";
import { checkIndices, checkLength } from "../tasks/check-request.ts";
import type { EncoderRequest, LoadedEncoder } from "../types.ts";
import type { VectorStep } from "./static-modules.ts";
import { meanOfRows, type StaticTable } from "./static-table.ts";

/** What a `StaticEncoder` is made of. */
export interface StaticEncoderParts
  extends Pick<
    LoadedEncoder,
    | "name"
    | "folder"
    | "checkpoint"
    | "tokenizer"
    | "config"
    | "format"
    | "contextLength"
    | "sentence"
  > {
  readonly table: StaticTable;
  /** What stands behind the mean, in its order. */
  readonly steps: readonly VectorStep[];
}

/** `LoadedEncoder` of a static model. */
export class StaticEncoder implements LoadedEncoder {
  readonly kind = "encoder";
  readonly name: string;
  readonly folder: string;
  readonly checkpoint: LoadedEncoder["checkpoint"];
  readonly tokenizer: LoadedEncoder["tokenizer"];
  readonly config: LoadedEncoder["config"];
  readonly format: LoadedEncoder["format"];
  readonly threads = 1;
  readonly contextLength: number;
  readonly sentence: LoadedEncoder["sentence"];
  readonly heads: LoadedEncoder["heads"] = [];
  #table: StaticTable | undefined;
  readonly #steps: readonly VectorStep[];
  readonly #closeListeners: (() => void | Promise<void>)[] = [];
  #closing: Promise<void> | undefined;

  constructor(parts: StaticEncoderParts) {
    this.name = parts.name;
    this.folder = parts.folder;
    this.checkpoint = parts.checkpoint;
    this.tokenizer = parts.tokenizer;
    this.config = parts.config;
    this.format = parts.format;
    this.contextLength = parts.contextLength;
    this.sentence = parts.sentence;
    this.#table = parts.table;
    this.#steps = parts.steps;
  }

  get embeddingSize(): number {
    const width = moduleWidth(this.sentence.modules, this.config.hiddenSize);
    return Math.min(width, this.sentence.dimensions ?? width);
  }

  async run(
    request: EncoderRequest,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<TextResults> {
    signal?.throwIfAborted();
    const table = this.#table;
    if (table === undefined) {
      throw new JetonError("the model was closed", { code: "model-closed" });
    }
    this.#check(request);
    const mean = meanOfRows(table, request.ids, request.skipped);
    const data = this.#steps.reduce((vector, step) => step(vector), mean);
    return { embedding: { shape: [data.length], data } };
  }

  #check({ ids, types, attended, outputs, poolings, skipped = 0 }: EncoderRequest): void {
    const output = outputs.find((name) => name !== "embedding");
    if (output !== undefined) {
      throw new JetonError(
        `${this.name} is a static model, which gives vectors of whole texts (embedding) and no ${JSON.stringify(output)}`,
        { code: "encoder-head-missing", details: { output, heads: [] } },
      );
    }
    const pooling = poolings?.find((name) => name !== "mean");
    if (pooling !== undefined) {
      throw new JetonError(
        `${this.name} is a static model, which takes the mean of its tokens' vectors, not ${pooling}`,
        { code: "encoder-pooling-unknown", details: { name: pooling, known: ["mean"] } },
      );
    }
    checkLength(ids, this.contextLength);
    checkIndices("token", ids, this.config.vocabSize);
    const left = attended && Array.from(attended).some((one) => one !== 1);
    if (left || (types ?? ids).length !== ids.length || (attended ?? ids).length !== ids.length) {
      const message =
        "types and attended need one entry a token, and a static model attends to all";
      throw new JetonError(message, {
        code: "encoder-input-invalid",
        details: { types, attended },
      });
    }
    if (Number.isInteger(skipped) && skipped >= 0 && skipped <= ids.length) return;
    throw new JetonError(`skipped is ${skipped}, expected 0 to ${ids.length}`, {
      code: "encoder-input-invalid",
      details: { skipped },
    });
  }

  onClose(run: () => void | Promise<void>): void {
    this.#closeListeners.push(run);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#closeListeners.map(async (run) => run()));
    this.#table = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
