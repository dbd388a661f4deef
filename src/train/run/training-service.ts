/**
 * The thread that trains: it owns the sessions, the parameters and the optimizer's state.
 *
 * Parameters are inputs of the graph that share their memory with the arrays here, so the loops of the
 * optimizer change what the next run sees without a copy.
 */

import { openSafetensors, type TensorToWrite, writeSafetensors } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { type BoundValue, openSession, type Session } from "../../tensor/index.ts";
import type { ParameterValue } from "../graph/parameters.ts";
import { valueOutput } from "../graph/training-graph.ts";
import {
  createOptimizer,
  type Optimizer,
  scaleAndSquare,
  type TrainedParameter,
} from "../optimizer/optimizer.ts";
import { learningRateAt } from "../optimizer/schedule.ts";
import {
  accumulate,
  emptyBatch,
  feedsOf,
  freeNow,
  hasBufferOfItsOwn,
  type OpenObjective,
  type Totals,
} from "./accumulate-gradients.ts";
import {
  type InputGradients,
  onlyObjective,
  type PartValues,
  type StepReport,
  type TrainingInputs,
  type TrainingParts,
  type TrainingService,
  type TrainingStart,
  type WeightedGraph,
} from "./training-interface.ts";

/** Makes the service; called by name in its thread. */
export async function createTrainingService(start: TrainingStart): Promise<TrainingService> {
  const service = new GraphTrainer(start);
  await service.open();
  return service;
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
    const { loss, losses, weight, gradients, reported, norm } = await this.#accumulate(parts);
    const computed = performance.now();
    const learningRate = learningRateAt(this.#start.schedule, this.#steps + 1);
    if (!Number.isFinite(loss)) {
      throw new JetonError(
        `the loss of step ${this.#steps + 1} is ${loss}: the run diverged (a lower learning rate, a longer warm-up or clipping may help)`,
        { code: "train-loss-not-finite", details: { step: this.#steps + 1, loss, learningRate } },
      );
    }
    const gradientNorm = this.#optimizer.update(gradients, this.#steps + 1, learningRate, norm);
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
      reported,
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
  ): Promise<Omit<Totals, "gradients" | "reported">> {
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

  async values(
    parts: readonly TrainingInputs[],
    options: { averaged?: boolean } = {},
  ): Promise<PartValues[]> {
    const [assigned] = this.#assign(parts);
    const [, objective, inputs] = assigned!;
    const { graph } = objective;
    if (graph.values.length === 0) {
      throw new JetonError("the objective names no values to read", {
        code: "train-nothing-to-read",
        details: { expected: "an objective with `values`" },
      });
    }
    objective.evaluation ??= await openSession(graph.evaluation, this.#start.session);
    const { evaluation } = objective;
    const bound = this.#bind(evaluation, this.#view(options.averaged));
    const found: PartValues[] = [];
    for (const part of inputs) {
      const feeds = feedsOf(evaluation, graph.evaluation.parameterInputs, part, bound);
      const values = await evaluation.run(feeds, graph.values.map(valueOutput));
      found.push(
        new Map(
          graph.values.map((name) => {
            const { shape, data } = values[valueOutput(name)]!;
            return [name, { shape, data: data as Float32Array }];
          }),
        ),
      );
    }
    return found;
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

  /** @returns `norm`: of all gradients, where one objective gave them */
  async #accumulate(parts: TrainingParts): Promise<Totals & { readonly norm?: number }> {
    const totals: Totals = { loss: 0, losses: {}, weight: 0, gradients: new Map(), reported: {} };
    const squares = new Map<string, number>();
    const assigned = this.#assign(parts);
    for (const [name, objective, inputs] of assigned) {
      const { loss, weight, gradients, reported } = await accumulate(name, objective, inputs);
      Object.assign(totals.reported, reported);
      totals.losses[name] = loss / weight;
      totals.weight += weight;
      const share = objective.weight / weight;
      totals.loss += loss * share;
      for (const [parameter, gradient] of gradients) {
        squares.set(parameter, scaleAndSquare(gradient, share));
        const sum = totals.gradients.get(parameter);
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
    if (assigned.length > 1) return { ...totals, gradients };
    let total = 0;
    for (const name of this.#trainable) total += squares.get(name) ?? 0;
    return { ...totals, gradients, norm: Math.sqrt(total) };
  }

  #bind(session: Session, values: ReadonlyMap<string, ParameterValue>): Record<string, BoundValue> {
    return Object.fromEntries(
      [...values].map(([name, { shape, data }]) => [name, session.bind("float32", data, shape)]),
    );
  }
}

function isList(parts: TrainingParts): parts is readonly TrainingInputs[] {
  return Array.isArray(parts);
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
