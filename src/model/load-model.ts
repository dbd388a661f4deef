/**
 * Opens a checkpoint for generation: tokenizer, packed weights, and a decoder in a worker thread.
 */
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import {
  type Checkpoint,
  openCheckpoint,
  openPackedCache,
  openSafetensors,
  resolveModel,
} from "../checkpoint/index.ts";
import { JetonError } from "../core/index.ts";
import { type ParameterBinding, type Remote, startInline, startService } from "../tensor/index.ts";
import { loadTokenizer } from "../tokenizer/index.ts";
import { type DecoderConfig, decoderConfig, tokenIds } from "./config.ts";
import { headName, matrixGroups } from "./decoder.ts";
import type { DecoderService, DecoderStart } from "./decoder-service.ts";
import * as decoderService from "./decoder-service.ts";
import { packGroups } from "./pack.ts";
import { StepScheduler } from "./scheduler.ts";
import type {
  LoadedModel,
  LoadModelOptions,
  ModelMemory,
  OpenSequence,
  WeightFormat,
} from "./types.ts";
import { fileBindings, groupShape, storedTensor } from "./weights.ts";

/** Change this when packing gives other bytes. */
const packedVersion = "1";

/** Models below this many parameters are held as float32 by default: they are fast anyway. */
const smallModel = 50_000_000;

/** Parameters of a checkpoint: elements of all stored tensors. */
export function parameterCount(checkpoint: Pick<Checkpoint, "tensors">): number {
  let sum = 0;
  for (const { shape } of checkpoint.tensors.values()) sum += shape.reduce((a, b) => a * b, 1);
  return sum;
}

/** The format in which a checkpoint's weights are held unless the caller says otherwise. */
export function defaultFormat(checkpoint: Pick<Checkpoint, "tensors">): WeightFormat {
  return parameterCount(checkpoint) < smallModel ? "f32" : "int8";
}

/**
 * Opens a model: a checkpoint folder, or a name on the hub (`owner/name`).
 *
 * @example
 * await using model = await loadModel("path/to/checkpoint", { format: "int8" });
 *
 * @throws JetonError `model-family-unknown`, `model-weights-missing`, … and whatever resolving and
 *   reading the checkpoint throws
 */
export async function loadModel(
  nameOrFolder: string,
  options: LoadModelOptions = {},
): Promise<LoadedModel> {
  const { onProgress, signal } = options;
  const folder = await resolveModel(nameOrFolder, {
    ...(signal && { signal }),
    ...(onProgress && {
      onProgress: ({ bytes, totalBytes }) =>
        onProgress({ stage: "download", done: bytes, total: totalBytes ?? bytes }),
    }),
  });
  signal?.throwIfAborted();
  const checkpoint = await openCheckpoint(folder);
  try {
    const config = decoderConfig(checkpoint.config);
    checkWeights(checkpoint, config);
    const tokenizer = await loadTokenizer(folder);
    const format = options.format ?? defaultFormat(checkpoint);
    const { bindings, packedBytes } = await bindWeights(checkpoint, config, format, options);
    signal?.throwIfAborted();
    onProgress?.({ stage: "load", done: 0, total: 1 });
    const threads = options.threads ?? Math.min(8, availableParallelism());
    const slots = options.slots ?? 16;
    const start: DecoderStart = {
      config,
      tensors: new Map(
        [...checkpoint.tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape }]),
      ),
      bindings,
      format,
      threads,
      slots,
    };
    const service: Remote<DecoderService> = options.inline
      ? await startInline(decoderService, "createDecoderService", start)
      : await startService(
          new URL(
            import.meta.url.endsWith(".ts") ? "./decoder-service.ts" : "./decoder-service.js",
            import.meta.url,
          ).href,
          "createDecoderService",
          start,
        );
    onProgress?.({ stage: "load", done: 1, total: 1 });
    const { generationConfig } = checkpoint;
    return new DecoderModel({
      name: basename(folder) === "" ? folder : nameOrFolder.replace(/[\\/]+$/, ""),
      folder: checkpoint.folder,
      checkpoint: {
        config: checkpoint.config,
        tensors: checkpoint.tensors,
        files: checkpoint.files,
        ...(generationConfig && { generationConfig }),
      },
      tokenizer,
      config,
      format,
      threads,
      slots,
      contextLength: Math.min(options.contextLength ?? config.contextLength, config.contextLength),
      endOfSequenceIds: endIds(config, generationConfig, tokenizer.endId),
      beginOfSequenceId: config.beginOfSequenceId ?? tokenizer.beginningId,
      service,
      weightBytes: packedBytes,
    });
  } finally {
    await checkpoint.close();
  }
}

/** The generation config's ids count besides the config's own: chat models end turns with others. */
function endIds(
  config: DecoderConfig,
  generation: Checkpoint["generationConfig"],
  fallback: number | undefined,
): number[] {
  const ids = new Set([...config.endOfSequenceIds, ...tokenIds(generation?.["eos_token_id"])]);
  if (ids.size === 0 && fallback !== undefined) ids.add(fallback);
  return [...ids];
}

/** Every matrix has the shape that the config asks for. */
function checkWeights(checkpoint: Checkpoint, config: DecoderConfig): void {
  const { width, vocabularySize } = config;
  const head = storedTensor(checkpoint.tensors, headName(config));
  const expected = [vocabularySize, width];
  if (head.shape.length !== 2 || head.shape.some((size, axis) => size !== expected[axis])) {
    throw new JetonError(
      `"${head.name}" has the shape [${head.shape}], config.json asks for [${expected}]`,
      { code: "model-weights-shape", details: { name: head.name, shape: head.shape, expected } },
    );
  }
  const projections = (config.heads + 2 * config.kvHeads) * config.headWidth;
  const shapes = [
    [projections, width],
    [width, config.heads * config.headWidth],
    [2 * config.feedForwardWidth, width],
    [width, config.feedForwardWidth],
  ];
  for (const [index, names] of matrixGroups(config).slice(0, -1).entries()) {
    const { rows, columns } = groupShape(checkpoint.tensors, names);
    const [wantedRows, wantedColumns] = shapes[index % 4]!;
    if (rows !== wantedRows || columns !== wantedColumns) {
      throw new JetonError(
        `${names.join(", ")}: together [${rows}, ${columns}], config.json asks for [${wantedRows}, ${wantedColumns}]`,
        { code: "model-weights-shape", details: { names, rows, columns } },
      );
    }
  }
}

/** Stored tensors where they lie; matrices of a packed format from the disk cache, or from memory. */
async function bindWeights(
  checkpoint: Checkpoint,
  config: DecoderConfig,
  format: WeightFormat,
  options: LoadModelOptions,
): Promise<{ bindings: Map<string, ParameterBinding>; packedBytes: number }> {
  const bindings = fileBindings(checkpoint.tensors);
  const groups = matrixGroups(config);
  if (format === "f32") return { bindings, packedBytes: 4 * parameterCount(checkpoint) };
  const { onProgress, signal } = options;
  const tensors = () =>
    packGroups(checkpoint, groups, format, (done) => {
      signal?.throwIfAborted();
      onProgress?.({ stage: "pack", done, total: groups.length });
    });
  const entry = await openPackedCache({
    files: checkpoint.files,
    version: packedVersion,
    key: format,
    ...(options.cacheFolder !== undefined && { folder: options.cacheFolder }),
  });
  const { path } = entry.state === "found" ? entry : await entry.write(tensors());
  let packedBytes = 0;
  if (path !== undefined) {
    await using packed = await openSafetensors(path);
    for (const [name, { file, offset, length }] of packed.tensors) {
      bindings.set(name, { kind: "file", file, offset, length });
      packedBytes += length;
    }
    return { bindings, packedBytes };
  }
  // No cache can be written here: the packed weights stay in memory.
  for (const { name, data } of tensors()) {
    const values = (await (data as () => Promise<ArrayBufferView>)()) as ArrayBufferView;
    bindings.set(name, { kind: "data", data: values });
    packedBytes += values.byteLength;
  }
  return { bindings, packedBytes };
}

interface DecoderModelParts
  extends Omit<
    LoadedModel,
    "openSequence" | "openSequences" | "memory" | "close" | typeof Symbol.asyncDispose
  > {
  readonly service: Remote<DecoderService>;
  readonly weightBytes: number;
}

class DecoderModel implements LoadedModel {
  readonly name: string;
  readonly folder: string;
  readonly checkpoint: LoadedModel["checkpoint"];
  readonly tokenizer: LoadedModel["tokenizer"];
  readonly config: DecoderConfig;
  readonly format: WeightFormat;
  readonly threads: number;
  readonly contextLength: number;
  readonly endOfSequenceIds: readonly number[];
  readonly beginOfSequenceId: number | undefined;
  readonly slots: number;
  readonly #service: Remote<DecoderService>;
  readonly #scheduler: StepScheduler;
  readonly #weightBytes: number;
  /** Those who wait for a free slot, in order. */
  readonly #queue: (() => void)[] = [];
  #open = 0;
  #closing: Promise<void> | undefined;

  constructor(parts: DecoderModelParts) {
    this.name = parts.name;
    this.folder = parts.folder;
    this.checkpoint = parts.checkpoint;
    this.tokenizer = parts.tokenizer;
    this.config = parts.config;
    this.format = parts.format;
    this.threads = parts.threads;
    this.contextLength = parts.contextLength;
    this.endOfSequenceIds = parts.endOfSequenceIds;
    this.beginOfSequenceId = parts.beginOfSequenceId;
    this.slots = parts.slots;
    this.#service = parts.service;
    this.#weightBytes = parts.weightBytes;
    this.#scheduler = new StepScheduler((steps) => parts.service.forward(steps));
  }

  get openSequences(): number {
    return this.#open;
  }

  async openSequence(
    options: { expectedLength?: number; signal?: AbortSignal; prefix?: readonly number[] } = {},
  ): Promise<OpenSequence> {
    const { signal, prefix = [], expectedLength = this.contextLength } = options;
    signal?.throwIfAborted();
    await this.#takeSlot(signal);
    try {
      const { handle, reused } = await this.#service.open({
        prefix,
        sequenceLength: expectedLength,
      });
      return this.#sequence(handle, reused);
    } catch (error) {
      this.#giveSlot();
      throw error;
    }
  }

  async memory(): Promise<ModelMemory> {
    const { cache } = await this.#service.memory();
    return { weights: this.#weightBytes, cache, resident: process.memoryUsage().rss };
  }

  close(): Promise<void> {
    this.#closing ??= this.#scheduler.close().then(() => this.#service.close());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #sequence(handle: number, reused: number): OpenSequence {
    const service = this.#service;
    const scheduler = this.#scheduler;
    const { contextLength } = this;
    const giveSlot = () => this.#giveSlot();
    let length = reused;
    let released = false;
    return {
      reused,
      get length() {
        return length;
      },
      async step(step, options) {
        if (length + step.ids.length > contextLength) {
          throw new JetonError(
            `${length} tokens in the cache and ${step.ids.length} new ones exceed the context of ${contextLength}`,
            {
              code: "model-context-exceeded",
              details: { length, added: step.ids.length, contextLength },
            },
          );
        }
        const result = await scheduler.step({ ...step, handle }, options?.signal);
        if (step.commit !== false) length += step.ids.length;
        return result;
      },
      async accept(rows) {
        await service.accept(handle, rows);
        length += rows.length;
      },
      async truncate(to) {
        await service.truncate(handle, to);
        length = Math.min(length, to);
      },
      async release() {
        if (released) return;
        released = true;
        try {
          await service.release(handle);
        } catch (error) {
          // A closed model holds no sequences any more.
          if (!(JetonError.isInstance(error) && error.code === "service-closed")) throw error;
        } finally {
          giveSlot();
        }
      },
    };
  }

  #takeSlot(signal: AbortSignal | undefined): Promise<void> {
    if (this.#open < this.slots) {
      this.#open++;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        const at = this.#queue.indexOf(enter);
        if (at >= 0) this.#queue.splice(at, 1);
        reject(signal!.reason);
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#queue.push(enter);
    });
  }

  /** The slot goes to the next in the queue, if there is one. */
  #giveSlot(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#open--;
  }
}
