/** Trains a compressor under a frozen decoder, in a run that survives being killed. */
import { join } from "node:path";
import { type ModelConfig, readConfig } from "../../checkpoint/index.ts";
import { createRandom, JetonError } from "../../core/index.ts";
import { pathRule } from "../../core/option-rules.ts";
import { type DecoderConfig, decoderConfig, identifyModel } from "../../model/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { openTokenizer } from "../../train/data/byte-tokenizer.ts";
import {
  adamW,
  type BatchSourceOptions,
  type DataPosition,
  documentTokens,
  type LanguageModelBatch,
  openArchitecture,
  openBatchSource,
  openRunFolder,
  type ParameterValue,
  type RunFolder,
  readRunConfiguration,
  type TokenStore,
  type Trainer,
  type TrainingInputs,
} from "../../train/index.ts";
import { checkTrainingOptions, type OwnOptions } from "../../train/run/check-options.ts";
import { chooseFirstValues, readWeights } from "../../train/run/first-values.ts";
import { readSequences } from "../../train/run/held-out.ts";
import { findKeptTokenizer, keepTokenizer } from "../../train/run/kept-tokenizer.ts";
import { runName } from "../../train/run/model-card.ts";
import { findCorpora, prepareCorpora, type RunCorpora } from "../../train/run/run-corpora.ts";
import {
  checkCorpora,
  checkCounts,
  pickChangeable,
  readRunOfKind,
  resolveUpdates,
} from "../../train/run/run-settings.ts";
import { finishRun, openRunTrainer } from "../../train/run/run-trainer.ts";
import { runStepLoop } from "../../train/run/step-loop.ts";
import {
  type CompressorConfig,
  checkCompressorConfig,
  compressorPrefix,
  compressorShapes,
  initializeCompressor,
} from "./compressor.ts";
import { readCompressor, writeCompressor } from "./compressor-file.ts";
import type {
  CompressorSettings,
  TrainCompressorOptions,
  TrainedCompressor,
} from "./compressor-options.ts";
import { countKept } from "./down-scale.ts";
import { twoStreamGraph, twoStreamInputs, twoStreamShapes } from "./two-stream-graph.ts";

const ownOptions: OwnOptions<TrainCompressorOptions> = {
  model: true,
  initialCompressor: true,
  corpora: true,
  heldOut: true,
  evaluationSequences: true,
  layers: true,
  window: true,
  windows: true,
  chunk: true,
  factors: true,
  norm: true,
  projection: true,
  batch: true,
};

/**
 * Trains a compressor and writes it into one file of the run's folder. The decoder stays as it is, bit for bit. Broken off at any
 * moment the run goes on with `existing: "resume"`, and ends with the same weights, bit for bit (same machine, same
 * `threads`).
 *
 * @example
 * const { file } = await trainCompressor({
 *   folder: "runs/compressor",
 *   model: "models/jeton-nano",
 *   corpora: [{ files: ["book.txt"] }],
 *   steps: 500,
 * });
 *
 * @throws JetonError `option-invalid`, `compressor-invalid`, and those of `trainLanguageModel` that concern runs
 *   and corpora
 */
export async function trainCompressor(options: TrainCompressorOptions): Promise<TrainedCompressor> {
  checkTrainingOptions(options, ownOptions, { model: pathRule });
  const { folder, existing = "refuse" } = options;
  const kept = existing === "resume" ? await findKeptTokenizer(folder) : undefined;
  const tokenizer = await openTokenizer(kept ?? options.model);
  const settings = await resolveCompressorSettings(options);
  const changeable = pickChangeable(options);
  if (existing === "refuse") await findCorpora(options);
  const run = await openRunFolder(folder, settings, { existing, changeable });
  try {
    if (!kept) await keepTokenizer(folder, options.model);
    const corpora = await prepareCorpora(options, tokenizer);
    return await learn(run, { options, settings, tokenizer, ...corpora });
  } finally {
    await run.close();
  }
}

/**
 * The options with which a run was begun, to go on with it.
 *
 * @throws JetonError `train-run-missing`
 */
export async function readCompressorRunOptions(folder: string): Promise<TrainCompressorOptions> {
  const known = await readRunOfKind(folder, "a compressor's training", "modelDigest");
  const { config: _, modelDigest: __, ...configuration } = known.configuration;
  return { ...configuration, ...known.changeable, folder } as unknown as TrainCompressorOptions;
}

interface RunParts extends RunCorpora {
  readonly options: TrainCompressorOptions;
  readonly settings: CompressorSettings;
  readonly tokenizer: Tokenizer;
}

async function learn(run: RunFolder, parts: RunParts): Promise<TrainedCompressor> {
  const { options, settings, stores } = parts;
  const model = decoderConfig(settings.config);
  const { steps, seed, windows, window, chunk, averageDecay } = settings;
  const data = {
    sequenceLength: windows * window + chunk,
    ...{ seed, documents: documentTokens(parts.tokenizer) },
  };
  const weights = options.corpora.map(({ weight = 1 }) => weight);
  await using source = await openBatchSource(stores, { ...data, batch: settings.batch, weights });
  const toParts = partsMaker(model, settings);
  const factors = fittingFactors(settings);
  const held =
    parts.heldOut && (await readHeldOut(parts.heldOut, options, data, { toParts, factors }));
  await using trainer = await openCompressorTrainer(run, parts, model);
  const averaged = averageDecay !== undefined;
  const state = await runStepLoop(run, trainer, {
    ...{ steps, seed, name: runName(options), lossUnit: "token", start: source.start },
    read: async (position) => {
      const { batch, next } = await source.read(position);
      return { inputs: toParts(batch, sampleFactors(position, settings)), next };
    },
    learn: (inputs) => trainer.step(inputs),
    evaluate:
      held && (async () => ({ heldOutLoss: (await trainer.evaluate(held, { averaged })).loss })),
    options,
  });
  const { onProgress } = options;
  const { parameters, summary } = await finishRun(trainer, state, {
    ...{ steps, averageDecay, onProgress },
  });
  const file = join(run.path, "compressor.safetensors");
  const config = compressorConfig(settings);
  const own = new Map<string, ParameterValue>();
  for (const name of compressorShapes(model, config).keys()) {
    own.set(name, parameters.get(`${compressorPrefix}${name}`)!);
  }
  await writeCompressor(file, { config, model: settings.modelDigest, parameters: own });
  const { heldOutBitsPerByte: _, ...result } = summary;
  const count = [...own.values()].reduce((sum, { data: values }) => sum + values.length, 0);
  return { file, ...result, parameters: count };
}

/** The form of the compressor that a run trains. */
function compressorConfig(settings: CompressorSettings): CompressorConfig {
  const { layers, window, factors, norm, projection } = settings;
  return { layers, window, factors, norm, projection };
}

type ToParts = (batch: LanguageModelBatch, factors: readonly number[]) => TrainingInputs[];

/** Makes the parts of a step from its sequences: those of one factor are one part. */
function partsMaker(model: DecoderConfig, settings: CompressorSettings): ToParts {
  const toInputs = twoStreamInputs(model, settings);
  return ({ time, ids, targets }, factors) => {
    const places = new Map<number, number[]>();
    for (const [place, factor] of factors.entries()) {
      places.set(factor, [...(places.get(factor) ?? []), place]);
    }
    const rowsOf = (values: Int32Array, own: readonly number[]): Int32Array[] =>
      own.map((place) => values.subarray(place * time, (place + 1) * time));
    return [...places].map(([factor, own]) =>
      toInputs({ samples: rowsOf(ids, own), targets: rowsOf(targets, own), factor }),
    );
  };
}

/** The factor of each sample of a step, raised where its embeddings would not fit. */
function sampleFactors(position: DataPosition, settings: CompressorSettings): number[] {
  const taken = position.reduce((sum, count) => sum + count, 0);
  const random = createRandom(settings.seed, "factors", taken);
  const fitting = fittingFactors(settings);
  return Array.from({ length: settings.batch }, () => {
    const drawn = settings.factors[random.integer(settings.factors.length)]!;
    return Math.max(drawn, fitting[0]!);
  });
}

/** Factors with which a whole sample fits into the model's context, ascending. */
function fittingFactors({
  config,
  factors,
  windows,
  window,
  chunk,
}: Pick<CompressorSettings, "config" | "factors" | "windows" | "window" | "chunk">): number[] {
  const { contextLength } = decoderConfig(config);
  return factors.filter(
    (factor) => countKept(windows * window, { window, factor }) + chunk <= contextLength,
  );
}

/** Held-out samples, one a part, the same ones at every evaluation; factors in turn. */
async function readHeldOut(
  store: TokenStore,
  { evaluationSequences = 16 }: TrainCompressorOptions,
  data: Omit<BatchSourceOptions, "batch">,
  { toParts, factors }: { readonly toParts: ToParts; readonly factors: readonly number[] },
): Promise<TrainingInputs[]> {
  const samples = await readSequences(store, data, evaluationSequences);
  return samples.flatMap((batch, at) => toParts(batch, [factors[at % factors.length]!]));
}

async function openCompressorTrainer(
  run: RunFolder,
  { options, settings }: RunParts,
  model: DecoderConfig,
): Promise<Trainer> {
  const compressor = compressorConfig(settings);
  const shapes = twoStreamShapes(model, compressor);
  return openRunTrainer({
    names: [...shapes.keys()].filter((name) => name.startsWith(compressorPrefix)),
    frozen: [],
    graph: () => twoStreamGraph({ model, compressor }),
    parameters: await chooseFirstValues(run, shapes, () => firstValues(options, settings, model)),
    sameSizes: false,
    ...{ settings, threads: options.threads },
  });
}

async function firstValues(
  { model: folder, initialCompressor }: TrainCompressorOptions,
  settings: CompressorSettings,
  model: DecoderConfig,
): Promise<Map<string, ParameterValue>> {
  const values = await readWeights(folder, openArchitecture(settings.config));
  const config = compressorConfig(settings);
  const begun = initialCompressor && (await readCompressor(initialCompressor, model));
  if (begun) checkSameForm(initialCompressor, begun.config, config);
  const own = begun
    ? begun.parameters
    : initializeCompressor(compressorShapes(model, config), values);
  for (const [name, value] of own) values.set(`${compressorPrefix}${name}`, value);
  return values;
}

function checkSameForm(path: string, found: CompressorConfig, expected: CompressorConfig): void {
  const isSame = (["layers", "norm", "projection"] as const).every(
    (key) => found[key] === expected[key],
  );
  if (isSame) return;
  throw new JetonError(`${path} holds a compressor of another form than is to be trained`, {
    code: "compressor-invalid",
    details: { path, found, expected },
  });
}

/** Completes options by their defaults. */
async function resolveCompressorSettings(
  options: TrainCompressorOptions,
): Promise<CompressorSettings> {
  const { config, modelDigest } = await readModel(options);
  const model = decoderConfig(config);
  const { contextLength } = model;
  const { steps, batch = 8, seed = 0, windows = 4 } = options;
  const { layers = Math.max(1, model.layers.length >> 2) } = options;
  const { window = contextLength >> 2, chunk = contextLength >> 3 } = options;
  const { factors = [2, 4, 8, 16, 32], norm = "final", projection = true } = options;
  const { checkpointEvery, keepCheckpoints, evaluateEvery, evaluationSequences } = options;
  checkCounts({
    ...{ steps, batch, window, windows, chunk },
    ...{ checkpointEvery, keepCheckpoints, evaluateEvery, evaluationSequences },
  });
  const form = { layers, window, factors, norm, projection };
  checkCorpora(options.corpora);
  checkCompressorConfig(model, form);
  checkSizes({ ...form, config, windows, chunk });
  const updates = resolveUpdates(options, {
    optimizer: adamW({ beta2: 0.95, maxNorm: 1 }),
    schedule: { kind: "linear", peak: 3e-4, final: 0 },
  });
  return {
    ...{ config, modelDigest, model: options.model },
    ...{ initialCompressor: options.initialCompressor },
    ...{ ...form, windows, chunk, steps, batch, seed },
    ...updates,
    ...{ corpora: options.corpora, heldOut: options.heldOut, threads: options.threads },
  };
}

/** The model's configuration and digest; those of a run that goes on are its own, and the original may be gone. */
async function readModel({
  model,
  folder,
  existing,
}: TrainCompressorOptions): Promise<{ config: ModelConfig; modelDigest: string }> {
  const known = existing === "resume" ? await readRunConfiguration(folder) : undefined;
  const { config, modelDigest } = known?.configuration ?? {};
  if (known?.configuration["model"] === model && typeof modelDigest === "string") {
    return { config: config as ModelConfig, modelDigest };
  }
  return { config: await readConfig(model), modelDigest: await identifyModel(model) };
}

/** @throws JetonError `option-invalid` for sizes with which an embedding would hold tokens that it helps to predict */
function checkSizes(
  sizes: Pick<CompressorSettings, "config" | "factors" | "window" | "windows" | "chunk">,
): void {
  const { factors, window, windows, chunk } = sizes;
  const invalid = (option: string, found: unknown, expected: string): JetonError =>
    new JetonError(`${option} is ${JSON.stringify(found)}, expected ${expected}`, {
      code: "option-invalid",
      details: { option, found, expected },
    });
  const wrong = factors.find((factor) => window % factor !== 0 || chunk % factor !== 0);
  if (wrong !== undefined) {
    throw invalid("factors", factors, `divisors of the window ${window} and the chunk ${chunk}`);
  }
  if ((windows * window) % chunk !== 0) {
    throw invalid(
      "chunk",
      chunk,
      `a divisor of ${windows * window}, the tokens of ${windows} windows`,
    );
  }
  if (fittingFactors(sizes).length > 0) return;
  const { contextLength } = decoderConfig(sizes.config);
  throw invalid("windows", windows, `fewer: embeddings and chunk fill more than ${contextLength}`);
}
