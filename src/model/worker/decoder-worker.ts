/** One program of a loaded model: its session, the cache that it reads, and the sequences in it. */
import { JetonError } from "../../core/index.ts";
import {
  type BoundValue,
  chooseDevice,
  type Device,
  emitModel,
  openSession,
  type ParameterBinding,
  type Session,
  type TensorValue,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { type DecoderInput, type DecoderOutput, decoderGraph } from "../decoder/decoder.ts";
import { decoderNames } from "../decoder/decoder-names.ts";
import { sliceRequest } from "../decoder/step-outputs.ts";
import { exactAttention, sumBlock } from "../layers/attention.ts";
import { RotationTables, restartLength } from "../layers/rotation-tables.ts";
import type { ContextPolicy, PolicyProgram, PolicyReference } from "../policy/context-policy.ts";
import type { StepResult, WeightFormat } from "../types.ts";
import { type StoredShape, storedTensor, traceWeights } from "../weights/trace-weights.ts";
import { cutInserted, type HandleStep, type Pass, planPass, wantedBefore } from "./decoder-pass.ts";
import { EmbeddingFile } from "./embedding-file.ts";
import { type CacheArray, type CacheType, KeyValueCache } from "./key-value-cache.ts";
import { defaultCacheType, rowsOfPass } from "./pass-sizes.ts";
import { PolicyPasses } from "./policy-passes.ts";
import { findRowRules, type RowRules } from "./row-independence.ts";
import { type SequenceStart, SlotTable } from "./slot-table.ts";
import { StepInputs } from "./step-inputs.ts";
import { joinResults, splitResults, wantedOutputs } from "./step-results.ts";

/** Start data of the model worker: configuration, weights, threads and slots. */
export interface DecoderStart {
  readonly config: DecoderConfig;
  readonly tensors: ReadonlyMap<string, StoredShape>;
  readonly bindings: ReadonlyMap<string, ParameterBinding>;
  readonly format: WeightFormat;
  readonly threads: number;
  readonly slots: number;
  readonly device?: Device;
  /** How keys and values are held. Default: float32 beside float32 weights, otherwise float16. */
  readonly cacheType?: CacheType;
  /** See `LoadModelOptions.exact`. Default true. */
  readonly exact?: boolean;
  /** The policy of the model itself, under which it was trained. Default: none. */
  readonly policy?: PolicyReference;
}

/** How a context policy changes the program. */
export interface WorkerPolicy {
  readonly program: PolicyProgram;
  readonly reuse: ContextPolicy["reuse"];
}

/** Opens a decoder's program and cache in the current thread. */
export async function openDecoderWorker(
  start: DecoderStart,
  policy?: WorkerPolicy,
): Promise<DecoderWorker> {
  const { config, format, threads, device, exact = true } = start;
  const cacheType = cacheTypeOf(start);
  const { numKeyValueHeads: kvHeads, headDim } = config;
  const rules = exact
    ? await findRowRules({ format, kvHeads, headDim, threads, ...(device && { device }) })
    : anyRows;
  const sumsInBlocks = rules.sumsInBlocks && !policy?.program.attention;
  const graph = decoderGraph(config, traceWeights(start.tensors, format), {
    cacheType,
    sumsInBlocks,
    rowTile: rules.rowTile,
    // Integer products refuse to have no rows; of 64 experts with 8 chosen ones, sixteens do least.
    expertsPerBranch: format !== "int8-channel" && chooseDevice(device) === "cpu" ? 16 : 1,
    ...(device === "webgpu" && { runningSums: "float32" as const }),
    ...(exact && { attention: exactAttention({ cacheType }) }),
    ...(policy?.program.attention && { policy: policy.program.attention }),
    ...(policy?.program.filterLayer !== undefined && { filterLayer: policy.program.filterLayer }),
  });
  const model = emitModel(graph, start.bindings, {
    opensFiles: chooseDevice(device) === "cpu",
  });
  const session = await openSession(model, {
    threads,
    // The cache grows, and prompts have many lengths.
    sameSizes: false,
    ...(device && { device }),
  });
  return new DecoderWorker(start, session, { rules, policy });
}

/** Passes of any size, where rows may depend on their neighbours. */
const anyRows: RowRules = { rowTile: 1, sumsInBlocks: false };

/** The embedding table where it lies in a file; one in memory is a part of the graph. */
function openEmbeddings({ bindings, tensors }: DecoderStart): EmbeddingFile | undefined {
  const binding = bindings.get(decoderNames.embedding);
  if (binding?.kind !== "file") return undefined;
  return new EmbeddingFile(binding, storedTensor(tensors, decoderNames.embedding));
}

function cacheTypeOf({ cacheType, format }: DecoderStart): CacheType {
  return cacheType ?? defaultCacheType(format);
}

/** What a worker runs with. */
interface WorkerParts {
  readonly rules: RowRules;
  readonly policy: WorkerPolicy | undefined;
}

/** A program with its cache. Sequences are addressed by handles. */
export class DecoderWorker {
  readonly #config: DecoderConfig;
  readonly #session: Session;
  readonly #embeddings: EmbeddingFile | undefined;
  readonly #format: WeightFormat;
  readonly #rules: RowRules;
  /** Rows of the cache below which sums over it would run in another order. */
  readonly #minCapacity: number;
  readonly #cache: KeyValueCache;
  readonly #slots: SlotTable;
  readonly #inputs: StepInputs;
  readonly #policy: PolicyPasses | undefined;
  /** Outputs besides new rows that every pass of this program has. */
  readonly #outputs: readonly DecoderOutput[];
  /** Whether a prompt chunk begins at a row; undefined: rows do not depend on where passes end. */
  readonly #isBoundary: ((row: number) => boolean) | undefined;

  constructor(start: DecoderStart, session: Session, { rules: found, policy }: WorkerParts) {
    const { config, exact = true, threads } = start;
    const attention = policy?.program.attention;
    const hasFilter = policy?.program.filterLayer !== undefined;
    // Policies gather rows: their sums have lengths of their own.
    const rules = attention ? { ...found, sumsInBlocks: false } : found;
    const embeddings = openEmbeddings(start);
    this.#config = config;
    this.#session = session;
    this.#embeddings = embeddings;
    this.#format = start.format;
    this.#rules = rules;
    this.#minCapacity = exact && config.headDim > sumBlock ? sumBlock * Math.max(2, threads) : 1;
    const cache = new KeyValueCache({
      layers: config.layers.length,
      kvHeads: config.numKeyValueHeads,
      headDim: config.headDim,
      dtype: cacheTypeOf(start),
      extra: config.layers.length * (attention?.tokenArenas?.(config) ?? 0),
      ...(rules.sumsInBlocks && { unit: sumBlock }),
    });
    const rotations = new RotationTables(config.ropes);
    this.#cache = cache;
    const slots = new SlotTable(cache, {
      limit: start.slots,
      rotations,
      restartLength: restartLength(config),
      ...(policy && { reuse: policy.reuse }),
    });
    this.#slots = slots;
    this.#policy = attention && new PolicyPasses({ config, attention, session, cache, rotations });
    this.#isBoundary = chunkBoundaries(attention);
    this.#outputs = this.#policy?.outputs ?? (hasFilter ? ["new.rest"] : []);
    const parts = { config, session, cache, slots, rotations, embeddings, rules };
    this.#inputs = new StepInputs({ ...parts, policy: this.#policy, hasFilter });
  }

  open(options: SequenceStart): { handle: number; reused: number } {
    return this.#slots.open(options);
  }

  /** One forward pass over several sequences; under a policy one after the other. */
  async forward(steps: readonly HandleStep[]): Promise<StepResult[]> {
    this.#slots.reserveRows(steps, this.#plan(steps).time, this.#minCapacity);
    for (const step of steps) await this.#restart(step);
    const isAlone = this.#policy !== undefined || this.#outputs.length > 0;
    if (steps.length > 1 && !isAlone && !steps.some((step) => this.#crossesRestart(step))) {
      return this.#run(steps);
    }
    const results: StepResult[] = [];
    for (const step of steps) results.push(await this.#runAlone(step));
    return results;
  }

  async #runAlone(step: HandleStep): Promise<StepResult> {
    this.#policy?.checkDrafts(step, this.#slots.slot(step.handle));
    const isLong = step.ids.length > this.#rowsOfPass(step) || this.#crossesRestart(step);
    // Draft tokens stay in one pass: their rows descend from each other and wait for `accept`.
    if (isLong && !step.parents && step.commit !== false) return this.#runInPasses(step);
    return (await this.#run([step]))[0]!;
  }

  #crossesRestart({ handle, ids }: HandleStep): boolean {
    const rows = this.#slots.rowsUntilRestart(handle);
    return rows > 0 && rows < ids.length;
  }

  /** Computes all rows of a sequence anew where it reaches the length at which the cache restarts. */
  async #restart({ handle }: HandleStep): Promise<void> {
    if (this.#slots.rowsUntilRestart(handle) > 0) return;
    for (const run of this.#slots.restart(handle)) {
      await this.#runInPasses({ handle, ...run, results: "none" });
    }
  }

  #rowsOfPass({ handle }: HandleStep): number {
    const slot = this.#slots.slot(handle);
    const usual = rowsOfPass(this.#format, slot.tokens.length);
    return this.#policy?.rowsOfPass(slot, usual) ?? usual;
  }

  /** A long chain in several passes. All of it enters the cache, or nothing. */
  async #runInPasses(step: HandleStep): Promise<StepResult> {
    const { length } = this.#slots.slot(step.handle).tokens;
    const states = this.#policy?.snapshot(step.handle);
    const { hiddenSize } = this.#config;
    const { embeddings, results = "last" } = step;
    const parts: StepResult[] = [];
    try {
      for (let start = 0, end = 0; start < step.ids.length; start = end) {
        await this.#restart(step);
        const rows = Math.min(this.#rowsOfPass(step), this.#slots.rowsUntilRestart(step.handle));
        end = Math.min(step.ids.length, start + rows);
        const isLast = end === step.ids.length;
        const part: HandleStep = {
          ...step,
          ids: step.ids.slice(start, end),
          ...(embeddings && {
            embeddings: embeddings.subarray(start * hiddenSize, end * hiddenSize),
          }),
          ...cutInserted(step, start, end),
          results: results === "all" || isLast ? results : "none",
          ...(results === "all" &&
            sliceRequest(step, wantedBefore(step, start), wantedBefore(step, end))),
        };
        parts.push(...(await this.#run([part])));
      }
    } catch (error) {
      this.#slots.truncate(step.handle, length);
      this.#policy?.restore(step.handle, states);
      throw error;
    }
    return results === "all" ? joinResults(parts) : parts.at(-1)!;
  }

  #plan(steps: readonly HandleStep[]): Pass {
    const indices = steps.map((step) => this.#slots.indexOf(step.handle));
    return planPass(this.#config, steps, indices, this.#rules.rowTile);
  }

  /** One run of the graph. */
  async #run(steps: readonly HandleStep[]): Promise<StepResult[]> {
    const pass = this.#plan(steps);
    const feeds = this.#inputs.feeds(pass);
    this.#noteChunk(pass);
    const values = await this.#session.run(
      feeds as Record<DecoderInput, BoundValue>,
      wantedOutputs(pass, this.#outputs),
    );
    this.#slots.keepRows(pass, newRows(values, pass.steps[0]!.promptScores !== true));
    this.#policy?.keep(pass.steps[0]!, values);
    return splitResults(this.#config, pass, values);
  }

  /** Rows of a prompt chunk that begins or ends elsewhere than usual are like those of no other prompt. */
  #noteChunk({ steps: [step] }: Pass): void {
    const isBoundary = this.#isBoundary;
    if (!isBoundary) return;
    const slot = this.#slots.slot(step!.handle);
    const { length } = slot.tokens;
    const end = length + step!.ids.length;
    if (!isBoundary(length) || !isBoundary(end)) slot.reusable = Math.min(slot.reusable, length);
  }

  accept(handle: number, rows: readonly number[]): void {
    this.#slots.accept(handle, rows);
    this.#policy?.accept(handle, rows);
  }

  /** @throws JetonError `context-policy-truncate` where layers know more of a sequence than its rows */
  truncate(handle: number, length: number): void {
    const { tokens } = this.#slots.slot(handle);
    if (this.#policy?.keepsStates && length < tokens.length) {
      if (length > 0) {
        throw new JetonError("under this context policy a sequence cannot be cut", {
          code: "context-policy-truncate",
          details: { length, tokens: tokens.length },
        });
      }
      this.#policy.restore(handle);
    }
    this.#slots.truncate(handle, length);
  }

  release(handle: number): void {
    this.#policy?.restore(handle);
    this.#slots.release(handle);
  }

  /** Rows that the cache has for each sequence. */
  get capacity(): number {
    return this.#cache.capacity;
  }

  /** Rows of a sequence in the cache. */
  rowsOf(handle: number): number {
    return this.#slots.slot(handle).tokens.length;
  }

  /** Open sequences. */
  get openSequences(): number {
    return this.#slots.openSequences;
  }

  memory(): { cache: number } {
    return { cache: this.#cache.bytes };
  }

  rowTile(): number {
    return this.#rules.rowTile;
  }

  close(): Promise<void> {
    this.#embeddings?.close();
    return this.#session.release();
  }
}

/** Where prompt chunks of rows that choose together begin. */
function chunkBoundaries(
  attention: PolicyProgram["attention"],
): ((row: number) => boolean) | undefined {
  const { promptChunk, passes } = attention ?? {};
  if (passes) return passes.isBoundary;
  return promptChunk === undefined ? undefined : (row) => row % promptChunk === 0;
}

/** New rows of all layers that ran, one layer after the other. */
function newRows(
  { new: first, "new.rest": rest }: Readonly<Record<string, TensorValue>>,
  ranAll: boolean,
): CacheArray {
  const data = first!.data as CacheArray;
  if (!rest || !ranAll) return data;
  const later = rest.data as CacheArray;
  const joined = data instanceof Uint16Array ? Uint16Array : Float32Array;
  const all = new joined(data.length + later.length);
  all.set(data);
  all.set(later, data.length);
  return all;
}
