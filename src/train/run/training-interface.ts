/** What the thread that trains is given, reports and offers. */
import type { Service, SessionOptions, TensorValue } from "../../tensor/index.ts";
import type { ParameterValue } from "../graph/parameters.ts";
import type { TrainingGraph } from "../graph/training-graph.ts";
import type { ParameterGroup, Transform } from "../optimizer/optimizer.ts";
import type { Schedule } from "../optimizer/schedule.ts";

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
  /** Optimizer settings of some parameters, by name. */
  readonly groups: ReadonlyMap<string, ParameterGroup>;
  /** Decay of the exponential moving average of the parameters; undefined: none is kept. */
  readonly averageDecay: number | undefined;
  readonly session: SessionOptions;
}

/** The name of an objective that is the only one. */
export const onlyObjective = "loss";

/** Report of one update. */
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
  /** What the objectives report (see `Objective`), before the update; means over the parts. */
  readonly reported: Readonly<Record<string, number>>;
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

/** Tensors of one part of a batch by the names of the objective. */
export type PartValues = ReadonlyMap<
  string,
  { readonly shape: readonly number[]; readonly data: Float32Array }
>;

/** The training worker: parameters, gradients and the optimizer's state. */
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
  /**
   * The objective's values (see `Objective`) for each part, without gradients. Needs a single objective.
   *
   * @throws JetonError `train-nothing-to-read`
   */
  values(
    parts: readonly TrainingInputs[],
    options?: { averaged?: boolean },
  ): Promise<readonly PartValues[]>;
  /** Copies of all parameters, or of their averages. */
  parameters(options?: { averaged?: boolean }): Map<string, ParameterValue>;
  /** Writes everything that the next step depends on into one file, whole or not at all. */
  save(path: string, notes: string): Promise<void>;
  /** Reads such a file; returns its notes. */
  load(path: string): Promise<{ step: number; notes: string }>;
}
