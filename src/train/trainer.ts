/**
 * A trainer: an objective, parameters and an optimizer in a worker thread.
 */
import { availableParallelism } from "node:os";
import type { SessionOptions } from "../tensor/index.ts";
import { type Remote, startInline, startService } from "../tensor/index.ts";
import { adamW, type ParameterGroup, type Transform } from "./optimizer.ts";
import type { ParameterValue } from "./parameters.ts";
import { checkSchedule, type Schedule } from "./schedule.ts";
import type { TrainingGraph } from "./training-graph.ts";
import type { TrainingService, TrainingStart } from "./training-service.ts";
import * as trainingService from "./training-service.ts";

export interface TrainerOptions {
  graph: TrainingGraph;
  /** First values of every parameter of the graph; copied. */
  parameters: ReadonlyMap<string, ParameterValue>;
  schedule: Schedule;
  /** Default `adamW()`. */
  optimizer?: readonly Transform[];
  /** What a parameter does differently, by name and shape. Default: nothing. */
  group?: (name: string, shape: readonly number[]) => ParameterGroup;
  /** Keeps an exponential moving average of the parameters with this decay. Default: none. */
  averageDecay?: number;
  /** Threads of one operator. Default: what the machine has, at most 8. */
  threads?: number;
  /** As in `SessionOptions`. Default true. */
  spinning?: boolean;
  /** Train on the calling thread and block it. Default false. */
  inline?: boolean;
}

/** The caller's end of a trainer. Close it: neither its memory nor its thread is collected. */
export type Trainer = Remote<TrainingService> & AsyncDisposable;

/**
 * Opens a trainer.
 *
 * @throws JetonError `train-parameter-values`, `option-invalid`
 */
export async function openTrainer(options: TrainerOptions): Promise<Trainer> {
  const { graph, schedule, group } = options;
  checkSchedule(schedule);
  const session: SessionOptions = {
    threads: options.threads ?? Math.min(8, availableParallelism()),
    spinning: options.spinning ?? true,
  };
  const start: TrainingStart = {
    graph,
    parameters: options.parameters,
    optimizer: options.optimizer ?? adamW(),
    schedule,
    groups: new Map(
      graph.trainable.map((name) => [name, group?.(name, graph.shapes.get(name)!) ?? {}]),
    ),
    averageDecay: options.averageDecay,
    session,
  };
  const service = options.inline
    ? await startInline<TrainingService>(trainingService, "createTrainingService", start)
    : await startService<TrainingService>(
        new URL(
          import.meta.url.endsWith(".ts") ? "./training-service.ts" : "./training-service.js",
          import.meta.url,
        ).href,
        "createTrainingService",
        start,
      );
  return {
    step: (parts) => service.step(parts),
    gradients: (parts) => service.gradients(parts),
    evaluate: (parts, evaluation) => service.evaluate(parts, evaluation),
    parameters: (which) => service.parameters(which),
    save: (path, notes) => service.save(path, notes),
    load: (path) => service.load(path),
    close: () => service.close(),
    [Symbol.asyncDispose]: () => service.close(),
  };
}
