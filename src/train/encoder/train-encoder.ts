/** Trains an encoder from examples to a checkpoint folder, in a run that survives being killed. */
import { checkpointFolder, readConfig } from "../../checkpoint/index.ts";
import { JetonError, warn } from "../../core/index.ts";
import { listRule, objectRule } from "../../core/option-rules.ts";
import { type EncoderConfig, encoderConfig, readVectorModules } from "../../model/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { openTokenizer } from "../data/byte-tokenizer.ts";
import { listCorpusFiles } from "../data/corpus-files.ts";
import { adamW } from "../optimizer/optimizer.ts";
import { checkTrainingOptions, type OwnOptions } from "../run/check-options.ts";
import { chooseFirstValues } from "../run/first-values.ts";
import { findKeptTokenizer, keepTokenizer } from "../run/kept-tokenizer.ts";
import { runName } from "../run/model-card.ts";
import { checkVocabulary } from "../run/model-config.ts";
import { openRunFolder, type RunFolder } from "../run/run-folder.ts";
import {
  checkCounts,
  matchParameters,
  pickChangeable,
  readRunOfKind,
  resolveUpdates,
} from "../run/run-settings.ts";
import { finishRun, openRunTrainer } from "../run/run-trainer.ts";
import { runStepLoop } from "../run/step-loop.ts";
import type { Trainer } from "../run/trainer.ts";
import type { BatchOptions } from "./encoder-batches.ts";
import type {
  EncoderObjective,
  EncoderSettings,
  TrainEncoderOptions,
  TrainedEncoder,
} from "./encoder-options.ts";
import { withFixedParameters } from "./encoder-parameters.ts";
import type { EncoderPlan, PreparedBatch } from "./encoder-plan.ts";
import { configWithLabels, defaultPooling, planEncoder } from "./encoder-plans.ts";
import { ExampleOrder } from "./example-order.ts";
import { exportEncoder } from "./export-encoder.ts";
import { firstEncoderValues } from "./first-encoder-values.ts";
import { encoderGroups } from "./mixer-training.ts";

const ownOptions: OwnOptions<TrainEncoderOptions> = {
  objective: true,
  initialWeights: true,
  config: true,
  tokenizer: true,
  examples: true,
  heldOut: true,
  batch: true,
  queryLength: true,
  documentLength: true,
  pooling: true,
  initialization: true,
  frozen: true,
  dtype: true,
};

/**
 * Trains an encoder and exports it as a checkpoint folder that other tools load: vectors of texts in the layout of
 * sentence-transformers, vectors of tokens in PyLate's, classes as a class with a head. Broken off at any moment the
 * run goes on with `existing: "resume"`, and ends with the same weights, bit for bit (same machine, same `threads`).
 *
 * @example
 * const { modelFolder } = await trainEncoder({
 *   folder: "runs/retrieval",
 *   objective: { kind: "contrastive" },
 *   initialWeights: "runs/masked/model",
 *   examples: ["pairs.jsonl"],
 *   steps: 500,
 * });
 *
 * @throws JetonError `example-invalid`, `option-invalid`, `model-family-unknown`, and those of
 *   `trainLanguageModel` that concern runs
 */
export async function trainEncoder(options: TrainEncoderOptions): Promise<TrainedEncoder> {
  checkTrainingOptions(options, ownOptions, { objective: objectRule, examples: listRule });
  const { folder, existing = "refuse" } = options;
  const kept = existing === "resume" ? await findKeptTokenizer(folder) : undefined;
  const given = options.tokenizer ?? options.initialWeights;
  if (given === undefined) throw missing("tokenizer", "a tokenizer, or initialWeights");
  const tokenizer = await openTokenizer(kept ?? given);
  const settings = await resolveEncoderSettings(options, tokenizer);
  const config = configWithLabels(encoderConfig(settings.config), settings.objective);
  const plan = planEncoder(config, settings);
  matchParameters(settings.frozen ?? [], [...plan.shapes.keys()]);
  // A misspelt name is said before the run's folder is made.
  for (const files of [options.examples, options.heldOut ?? []]) await listCorpusFiles(files);
  const changeable = pickChangeable(options);
  const run = await openRunFolder(folder, settings, { existing, changeable });
  try {
    const tokenizerFolder = kept ?? (await keepTokenizer(folder, given));
    const examples = await plan.read(options.examples);
    const heldOut = options.heldOut && (await plan.read(options.heldOut));
    const parts = { options, settings, config, plan, tokenizer, tokenizerFolder };
    return await learn(run, { ...parts, examples, heldOut });
  } finally {
    await run.close();
  }
}

/**
 * The options with which a run was begun, to go on with it.
 *
 * @throws JetonError `train-run-missing`
 */
export async function readEncoderRunOptions(folder: string): Promise<TrainEncoderOptions> {
  const known = await readRunOfKind(folder, "an encoder's training", "objective");
  return { ...known.configuration, ...known.changeable, folder } as unknown as TrainEncoderOptions;
}

interface RunParts {
  readonly options: TrainEncoderOptions;
  readonly settings: EncoderSettings;
  readonly config: EncoderConfig;
  readonly plan: EncoderPlan<unknown>;
  readonly tokenizer: Tokenizer;
  readonly tokenizerFolder: string;
  readonly examples: readonly unknown[];
  readonly heldOut: readonly unknown[] | undefined;
}

async function learn(run: RunFolder, parts: RunParts): Promise<TrainedEncoder> {
  const { options, settings, config, plan, tokenizer, examples } = parts;
  const order = new ExampleOrder(examples, settings);
  const { queryLength, documentLength } = settings;
  const batches: BatchOptions = { config, tokenizer, queryLength, documentLength, pass: 0 };
  const held = parts.heldOut && prepareHeldOut(parts.heldOut, settings.batch, plan, batches);
  await using trainer = await openEncoderTrainer(run, parts);
  const averaged = settings.averageDecay !== undefined;
  const state = await runStepLoop(run, trainer, {
    steps: settings.steps,
    seed: settings.seed,
    name: runName(options),
    lossUnit: plan.lossUnit,
    start: order.start,
    async read(position) {
      const { examples: batch, next } = order.read(position);
      return { inputs: plan.prepare(batch, { ...batches, pass: next.pass }), next };
    },
    learn: (batch) => plan.learn(trainer, batch),
    countTokens: ({ tokens }) => tokens,
    evaluate:
      held &&
      (async () => {
        let loss = 0;
        for (const batch of held) loss += await plan.evaluate(trainer, batch, averaged);
        return { heldOutLoss: loss / held.length };
      }),
    options,
  });
  const { steps, averageDecay } = settings;
  const { onProgress } = options;
  const { parameters, summary } = await finishRun(trainer, state, {
    ...{ steps, averageDecay, onProgress },
  });
  const { heldOutBitsPerByte: _, ...result } = summary;
  return exportEncoder(run.path, {
    ...{ options, settings, config, plan, tokenizer: parts.tokenizerFolder, parameters, result },
    ...{ examples: examples.length, name: runName(options) },
  });
}

/** Whole batches of the held-out examples, in their order: the same ones at every evaluation. */
function prepareHeldOut(
  examples: readonly unknown[],
  size: number,
  plan: EncoderPlan<unknown>,
  options: BatchOptions,
): PreparedBatch[] {
  if (examples.length < size) {
    throw new JetonError(
      `${examples.length} held-out examples are fewer than the ${size} of a batch`,
      { code: "option-invalid", details: { option: "heldOut", found: examples.length } },
    );
  }
  return Array.from({ length: Math.floor(examples.length / size) }, (_, number) =>
    plan.prepare(examples.slice(number * size, (number + 1) * size), options),
  );
}

async function openEncoderTrainer(run: RunFolder, parts: RunParts): Promise<Trainer> {
  const { options, settings, config, plan, examples } = parts;
  const { shapes } = plan;
  return openRunTrainer({
    names: [...shapes.keys()],
    frozen: withFixedParameters(config, settings.frozen ?? []),
    group: encoderGroups(config, settings),
    graph: (trainable) => plan.graph(examples, trainable),
    parameters: await chooseFirstValues(run, shapes, () =>
      firstEncoderValues({ options, config, shapes, seed: settings.seed }),
    ),
    sameSizes: false,
    ...{ settings, threads: options.threads },
  });
}

/** Completes options by their defaults. */
async function resolveEncoderSettings(
  options: TrainEncoderOptions,
  tokenizer: Tokenizer,
): Promise<EncoderSettings> {
  const { steps, batch = 32, seed = 0 } = options;
  const config = await resolveConfig(options, tokenizer);
  const { contextLength } = encoderConfig(config);
  const { queryLength = Math.min(32, contextLength) } = options;
  const { documentLength = Math.min(128, contextLength) } = options;
  const { checkpointEvery, keepCheckpoints, evaluateEvery } = options;
  checkCounts({
    ...{ steps, batch, queryLength, documentLength },
    ...{ checkpointEvery, keepCheckpoints, evaluateEvery },
  });
  checkLengths({ queryLength, documentLength }, contextLength);
  const updates = resolveUpdates(options, {
    optimizer: adamW({ weightDecay: 0.01, maxNorm: 1 }),
    schedule: { kind: "linear", peak: 3e-4, final: 0 },
  });
  return {
    objective: options.objective,
    config,
    ...{ steps, batch, queryLength, documentLength, seed },
    pooling: await choosePooling(options, encoderConfig(config)),
    ...updates,
    initialization: options.initialization,
    initialWeights: options.initialWeights,
    tokenizer: options.tokenizer,
    frozen: options.frozen,
    examples: options.examples,
    heldOut: options.heldOut,
    threads: options.threads,
  };
}

/** Objectives whose vectors of texts are pooled states. */
const pools: ReadonlySet<EncoderObjective["kind"]> = new Set([
  "contrastive",
  "orthogonal-projection",
  "distillation",
]);

/**
 * The pooling that is asked for, otherwise that of the folder that a run begins with, otherwise the family's. Warns
 * (`train-modules-left`) of what that folder does to vectors and the trained model does not.
 */
async function choosePooling(
  { pooling, objective, initialWeights, onWarning }: TrainEncoderOptions,
  config: EncoderConfig,
): Promise<EncoderSettings["pooling"]> {
  const own = pooling ?? defaultPooling(config, objective);
  if (!pools.has(objective.kind) || initialWeights === undefined || config.mixer) return own;
  const { poolings = [], others } = await readVectorModules(initialWeights);
  const [only, ...more] = poolings;
  const isTrained = only !== undefined && only !== "max" && more.length === 0;
  const chosen = pooling ?? (isTrained ? only : own);
  const left = [
    ...(isTrained || only === undefined ? [] : [`pooling by ${poolings.join(" and ")}`]),
    ...others,
  ];
  if (left.length > 0) {
    warn(
      new JetonError(
        `${initialWeights} has ${left.join(", ")}, which the trained model has not: it pools by ${chosen}`,
        { code: "train-modules-left", details: { folder: initialWeights, left, pooling: chosen } },
      ),
      onWarning,
    );
  }
  return chosen;
}

/** The `config.json` of the encoder, completed by the tokenizer's facts. */
async function resolveConfig(
  options: TrainEncoderOptions,
  tokenizer: Tokenizer,
): Promise<EncoderSettings["config"]> {
  const file =
    options.config ??
    (options.initialWeights === undefined
      ? undefined
      : await readConfig(await checkpointFolder(options.initialWeights)));
  if (file === undefined) throw missing("config", "a config, or initialWeights");
  const { padTokenId } = tokenizer;
  const config = {
    vocab_size: tokenizer.vocabSize,
    ...(padTokenId !== undefined && { pad_token_id: padTokenId }),
    ...file,
  } as EncoderSettings["config"];
  checkVocabulary(encoderConfig(config).vocabSize, tokenizer, options.onWarning);
  return config;
}

function checkLengths(lengths: Readonly<Record<string, number>>, contextLength: number): void {
  for (const [option, found] of Object.entries(lengths)) {
    if (found >= 3 && found <= contextLength) continue;
    throw new JetonError(`${option} is ${found}, expected 3 to ${contextLength}`, {
      code: "option-invalid",
      details: { option, found, expected: `3 to ${contextLength}` },
    });
  }
}

function missing(option: string, expected: string): JetonError {
  return new JetonError(`${option} is missing, expected ${expected}`, {
    code: "option-invalid",
    details: { option, expected },
  });
}
