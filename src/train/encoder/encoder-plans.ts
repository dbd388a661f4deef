/** What each objective means for a run: parameters, graph, examples, and how a batch is learned from. */

import { JetonError } from "../../core/index.ts";
import {
  type EncoderConfig,
  encoderHeadShapes,
  encoderParameterShapes,
  type VectorModule,
} from "../../model/index.ts";
import { classGraph } from "./class-graph.ts";
import { duplexPlan, hybridPlan } from "./duplex/duplex-plan.ts";
import {
  classInputs,
  contrastiveInputs,
  distillationInputs,
  encodeRanked,
  orthogonalProjectionInputs,
  tokenClassInputs,
  tokenContrastInputs,
} from "./encoder-batches.ts";
import type { VectorPipeline } from "./encoder-inputs.ts";
import type { EncoderObjective, TrainEncoderOptions } from "./encoder-options.ts";
import { checkTrainable } from "./encoder-parameters.ts";
import {
  attendedTokens,
  defaultTemperature,
  type EncoderPlan,
  evaluateBatch as evaluate,
  moduleShapes,
  learnBatch as step,
  tokensOf,
} from "./encoder-plan.ts";
import {
  type RankedExample,
  readClassifiedExamples,
  readLabelledExamples,
  readRankedExamples,
} from "./example-files.ts";
import { evaluateWithCache, type GradientCacheOptions, stepWithCache } from "./gradient-cache.ts";
import { sampleNegatives } from "./random-negatives.ts";
import { tokenContrastGraph } from "./token-contrast-graph.ts";
import {
  cachedVectorGraph,
  contrastiveGraph,
  distillationGraph,
  orthogonalProjectionGraph,
} from "./vector-graphs.ts";

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
  if (objective.kind === "dupmae" || objective.kind === "hybrid-contrastive") {
    return { ...config, task: "masked" };
  }
  if (objective.kind !== "classes") return { ...config, task: "states" };
  const { labels, problem = labels.length === 1 ? "regression" : "single-label" } = objective;
  return { ...config, task: "sequence", labels, problemType: problem };
}

/**
 * What an objective means.
 *
 * @param config with the labels of `configWithLabels`
 * @throws JetonError `option-invalid`, `model-family-unknown` for an encoder over the layers of a decoder
 */
export function planEncoder(
  config: EncoderConfig,
  options: Pick<TrainEncoderOptions, "objective" | "pooling" | "seed">,
): EncoderPlan<unknown> {
  checkObjective(options.objective);
  checkTrainable(config);
  const plan = choosePlan(config, options);
  return plan as EncoderPlan<unknown>;
}

function choosePlan(
  config: EncoderConfig,
  options: Pick<TrainEncoderOptions, "objective" | "pooling" | "seed">,
): AnyPlan {
  const { objective, pooling = defaultPooling(config, options.objective), seed = 0 } = options;
  const pipeline = vectorPipeline(config, pooling);
  switch (objective.kind) {
    case "orthogonal-projection":
      return projectionPlan(config, objective, pipeline, seed);
    case "dupmae":
      return duplexPlan(config, objective, seed);
    case "hybrid-contrastive":
      return hybridPlan(config, objective);
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

/** How a family pools where nothing else is said. */
export function defaultPooling(
  { mixer }: EncoderConfig,
  { kind }: EncoderObjective,
): VectorPipeline["pooling"] {
  if (kind === "dupmae" || kind === "hybrid-contrastive") return "cls";
  return mixer !== undefined && !mixer.poolsAll ? "cls" : "mean";
}

/** The vectors that a family's texts have: a Monarch Mixer's go through its pooler. */
function vectorPipeline(
  { mixer, hiddenSize }: EncoderConfig,
  pooling: VectorPipeline["pooling"],
): VectorPipeline {
  const normalize = { kind: "normalize" } as const;
  if (mixer === undefined) return { pooling, modules: [normalize] };
  if (pooling !== "cls" && pooling !== "mean") {
    throw new JetonError(`pooling is ${pooling}, but a Monarch Mixer has cls or mean`, {
      code: "option-invalid",
      details: { option: "pooling", found: pooling, expected: ["cls", "mean"] },
    });
  }
  const size = { inputs: hiddenSize, outputs: hiddenSize };
  return {
    pooling,
    modules: [
      { kind: "dense", name: "pooler.dense", ...size, bias: true, activation: "tanh" },
      normalize,
    ],
  };
}

/** The encoder's parameters and those of the modules behind it. */
function vectorShapes(
  config: EncoderConfig,
  modules: readonly VectorModule[],
): Map<string, readonly number[]> {
  return new Map([...encoderParameterShapes(config), ...moduleShapes(modules)]);
}

/** What the objectives over vectors of texts have in common. */
function vectorPlan(config: EncoderConfig, pipeline: VectorPipeline) {
  return {
    shapes: vectorShapes(config, pipeline.modules),
    lossUnit: "query",
    pipeline,
    tokenModules: undefined,
    head: undefined,
    learn: step,
    evaluate,
  } as const;
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
  const { temperature = defaultTemperature } = objective as { readonly temperature?: number };
  if (!(Number.isFinite(temperature) && temperature > 0)) {
    throw invalid("temperature", temperature, "a number above 0");
  }
  const counts: Record<string, number | undefined> = { ...objective } as never;
  for (const [option, least] of [
    ["negatives", objective.kind === "orthogonal-projection" ? 1 : 0],
    ["chunk", 1],
    ["candidates", 1],
    ["width", 1],
    ["terms", 1],
  ] as const) {
    const found = counts[option];
    if (found === undefined || (Number.isSafeInteger(found) && found >= least)) continue;
    throw invalid(option, found, `a whole number from ${least}`);
  }
}

function contrastivePlan(
  config: EncoderConfig,
  objective: Extract<EncoderObjective, { kind: "contrastive" }>,
  pipeline: VectorPipeline,
): EncoderPlan<RankedExample> {
  const plan = vectorPlan(config, pipeline);
  const { shapes } = plan;
  const { temperature = defaultTemperature, negatives = 1, chunk } = objective;
  const width = config.hiddenSize;
  const cache: GradientCacheOptions | undefined =
    chunk === undefined ? undefined : { config, pipeline, temperature, width, chunk };
  return {
    ...plan,
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
  const plan = vectorPlan(config, pipeline);
  const { shapes } = plan;
  return {
    ...plan,
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
  };
}

function projectionPlan(
  config: EncoderConfig,
  { negatives }: Extract<EncoderObjective, { kind: "orthogonal-projection" }>,
  pipeline: VectorPipeline,
  seed: number,
): EncoderPlan<RankedExample> {
  const plan = vectorPlan(config, pipeline);
  const { shapes } = plan;
  return {
    ...plan,
    read: (files) => sampleNegatives(files, { negatives, seed }),
    graph: (examples, trainable) =>
      orthogonalProjectionGraph(
        { config, shapes, trainable, pipeline, temperature: 1 },
        examples[0]!.documents.length,
      ),
    prepare(examples, options) {
      const inputs = orthogonalProjectionInputs(examples, options, pipeline);
      return { inputs, tokens: attendedTokens(inputs) };
    },
  };
}

function tokenPlan(
  config: EncoderConfig,
  objective: Extract<EncoderObjective, { kind: "token-contrastive" }>,
): EncoderPlan<RankedExample> {
  const { scoring = "xtr", candidates = 128, width = 128, negatives = 1 } = objective;
  const { temperature = defaultTemperature } = objective;
  const size = { inputs: config.hiddenSize, outputs: width };
  const modules: VectorModule[] = [
    { kind: "dense", name: projectionName, ...size, bias: false, activation: "identity" },
    { kind: "normalize" },
  ];
  const shapes = vectorShapes(config, modules);
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
