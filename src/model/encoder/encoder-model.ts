/** A loaded encoder over a service, wherever its weights came from and wherever it runs. */
import { JetonError } from "../../core/index.ts";
import type { Remote } from "../../tensor/index.ts";
import { rotationKey } from "../layers/rotation-tables.ts";
import type { EncoderService } from "../worker/encoder-service.ts";
import { joinRequests, splitResults } from "./batch-results.ts";
import { BatchScheduler, type TextResults } from "./batch-scheduler.ts";
import { pipelineWidth } from "./sentence/sentence-modules.ts";
import { checkIndices, checkLength } from "./tasks/check-request.ts";
import type { EncoderRequest, LoadedEncoder } from "./types.ts";

/** What an `EncoderModel` is made of. */
export interface EncoderModelParts
  extends Pick<
    LoadedEncoder,
    | "name"
    | "folder"
    | "checkpoint"
    | "tokenizer"
    | "config"
    | "format"
    | "threads"
    | "contextLength"
    | "sentence"
    | "heads"
  > {
  /** The encoder; the model closes it. */
  readonly service: Remote<EncoderService>;
}

/** The one implementation of `LoadedEncoder`. */
export class EncoderModel implements LoadedEncoder {
  readonly kind = "encoder";
  readonly name: string;
  readonly folder: string;
  readonly checkpoint: LoadedEncoder["checkpoint"];
  readonly tokenizer: LoadedEncoder["tokenizer"];
  readonly config: LoadedEncoder["config"];
  readonly format: LoadedEncoder["format"];
  readonly threads: number;
  readonly contextLength: number;
  readonly sentence: LoadedEncoder["sentence"];
  readonly heads: LoadedEncoder["heads"];
  readonly #service: Remote<EncoderService>;
  readonly #scheduler: BatchScheduler;
  readonly #closeListeners: (() => void | Promise<void>)[] = [];
  #closing: Promise<void> | undefined;

  constructor(parts: EncoderModelParts) {
    this.name = parts.name;
    this.folder = parts.folder;
    this.checkpoint = parts.checkpoint;
    this.tokenizer = parts.tokenizer;
    this.config = parts.config;
    this.format = parts.format;
    this.threads = parts.threads;
    this.contextLength = parts.contextLength;
    this.sentence = parts.sentence;
    this.heads = parts.heads;
    this.#service = parts.service;
    this.#scheduler = new BatchScheduler(
      async (requests) => {
        const batch = joinRequests(this.config, requests, this.sentence.poolings);
        return splitResults(await this.#service.run(batch), requests);
      },
      {
        convolves: this.config.mixer !== undefined,
        lengthKey: (length) => rotationKey(this.config.ropes, length),
      },
    );
  }

  get embeddingSize(): number {
    const { dimensions } = this.sentence;
    const width = pipelineWidth(this.sentence, this.config.hiddenSize);
    return Math.min(width, dimensions ?? width);
  }

  async run(
    request: EncoderRequest,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<TextResults> {
    this.#check(request);
    return this.#scheduler.add(request, options.signal);
  }

  /** Rejects what would fail the other texts of a pass too. */
  #check({
    ids,
    types,
    attended,
    rows = [],
    outputs,
    poolings,
    skipped = 0,
  }: EncoderRequest): void {
    const { contextLength, config, sentence } = this;
    const invalid = (code: string, message: string, details: Record<string, unknown>): JetonError =>
      new JetonError(message, { code, details });
    if (ids.length === 0) {
      throw invalid("encoder-input-empty", "a text has no tokens, expected at least one", {});
    }
    checkLength(ids, contextLength);
    checkIndices("token", ids, config.vocabSize);
    // Without a table of types those of a pair are not read.
    if (config.typeVocabSize > 0) checkIndices("token type", types ?? [], config.typeVocabSize);
    checkIndices("position", rows, ids.length);
    for (const [what, values] of Object.entries({ types, attended })) {
      if (values === undefined || values.length === ids.length) continue;
      const message = `${what} has ${values.length} entries, expected ${ids.length}: one a token`;
      throw invalid("encoder-input-invalid", message, { what, found: values.length });
    }
    if (!(Number.isInteger(skipped) && skipped >= 0 && skipped < ids.length)) {
      const message = `skipped is ${skipped}, expected 0 to ${ids.length - 1}`;
      throw invalid("encoder-input-invalid", message, { skipped });
    }
    for (const output of outputs) this.#checkOutput(output);
    const count = poolings?.length ?? sentence.poolings.length;
    const isFixed = sentence.modules.some(({ kind }) => kind !== "normalize");
    if (isFixed && count !== sentence.poolings.length) {
      const message = `the model's modules read ${sentence.poolings.length} poolings, not ${count}`;
      throw invalid("encoder-pooling-count", message, { found: count });
    }
  }

  #checkOutput(output: EncoderRequest["outputs"][number]): void {
    const has =
      output === "states" ||
      output === "embedding" ||
      (output === "vectors" && this.sentence.tokenModules !== undefined) ||
      (output === "sparse" && this.sentence.sparse !== undefined) ||
      (this.heads as readonly string[]).includes(output);
    if (has) return;
    const { tokenModules, sparse } = this.sentence;
    const known = ["states", "embedding"];
    known.push(...(tokenModules ? ["vectors"] : []), ...(sparse ? ["sparse"] : []));
    throw new JetonError(
      `${this.name} has no head "${output}", only ${[...known, ...this.heads].join(", ")}`,
      { code: "encoder-head-missing", details: { output, heads: this.heads } },
    );
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
    await this.#scheduler.close();
    await this.#service.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
