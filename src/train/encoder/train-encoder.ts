/** Trains an encoder from examples to a checkpoint folder, in a run that survives being killed. */
import { readConfig } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { type EncoderConfig, encoderConfig } from "../../model/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { openTokenizer } from "../data/byte-tokenizer.ts";
import { listCorpusFiles } from "../data/corpus-files.ts";
import { adamW, decayMatricesOnly } from "../optimizer/optimizer.ts";
import { findKeptTokenizer, keepTokenizer } from "../run/kept-tokenizer.ts";
import { openRunFolder, type RunFolder, readRunConfiguration } from "../run/run-folder.ts";
import { matchParameters } from "../run/run-settings.ts";
import { runStepLoop } from "../run/step-loop.ts";
import { openTrainer, type Trainer } from "../run/trainer.ts";
import type { BatchOptions } from "./encoder-batches.ts";
import type { EncoderSettings, TrainEncoderOptions, TrainedEncoder } from "./encoder-options.ts";
import { configWithLabels, type EncoderPlan, planEncoder } from "./encoder-plans.ts";
import { ExampleOrder } from "./example-order.ts";
import { exportEncoder } from "./export-encoder.ts";
import { firstEncoderValues } from "./first-encoder-values.ts";

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
  const { folder, existing = "refuse" } = options;
  const kept = existing === "resume" ? await findKeptTokenizer(folder) : undefined;
  const given = options.tokenizer ?? options.initialWeights;
  if (given === undefined) throw missing("tokenizer", "a tokenizer, or initialWeights");
  const tokenizer = await openTokenizer(kept ?? given);
  const settings = await resolveEncoderSettings(options, tokenizer);
  const config = configWithLabels(encoderConfig(settings.config), settings.objective);
  checkLengths(settings, config);
  const plan = planEncoder(config, settings);
  await listCorpusFiles(options.examples);
  const changeable = Object.fromEntries(
    changeableOptions.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
  );
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
  const known = await readRunConfiguration(folder);
  if (known?.configuration["objective"] === undefined) {
    throw new JetonError(`${folder} holds no run of an encoder's training`, {
      code: "train-run-missing",
      details: { folder },
    });
  }
  return { ...known.configuration, ...known.changeable, folder } as unknown as TrainEncoderOptions;
}

/** Options that say nothing about the weights: a resumed run may have others. */
const changeableOptions = [
  "checkpointEvery",
  "keepCheckpoints",
  "evaluateEvery",
  "dtype",
  "name",
] as const;

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
  const batches: BatchOptions = { config, tokenizer, queryLength, documentLength, negatives: 1 };
  await using trainer = await openEncoderTrainer(run, parts);
  const state = await runStepLoop(run, trainer, {
    steps: settings.steps,
    seed: settings.seed,
    name: runName(options),
    lossUnit: plan.lossUnit,
    start: order.start,
    async read(position) {
      const { examples: batch, next } = order.read(position);
      return { inputs: plan.prepare(batch, batches), next };
    },
    learn: (batch) => plan.learn(trainer, batch),
    countTokens: ({ tokens }) => tokens,
    evaluate: heldOutEvaluation(trainer, parts, batches),
    options,
  });
  const rest = { tokensPerSecond: 0, secondsLeft: undefined };
  const { steps } = settings;
  options.onProgress?.({ stage: "export", step: steps, steps, tokens: state.tokens, ...rest });
  const averaged = options.averageDecay !== undefined;
  const parameters = await trainer.parameters({ averaged });
  const tail = state.entries.slice(-Math.ceil(steps / 20));
  return exportEncoder(run.path, {
    ...{ options, settings, config, plan, tokenizer: parts.tokenizerFolder, parameters },
    ...{ examples: examples.length, name: runName(options) },
    result: {
      steps,
      tokens: state.tokens,
      loss: tail.reduce((sum, { loss }) => sum + loss, 0) / tail.length,
      heldOutLoss: state.entries.at(-1)?.heldOutLoss,
      parameters: [...parameters.values()].reduce((sum, { data }) => sum + data.length, 0),
    },
  });
}

/** The loss over whole batches of the held-out examples, in their order. */
function heldOutEvaluation(
  trainer: Trainer,
  { options, settings, plan, heldOut }: RunParts,
  batches: BatchOptions,
): (() => Promise<{ heldOutLoss: number }>) | undefined {
  if (heldOut === undefined) return undefined;
  if (heldOut.length < settings.batch) {
    throw new JetonError(
      `${heldOut.length} held-out examples are fewer than the ${settings.batch} of a batch`,
      { code: "option-invalid", details: { option: "heldOut", found: heldOut.length } },
    );
  }
  const averaged = options.averageDecay !== undefined;
  return async () => {
    let [loss, count] = [0, 0];
    for (let at = 0; at + settings.batch <= heldOut.length; at += settings.batch) {
      const batch = plan.prepare(heldOut.slice(at, at + settings.batch), batches);
      loss += await plan.evaluate(trainer, batch, averaged);
      count++;
    }
    return { heldOutLoss: loss / count };
  };
}

async function openEncoderTrainer(run: RunFolder, parts: RunParts): Promise<Trainer> {
  const { options, settings, config, plan, examples } = parts;
  const names = [...plan.shapes.keys()];
  const frozen = matchParameters(options.frozen ?? [], names);
  return openTrainer({
    graph: plan.graph(
      examples,
      names.filter((name) => !frozen.has(name)),
    ),
    parameters: await firstEncoderValues(run, { options, config, plan, seed: settings.seed }),
    moveParameters: true,
    sameSizes: false,
    schedule: settings.schedule,
    optimizer: settings.optimizer,
    group: decayMatricesOnly,
    ...(options.averageDecay !== undefined && { averageDecay: options.averageDecay }),
    ...(options.threads !== undefined && { threads: options.threads }),
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
  for (const [option, found] of Object.entries({ steps, batch, queryLength, documentLength })) {
    if (Number.isSafeInteger(found) && found > 0) continue;
    throw new JetonError(`${option} is ${found}, expected a positive integer`, {
      code: "option-invalid",
      details: { option, found },
    });
  }
  const warmupSteps = Math.ceil(steps / 20);
  return {
    objective: options.objective,
    config,
    ...{ steps, batch, queryLength, documentLength, seed },
    pooling: options.pooling ?? "mean",
    schedule: options.schedule ?? { kind: "linear", peak: 3e-4, final: 0, steps, warmupSteps },
    optimizer: options.optimizer ?? adamW({ weightDecay: 0.01, maxNorm: 1 }),
    averageDecay: options.averageDecay,
    initialization: options.initialization,
    initialWeights: options.initialWeights,
    tokenizer: options.tokenizer,
    frozen: options.frozen,
    examples: options.examples,
    heldOut: options.heldOut,
    threads: options.threads,
  };
}

/** The `config.json` of the encoder, completed by the tokenizer's facts. */
async function resolveConfig(
  options: TrainEncoderOptions,
  tokenizer: Tokenizer,
): Promise<EncoderSettings["config"]> {
  const file =
    options.config ??
    (options.initialWeights === undefined ? undefined : await readConfig(options.initialWeights));
  if (file === undefined) throw missing("config", "a config, or initialWeights");
  const { padTokenId } = tokenizer;
  const config = {
    vocab_size: tokenizer.vocabSize,
    ...(padTokenId !== undefined && { pad_token_id: padTokenId }),
    ...file,
  } as EncoderSettings["config"];
  const { vocabSize } = encoderConfig(config);
  if (vocabSize >= tokenizer.vocabSize) return config;
  throw new JetonError(
    `vocab_size is ${vocabSize}, the tokenizer has ${tokenizer.vocabSize} tokens`,
    {
      code: "train-vocabulary-too-small",
      details: { found: vocabSize, expected: tokenizer.vocabSize },
    },
  );
}

function checkLengths(
  { queryLength, documentLength }: EncoderSettings,
  { contextLength }: EncoderConfig,
): void {
  for (const [option, found] of Object.entries({ queryLength, documentLength })) {
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

/** Title of the run: its folder's name unless it has one. */
function runName({ name, folder }: TrainEncoderOptions): string {
  return name ?? folder.split(/[\\/]/).findLast((part) => part !== "") ?? folder;
}
