/**
 * The thread that trains: it owns the sessions, the parameters and the optimizer's state.
 *
 * Parameters are inputs of the graph that share their memory with the arrays here, so the loops of the
 * optimizer change what the next run sees without a copy.
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { openSafetensors, type TensorToWrite, writeSafetensors } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import {
  type BoundValue,
  openSession,
  type Service,
  type Session,
  type SessionOptions,
  type TensorValue,
} from "../../tensor/index.ts";
import type { ParameterValue } from "../graph/parameters.ts";
import type { TrainingGraph } from "../graph/training-graph.ts";
import {
  createOptimizer,
  type Optimizer,
  type ParameterGroup,
  type TrainedParameter,
  type Transform,
} from "../optimizer/optimizer.ts";
import { learningRateAt, type Schedule } from "../optimizer/schedule.ts";

/** Inputs of the graph by name. */
export type TrainingInputs = Readonly<Record<string, TensorValue>>;

/**
 * The parts of a batch: a list where there is one objective, lists by the name of the objective where
 * there are several. An objective that is left out has no share in the step.
 */
export type TrainingParts =
  | readonly TrainingInputs[]
  | Readonly<Record<string, readonly TrainingInputs[]>>;

/** A graph among several, and the factor of its mean loss. */
export interface WeightedGraph {
  readonly graph: TrainingGraph;
  readonly weight: number;
}

export interface TrainingStart {
  /** By name; a single one is called `onlyObjective`. */
  readonly objectives: ReadonlyMap<string, WeightedGraph>;
  readonly parameters: ReadonlyMap<string, ParameterValue>;
  /** The service owns the arrays of `parameters`: they were copied on their way to the thread. */
  readonly ownsParameters: boolean;
  readonly optimizer: readonly Transform[];
  readonly schedule: Schedule;
  /** What some parameters do differently, by name. */
  readonly groups: ReadonlyMap<string, ParameterGroup>;
  /** Decay of the exponential moving average of the parameters; undefined: none is kept. */
  readonly averageDecay: number | undefined;
  readonly session: SessionOptions;
}

/** The name of an objective that is the only one. */
export const onlyObjective = "loss";

export interface StepReport {
  /** Steps taken, this one included. */
  readonly step: number;
  /**
   * Sum of losses over sum of weights, before the update; of several objectives the sum of these means,
   * each times the objective's factor.
   */
  readonly loss: number;
  /** The means by objective, without factors. */
  readonly losses: Readonly<Record<string, number>>;
  /** Sum of weights, of all objectives together. */
  readonly weight: number;
  /** Euclidean norm of all gradients, before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Time in the graph and in the optimizer. */
  readonly graphSeconds: number;
  readonly updateSeconds: number;
}

/** Gradients with respect to what does not learn. */
export interface InputGradients {
  readonly loss: number;
  /** For each part of the batch the gradients by the names of the objective's sensitive tensors. */
  readonly parts: readonly ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>[];
}

export interface TrainingService extends Service {
  /**
   * One update from one or several parts of a batch, whose gradients are added. A parameter that no
   * objective of this step uses gets a gradient of zeros: moments fade and weights decay as always.
   *
   * @throws JetonError `train-loss-not-finite`, `train-gradients-not-finite`; the parameters are as before
   */
  step(parts: TrainingParts): Promise<StepReport>;
  /** Loss and gradients of a mean over `parts`, without an update. */
  gradients(parts: TrainingParts): Promise<{ loss: number; gradients: Map<string, Float32Array> }>;
  /**
   * Loss and the gradients of the mean over `parts` with respect to the objective's sensitive tensors
   * (see `Objective`): embeddings, inputs. Needs a single objective.
   *
   * @throws JetonError `train-nothing-sensitive`
   */
  inputGradients(parts: readonly TrainingInputs[]): Promise<InputGradients>;
  /** Loss without gradients, with the averaged parameters when asked for. */
  evaluate(
    parts: TrainingParts,
    options?: { averaged?: boolean },
  ): Promise<Pick<StepReport, "loss" | "losses" | "weight">>;
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
  losses: Record<string, number>;
  weight: number;
  gradients: Map<string, Float32Array>;
}

/** An objective with its sessions; that of the evaluation is opened when it is first needed. */
interface OpenObjective extends WeightedGraph {
  readonly session: Session;
  readonly bound: Record<string, BoundValue>;
  evaluation?: Session;
  inputGradient?: Session;
}

class GraphTrainer implements TrainingService {
  readonly #start: TrainingStart;
  /** Every parameter; those that learn are changed in place. */
  readonly #values: Map<string, ParameterValue> = new Map();
  readonly #averages: Map<string, ParameterValue> = new Map();
  readonly #optimizer: Optimizer;
  /** Names of the parameters that some objective changes. */
  readonly #trainable: readonly string[];
  readonly #objectives: Map<string, OpenObjective> = new Map();
  #steps = 0;

  constructor(start: TrainingStart) {
    this.#start = start;
    const { objectives, parameters, groups, averageDecay } = start;
    for (const [name, shape] of collectShapes(objectives)) {
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
      const isOwn = start.ownsParameters && hasBufferOfItsOwn(value.data);
      this.#values.set(name, { shape, data: isOwn ? value.data : value.data.slice() });
    }
    this.#trainable = collectTrainable(objectives);
    const trained = this.#trainable.map((name): TrainedParameter => {
      const { shape, data } = this.#values.get(name)!;
      if (averageDecay !== undefined) this.#averages.set(name, { shape, data: data.slice() });
      return { name, shape, data, ...groups.get(name) };
    });
    this.#optimizer = createOptimizer(start.optimizer, trained);
  }

  async open(): Promise<void> {
    for (const [name, { graph, weight }] of this.#start.objectives) {
      const session = await openSession(graph.step, this.#start.session);
      // Sessions share the parameters: their inputs are views of the same memory.
      const bound = this.#bind(session, this.#values);
      this.#objectives.set(name, { graph, weight, session, bound });
    }
  }

  async step(parts: TrainingParts): Promise<StepReport> {
    if (this.#trainable.length === 0) {
      throw new JetonError("no parameter is left to train: all are frozen", {
        code: "train-nothing-learns",
        details: { parameters: [...this.#values.keys()] },
      });
    }
    const began = performance.now();
    const { loss, losses, weight, gradients } = await this.#accumulate(parts);
    const computed = performance.now();
    const learningRate = learningRateAt(this.#start.schedule, this.#steps + 1);
    if (!Number.isFinite(loss)) {
      throw new JetonError(
        `the loss of step ${this.#steps + 1} is ${loss}: the run diverged (a lower learning rate, a longer warm-up or clipping may help)`,
        { code: "train-loss-not-finite", details: { step: this.#steps + 1, loss, learningRate } },
      );
    }
    const gradientNorm = this.#optimizer.update(gradients, this.#steps + 1, learningRate);
    if (!Number.isFinite(gradientNorm)) {
      throw new JetonError(
        `the gradients of step ${this.#steps + 1} are not finite, though its loss is ${loss}: nothing was changed`,
        {
          code: "train-gradients-not-finite",
          details: { step: this.#steps + 1, loss, found: gradientNorm },
        },
      );
    }
    for (const gradient of gradients.values()) freeNow(gradient);
    this.#steps++;
    this.#average();
    return {
      step: this.#steps,
      loss,
      losses,
      weight,
      gradientNorm,
      learningRate,
      graphSeconds: (computed - began) / 1000,
      updateSeconds: (performance.now() - computed) / 1000,
    };
  }

  async gradients(parts: TrainingParts): Promise<Pick<Totals, "loss" | "gradients">> {
    const { loss, gradients } = await this.#accumulate(parts);
    return { loss, gradients };
  }

  async inputGradients(parts: readonly TrainingInputs[]): Promise<InputGradients> {
    const found: Map<string, { shape: readonly number[]; data: Float32Array }>[] = [];
    let loss = 0;
    let weight = 0;
    for (const [, objective, inputs] of this.#assign(parts)) {
      const { inputGradient: model, sensitive } = objective.graph;
      if (model === undefined) {
        throw new JetonError("the objective names no sensitive tensors", {
          code: "train-nothing-sensitive",
          details: { expected: "an objective with `sensitive`" },
        });
      }
      objective.inputGradient ??= await openSession(model, this.#start.session);
      const { inputGradient } = objective;
      const bound = this.#bind(inputGradient, this.#values);
      const outputs = ["loss", "weight", ...sensitive.map((name) => `gradient.${name}`)];
      for (const part of inputs) {
        const feeds = feedsOf(inputGradient, model.parameterInputs, part, bound);
        const values = await inputGradient.run(feeds, outputs);
        loss += values["loss"]!.data[0]!;
        weight += values["weight"]!.data[0]!;
        found.push(
          new Map(
            sensitive.map((name) => {
              const { shape, data } = values[`gradient.${name}`]!;
              return [name, { shape, data: data as Float32Array }];
            }),
          ),
        );
      }
    }
    if (!(weight > 0)) throw emptyBatch(onlyObjective, weight, parts.length);
    for (const part of found) {
      for (const { data } of part.values()) {
        for (let i = 0; i < data.length; i++) data[i]! /= weight;
      }
    }
    return { loss: loss / weight, parts: found };
  }

  async evaluate(
    parts: TrainingParts,
    options: { averaged?: boolean } = {},
  ): Promise<Omit<Totals, "gradients">> {
    const totals = { loss: 0, losses: {} as Record<string, number>, weight: 0 };
    for (const [name, objective, inputs] of this.#assign(parts)) {
      const { graph } = objective;
      objective.evaluation ??= await openSession(graph.evaluation, this.#start.session);
      const { evaluation } = objective;
      const bound = this.#bind(evaluation, this.#view(options.averaged));
      let loss = 0;
      let weight = 0;
      for (const part of inputs) {
        const feeds = feedsOf(evaluation, graph.evaluation.parameterInputs, part, bound);
        const values = await evaluation.run(feeds, ["loss", "weight"]);
        loss += values["loss"]!.data[0]!;
        weight += values["weight"]!.data[0]!;
      }
      totals.losses[name] = loss / weight;
      totals.loss += (loss / weight) * objective.weight;
      totals.weight += weight;
    }
    return totals;
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
    for (const { session, evaluation, inputGradient } of this.#objectives.values()) {
      await session.release();
      await evaluation?.release();
      await inputGradient?.release();
    }
    this.#objectives.clear();
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

  /**
   * The objectives of a step with their parts.
   *
   * @throws JetonError `train-objective-unknown`, `train-batch-empty`
   */
  #assign(parts: TrainingParts): [string, OpenObjective, readonly TrainingInputs[]][] {
    const known = [...this.#objectives.keys()];
    const named = isList(parts) ? { [known.length === 1 ? known[0]! : ""]: parts } : parts;
    const assigned = Object.entries(named).flatMap(
      ([name, inputs]): [string, OpenObjective, readonly TrainingInputs[]][] => {
        const objective = this.#objectives.get(name);
        if (objective === undefined) {
          const found = isList(parts) ? "a list" : `"${name}"`;
          throw new JetonError(`the parts are for ${found}, expected ${known.join(", ")}`, {
            code: "train-objective-unknown",
            details: { found: isList(parts) ? undefined : name, expected: known },
          });
        }
        return inputs.length === 0 ? [] : [[name, objective, inputs]];
      },
    );
    if (assigned.length > 0) return assigned;
    throw new JetonError("there is no part to learn from", {
      code: "train-batch-empty",
      details: { parts: 0 },
    });
  }

  async #accumulate(parts: TrainingParts): Promise<Totals> {
    const totals: Totals = { loss: 0, losses: {}, weight: 0, gradients: new Map() };
    for (const [name, objective, inputs] of this.#assign(parts)) {
      const { loss, weight, gradients } = await accumulate(name, objective, inputs);
      totals.losses[name] = loss / weight;
      totals.weight += weight;
      const share = objective.weight / weight;
      totals.loss += loss * share;
      for (const [parameter, gradient] of gradients) {
        const sum = totals.gradients.get(parameter);
        for (let i = 0; i < gradient.length; i++) gradient[i]! *= share;
        if (!sum) totals.gradients.set(parameter, gradient);
        else for (let i = 0; i < sum.length; i++) sum[i]! += gradient[i]!;
      }
    }
    // In the order of the parameters: the norm of all gradients is a sum, whose last bits depend on it.
    const gradients = new Map(
      this.#trainable.map((name) => [
        name,
        totals.gradients.get(name) ?? new Float32Array(this.#values.get(name)!.data.length),
      ]),
    );
    return { ...totals, gradients };
  }

  #bind(session: Session, values: ReadonlyMap<string, ParameterValue>): Record<string, BoundValue> {
    return Object.fromEntries(
      [...values].map(([name, { shape, data }]) => [name, session.bind("float32", data, shape)]),
    );
  }
}

const nowhere: MessagePort = openNowhere();

/** A port without another end: what is transferred to it is gone. */
function openNowhere(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  port1.unref();
  return port1;
}

/**
 * Frees the memory of an array, which is empty afterwards. Left to the collector, the gradients of
 * several steps lie about: it does not see how large they are.
 */
function freeNow(array: Float32Array): void {
  if (hasBufferOfItsOwn(array)) nowhere.postMessage(null, [array.buffer as ArrayBuffer]);
}

/** False for a part of a larger buffer, and for memory that threads share. */
function hasBufferOfItsOwn({ buffer, byteLength }: Float32Array): boolean {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
}

function isList(parts: TrainingParts): parts is readonly TrainingInputs[] {
  return Array.isArray(parts);
}

/** Sums over the parts of one objective. */
async function accumulate(
  name: string,
  { graph, session, bound }: OpenObjective,
  parts: readonly TrainingInputs[],
): Promise<Pick<Totals, "loss" | "weight" | "gradients">> {
  const outputs = ["loss", "weight", ...graph.trainable.map((name) => `gradient.${name}`)];
  const gradients = new Map<string, Float32Array>();
  let loss = 0;
  let weight = 0;
  for (const part of parts) {
    const feeds = feedsOf(session, graph.step.parameterInputs, part, bound);
    const values = await session.run(feeds, outputs);
    loss += values["loss"]!.data[0]!;
    weight += values["weight"]!.data[0]!;
    for (const parameter of graph.trainable) {
      const added = values[`gradient.${parameter}`]!.data as Float32Array;
      const sum = gradients.get(parameter);
      if (!sum) gradients.set(parameter, added);
      else {
        for (let i = 0; i < sum.length; i++) sum[i]! += added[i]!;
        freeNow(added);
      }
    }
  }
  if (!(weight > 0)) throw emptyBatch(name, weight, parts.length);
  return { loss, weight, gradients };
}

function emptyBatch(objective: string, weight: number, parts: number): JetonError {
  const of = objective === onlyObjective ? "" : ` of "${objective}"`;
  return new JetonError(`the batch${of} holds nothing to learn from`, {
    code: "train-batch-empty",
    details: { objective, weight, parts },
  });
}

/** Feeds of a run: a graph may use fewer parameters than there are. */
function feedsOf(
  session: Session,
  parameters: readonly string[],
  inputs: TrainingInputs,
  bound: Readonly<Record<string, BoundValue>>,
): Record<string, BoundValue> {
  const feeds: Record<string, BoundValue> = {};
  for (const name of parameters) feeds[name] = bound[name]!;
  for (const [name, { dtype, data, shape }] of Object.entries(inputs)) {
    feeds[name] = session.bind(dtype, data, shape);
  }
  return feeds;
}

/** Shapes of the parameters of all objectives. @throws JetonError `train-objectives-disagree` */
function collectShapes(
  objectives: ReadonlyMap<string, WeightedGraph>,
): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const [objective, { graph }] of objectives) {
    for (const [name, shape] of graph.shapes) {
      const known = shapes.get(name);
      if (known !== undefined && known.join() !== shape.join()) {
        throw new JetonError(
          `"${name}" is [${shape}] for the objective "${objective}" and [${known}] for another`,
          { code: "train-objectives-disagree", details: { name, objective, shape, known } },
        );
      }
      shapes.set(name, shape);
    }
  }
  return shapes;
}

/** Parameters that at least one objective trains, in the order in which they are first named. */
export function collectTrainable(objectives: ReadonlyMap<string, WeightedGraph>): string[] {
  return [...new Set([...objectives.values()].flatMap(({ graph }) => graph.trainable))];
}
