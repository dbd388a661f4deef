/** A loaded encoder-decoder over a service, and the decoder that attends to one text. */
import { JetonError } from "../../core/index.ts";
import type { Remote } from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { endIds } from "../decoder/special-ids.ts";
import { checkRequest } from "../decoder/step-outputs.ts";
import type { ModelMemory, OpenSequence } from "../types.ts";
import { DraftRows } from "../worker/draft-rows.ts";
import { releaseHandle, sequenceReleased } from "../worker/release-handle.ts";
import { residentBytes } from "../worker/resident-bytes.ts";
import type { ReadSource, Seq2SeqService, SourceBatch } from "../worker/seq2seq-service.ts";
import { decoderView } from "./config.ts";
import type { ConditionedModel, LoadedSeq2Seq, ReadOptions } from "./types.ts";

/** What a `Seq2SeqModel` is made of. */
export interface Seq2SeqModelParts
  extends Pick<
    LoadedSeq2Seq,
    "name" | "folder" | "checkpoint" | "tokenizer" | "config" | "format" | "threads"
  > {
  /** The encoder-decoder; the model closes it. */
  readonly service: Remote<Seq2SeqService>;
  /** Bytes of weights as held. */
  readonly weightBytes: number;
}

/** The one implementation of `LoadedSeq2Seq`. */
export class Seq2SeqModel implements LoadedSeq2Seq {
  readonly kind = "seq2seq";
  readonly name: string;
  readonly folder: string;
  readonly checkpoint: LoadedSeq2Seq["checkpoint"];
  readonly tokenizer: LoadedSeq2Seq["tokenizer"];
  readonly config: LoadedSeq2Seq["config"];
  readonly format: LoadedSeq2Seq["format"];
  readonly threads: number;
  readonly eosTokenIds: readonly number[];
  readonly #service: Remote<Seq2SeqService>;
  readonly #weightBytes: number;
  #closing: Promise<void> | undefined;

  constructor(parts: Seq2SeqModelParts) {
    this.name = parts.name;
    this.folder = parts.folder;
    this.checkpoint = parts.checkpoint;
    this.tokenizer = parts.tokenizer;
    this.config = parts.config;
    this.format = parts.format;
    this.threads = parts.threads;
    this.#service = parts.service;
    this.#weightBytes = parts.weightBytes;
    this.eosTokenIds = endIds({
      config: decoderView(parts.config),
      generationConfig: parts.checkpoint.generationConfig,
      tokenizer: parts.tokenizer,
    });
  }

  async read(
    text: string | ArrayLike<number>,
    options: ReadOptions = {},
  ): Promise<ConditionedModel> {
    const ids = this.#ids(text);
    options.signal?.throwIfAborted();
    const [source] = await this.#service.read({ texts: [ids], ...this.#deletion(options) });
    return new SourceDecoder(this, this.#service, source!, [...ids]);
  }

  async encode(
    texts: readonly (string | ArrayLike<number>)[],
    options: ReadOptions = {},
  ): Promise<Omit<ReadSource, "handle">[]> {
    if (texts.length === 0) return [];
    options.signal?.throwIfAborted();
    const ids = texts.map((text) => this.#ids(text));
    const batch = { texts: ids, details: true, ...this.#deletion(options) };
    const sources = await this.#service.read(batch);
    for (const { handle } of sources) await this.#service.forget(handle);
    return sources.map(({ handle: _, ...rest }) => rest);
  }

  #deletion({ threshold, soft }: ReadOptions): Pick<SourceBatch, "threshold" | "soft"> {
    if (threshold === undefined && soft === undefined) return {};
    if (!this.config.deleteGate) {
      throw new JetonError(`${this.name} has no delete gate, expected neither threshold nor soft`, {
        code: "seq2seq-option-invalid",
        details: { threshold, soft },
      });
    }
    if (threshold !== undefined && (Number.isNaN(threshold) || soft)) {
      throw new JetonError(
        soft
          ? "soft keeps every position, expected no threshold beside it"
          : `threshold is ${threshold}, expected a number`,
        { code: "seq2seq-option-invalid", details: { threshold, soft } },
      );
    }
    return { ...(threshold !== undefined && { threshold }), ...(soft !== undefined && { soft }) };
  }

  #ids(text: string | ArrayLike<number>): Int32Array {
    const ids =
      typeof text === "string"
        ? this.tokenizer.encodeIds(text, { applyLimits: false })
        : Int32Array.from(text);
    const { vocabSize, contextLength } = this.config.encoder;
    const wrong = Array.from(text as ArrayLike<number>).find(
      (id) => typeof text !== "string" && !(Number.isInteger(id) && id >= 0 && id < vocabSize),
    );
    const problem =
      ids.length === 0
        ? (["encoder-input-empty", "a text has no tokens, expected at least one"] as const)
        : ids.length > contextLength
          ? ([
              "model-context-exceeded",
              `a text of ${ids.length} tokens exceeds the context of ${contextLength}`,
            ] as const)
          : wrong !== undefined
            ? ([
                "model-token-unknown",
                `there is no token ${wrong}, expected 0 to ${vocabSize - 1}`,
              ] as const)
            : undefined;
    if (!problem) return ids;
    throw new JetonError(problem[1], {
      code: problem[0],
      details: { length: ids.length, found: wrong },
    });
  }

  async memory(): Promise<ModelMemory> {
    const { cache } = await this.#service.memory();
    return { weights: this.#weightBytes, cache, resident: residentBytes() };
  }

  close(): Promise<void> {
    this.#closing ??= this.#service.close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Most sequences that are written from one text at a time. */
const maxSequences = 64;

class SourceDecoder implements ConditionedModel {
  readonly name: string;
  readonly folder: string;
  readonly checkpoint: LoadedSeq2Seq["checkpoint"];
  readonly tokenizer: LoadedSeq2Seq["tokenizer"];
  readonly config: DecoderConfig;
  readonly format: LoadedSeq2Seq["format"];
  readonly threads: number;
  readonly contextLength: number;
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number;
  readonly slots = maxSequences;
  readonly sourceTokens: number;
  readonly sourceIds: readonly number[];
  readonly sourceLength: number;
  readonly #model: Seq2SeqModel;
  readonly #service: Remote<Seq2SeqService>;
  readonly #source: number;
  readonly #closeListeners: (() => void | Promise<void>)[] = [];
  #open = 0;
  #closing: Promise<void> | undefined;

  constructor(
    model: Seq2SeqModel,
    service: Remote<Seq2SeqService>,
    source: ReadSource,
    ids: readonly number[],
  ) {
    this.name = model.name;
    this.folder = model.folder;
    this.checkpoint = model.checkpoint;
    this.tokenizer = model.tokenizer;
    this.config = decoderView(model.config);
    this.format = model.format;
    this.threads = model.threads;
    this.contextLength = this.config.contextLength;
    this.eosTokenIds = model.eosTokenIds;
    this.bosTokenId = model.config.decoderStartTokenId;
    this.sourceTokens = ids.length;
    this.sourceIds = ids;
    this.sourceLength = source.length;
    this.#model = model;
    this.#service = service;
    this.#source = source.handle;
  }

  get openSequences(): number {
    return this.#open;
  }

  async openSequence(options: { signal?: AbortSignal } = {}): Promise<OpenSequence> {
    options.signal?.throwIfAborted();
    const handle = await this.#service.open(this.#source);
    this.#open++;
    return this.#sequence(handle);
  }

  #sequence(handle: number): OpenSequence {
    const service = this.#service;
    const { config, contextLength } = this;
    const closed = (): void => void this.#open--;
    const drafts = new DraftRows();
    let length = 0;
    let released = false;
    return {
      reused: 0,
      get length() {
        return length;
      },
      async step(step, options) {
        options?.signal?.throwIfAborted();
        if (step.embeddings || step.queryKeyLayer !== undefined) {
          throw new JetonError(
            "the decoder of an encoder-decoder takes no embeddings and shows no queries",
            { code: "seq2seq-step-unsupported", details: { layer: step.queryKeyLayer } },
          );
        }
        if (length + step.ids.length > contextLength) {
          throw new JetonError(
            `${length} tokens in the cache and ${step.ids.length} new ones exceed the context of ${contextLength}`,
            {
              code: "model-context-exceeded",
              details: { length, added: step.ids.length, contextLength },
            },
          );
        }
        checkRequest(step, config);
        const result = await service.forward(drafts.attachTo({ ...step, handle }));
        drafts.note(step);
        if (step.commit !== false) length += step.ids.length;
        return result;
      },
      async accept(rows) {
        if (released) throw sequenceReleased();
        drafts.accept(rows);
        length += rows.length;
      },
      async truncate(to) {
        const accepted = drafts.take();
        drafts.drop();
        await Promise.all([
          accepted && service.accept(handle, accepted),
          service.truncate(handle, to),
        ]);
        length = Math.min(length, to);
      },
      async release() {
        if (released) return;
        released = true;
        closed();
        await releaseHandle(service, handle);
      },
    };
  }

  memory(): Promise<ModelMemory> {
    return this.#model.memory();
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
    await this.#service.forget(this.#source).catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
