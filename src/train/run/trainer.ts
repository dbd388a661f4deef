/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A trainer: an objective, parameters and an optimizer in a worker thread.
 */
import { availableParallelism } from "node:os";
import { JetonError } from "../../core/index.ts";
import type { SessionOptions } from "../../tensor/index.ts";
import { type Remote, startInline, startService } from "../../tensor/index.ts";
import type { ParameterValue } from "../graph/parameters.ts";
import type { TrainingGraph } from "../graph/training-graph.ts";
import {
  adamW,
  checkTransforms,
  type ParameterGroup,
  type Transform,
} from "../optimizer/optimizer.ts";
import { checkSchedule, type Schedule } from "../optimizer/schedule.ts";
import {
  onlyObjective,
  type TrainingService,
  type TrainingStart,
  type WeightedGraph,
} from "./training-interface.ts";
import * as trainingService from "./training-service.ts";
import { collectTrainable } from "./training-service.ts";

/** Options of `openTrainer`. */
export interface TrainerOptions {
  /** What is learned. */
  graph?: TrainingGraph;
  /**
   * Instead of `graph`, several objectives over common parameters, by name. A step minimizes the sum of
   * the means of those that it gets parts for, each times its `weight` (default 1): all of them at
   * once, or now one and now another. A parameter learns from the objectives in which it is trainable.
   */
  objectives?: Readonly<Record<string, { graph: TrainingGraph; weight?: number }>>;
  /** First values of every parameter of the graphs; copied unless `moveParameters` says otherwise. */
  parameters: ReadonlyMap<string, ParameterValue>;
  /**
   * The memory of `parameters` becomes the trainer's, and the caller's arrays are empty afterwards: 4
   * bytes less for each parameter. Needs a thread of its own (not `inline`). Default false.
   */
  moveParameters?: boolean;
  schedule: Schedule;
  /** Default `adamW()`. */
  optimizer?: readonly Transform[];
  /** Optimizer settings of a parameter, by its name and shape. Default: the same for all. */
  group?: (name: string, shape: readonly number[]) => ParameterGroup;
  /** Keeps an exponential moving average of the parameters with this decay, below 1. Default: none. */
  averageDecay?: number;
  /** Threads of one operator. Default: what the machine has, at most 8. */
  threads?: number;
  /** As in `SessionOptions`. Default true, with several objectives false. */
  spinning?: boolean;
  /** As in `SessionOptions`: false where the sizes of batches differ. Default true. */
  sameSizes?: boolean;
  /** Train on the calling thread and block it. Default false. */
  inline?: boolean;
}

/** The caller's end of a trainer. Close it: neither its memory nor its thread is collected. */
export type Trainer = Remote<TrainingService> & AsyncDisposable;

/**
 * Opens a trainer.
 *
 * @example
 * await using trainer = await openTrainer({
 *   objectives: { text: { graph: languageModel }, pairs: { graph: contrast, weight: 0.1 } },
 *   parameters,
 *   schedule: { kind: "constant", peak: 1e-3 },
 * });
 * const { losses } = await trainer.step({ text: [textInputs], pairs: [pairInputs] });
 *
 * @throws JetonError `train-parameter-values`, `train-objectives-disagree`, `option-invalid`
 */
export async function openTrainer(options: TrainerOptions): Promise<Trainer> {
  const { schedule, group } = options;
  checkSchedule(schedule);
  checkAverageDecay(options.averageDecay);
  checkTransforms(options.optimizer ?? []);
  const objectives = listObjectives(options);
  const shapeOf = (name: string): readonly number[] => {
    for (const { graph } of objectives.values()) {
      const shape = graph.shapes.get(name);
      if (shape !== undefined) return shape;
    }
    return [];
  };
  const session: SessionOptions = {
    threads: options.threads ?? Math.min(8, availableParallelism()),
    // Threads of one session that spin take time from those of another.
    spinning: options.spinning ?? objectives.size === 1,
    ...(options.sameSizes !== undefined && { sameSizes: options.sameSizes }),
  };
  const start: TrainingStart = {
    objectives,
    parameters: options.parameters,
    ownsParameters: options.inline !== true,
    optimizer: options.optimizer ?? adamW(),
    schedule,
    groups: new Map(
      collectTrainable(objectives).map((name) => [name, group?.(name, shapeOf(name)) ?? {}]),
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
        options.moveParameters ? { transfer: buffersOf(options.parameters) } : {},
      );
  return {
    step: (parts) => service.step(parts),
    gradients: (parts) => service.gradients(parts),
    inputGradients: (parts) => service.inputGradients(parts),
    evaluate: (parts, evaluation) => service.evaluate(parts, evaluation),
    values: (parts, which) => service.values(parts, which),
    parameters: (which) => service.parameters(which),
    save: (path, notes) => service.save(path, notes),
    load: (path) => service.load(path),
    close: () => service.close(),
    [Symbol.asyncDispose]: () => service.close(),
  };
}

/** @throws JetonError `option-invalid`: with a decay of 1 an average would never move */
export function checkAverageDecay(decay: number | undefined): void {
  if (decay === undefined || (decay >= 0 && decay < 1)) return;
  throw new JetonError(`averageDecay is ${decay}, expected a number from 0 to below 1`, {
    code: "option-invalid",
    details: { option: "averageDecay", found: decay, expected: "from 0 to below 1" },
  });
}

/** The memory of all values, each buffer once. */
function buffersOf(parameters: ReadonlyMap<string, ParameterValue>): ArrayBuffer[] {
  const buffers = [...parameters.values()].map(({ data }) => data.buffer);
  return [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer);
}

function listObjectives({ graph, objectives }: TrainerOptions): ReadonlyMap<string, WeightedGraph> {
  const listed = Object.entries(objectives ?? {}).map(
    ([name, { graph, weight = 1 }]) => [name, { graph, weight }] as const,
  );
  if ((graph === undefined) === (listed.length === 0)) {
    throw new JetonError("a trainer needs either a graph or objectives", {
      code: "option-invalid",
      details: { option: "objectives", found: listed.map(([name]) => name) },
    });
  }
  if (graph !== undefined) return new Map([[onlyObjective, { graph, weight: 1 }]]);
  for (const [name, { weight }] of listed) {
    if (Number.isFinite(weight) && weight > 0) continue;
    throw new JetonError(`the weight of "${name}" is ${weight}, expected a number above 0`, {
      code: "option-invalid",
      details: { option: `objectives.${name}.weight`, found: weight },
    });
  }
  return new Map(listed);
}
