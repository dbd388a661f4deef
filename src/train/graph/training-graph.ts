/**
 * Graphs that a trainer runs: any objective over named parameters, with its gradients.
 */
import { JetonError } from "../../core/index.ts";
import {
  add,
  type EmittedModel,
  emitModel,
  gradients,
  parameter,
  type Tensor,
  type TensorType,
  trace,
} from "../../tensor/index.ts";

/** A target that does not count. */
export const ignoredTarget = -1;

/** What an objective computes. */
export interface Objective {
  /** Scalar: a sum over the counted units (tokens, pairs), so that parts of a batch can be added. */
  readonly loss: Tensor;
  /** Scalar: how much counted. The trainer minimizes the sum of losses over the sum of weights. */
  readonly weight: Tensor;
  /**
   * Scalar that is minimized with the loss but is no part of what is reported, e.g. losses that keep experts
   * balanced; a sum like the loss. Left out of evaluations.
   */
  readonly penalty?: Tensor;
  /**
   * Further tensors whose gradients are wanted: inputs, embeddings, any value between a
   * parameter and the loss. Float32; by names of the caller's choice.
   */
  readonly sensitive?: Readonly<Record<string, Tensor>>;
  /** Tensors that can be read without an update, e.g. vectors; float32, by names of the caller's choice. */
  readonly values?: Readonly<Record<string, Tensor>>;
  /** Float32 scalars that each step reports, e.g. for a controller; by names of the caller's choice. */
  readonly reported?: Readonly<Record<string, Tensor>>;
}

/** A traced objective, ready to be sent to the thread that trains. */
export interface TrainingGraph {
  /** Outputs `loss`, `weight`, `gradient.NAME` of every trainable parameter and `reported.NAME` of what is reported. */
  readonly step: EmittedModel;
  /** Outputs `loss`, `weight` and `value.NAME` of every value. */
  readonly evaluation: EmittedModel;
  /** Outputs `loss`, `weight` and `gradient.NAME` of every sensitive tensor, where there are any. */
  readonly inputGradient?: EmittedModel;
  /** Names of the sensitive tensors. */
  readonly sensitive: readonly string[];
  /** Names of the values. */
  readonly values: readonly string[];
  /** Names of what steps report. */
  readonly reported: readonly string[];
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Names of the parameters that have gradients. */
  readonly trainable: readonly string[];
}

/**
 * Traces an objective and its gradients.
 *
 * @param inputs types of what a batch holds
 * @param shapes parameters that the objective may use, float32; it gets them by `parameter`
 * @param trainable those of them that learn; may be none where something is sensitive
 * @param body `learns`: whether it is traced for updates, and not for an evaluation
 *
 * @throws JetonError `train-parameter-unused` when the loss does not use a trainable parameter,
 *   `train-nothing-learns`
 */
export function objectiveGraph(
  inputs: Readonly<Record<string, TensorType>>,
  shapes: ReadonlyMap<string, readonly number[]>,
  trainable: readonly string[],
  body: (inputs: Readonly<Record<string, Tensor>>, learns: boolean) => Objective,
): TrainingGraph {
  const bindings = new Map([...shapes.keys()].map((name) => [name, { kind: "input" }] as const));
  let reported: readonly string[] = [];
  const step = trace<string, string>(inputs, (given): Record<string, Tensor> => {
    const { loss, weight, penalty, ...objective } = body(given, true);
    const targets = trainable.map((name) => parameter(name, [...shapes.get(name)!]));
    const minimized = penalty === undefined ? loss : add(loss, penalty);
    reported = Object.keys(objective.reported ?? {});
    const named = Object.entries(objective.reported ?? {}).map(([name, value]) => [
      reportedOutput(name),
      value,
    ]);
    return {
      ...{ loss, weight, ...Object.fromEntries(named) },
      ...nameGradients(trainable, gradients(minimized, targets)),
    };
  });
  let sensitive: readonly string[] = [];
  let values: readonly string[] = [];
  const evaluation = trace<string, string>(inputs, (given): Record<string, Tensor> => {
    const { loss, weight, ...objective } = body(given, false);
    sensitive = Object.keys(objective.sensitive ?? {});
    values = Object.keys(objective.values ?? {});
    const named = Object.entries(objective.values ?? {}).map(([name, value]) => [
      valueOutput(name),
      value,
    ]);
    return { loss, weight, ...Object.fromEntries(named) };
  });
  if (trainable.length === 0 && sensitive.length === 0) {
    throw new JetonError("no parameter is left to train: all are frozen", {
      code: "train-nothing-learns",
      details: { parameters: [...shapes.keys()] },
    });
  }
  // Evaluation has a graph of its own: it computes no gradients.
  const inputGradient =
    sensitive.length === 0
      ? undefined
      : trace<string, string>(inputs, (given): Record<string, Tensor> => {
          const { loss, weight, ...objective } = body(given, false);
          const targets = Object.values(objective.sensitive!);
          return { loss, weight, ...nameGradients(sensitive, gradients(loss, targets)) };
        });
  const unused = trainable.filter((name) => !evaluation.parameters.has(name));
  if (unused.length > 0) {
    throw new JetonError(`the loss does not use ${unused.join(", ")}`, {
      code: "train-parameter-unused",
      details: { unused },
    });
  }
  return {
    step: emitModel(step, bindings),
    evaluation: emitModel(evaluation, bindings),
    ...(inputGradient !== undefined && { inputGradient: emitModel(inputGradient, bindings) }),
    sensitive,
    values,
    reported,
    shapes,
    trainable,
  };
}

/** The output of an evaluation that holds a value. */
export const valueOutput = (name: string): string => `value.${name}`;

/** The output of a step that holds what it reports. */
export const reportedOutput = (name: string): string => `reported.${name}`;

function nameGradients(
  names: readonly string[],
  values: readonly Tensor[],
): Record<string, Tensor> {
  return Object.fromEntries(names.map((name, index) => [`gradient.${name}`, values[index]!]));
}
