/** What an objective is to a run: parameters, graph, examples, and how a batch is learned from. */
import type { VectorModule } from "../../model/index.ts";
import type { TrainingGraph } from "../graph/training-graph.ts";
import type { Trainer } from "../run/trainer.ts";
import type { StepReport, TrainingInputs } from "../run/training-interface.ts";
import type { BatchOptions, RankedBatch } from "./encoder-batches.ts";
import type { VectorPipeline } from "./encoder-inputs.ts";

/** A batch as it is learned from. */
export interface PreparedBatch {
  readonly inputs: TrainingInputs;
  /** Where the update computes its gradients over cached vectors. */
  readonly cached?: RankedBatch;
  readonly tokens: number;
}

/** An objective with all that a run needs of it. */
export interface EncoderPlan<Example> {
  /** Shapes of all parameters: the encoder's, and those of heads and modules. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** What the loss is a mean over, in nats. */
  readonly lossUnit: "query" | "text" | "token";
  readonly pipeline: VectorPipeline | undefined;
  /** Applied to the states of tokens, where tokens have vectors. */
  readonly tokenModules: readonly VectorModule[] | undefined;
  /** Of classes, or the one that tells masked tokens, where the export keeps it. */
  readonly head: "sequence" | "tokens" | "masked" | undefined;
  read(files: readonly string[]): Promise<Example[]>;
  /** Called when the examples are known. */
  graph(examples: readonly Example[], trainable: readonly string[]): TrainingGraph;
  prepare(examples: readonly Example[], options: BatchOptions): PreparedBatch;
  learn(trainer: Trainer, batch: PreparedBatch): Promise<StepReport>;
  /** The loss of a batch without an update. */
  evaluate(trainer: Trainer, batch: PreparedBatch, averaged: boolean): Promise<number>;
}

/** Shapes of the parameters that the modules behind an encoder have, by name. */
export function moduleShapes(modules: readonly VectorModule[]): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const module of modules) {
    if (module.kind !== "dense") continue;
    shapes.set(`${module.name}.weight`, [module.outputs, module.inputs]);
    if (module.bias) shapes.set(`${module.name}.bias`, [module.outputs]);
  }
  return shapes;
}

/** What scores are divided by where nothing else is said. */
export const defaultTemperature = 0.05;

/** One update. */
export const learnBatch = (trainer: Trainer, { inputs }: PreparedBatch): Promise<StepReport> =>
  trainer.step([inputs]);

/** The loss of a batch without an update. */
export async function evaluateBatch(
  trainer: Trainer,
  { inputs }: PreparedBatch,
  averaged: boolean,
): Promise<number> {
  return (await trainer.evaluate([inputs], { averaged })).loss;
}

/** Tokens of all texts of a batch. */
export const tokensOf = ({ queries, documents }: RankedBatch): number =>
  [...queries, ...documents].reduce((sum, { ids }) => sum + ids.length, 0);

/** Tokens of inputs, filled ones left out. */
export function attendedTokens(inputs: TrainingInputs): number {
  let count = 0;
  for (const [name, { data }] of Object.entries(inputs)) {
    if (name.endsWith(".attended")) for (const value of data as Float32Array) count += value;
  }
  return count;
}
