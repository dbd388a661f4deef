/**
 * The worker's side of a loaded model: its program, and further programs over the same weights for sequences
 * under context policies, each opened when the first sequence asks for it.
 */
import { JetonError } from "../../core/index.ts";
import { handOver, type Service } from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type {
  CreatePolicyProgram,
  PolicyProgram,
  PolicyReference,
} from "../policy/context-policy.ts";
import { refuseLearnedPositions, refuseScaledRotations } from "../policy/scaled-rotations.ts";
import type { StepResult } from "../types.ts";
import type { HandleStep } from "./decoder-pass.ts";
import { type DecoderStart, type DecoderWorker, openDecoderWorker } from "./decoder-worker.ts";
import { InsertedRows, reusableRows } from "./inserted-rows.ts";
import { sequenceReleased } from "./release-handle.ts";
import type { SequenceStart } from "./slot-table.ts";

export type { HandleStep } from "./decoder-pass.ts";
export type { DecoderStart } from "./decoder-worker.ts";

/** How a sequence begins, and under which policy. */
export interface PolicySequenceStart extends SequenceStart {
  readonly policy?: PolicyReference;
}

/** The model worker: the decoder's programs and their key-value caches. Sequences are addressed by handles. */
export interface DecoderService extends Service {
  /** Opens a sequence that begins with the cached rows of the longest known prefix. */
  open(options: PolicySequenceStart): Promise<{ handle: number; reused: number }>;
  /** One forward pass over several sequences, behind the rows that their steps accept. */
  forward(steps: readonly HandleStep[]): Promise<StepResult[]>;
  accept(handle: number, rows: readonly number[]): void;
  truncate(handle: number, length: number): void;
  release(handle: number): void;
  memory(): { cache: number };
  /** Rows of which every pass has a multiple; see `LoadedModel.rowTile`. */
  rowTile(): number;
}

/** Opens the decoder's program and cache in the current thread; called in the model worker. */
export async function createDecoderService(start: DecoderStart): Promise<DecoderService> {
  const { policy, config } = start;
  if (!policy) {
    const worker = await openDecoderWorker(start);
    return new DecoderPrograms({ key: "", worker, inserts: undefined, lastUse: 0 }, start);
  }
  const program = await makeProgram(policy, config);
  return new DecoderPrograms(await openProgram(start, policy, program), start);
}

/** Handles of one program begin at a multiple of this; the model's own program has the first ones. */
const handlesOfProgram = 2 ** 32;
/** Programs of context policies that are kept though no sequence uses them. */
const keptPrograms = 4;
/** Weights in memory that are kept for further programs; larger ones are the first program's alone. */
const keptBytes = 32_000_000;

interface OpenedProgram {
  /** The policy; empty: none. */
  readonly key: string;
  readonly worker: DecoderWorker;
  /** Of a policy that inserts tokens into texts. */
  readonly inserts: InsertedRows | undefined;
  lastUse: number;
}

async function openProgram(
  start: DecoderStart,
  policy: PolicyReference,
  program: PolicyProgram,
): Promise<OpenedProgram> {
  const { inserts } = policy;
  const config = program.adapt?.(start.config) ?? start.config;
  const reuse = reusableRows(policy.reuse, inserts);
  const worker = await openDecoderWorker({ ...start, config }, { program, reuse });
  return {
    key: JSON.stringify(policy),
    worker,
    inserts: inserts && new InsertedRows(inserts),
    lastUse: 0,
  };
}

class DecoderPrograms implements DecoderService {
  /** The model's own program, which is never closed before the others. */
  readonly #own: OpenedProgram;
  /** Absent where the weights were handed over to the runtime. */
  readonly #start: DecoderStart | undefined;
  /** By number, from 1 on; numbers are not used again. */
  readonly #programs: Map<number, OpenedProgram> = new Map();
  #next = 1;
  #clock = 0;

  constructor(own: OpenedProgram, start: DecoderStart) {
    this.#own = own;
    let bytes = 0;
    for (const binding of start.bindings.values()) {
      if (binding.kind === "data") bytes += binding.data.byteLength;
    }
    this.#start = bytes <= keptBytes ? start : undefined;
  }

  async open({
    policy,
    ...options
  }: PolicySequenceStart): Promise<{ handle: number; reused: number }> {
    const number = policy ? await this.#programOf(policy) : 0;
    const { worker, inserts } = this.#program(number);
    const { handle, reused } = worker.open(inserts?.start(options) ?? options);
    return {
      handle: number * handlesOfProgram + handle,
      reused: inserts?.tokens(reused) ?? reused,
    };
  }

  /** The number of a policy's program, which is opened where it is not yet. */
  async #programOf(policy: PolicyReference): Promise<number> {
    const key = JSON.stringify(policy);
    if (key === this.#own.key) return 0;
    for (const [number, program] of this.#programs) {
      if (program.key !== key) continue;
      program.lastUse = ++this.#clock;
      return number;
    }
    const { config } = this.#start ?? {};
    const program = await makeProgram(policy, config);
    const { attention, filterLayer, adapt } = program;
    const isPlain = !attention && filterLayer === undefined && !adapt;
    if (isPlain && this.#own.key === "") return 0;
    if (!this.#start) {
      throw new JetonError(
        "this model's weights lie in memory that its own program holds: context policies need weights in files",
        { code: "context-policy-unavailable", details: { module: policy.module } },
      );
    }
    if (attention)
      refuseScaledRotations("a context policy that renumbers tokens", this.#start.config);
    if (attention?.keys === "raw") refuseLearnedPositions(policy.name, this.#start.config);
    await this.#closeIdle();
    const opened = await openProgram(this.#start, policy, program);
    opened.lastUse = ++this.#clock;
    const number = this.#next++;
    this.#programs.set(number, opened);
    return number;
  }

  /** Closes programs that no sequence uses, the least recently used first, so that one more may be opened. */
  async #closeIdle(): Promise<void> {
    const idle = [...this.#programs]
      .filter(([, { worker }]) => worker.openSequences === 0)
      .sort(([, a], [, b]) => a.lastUse - b.lastUse);
    for (const [number, { worker }] of idle) {
      if (this.#programs.size < keptPrograms) return;
      this.#programs.delete(number);
      await worker.close();
    }
  }

  #program(number: number): OpenedProgram {
    const program = number === 0 ? this.#own : this.#programs.get(number);
    if (program) return program;
    throw sequenceReleased();
  }

  /** The program of a handle, and the handle there. */
  #locate(handle: number): Pick<OpenedProgram, "worker" | "inserts"> & { local: number } {
    const { worker, inserts } = this.#program(Math.floor(handle / handlesOfProgram));
    return { worker, inserts, local: handle % handlesOfProgram };
  }

  async forward(steps: readonly HandleStep[]): Promise<StepResult[]> {
    for (const { handle, accept } of steps) if (accept) this.accept(handle, accept);
    const results = await this.#forward(steps);
    return handOver(
      results,
      results.flatMap((result) => Object.values<ArrayBufferView>({ ...result })),
    );
  }

  async #forward(steps: readonly HandleStep[]): Promise<StepResult[]> {
    if (steps.every(({ handle }) => handle < handlesOfProgram)) {
      return runSteps(this.#own, steps);
    }
    const results: StepResult[] = [];
    const numbers = steps.map(({ handle }) => Math.floor(handle / handlesOfProgram));
    for (const number of new Set(numbers)) {
      const places = [...steps.keys()].filter((at) => numbers[at] === number);
      const own = places.map((at) => ({
        ...steps[at]!,
        handle: steps[at]!.handle % handlesOfProgram,
      }));
      const found = await runSteps(this.#program(number), own);
      for (const [index, at] of places.entries()) results[at] = found[index]!;
    }
    return results;
  }

  accept(handle: number, rows: readonly number[]): void {
    const { worker, inserts, local } = this.#locate(handle);
    worker.accept(local, inserts?.accepted(local, rows) ?? rows);
  }

  truncate(handle: number, length: number): void {
    const { worker, inserts, local } = this.#locate(handle);
    worker.truncate(local, inserts?.rows(length) ?? length);
  }

  release(handle: number): void {
    if (!this.#has(handle)) return;
    const { worker, inserts, local } = this.#locate(handle);
    inserts?.release(local);
    worker.release(local);
  }

  #has(handle: number): boolean {
    return handle < handlesOfProgram || this.#programs.has(Math.floor(handle / handlesOfProgram));
  }

  memory(): { cache: number } {
    const programs = [this.#own, ...this.#programs.values()];
    return { cache: programs.reduce((sum, { worker }) => sum + worker.memory().cache, 0) };
  }

  rowTile(): number {
    return this.#own.worker.rowTile();
  }

  async close(): Promise<void> {
    for (const { worker } of this.#programs.values()) await worker.close();
    await this.#own.worker.close();
  }
}

/** Steps of sequences of one program. */
async function runSteps(
  { worker, inserts }: OpenedProgram,
  steps: readonly HandleStep[],
): Promise<StepResult[]> {
  if (!inserts) return worker.forward(steps);
  const rows = steps.map((step) => inserts.expand(step, worker.rowsOf(step.handle)));
  const results = await worker.forward(rows);
  return results.map((result) => inserts.results(result, worker.capacity));
}

/**
 * Makes a policy's program; in a worker, with its module's function.
 *
 * @throws JetonError `context-policy-unavailable` where a bundler left no such module
 */
async function makeProgram(
  { name, module, options, createProgram }: PolicyReference,
  config: DecoderConfig | undefined,
): Promise<PolicyProgram> {
  if (createProgram) return createProgram(options, config);
  const { createPolicy } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ module)) as {
    readonly createPolicy?: CreatePolicyProgram;
  };
  if (createPolicy) return createPolicy(options, config);
  throw new JetonError(
    `${name}: its module exports no createPolicy, which a bundler removes; open the model without a worker, in a worker of your own`,
    { code: "context-policy-unavailable", details: { policy: name, module } },
  );
}
