/** What each objective means for a run: parameters, graph, examples, and how a batch is learned from. */

import { JetonError } from "../../core/index.ts";
import {
  type EncoderConfig,
  encoderHeadShapes,
  encoderParameterShapes,
  type VectorModule,
} from "../../model/index.ts";
import type { TrainingGraph } from "../graph/training-graph.ts";
import type { Trainer } from "../run/trainer.ts";
import type { StepReport, TrainingInputs } from "../run/training-interface.ts";
import { classGraph } from "./class-graph.ts";
import {
  type BatchOptions,
  classInputs,
  contrastiveInputs,
  distillationInputs,
  encodeRanked,
  type RankedBatch,
  tokenClassInputs,
  tokenContrastInputs,
} from "./encoder-batches.ts";
import type { VectorPipeline } from "./encoder-inputs.ts";
import type { EncoderObjective, TrainEncoderOptions } from "./encoder-options.ts";
import {
  type RankedExample,
  readClassifiedExamples,
  readLabelledExamples,
  readRankedExamples,
} from "./example-files.ts";
import { evaluateWithCache, type GradientCacheOptions, stepWithCache } from "./gradient-cache.ts";
import { tokenContrastGraph } from "./token-contrast-graph.ts";
import { cachedVectorGraph, contrastiveGraph, distillationGraph } from "./vector-graphs.ts";

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
  readonly head: "sequence" | "tokens" | undefined;
  read(files: readonly string[]): Promise<Example[]>;
  /** Called when the examples are known. */
  graph(examples: readonly Example[], trainable: readonly string[]): TrainingGraph;
  prepare(examples: readonly Example[], options: BatchOptions): PreparedBatch;
  learn(trainer: Trainer, batch: PreparedBatch): Promise<StepReport>;
  /** The loss of a batch without an update. */
  evaluate(trainer: Trainer, batch: PreparedBatch, averaged: boolean): Promise<number>;
}

const defaultTemperature = 0.05;

/** Name of the stored layer that projects the states of tokens. */
export const projectionName = "1_Dense.linear";

/** The config with the classes of an objective. */
export function configWithLabels(
  config: EncoderConfig,
  objective: EncoderObjective,
): EncoderConfig {
  if (objective.kind === "token-classes") {
    return { ...config, task: "tokens", labels: objective.labels, problemType: "single-label" };
  }
  if (objective.kind !== "classes") return { ...config, task: "states" };
  const { labels, problem = labels.length === 1 ? "regression" : "single-label" } = objective;
  return { ...config, task: "sequence", labels, problemType: problem };
}

/**
 * What an objective means.
 *
 * @param config with the labels of `configWithLabels`
 * @throws JetonError `option-invalid`
 */
export function planEncoder(
  config: EncoderConfig,
  options: Pick<TrainEncoderOptions, "objective" | "pooling">,
): EncoderPlan<unknown> {
  checkObjective(options.objective);
  const plan = choosePlan(config, options);
  return plan as EncoderPlan<unknown>;
}

function choosePlan(
  config: EncoderConfig,
  { objective, pooling = "mean" }: Pick<TrainEncoderOptions, "objective" | "pooling">,
): AnyPlan {
  const pipeline: VectorPipeline = { pooling, modules: [{ kind: "normalize" }] };
  switch (objective.kind) {
    case "contrastive":
      return contrastivePlan(config, objective, pipeline);
    case "distillation":
      return distillationPlan(config, objective, pipeline);
    case "token-contrastive":
      return tokenPlan(config, objective);
    case "classes":
    case "token-classes":
      return classPlan(config, objective);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: each plan reads examples of its own and is given no others
type AnyPlan = EncoderPlan<any>;

function checkObjective(objective: EncoderObjective): void {
  const invalid = (option: string, found: unknown, expected: string): JetonError =>
    new JetonError(`${option} is ${JSON.stringify(found)}, expected ${expected}`, {
      code: "option-invalid",
      details: { option, found, expected },
    });
  if (objective.kind === "classes" || objective.kind === "token-classes") {
    const { labels } = objective;
    const isTokens = objective.kind === "token-classes";
    if (labels.length === 0 || new Set(labels).size !== labels.length) {
      throw invalid("labels", labels, "names of classes, each once");
    }
    if (isTokens && !labels.includes("O")) throw invalid("labels", labels, "O among them");
    return;
  }
  const { temperature = defaultTemperature } = objective;
  if (!(Number.isFinite(temperature) && temperature > 0)) {
    throw invalid("temperature", temperature, "a number above 0");
  }
  const counts: Record<string, number | undefined> = { ...objective } as never;
  for (const [option, least] of [
    ["negatives", 0],
    ["chunk", 1],
    ["candidates", 1],
    ["width", 1],
  ] as const) {
    const found = counts[option];
    if (found === undefined || (Number.isSafeInteger(found) && found >= least)) continue;
    throw invalid(option, found, `a whole number from ${least}`);
  }
}

const step = (trainer: Trainer, { inputs }: PreparedBatch): Promise<StepReport> =>
  trainer.step([inputs]);

async function evaluate(
  trainer: Trainer,
  { inputs }: PreparedBatch,
  averaged: boolean,
): Promise<number> {
  return (await trainer.evaluate([inputs], { averaged })).loss;
}

const tokensOf = ({ queries, documents }: RankedBatch): number =>
  [...queries, ...documents].reduce((sum, { ids }) => sum + ids.length, 0);

/** Tokens of inputs, filled ones left out. */
function attendedTokens(inputs: TrainingInputs): number {
  let count = 0;
  for (const [name, { data }] of Object.entries(inputs)) {
    if (name.endsWith(".attended")) for (const value of data as Float32Array) count += value;
  }
  return count;
}

function contrastivePlan(
  config: EncoderConfig,
  objective: Extract<EncoderObjective, { kind: "contrastive" }>,
  pipeline: VectorPipeline,
): EncoderPlan<RankedExample> {
  const shapes = encoderParameterShapes(config);
  const { temperature = defaultTemperature, negatives = 1, chunk } = objective;
  const width = config.hiddenSize;
  const cache: GradientCacheOptions | undefined =
    chunk === undefined ? undefined : { config, pipeline, temperature, width, chunk };
  return {
    shapes,
    lossUnit: "query",
    pipeline,
    tokenModules: undefined,
    head: undefined,
    read: readRankedExamples,
    graph: (_, trainable) => {
      const options = { config, shapes, trainable, pipeline, temperature };
      return cache ? cachedVectorGraph(options, width) : contrastiveGraph(options);
    },
    prepare(examples, options) {
      const batch = encodeRanked(examples, options, negatives);
      const tokens = tokensOf(batch);
      if (cache) return { inputs: {}, cached: batch, tokens };
      return { inputs: contrastiveInputs(batch, config, pipeline), tokens };
    },
    learn: (trainer, batch) =>
      cache ? stepWithCache(trainer, batch.cached!, cache) : step(trainer, batch),
    evaluate: (trainer, batch, averaged) =>
      cache
        ? evaluateWithCache(trainer, batch.cached!, { ...cache, averaged })
        : evaluate(trainer, batch, averaged),
  };
}

function distillationPlan(
  config: EncoderConfig,
  { temperature = defaultTemperature }: Extract<EncoderObjective, { kind: "distillation" }>,
  pipeline: VectorPipeline,
): EncoderPlan<RankedExample> {
  const shapes = encoderParameterShapes(config);
  return {
    shapes,
    lossUnit: "query",
    pipeline,
    tokenModules: undefined,
    head: undefined,
    async read(files) {
      const examples = await readRankedExamples(files);
      const group = examples[0]?.scores?.length;
      const wrong = examples.findIndex(
        ({ scores }) => scores === undefined || scores.length !== group,
      );
      if (wrong < 0) return examples;
      const found = examples[wrong]!.scores?.length ?? "no";
      throw new JetonError(
        `example ${wrong + 1} has ${found} scores, expected ${group ?? "scores"}: as many as the first`,
        { code: "example-invalid", details: { example: wrong + 1, found, expected: group } },
      );
    },
    graph: (examples, trainable) =>
      distillationGraph(
        { config, shapes, trainable, pipeline, temperature },
        examples[0]!.documents.length,
      ),
    prepare(examples, options) {
      const inputs = distillationInputs(examples, options, pipeline);
      return { inputs, tokens: attendedTokens(inputs) };
    },
    learn: step,
    evaluate,
  };
}

function tokenPlan(
  config: EncoderConfig,
  objective: Extract<EncoderObjective, { kind: "token-contrastive" }>,
): EncoderPlan<RankedExample> {
  const { scoring = "xtr", candidates = 128, width = 128, negatives = 1 } = objective;
  const { temperature = defaultTemperature } = objective;
  const shapes = new Map<string, readonly number[]>(encoderParameterShapes(config));
  shapes.set(`${projectionName}.weight`, [width, config.hiddenSize]);
  const size = { inputs: config.hiddenSize, outputs: width };
  const modules: VectorModule[] = [
    { kind: "dense", name: projectionName, ...size, bias: false, activation: "identity" },
    { kind: "normalize" },
  ];
  return {
    shapes,
    lossUnit: "query",
    pipeline: undefined,
    tokenModules: modules,
    head: undefined,
    read: readRankedExamples,
    graph: (_, trainable) =>
      tokenContrastGraph({ config, shapes, trainable, modules, scoring, temperature }),
    prepare(examples, options) {
      const batch = encodeRanked(examples, options, negatives);
      const retrieved = scoring === "xtr" ? candidates : undefined;
      return { inputs: tokenContrastInputs(batch, config, retrieved), tokens: tokensOf(batch) };
    },
    learn: step,
    evaluate,
  };
}

function classPlan(
  config: EncoderConfig,
  objective: Extract<EncoderObjective, { kind: "classes" | "token-classes" }>,
  // biome-ignore lint/suspicious/noExplicitAny: examples of texts or of tokens, as the objective reads them
): EncoderPlan<any> {
  const isTokens = objective.kind === "token-classes";
  const head = isTokens ? "tokens" : "sequence";
  const shapes = new Map([...encoderParameterShapes(config), ...encoderHeadShapes(config, head)]);
  const { labels } = objective;
  return {
    shapes,
    lossUnit: isTokens ? "token" : "text",
    pipeline: undefined,
    tokenModules: undefined,
    head,
    read: (files) =>
      isTokens
        ? readLabelledExamples(files, labels)
        : readClassifiedExamples(files, labels, config.problemType),
    graph: (_, trainable) => classGraph({ config, shapes, trainable, head }),
    prepare(examples, options) {
      const inputs = isTokens
        ? tokenClassInputs(examples, options)
        : classInputs(examples, options);
      return { inputs, tokens: attendedTokens(inputs) };
    },
    learn: step,
    evaluate,
  };
}
