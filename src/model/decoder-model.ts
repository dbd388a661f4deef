/**
 * A loaded model over a decoder service, wherever its weights came from and wherever it runs.
 *
 * Needs nothing of Node: `loadModel` (folders and hub names) and `openModel` (bytes in memory, also in
 * a browser) both end here.
 */
import type { Checkpoint } from "../checkpoint/index.ts";
import { JetonError, warn } from "../core/index.ts";
import { chooseDevice, type Device, type Remote } from "../tensor/index.ts";
import { type DecoderConfig, unobeyedFields } from "./decoder/config.ts";
import { ownName } from "./decoder/field-names.ts";
import { unobeyedKeys } from "./decoder/generation-keys.ts";
import { splitParameterShapes } from "./decoder/parameter-shapes.ts";
import { beginId, disagreements, endIds, type SpecialIdSources } from "./decoder/special-ids.ts";
import { checkRequest } from "./decoder/step-outputs.ts";
import { storedNames } from "./decoder/stored-names.ts";
import { ownPolicy } from "./landmark/landmark-policy.ts";
import { restartLength } from "./layers/rotation-tables.ts";
import type { ContextPolicy } from "./policy/context-policy.ts";
import {
  checkPolicyRequest,
  longestUnderPolicy,
  policyReference,
  type SequenceOptions,
  viewUnderPolicy,
} from "./policy/policy-view.ts";
import type {
  LoadedModel,
  LoadModelOptions,
  ModelMemory,
  OpenSequence,
  WeightFormat,
} from "./types.ts";
import { type StoredShape, storedTensor } from "./weights/trace-weights.ts";
import { shapesOn } from "./weights/widen-stored.ts";
import type { DecoderService, DecoderStart } from "./worker/decoder-service.ts";
import { DraftRows } from "./worker/draft-rows.ts";
import { releaseHandle, sequenceReleased } from "./worker/release-handle.ts";
import { residentBytes } from "./worker/resident-bytes.ts";
import { StepScheduler } from "./worker/scheduler.ts";
import { SlotQueue } from "./worker/slot-queue.ts";

/** Models below this many parameters are held as float32 by default: they are fast anyway. */
const smallModel = 50_000_000;

/** Parameters of a checkpoint: elements of all stored tensors. */
export function parameterCount(checkpoint: Pick<Checkpoint, "tensors">): number {
  let sum = 0;
  for (const { shape } of checkpoint.tensors.values()) sum += shape.reduce((a, b) => a * b, 1);
  return sum;
}

/** The format in which a checkpoint's weights are held unless the caller says otherwise. */
export function defaultFormat({ tensors }: Pick<Checkpoint, "tensors">): WeightFormat {
  // Of a model of several modalities, the language model's.
  const own = [...(storedNames(tensors.keys())?.values() ?? tensors.keys())];
  const count = parameterCount({ tensors: new Map(own.map((name) => [name, tensors.get(name)!])) });
  return count < smallModel ? "f32" : "int8";
}

/**
 * Checks that every parameter of the decoder is there, in the shape that the config asks for.
 *
 * @throws JetonError `model-weights-shape`, `model-weights-missing`
 */
export function checkWeights(
  tensors: ReadonlyMap<string, StoredShape>,
  config: DecoderConfig,
): void {
  checkShapes(tensors, splitParameterShapes(config));
}

/**
 * Checks that every parameter is stored in the shape that the config asks for.
 *
 * @throws JetonError `model-weights-shape`, `model-weights-missing`
 */
export function checkShapes(
  tensors: ReadonlyMap<string, StoredShape>,
  shapes: ReadonlyMap<string, readonly number[]>,
): void {
  for (const [name, expected] of shapes) {
    const { shape } = storedTensor(tensors, name);
    if (shape.length === expected.length && shape.every((size, axis) => size === expected[axis])) {
      continue;
    }
    throw new JetonError(`"${name}" has the shape [${shape}], config.json asks for [${expected}]`, {
      code: "model-weights-shape",
      details: { name, shape, expected },
    });
  }
}

/** What a `DecoderModel` is made of. */
export interface DecoderModelParts
  extends Pick<
    LoadedModel,
    "name" | "folder" | "checkpoint" | "tokenizer" | "config" | "format" | "threads" | "slots"
  > {
  /** Default: the usual one. */
  readonly device?: Device;
  /** Default true. */
  readonly exact?: boolean | undefined;
  /** Longest sequence. Default and upper bound: the model's own context length. */
  readonly contextLength: number | undefined;
  /** The decoder; the model closes it. */
  readonly service: Remote<DecoderService>;
  /** Whether the decoder runs on the calling thread. Default false. */
  readonly inline?: boolean;
  /** Default 1. */
  readonly rowTile?: number;
  /** Bytes of weights as held. */
  readonly weightBytes: number;
  /** Default: none. */
  readonly stored?: Checkpoint;
}

/**
 * Starts the decoder of a checkpoint and wraps it as a model: what `loadModel` and `openModel` have in
 * common.
 *
 * @param start where the decoder lives: in a worker, or on the calling thread
 */
export async function startDecoderModel(
  parts: Omit<DecoderModelParts, "service" | "rowTile"> & Pick<DecoderStart, "bindings">,
  start: (options: DecoderStart) => Promise<Remote<DecoderService>>,
  { onProgress, onWarning }: Pick<LoadModelOptions, "onProgress" | "onWarning">,
): Promise<LoadedModel> {
  const { checkpoint: read } = parts;
  const unobeyed = [unobeyedFields(read.config), unobeyedKeys(read.generationConfig)];
  for (const warning of [...disagreements(specialIdSources(parts)), ...unobeyed]) {
    if (warning) warn(warning, onWarning);
  }
  const { config, checkpoint, bindings, format, threads, slots, device } = parts;
  checkContext(config, parts.contextLength);
  const own = ownPolicy(config);
  onProgress?.({ stage: "load", done: 0, total: 1 });
  const service = await start({
    config,
    tensors: shapesOn(device, checkpoint.tensors),
    bindings,
    format,
    threads,
    slots,
    ...(device && { device }),
    ...(parts.exact === false && { exact: false }),
    // Not every graphics processor has float16.
    ...(device === "webgpu" && { cacheType: "float32" as const }),
    ...(own && { policy: policyReference(own, parts.inline ?? false) }),
  });
  onProgress?.({ stage: "load", done: 1, total: 1 });
  const model = new DecoderModel({ ...parts, service, rowTile: await service.rowTile() });
  return own ? model.withContextPolicy(own) : model;
}

/** @throws JetonError `model-option-invalid` for a context that has more positions than the model learned */
function checkContext(config: DecoderConfig, contextLength: number | undefined): void {
  const { learnedPositions, family } = config;
  if (learnedPositions === undefined || !contextLength || contextLength <= learnedPositions) return;
  throw new JetonError(
    `contextLength is ${contextLength}, expected at most ${learnedPositions}${limitOf(config)}`,
    {
      code: "model-option-invalid",
      details: {
        option: "contextLength",
        found: contextLength,
        expected: learnedPositions,
        family,
      },
    },
  );
}

/** What bounds the context, where that is a table: positions behind it do not exist. */
function limitOf({ learnedPositions, family }: DecoderConfig): string {
  if (learnedPositions === undefined) return "";
  return `: ${family} has a row for each of its ${learnedPositions} positions (${ownName(family, "max_position_embeddings")})`;
}

function specialIdSources({
  config,
  checkpoint,
  tokenizer,
}: Pick<DecoderModelParts, "config" | "checkpoint" | "tokenizer">): SpecialIdSources {
  return { config, generationConfig: checkpoint.generationConfig, tokenizer };
}

/** The one implementation of `LoadedModel`: hands out slots, gathers steps into batches. */
export class DecoderModel implements LoadedModel {
  readonly name: string;
  readonly folder: string;
  readonly checkpoint: LoadedModel["checkpoint"];
  readonly stored?: Checkpoint;
  readonly tokenizer: LoadedModel["tokenizer"];
  readonly config: DecoderConfig;
  readonly format: WeightFormat;
  readonly device: Device;
  readonly threads: number;
  readonly exact: boolean;
  readonly rowTile: number;
  readonly contextLength: number;
  readonly restartLength: number | undefined;
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | undefined;
  readonly slots: number;
  readonly #service: Remote<DecoderService>;
  readonly #inline: boolean;
  readonly #scheduler: StepScheduler;
  readonly #weightBytes: number;
  /** Longest sequence under a policy. */
  readonly #longest: number;
  readonly #slotQueue: SlotQueue;
  /** Draft rows of the open sequences, by handle. */
  readonly #drafts: Map<number, DraftRows> = new Map();
  #closing: Promise<void> | undefined;
  readonly #closeListeners: (() => void | Promise<void>)[] = [];

  constructor(parts: DecoderModelParts) {
    const { config, tokenizer, contextLength } = parts;
    this.name = parts.name;
    this.folder = parts.folder;
    this.checkpoint = parts.checkpoint;
    if (parts.stored) this.stored = parts.stored;
    this.tokenizer = tokenizer;
    this.config = config;
    this.format = parts.format;
    this.device = chooseDevice(parts.device);
    this.threads = parts.threads;
    this.exact = parts.exact ?? true;
    this.rowTile = parts.rowTile ?? 1;
    this.contextLength = Math.min(contextLength ?? config.contextLength, config.contextLength);
    // Under its own policy a model reads texts of any length, but for what its caller set.
    const isLimited = config.landmark !== undefined && contextLength !== undefined;
    this.#longest = isLimited ? contextLength : longestUnderPolicy(config);
    this.restartLength = restartLength(config);
    const sources = specialIdSources(parts);
    this.eosTokenIds = endIds(sources);
    this.bosTokenId = beginId(sources);
    this.slots = parts.slots;
    this.#slotQueue = new SlotQueue(parts.slots);
    this.#service = parts.service;
    this.#inline = parts.inline ?? false;
    this.#weightBytes = parts.weightBytes;
    this.#scheduler = new StepScheduler((steps) =>
      parts.service.forward(
        steps.map((step) => this.#drafts.get(step.handle)?.attachTo(step) ?? step),
      ),
    );
  }

  get openSequences(): number {
    return this.#slotQueue.taken;
  }

  openSequence(options: SequenceOptions = {}): Promise<OpenSequence> {
    return this.#openSequence(options);
  }

  withContextPolicy(asked: ContextPolicy): LoadedModel {
    const policy = asked.forModel?.(this) ?? asked;
    return viewUnderPolicy(this, policy, {
      contextLength: this.#longest,
      openSequence: (options) => this.#openSequence(options, policy),
    });
  }

  async #openSequence(options: SequenceOptions, policy?: ContextPolicy): Promise<OpenSequence> {
    const { signal, prefix = [], promptLength = prefix.length } = options;
    signal?.throwIfAborted();
    await this.#slotQueue.take(signal);
    try {
      // Rows of open sequences may be those that this one begins with.
      const telling = this.#tellAccepted(this.#drafts.keys());
      const opening = this.#service.open({
        prefix,
        promptLength,
        ...(policy && { policy: policyReference(policy, this.#inline) }),
      });
      const [{ handle, reused }] = await Promise.all([opening, telling]);
      return this.#sequence(handle, reused, policy);
    } catch (error) {
      this.#slotQueue.give();
      throw error;
    }
  }

  /** Tells the worker, before what it is told next, which rows of these sequences were accepted. */
  async #tellAccepted(handles: Iterable<number>): Promise<void> {
    const service = this.#service;
    await Promise.all(
      Array.from(handles, (handle) => {
        const accepted = this.#drafts.get(handle)?.take();
        return accepted && service.accept(handle, accepted);
      }),
    );
  }

  async memory(): Promise<ModelMemory> {
    const { cache } = await this.#service.memory();
    return { weights: this.#weightBytes, cache, resident: residentBytes() };
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

  onClose(run: () => void | Promise<void>): void {
    this.#closeListeners.push(run);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #sequence(handle: number, reused: number, policy: ContextPolicy | undefined): OpenSequence {
    const service = this.#service;
    const scheduler = this.#scheduler;
    const { config } = this;
    const contextLength = policy ? this.#longest : this.contextLength;
    const slots = this.#slotQueue;
    const drafts = new DraftRows();
    this.#drafts.set(handle, drafts);
    let length = reused;
    let released = false;
    return {
      reused,
      get length() {
        return length;
      },
      async step(step, options) {
        // In a batch it would fail the steps of others too.
        if (released) throw sequenceReleased();
        if (length + step.ids.length > contextLength) {
          throw new JetonError(
            `${length} tokens in the cache and ${step.ids.length} new ones exceed the context of ${contextLength}${limitOf(config)}`,
            {
              code: "model-context-exceeded",
              details: { length, added: step.ids.length, contextLength },
            },
          );
        }
        checkRequest(step, config);
        checkPolicyRequest(step, policy);
        const expected = step.ids.length * config.hiddenSize;
        if (step.embeddings && step.embeddings.length !== expected) {
          throw new JetonError(
            `embeddings hold ${step.embeddings.length} numbers, expected ${expected}: ${step.ids.length} rows of ${config.hiddenSize}`,
            {
              code: "model-embeddings-size",
              details: {
                found: step.embeddings.length,
                rows: step.ids.length,
                hiddenSize: config.hiddenSize,
              },
            },
          );
        }
        const result = await scheduler.step({ ...step, handle }, options?.signal);
        drafts.note(step);
        if (step.commit !== false) length += step.ids.length;
        return result;
      },
      async accept(rows) {
        if (released) throw sequenceReleased();
        drafts.accept(rows);
        length += rows.length;
      },
      truncate: async (to) => {
        drafts.drop();
        await Promise.all([this.#tellAccepted([handle]), service.truncate(handle, to)]);
        length = Math.min(length, to);
      },
      release: async () => {
        if (released) return;
        released = true;
        const telling = this.#tellAccepted([handle]);
        this.#drafts.delete(handle);
        // A step that still waits would name a sequence that is gone, and fail its whole batch.
        scheduler.discard(handle);
        try {
          await releaseHandle(service, handle, telling);
        } finally {
          slots.give();
        }
      },
    };
  }
}
