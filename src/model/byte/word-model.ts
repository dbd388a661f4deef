/**
 * A loaded model of words behind the interface of every model: its tokens are bytes and word ends, so
 * generation, scoring and the server need to know nothing of words.
 */
import { JetonError } from "../../core/index.ts";
import type { Remote } from "../../tensor/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type {
  LoadedModel,
  ModelMemory,
  OpenSequence,
  SequenceStep,
  StepResult,
  WeightFormat,
} from "../types.ts";
import { checkRows, nothingPending } from "../worker/draft-rows.ts";
import { releaseHandle, sequenceReleased } from "../worker/release-handle.ts";
import { residentBytes } from "../worker/resident-bytes.ts";
import { SlotQueue } from "../worker/slot-queue.ts";
import { byteVocabSize, documentId } from "./byte-vocabulary.ts";
import { checkWordStep, resultOfLogits } from "./step-result.ts";
import type { WordModelConfig } from "./word-config.ts";
import type { WordService } from "./word-service.ts";
import { wordTokenizer } from "./word-tokenizer.ts";

/** What a `WordModel` is made of. */
export interface WordModelParts
  extends Pick<LoadedModel, "name" | "folder" | "checkpoint" | "threads" | "slots"> {
  readonly words: WordModelConfig;
  /** The tokenizer of the checkpoint: bytes, without word ends. */
  readonly tokenizer: Tokenizer;
  readonly format: WeightFormat;
  readonly contextLength: number | undefined;
  /** The model closes it. */
  readonly service: Remote<WordService>;
  /** Bytes of weights as held. */
  readonly weightBytes: number;
}

/** A model of words as a `LoadedModel`. Its rows may depend on their neighbours in the last bits. */
export class WordModel implements LoadedModel {
  readonly name: string;
  readonly folder: string;
  readonly checkpoint: LoadedModel["checkpoint"];
  readonly tokenizer: Tokenizer;
  /** The backbone's configuration. */
  readonly config: DecoderConfig;
  /** The configuration of all three stacks. */
  readonly words: WordModelConfig;
  readonly format: WeightFormat;
  readonly threads: number;
  readonly exact = false;
  readonly contextLength: number;
  readonly eosTokenIds: readonly number[] = [documentId];
  readonly bosTokenId: number = documentId;
  readonly slots: number;
  readonly #service: Remote<WordService>;
  readonly #weightBytes: number;
  readonly #slotQueue: SlotQueue;
  #closing: Promise<void> | undefined;
  readonly #closeListeners: (() => void | Promise<void>)[] = [];

  constructor(parts: WordModelParts) {
    const { words, contextLength } = parts;
    this.name = parts.name;
    this.folder = parts.folder;
    this.checkpoint = parts.checkpoint;
    this.tokenizer = wordTokenizer(parts.tokenizer, words);
    this.words = words;
    this.config = { ...words.backbone, family: words.family, vocabSize: byteVocabSize };
    this.format = parts.format;
    this.threads = parts.threads;
    this.contextLength = Math.min(contextLength ?? words.contextLength, words.contextLength);
    this.slots = parts.slots;
    this.#slotQueue = new SlotQueue(parts.slots);
    this.#service = parts.service;
    this.#weightBytes = parts.weightBytes;
  }

  get openSequences(): number {
    return this.#slotQueue.taken;
  }

  async openSequence(options: { signal?: AbortSignal } = {}): Promise<OpenSequence> {
    const { signal } = options;
    signal?.throwIfAborted();
    await this.#slotQueue.take(signal);
    try {
      const handle = await this.#service.open();
      return new WordModelSequence(this, this.#service, handle, () => this.#slotQueue.give());
    } catch (error) {
      this.#slotQueue.give();
      throw error;
    }
  }

  async memory(): Promise<ModelMemory> {
    const { cache } = await this.#service.memory();
    return { weights: this.#weightBytes, cache, resident: residentBytes() };
  }

  onClose(run: () => void | Promise<void>): void {
    this.#closeListeners.push(run);
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.allSettled(this.#closeListeners.map(async (run) => run()));
      await this.#service.close();
    })();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

type Step = Omit<SequenceStep, "slot">;

class WordModelSequence implements OpenSequence {
  readonly reused = 0;
  readonly #model: WordModel;
  readonly #service: Remote<WordService>;
  readonly #handle: number;
  readonly #giveSlot: () => void;
  #length = 0;
  /** The last step where its tokens wait for `accept`; those of a chain are in the worker's cache. */
  #pending: { readonly ids: readonly number[]; readonly isChain: boolean } | undefined;
  #released = false;

  constructor(
    model: WordModel,
    service: Remote<WordService>,
    handle: number,
    giveSlot: () => void,
  ) {
    this.#model = model;
    this.#service = service;
    this.#handle = handle;
    this.#giveSlot = giveSlot;
  }

  get length(): number {
    return this.#length;
  }

  async step(step: Step, options: { signal?: AbortSignal } = {}): Promise<StepResult> {
    options.signal?.throwIfAborted();
    if (this.#released) throw sequenceReleased();
    checkWordStep(step, this.#model.words.family);
    const { contextLength } = this.#model;
    const added = step.ids.length;
    if (this.#length + added > contextLength) {
      throw new JetonError(
        `${this.#length} tokens in the cache and ${added} new ones exceed the context of ${contextLength}`,
        {
          code: "model-context-exceeded",
          details: { length: this.#length, added, contextLength },
        },
      );
    }
    const { results = "last", commit = true, parents } = step;
    const isChain = parents === undefined || parents.every((parent, at) => parent === at - 1);
    await this.#forgetPending();
    const logits = isChain
      ? await this.#service.step(this.#handle, step.ids, results)
      : await this.#runTree(step.ids, parents);
    if (commit) this.#length += added;
    else this.#pending = { ids: Array.from(step.ids), isChain };
    return resultOfLogits(logits, step);
  }

  async accept(rows: readonly number[]): Promise<void> {
    if (this.#released) throw sequenceReleased();
    const pending = this.#pending;
    if (!pending) throw nothingPending();
    checkRows(rows, pending.ids.length);
    if (pending.isChain && rows.every((row, at) => row === at)) {
      await this.#service.truncate(this.#handle, this.#length + rows.length);
    } else {
      await this.#forgetPending();
      // The rows of a tree were computed beside each other: those that are accepted are read again.
      const ids = rows.map((row) => pending.ids[row]!);
      if (ids.length > 0) await this.#service.step(this.#handle, ids, "none");
    }
    this.#length += rows.length;
    this.#pending = undefined;
  }

  /** Takes back what an uncommitted step left in the cache. */
  async #forgetPending(): Promise<void> {
    if (this.#pending?.isChain) await this.#service.truncate(this.#handle, this.#length);
    this.#pending = undefined;
  }

  async truncate(length: number): Promise<void> {
    await this.#forgetPending();
    await this.#service.truncate(this.#handle, length);
    this.#length = Math.min(length, this.#length);
  }

  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    try {
      await releaseHandle(this.#service, this.#handle);
    } finally {
      this.#giveSlot();
    }
  }

  /** Logits of every node of a draft tree: one path after the other. */
  async #runTree(ids: ArrayLike<number>, parents: readonly number[]): Promise<Float32Array> {
    const logits = new Float32Array(parents.length * byteVocabSize);
    const inner = new Set(parents);
    for (let leaf = 0; leaf < parents.length; leaf++) {
      if (inner.has(leaf)) continue;
      const path: number[] = [];
      for (let node = leaf; node >= 0; node = parents[node]!) path.unshift(node);
      const own = await this.#service.step(
        this.#handle,
        path.map((node) => ids[node]!),
        "all",
      );
      for (const [at, node] of path.entries()) {
        const row = own.subarray(at * byteVocabSize, (at + 1) * byteVocabSize);
        logits.set(row, node * byteVocabSize);
      }
      await this.#service.truncate(this.#handle, this.#length);
    }
    return logits;
  }
}
