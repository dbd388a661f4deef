/**
 * The worker's side of a loaded model: its program, and further programs over the same weights for sequences
 * under context policies, each opened when the first sequence asks for it.
 */
import { JetonError } from "../../core/index.ts";
import type { Service } from "../../tensor/index.ts";
import type {
  CreatePolicyProgram,
  PolicyProgram,
  PolicyReference,
} from "../policy/context-policy.ts";
import { refuseScaledRotations } from "../policy/scaled-rotations.ts";
import type { StepResult } from "../types.ts";
import type { HandleStep } from "./decoder-pass.ts";
import { type DecoderStart, type DecoderWorker, openDecoderWorker } from "./decoder-worker.ts";
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
  /** One forward pass over several sequences. */
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
  return new DecoderPrograms(await openDecoderWorker(start), start);
}

/** Handles of one program begin at a multiple of this; the model's own program has the first ones. */
const handlesOfProgram = 2 ** 32;
/** Programs of context policies that are kept though no sequence uses them. */
const keptPrograms = 4;
/** Weights in memory that are kept for further programs; larger ones are the first program's alone. */
const keptBytes = 32_000_000;

interface OpenedProgram {
  readonly key: string;
  readonly worker: DecoderWorker;
  lastUse: number;
}

class DecoderPrograms implements DecoderService {
  readonly #plain: DecoderWorker;
  /** Absent where the weights were handed over to the runtime. */
  readonly #start: DecoderStart | undefined;
  /** By number, from 1 on; numbers are not used again. */
  readonly #programs: Map<number, OpenedProgram> = new Map();
  #next = 1;
  #clock = 0;

  constructor(plain: DecoderWorker, start: DecoderStart) {
    this.#plain = plain;
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
    if (!policy) return this.#plain.open(options);
    const number = await this.#programOf(policy);
    const { handle, reused } = this.#worker(number).open(options);
    return { handle: number * handlesOfProgram + handle, reused };
  }

  /** The number of a policy's program, which is opened where it is not yet. */
  async #programOf(policy: PolicyReference): Promise<number> {
    const key = JSON.stringify(policy);
    for (const [number, program] of this.#programs) {
      if (program.key !== key) continue;
      program.lastUse = ++this.#clock;
      return number;
    }
    const program = await makeProgram(policy);
    const { attention, filterLayer, adapt } = program;
    if (!attention && filterLayer === undefined && !adapt) return 0;
    if (!this.#start) {
      throw new JetonError(
        "this model's weights lie in memory that its own program holds: context policies need weights in files",
        { code: "context-policy-unavailable", details: { module: policy.module } },
      );
    }
    const { config } = this.#start;
    if (attention) refuseScaledRotations("a context policy that renumbers tokens", config);
    await this.#closeIdle();
    const start = { ...this.#start, config: adapt?.(config) ?? config };
    const worker = await openDecoderWorker(start, { program, reuse: policy.reuse });
    const number = this.#next++;
    this.#programs.set(number, { key, worker, lastUse: ++this.#clock });
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

  #worker(number: number): DecoderWorker {
    const worker = number === 0 ? this.#plain : this.#programs.get(number)?.worker;
    if (worker) return worker;
    throw new JetonError("the sequence was released", { code: "model-sequence-released" });
  }

  /** The program of a handle, and the handle there. */
  #locate(handle: number): { worker: DecoderWorker; local: number } {
    const number = Math.floor(handle / handlesOfProgram);
    return { worker: this.#worker(number), local: handle % handlesOfProgram };
  }

  async forward(steps: readonly HandleStep[]): Promise<StepResult[]> {
    if (steps.every(({ handle }) => handle < handlesOfProgram)) return this.#plain.forward(steps);
    const results: StepResult[] = [];
    const numbers = steps.map(({ handle }) => Math.floor(handle / handlesOfProgram));
    for (const number of new Set(numbers)) {
      const places = [...steps.keys()].filter((at) => numbers[at] === number);
      const own = places.map((at) => ({
        ...steps[at]!,
        handle: steps[at]!.handle % handlesOfProgram,
      }));
      const found = await this.#worker(number).forward(own);
      for (const [index, at] of places.entries()) results[at] = found[index]!;
    }
    return results;
  }

  accept(handle: number, rows: readonly number[]): void {
    const { worker, local } = this.#locate(handle);
    worker.accept(local, rows);
  }

  truncate(handle: number, length: number): void {
    const { worker, local } = this.#locate(handle);
    worker.truncate(local, length);
  }

  release(handle: number): void {
    if (!this.#has(handle)) return;
    const { worker, local } = this.#locate(handle);
    worker.release(local);
  }

  #has(handle: number): boolean {
    return handle < handlesOfProgram || this.#programs.has(Math.floor(handle / handlesOfProgram));
  }

  memory(): { cache: number } {
    const workers = [this.#plain, ...[...this.#programs.values()].map(({ worker }) => worker)];
    return { cache: workers.reduce((sum, worker) => sum + worker.memory().cache, 0) };
  }

  rowTile(): number {
    return this.#plain.rowTile();
  }

  async close(): Promise<void> {
    for (const { worker } of this.#programs.values()) await worker.close();
    await this.#plain.close();
  }
}

/**
 * Makes a policy's program; in a worker, with its module's function.
 *
 * @throws JetonError `context-policy-unavailable` where a bundler left no such module
 */
async function makeProgram({
  name,
  module,
  options,
  createProgram,
}: PolicyReference): Promise<PolicyProgram> {
  if (createProgram) return createProgram(options);
  const { createPolicy } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ module)) as {
    readonly createPolicy?: CreatePolicyProgram;
  };
  if (createPolicy) return createPolicy(options);
  throw new JetonError(
    `${name}: ${module} exports no createPolicy, which a bundler removes; open the model without a worker, in a worker of your own`,
    { code: "context-policy-unavailable", details: { policy: name, module } },
  );
}
