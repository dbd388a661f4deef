/**
 * The thread that trains: it owns the sessions, the parameters and the optimizer's state.
 *
 * Parameters are inputs of the graph that share their memory with the arrays here, so the loops of the
 * optimizer change what the next run sees without a copy.
 */
import { openSafetensors, type TensorToWrite, writeSafetensors } from "../checkpoint/index.ts";
import { JetonError } from "../core/index.ts";
import {
  type BoundValue,
  openSession,
  type Service,
  type Session,
  type SessionOptions,
  type TensorValue,
} from "../tensor/index.ts";
import {
  createOptimizer,
  type Optimizer,
  type ParameterGroup,
  type TrainedParameter,
  type Transform,
} from "./optimizer.ts";
import type { ParameterValue } from "./parameters.ts";
import { learningRateAt, type Schedule } from "./schedule.ts";
import type { TrainingGraph } from "./training-graph.ts";

/** Inputs of the graph by name. */
export type TrainingInputs = Readonly<Record<string, TensorValue>>;

export interface TrainingStart {
  readonly graph: TrainingGraph;
  readonly parameters: ReadonlyMap<string, ParameterValue>;
  readonly optimizer: readonly Transform[];
  readonly schedule: Schedule;
  /** What some parameters do differently, by name. */
  readonly groups: ReadonlyMap<string, ParameterGroup>;
  /** Decay of the exponential moving average of the parameters; undefined: none is kept. */
  readonly averageDecay: number | undefined;
  readonly session: SessionOptions;
}

export interface StepReport {
  /** Steps taken, this one included. */
  readonly step: number;
  /** Sum of losses over sum of weights, before the update. */
  readonly loss: number;
  readonly weight: number;
  /** Euclidean norm of all gradients, before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Time in the graph and in the optimizer. */
  readonly graphSeconds: number;
  readonly updateSeconds: number;
}

export interface TrainingService extends Service {
  /** One update from one or several parts of a batch, whose gradients are added. */
  step(parts: readonly TrainingInputs[]): Promise<StepReport>;
  /** Loss and gradients of a mean over `parts`, without an update. */
  gradients(
    parts: readonly TrainingInputs[],
  ): Promise<{ loss: number; gradients: Map<string, Float32Array> }>;
  /** Loss without gradients, with the averaged parameters when asked for. */
  evaluate(
    parts: readonly TrainingInputs[],
    options?: { averaged?: boolean },
  ): Promise<{ loss: number; weight: number }>;
  /** Copies of all parameters, or of their averages. */
  parameters(options?: { averaged?: boolean }): Map<string, ParameterValue>;
  /** Writes everything that the next step depends on into one file, whole or not at all. */
  save(path: string, notes: string): Promise<void>;
  /** Reads such a file; returns its notes. */
  load(path: string): Promise<{ step: number; notes: string }>;
}

/** Makes the service; called by name in its thread. */
export async function createTrainingService(start: TrainingStart): Promise<TrainingService> {
  const service = new GraphTrainer(start);
  await service.open();
  return service;
}

interface Totals {
  loss: number;
  weight: number;
  gradients: Map<string, Float32Array>;
}

class GraphTrainer implements TrainingService {
  readonly #start: TrainingStart;
  /** Every parameter; those that learn are changed in place. */
  readonly #values: Map<string, ParameterValue> = new Map();
  readonly #averages: Map<string, ParameterValue> = new Map();
  readonly #optimizer: Optimizer;
  #steps = 0;
  #session: Session | undefined;
  #bound: Record<string, BoundValue> = {};
  #evaluation: Session | undefined;

  constructor(start: TrainingStart) {
    this.#start = start;
    const { graph, parameters, groups, averageDecay } = start;
    for (const [name, shape] of graph.shapes) {
      const value = parameters.get(name);
      const size = shape.reduce((a, b) => a * b, 1);
      if (value === undefined || value.data.length !== size) {
        throw new JetonError(
          value === undefined
            ? `there are no values for the parameter "${name}"`
            : `"${name}" has ${value.data.length} elements, the graph asks for [${shape}]`,
          { code: "train-parameter-values", details: { name, shape, found: value?.data.length } },
        );
      }
      // The values may lie in memory that the caller goes on using.
      this.#values.set(name, { shape, data: value.data.slice() });
    }
    const trained = graph.trainable.map((name): TrainedParameter => {
      const { shape, data } = this.#values.get(name)!;
      if (averageDecay !== undefined) this.#averages.set(name, { shape, data: data.slice() });
      return { name, shape, data, ...groups.get(name) };
    });
    this.#optimizer = createOptimizer(start.optimizer, trained);
  }

  async open(): Promise<void> {
    const { graph, session } = this.#start;
    this.#session = await openSession(graph.step, session);
    this.#bound = this.#bind(this.#session, this.#values);
  }

  async step(parts: readonly TrainingInputs[]): Promise<StepReport> {
    const began = performance.now();
    const { loss, weight, gradients } = await this.#accumulate(parts);
    const computed = performance.now();
    const learningRate = learningRateAt(this.#start.schedule, this.#steps + 1);
    if (!Number.isFinite(loss)) {
      throw new JetonError(
        `the loss of step ${this.#steps + 1} is ${loss}: the run diverged (a lower learning rate, a longer warm-up or clipping may help)`,
        { code: "train-loss-not-finite", details: { step: this.#steps + 1, loss, learningRate } },
      );
    }
    const gradientNorm = this.#optimizer.update(gradients, this.#steps + 1, learningRate);
    this.#steps++;
    this.#average();
    return {
      step: this.#steps,
      loss,
      weight,
      gradientNorm,
      learningRate,
      graphSeconds: (computed - began) / 1000,
      updateSeconds: (performance.now() - computed) / 1000,
    };
  }

  async gradients(parts: readonly TrainingInputs[]): Promise<Omit<Totals, "weight">> {
    const { loss, gradients } = await this.#accumulate(parts);
    return { loss, gradients };
  }

  async evaluate(
    parts: readonly TrainingInputs[],
    options: { averaged?: boolean } = {},
  ): Promise<{ loss: number; weight: number }> {
    this.#evaluation ??= await openSession(this.#start.graph.evaluation, this.#start.session);
    const bound = this.#bind(this.#evaluation, this.#view(options.averaged));
    let loss = 0;
    let weight = 0;
    for (const part of parts) {
      const feeds = this.#feed(this.#evaluation, part, bound);
      const values = await this.#evaluation.run(feeds, ["loss", "weight"]);
      loss += values["loss"]!.data[0]!;
      weight += values["weight"]!.data[0]!;
    }
    return { loss: loss / weight, weight };
  }

  parameters(options: { averaged?: boolean } = {}): Map<string, ParameterValue> {
    return new Map(
      [...this.#view(options.averaged)].map(([name, { shape, data }]) => [
        name,
        { shape, data: data.slice() },
      ]),
    );
  }

  async save(path: string, notes: string): Promise<void> {
    const tensors: TensorToWrite[] = [...this.#stored()].map(([name, { shape, data }]) => ({
      name,
      dtype: "F32",
      shape,
      data,
    }));
    await writeSafetensors(path, tensors, {
      metadata: { format: "pt", kind: "jeton-training-state", step: String(this.#steps), notes },
    });
  }

  async load(path: string): Promise<{ step: number; notes: string }> {
    await using file = await openSafetensors(path);
    const step = Number(file.metadata.get("step"));
    const notes = file.metadata.get("notes");
    const isState = file.metadata.get("kind") === "jeton-training-state";
    if (!isState || !Number.isSafeInteger(step) || notes === undefined) {
      throw new JetonError(`${path} holds no training state`, {
        code: "train-checkpoint-foreign",
        details: { path },
      });
    }
    const stored = this.#stored();
    // Everything is checked before anything is changed.
    for (const [name, { data }] of stored) {
      const entry = file.tensors.get(name);
      if (entry?.dtype !== "F32" || entry.length !== data.byteLength) {
        throw new JetonError(`${path} does not fit this run: ${name}`, {
          code: "train-checkpoint-mismatch",
          details: { path, name, found: entry?.shape },
        });
      }
    }
    for (const [name, { data }] of stored) await file.readFloat32(name, { into: data });
    this.#steps = step;
    return { step, notes };
  }

  async close(): Promise<void> {
    await this.#session?.release();
    await this.#evaluation?.release();
    this.#session = undefined;
    this.#evaluation = undefined;
  }

  /** All arrays that a checkpoint holds. Frozen parameters belong to it too: it is complete. */
  #stored(): Map<string, ParameterValue> {
    const stored = new Map<string, ParameterValue>();
    for (const [name, value] of this.#values) stored.set(`parameter/${name}`, value);
    for (const [name, value] of this.#averages) stored.set(`average/${name}`, value);
    for (const [key, data] of this.#optimizer.state) {
      stored.set(`optimizer/${key}`, { shape: [data.length], data });
    }
    return stored;
  }

  /** Parameters with those that are averaged replaced by their averages. */
  #view(averaged = false): Map<string, ParameterValue> {
    return averaged ? new Map([...this.#values, ...this.#averages]) : this.#values;
  }

  #average(): void {
    const decay = this.#start.averageDecay;
    if (decay === undefined) return;
    for (const [name, { data: average }] of this.#averages) {
      const { data } = this.#values.get(name)!;
      for (let i = 0; i < data.length; i++) {
        average[i] = decay * average[i]! + (1 - decay) * data[i]!;
      }
    }
  }

  async #accumulate(parts: readonly TrainingInputs[]): Promise<Totals> {
    const session = this.#session!;
    const { trainable } = this.#start.graph;
    const outputs = ["loss", "weight", ...trainable.map((name) => `gradient.${name}`)];
    const gradients = new Map<string, Float32Array>();
    let loss = 0;
    let weight = 0;
    for (const part of parts) {
      const values = await session.run(this.#feed(session, part, this.#bound), outputs);
      loss += values["loss"]!.data[0]!;
      weight += values["weight"]!.data[0]!;
      for (const name of trainable) {
        const added = values[`gradient.${name}`]!.data as Float32Array;
        const sum = gradients.get(name);
        if (!sum) gradients.set(name, added);
        else for (let i = 0; i < sum.length; i++) sum[i]! += added[i]!;
      }
    }
    if (!(weight > 0)) {
      throw new JetonError("the batch holds nothing to learn from", {
        code: "train-batch-empty",
        details: { weight, parts: parts.length },
      });
    }
    const share = 1 / weight;
    for (const gradient of gradients.values()) {
      for (let i = 0; i < gradient.length; i++) gradient[i]! *= share;
    }
    return { loss: loss * share, weight, gradients };
  }

  #bind(session: Session, values: ReadonlyMap<string, ParameterValue>): Record<string, BoundValue> {
    return Object.fromEntries(
      [...values].map(([name, { shape, data }]) => [name, session.bind("float32", data, shape)]),
    );
  }

  /** Feeds of a run: the graph may use fewer parameters than there are. */
  #feed(
    session: Session,
    inputs: TrainingInputs,
    bound: Readonly<Record<string, BoundValue>>,
  ): Record<string, BoundValue> {
    const { graph } = this.#start;
    const used = session === this.#evaluation ? graph.evaluation : graph.step;
    const feeds: Record<string, BoundValue> = {};
    for (const name of used.parameterInputs) feeds[name] = bound[name]!;
    for (const [name, { dtype, data, shape }] of Object.entries(inputs)) {
      feeds[name] = session.bind(dtype, data, shape);
    }
    return feeds;
  }
}
