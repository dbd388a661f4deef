/**
 * The worker's side of a loaded encoder-decoder: a program that reads texts and one that decodes, the
 * texts that were read, and the sequences that are written from them, each with a cache of its own.
 */
import { JetonError } from "../../core/index.ts";
import {
  type BoundValue,
  chooseDevice,
  type Device,
  emitModel,
  openSession,
  type ParameterBinding,
  type Service,
  type Session,
  type TensorValue,
} from "../../tensor/index.ts";
import { timeUnit } from "../layers/time-unit.ts";
import { decoderView, type Seq2SeqConfig } from "../seq2seq/config.ts";
import { outputGraph, sourceGraph } from "../seq2seq/seq2seq-graph.ts";
import type { StepResult, WeightFormat } from "../types.ts";
import { type StoredShape, traceWeights } from "../weights/trace-weights.ts";
import { type HandleStep, planPass } from "./decoder-pass.ts";
import { OutputSequence } from "./output-sequence.ts";
import { resultFeeds } from "./step-inputs.ts";
import { splitResults, wantedOutputs } from "./step-results.ts";

/** Start data of an encoder-decoder's worker. */
export interface Seq2SeqStart {
  readonly config: Seq2SeqConfig;
  readonly tensors: ReadonlyMap<string, StoredShape>;
  readonly bindings: ReadonlyMap<string, ParameterBinding>;
  readonly format: WeightFormat;
  readonly threads: number;
  readonly device?: Device;
}

/** Texts to read as one batch. */
export interface SourceBatch {
  readonly texts: readonly Int32Array[];
  /** Gate values at or below this are deleted; -Infinity keeps everything. Default: the config's. */
  readonly threshold?: number;
  /** True: the gate value is a term of the scores and nothing is deleted. Default false. */
  readonly soft?: boolean;
  /** Whether states and gate leave the worker. Default: only handles do. */
  readonly details?: boolean;
}

/** What reading a text gave. */
export interface ReadSource {
  readonly handle: number;
  /** Positions that the decoder attends to. */
  readonly length: number;
  /** With `details`: states `[length, hiddenSize]`. */
  readonly states?: Float32Array;
  /** With `details` and a gate. */
  readonly gate?: {
    readonly logits: Float32Array;
    readonly values: Float32Array;
    /** Original positions of what was kept. */
    readonly kept: Int32Array;
  };
}

/** An encoder-decoder in its worker. */
export interface Seq2SeqService extends Service {
  read(batch: SourceBatch): Promise<ReadSource[]>;
  forget(source: number): void;
  open(source: number): number;
  forward(step: HandleStep): Promise<StepResult>;
  accept(handle: number, rows: readonly number[]): void;
  truncate(handle: number, length: number): void;
  release(handle: number): void;
  memory(): { cache: number };
}

/** Opens both programs in the current thread; called in the worker. */
export async function createSeq2SeqService(start: Seq2SeqStart): Promise<Seq2SeqService> {
  const { config, tensors, bindings, format, threads, device } = start;
  const has = (name: string): boolean => tensors.has(name);
  const open = (graph: ReturnType<typeof sourceGraph>): Promise<Session> =>
    openSession(emitModel(graph, bindings, { opensFiles: chooseDevice(device) === "cpu" }), {
      threads,
      // Texts and caches have many lengths.
      sameSizes: false,
      ...(device && { device }),
    });
  const weights = traceWeights(tensors, format);
  const source = await open(sourceGraph(config, weights));
  const output = await open(outputGraph(config, weights, has));
  return new Seq2SeqWorker(config, source, output);
}

/** Keys and values of one text for the decoder, bound once. */
interface HeldSource {
  readonly feeds: Readonly<Record<string, BoundValue>>;
  readonly bytes: number;
}

class Seq2SeqWorker implements Seq2SeqService {
  readonly #config: Seq2SeqConfig;
  readonly #source: Session;
  readonly #output: Session;
  readonly #sources: Map<number, HeldSource> = new Map();
  readonly #sequences: Map<number, { source: number; cache: OutputSequence }> = new Map();
  #next = 1;

  constructor(config: Seq2SeqConfig, source: Session, output: Session) {
    this.#config = config;
    this.#source = source;
    this.#output = output;
  }

  async read(input: SourceBatch): Promise<ReadSource[]> {
    const { texts, details = false } = input;
    const batch = texts.length;
    const longest = texts.reduce((most, { length }) => Math.max(most, length), 1);
    const time = Math.ceil(longest / timeUnit) * timeUnit;
    const ids = new Int32Array(batch * time).fill(this.#config.encoder.padTokenId);
    const attended = new Float32Array(batch * time);
    for (const [row, text] of texts.entries()) {
      ids.set(text, row * time);
      attended.fill(1, row * time, row * time + text.length);
    }
    const { bind } = this.#source;
    const { deleteGate } = this.#config;
    const threshold = input.soft
      ? -3e38
      : Math.max(input.threshold ?? deleteGate?.threshold ?? 0, -3e38);
    const feeds = {
      ids: bind("int32", ids, [batch, time]),
      attended: bind("float32", attended, [batch, time]),
      ...(deleteGate && {
        threshold: bind("float32", Float32Array.of(threshold), []),
        soft: bind("float32", Float32Array.of(input.soft ? 1 : 0), []),
      }),
    };
    const gate = deleteGate ? ["gate.logits", "gate.values", "positions", "counts"] : [];
    const wanted = ["mask", "cross", ...(details ? ["states"] : []), ...gate];
    const values = await this.#source.run(feeds, wanted);
    const counts = deleteGate ? (values["counts"]!.data as Int32Array) : undefined;
    const emptied = counts?.indexOf(0) ?? -1;
    if (emptied >= 0) {
      throw new JetonError(
        `the gate deleted all ${texts[emptied]!.length} positions of a text, expected one to stay; its threshold is ${threshold}`,
        { code: "seq2seq-source-emptied", details: { text: emptied, threshold } },
      );
    }
    return texts.map((text, row) => {
      const length = counts ? counts[row]! : text.length;
      return {
        handle: this.#hold(values, { row, batch, length }),
        length,
        ...(details && describeSource(values, { row, length, time: text.length, padded: time })),
      };
    });
  }

  /** Keeps one text's keys and values, without what was filled up. */
  #hold(
    values: Readonly<Record<string, TensorValue>>,
    { row, batch, length }: { row: number; batch: number; length: number },
  ): number {
    const { decoderLayers, encoder } = this.#config;
    const { numAttentionHeads: heads, headDim } = encoder;
    const { shape, data } = values["cross"]!;
    const padded = shape[2]!;
    const bind = this.#output.bind;
    const feeds: Record<string, BoundValue> = {};
    for (let part = 0; part < 2 * decoderLayers; part++) {
      const kept = new Float32Array(heads * length * headDim);
      for (let head = 0; head < heads; head++) {
        const from = ((part * batch + row) * heads + head) * padded * headDim;
        kept.set(
          (data as Float32Array).subarray(from, from + length * headDim),
          head * length * headDim,
        );
      }
      const name = `cross.${part >> 1}.${part % 2 === 0 ? "key" : "value"}`;
      feeds[name] = bind("float32", kept, [1, heads, length, headDim]);
    }
    const mask = values["mask"]!.data as Float32Array;
    const own = mask.slice(row * padded, row * padded + length);
    feeds["cross.mask"] = bind("float32", own, [1, 1, 1, length]);
    const bytes = 4 * (2 * decoderLayers * heads * headDim + 1) * length;
    this.#sources.set(this.#next, { feeds, bytes });
    return this.#next++;
  }

  forget(source: number): void {
    this.#sources.delete(source);
  }

  open(source: number): number {
    if (!this.#sources.has(source)) throw released("the text that was read");
    const { numAttentionHeads: heads, headDim } = this.#config.encoder;
    const cache = new OutputSequence({ arenas: 2 * this.#config.decoderLayers, heads, headDim });
    this.#sequences.set(this.#next, { source, cache });
    return this.#next++;
  }

  async forward(step: HandleStep): Promise<StepResult> {
    const { source, cache } = this.#sequence(step.handle);
    const held = this.#sources.get(source);
    if (!held) throw released("the text that was read");
    if (step.accept) cache.accept(step.accept);
    const pass = planPass(decoderView(this.#config), [step], [0], 1);
    const feeds = {
      ...held.feeds,
      ...cache.feeds(this.#output, step),
      ...resultFeeds(this.#output, pass),
    };
    const wanted = wantedOutputs(pass);
    const values = await this.#output.run(feeds as Record<string, BoundValue>, wanted);
    cache.keep(step, values["new"]!.data as Float32Array);
    return splitResults(decoderView(this.#config), pass, values)[0]!;
  }

  #sequence(handle: number): { source: number; cache: OutputSequence } {
    const sequence = this.#sequences.get(handle);
    if (!sequence) throw released("the sequence");
    return sequence;
  }

  accept(handle: number, rows: readonly number[]): void {
    this.#sequence(handle).cache.accept(rows);
  }

  truncate(handle: number, length: number): void {
    this.#sequence(handle).cache.truncate(length);
  }

  release(handle: number): void {
    this.#sequences.delete(handle);
  }

  memory(): { cache: number } {
    let cache = 0;
    for (const { bytes } of this.#sources.values()) cache += bytes;
    for (const sequence of this.#sequences.values()) cache += sequence.cache.bytes;
    return { cache };
  }

  async close(): Promise<void> {
    await this.#source.release();
    await this.#output.release();
  }
}

function released(what: string): JetonError {
  return new JetonError(`${what} was released`, { code: "model-sequence-released" });
}

/** States and gate of one text. */
function describeSource(
  values: Readonly<Record<string, TensorValue>>,
  { row, length, time, padded }: { row: number; length: number; time: number; padded: number },
): Pick<ReadSource, "states" | "gate"> {
  const { shape, data } = values["states"]!;
  const [, kept, width] = shape as [number, number, number];
  const start = row * kept * width;
  const states = (data as Float32Array).slice(start, start + length * width);
  const logits = values["gate.logits"]?.data as Float32Array | undefined;
  if (!logits) return { states };
  const gates = values["gate.values"]!.data as Float32Array;
  const positions = values["positions"]!.data as Int32Array;
  return {
    states,
    gate: {
      logits: logits.slice(row * padded, row * padded + time),
      values: gates.slice(row * padded, row * padded + time),
      kept: positions.slice(row * kept, row * kept + length),
    },
  };
}
