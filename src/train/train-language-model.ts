/**
 * Trains a decoder from a configuration and corpora to a checkpoint folder, in a run that survives
 * being killed.
 */
import { rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { type ModelConfig, openCheckpoint, writeFileAtomically } from "../checkpoint/index.ts";
import {
  createProgressMeter,
  formatCount,
  formatDuration,
  formatRate,
  JetonError,
} from "../core/index.ts";
import { type DecoderConfig, decoderConfig } from "../model/index.ts";
import { copyTokenizer, loadTokenizer, type Tokenizer } from "../tokenizer/index.ts";
import type { Corpus } from "./data/corpus.ts";
import { describeCorpusName, listCorpusFiles } from "./data/corpus-files.ts";
import {
  type BatchSource,
  type DataPosition,
  documentTokens,
  openBatchSource,
  prepareTokens,
  type TokenStore,
} from "./data/token-store.ts";
import { languageModelGraph, languageModelInputs } from "./graph/language-model-graph.ts";
import {
  decoderParameterShapes,
  type InitializationOptions,
  initializeDecoder,
  type ParameterValue,
} from "./graph/parameters.ts";
import {
  adamW,
  checkTransforms,
  decayMatricesOnly,
  type Transform,
} from "./optimizer/optimizer.ts";
import { checkSchedule, type Schedule } from "./optimizer/schedule.ts";
import { exportModel } from "./run/export-model.ts";
import { renderLossCurve } from "./run/loss-curve.ts";
import {
  type LogEntry,
  openRunFolder,
  type RunFolder,
  readRunConfiguration,
} from "./run/run-folder.ts";
import { checkAverageDecay, openTrainer, type Trainer } from "./run/trainer.ts";
import type { TrainingInputs } from "./run/training-service.ts";

export interface TrainLanguageModelOptions {
  /** The folder of the run; made when it does not exist. */
  folder: string;
  /**
   * `config.json` of the model: a family and its sizes. `vocab_size`, `bos_token_id` and
   * `eos_token_id` are those of the tokenizer unless they are given.
   */
  config: ModelConfig;
  /** A checkpoint folder or a tokenizer file. */
  tokenizer: string;
  corpora: readonly Corpus[];
  /** Text that is only measured. */
  heldOut?: Corpus;
  /** Updates to make. */
  steps: number;
  /** Sequences of one update. Default 16. */
  batch?: number;
  /** Parts in which the sequences of an update are computed, to save memory. Default 1. */
  accumulation?: number;
  /** Tokens of a sequence. Default 256. */
  sequenceLength?: number;
  /** Default: cosine to a tenth of 1e-3, with a warm-up over a twentieth of the steps. */
  schedule?: Schedule;
  /** Default AdamW with clipping to norm 1; vectors do not decay. */
  optimizer?: readonly Transform[];
  /** Decay of an exponential moving average; the export then holds the averages. Default: none. */
  averageDecay?: number;
  /** Tokens see only their own document. Default true. */
  documentMask?: boolean;
  /** How random first weights are drawn. */
  initialization?: InitializationOptions;
  /** Start from the weights of a checkpoint folder. Default: random ones. */
  initialWeights?: string;
  /** Parameters that stay as they are, by name; `*` stands for any characters. Default: none. */
  frozen?: readonly string[];
  /** Default 0. */
  seed?: number;
  /** Default: what the machine has, at most 8. A run repeats bit for bit with the same number. */
  threads?: number;
  /** Steps between checkpoints. Default 100. */
  checkpointEvery?: number;
  /** Checkpoints that are kept. Default 2. */
  keepCheckpoints?: number;
  /** Steps between evaluations on `heldOut`. Default 100; the last step is always followed by one. */
  evaluateEvery?: number;
  /** Sequences of an evaluation, always the same ones. Default 64. */
  evaluationSequences?: number;
  /**
   * What to do with a run that the folder holds. `refuse` lets one be begun anew that did not come to
   * its first step. Default `refuse`.
   */
  existing?: "refuse" | "resume";
  /** How exported weights are stored. Default F16. */
  dtype?: "F32" | "F16" | "BF16";
  /** Goes into the model card. Default: the name of the folder. */
  name?: string;
  onProgress?: (progress: TrainingProgress) => void;
  /** Called when a checkpoint lies on the disk: from there the run goes on after an interruption. */
  onCheckpoint?: (checkpoint: { readonly step: number; readonly path: string }) => void;
  /** Aborting saves a checkpoint after the step under way, then throws the signal's reason. */
  signal?: AbortSignal;
}

/** Where a run stands. */
export interface TrainingProgress {
  readonly stage: "tokenize" | "train" | "export";
  /** Steps done. */
  readonly step: number;
  readonly steps: number;
  /** Tokens learned from, or written while tokenizing. */
  readonly tokens: number;
  /** Of the last step; smoothing is the reader's. Undefined before the first. */
  readonly loss?: number;
  readonly heldOutLoss?: number;
  readonly heldOutBitsPerByte?: number;
  readonly learningRate?: number;
  /** Tokens a second, over the last seconds. */
  readonly tokensPerSecond: number;
  readonly secondsLeft: number | undefined;
}

export interface TrainedLanguageModel {
  /** The exported checkpoint folder. */
  readonly modelFolder: string;
  readonly steps: number;
  readonly tokens: number;
  /** Mean over the last twentieth of the steps. */
  readonly loss: number;
  readonly heldOutLoss: number | undefined;
  readonly heldOutBitsPerByte: number | undefined;
  readonly parameters: number;
}

/** Progress as one line: `step 120/2000 · loss 3.412 · 4.1K tokens/s · 12 min 05 s left`. */
export function formatTrainingProgress(progress: TrainingProgress): string {
  const { stage, step, steps, tokens, loss, heldOutLoss, tokensPerSecond, secondsLeft } = progress;
  if (stage === "tokenize") return `tokenizing · ${formatCount(tokens)} tokens`;
  if (stage === "export") return "writing the model";
  const parts = [`step ${step}/${steps}`];
  if (loss !== undefined) parts.push(`loss ${loss.toFixed(3)}`);
  if (heldOutLoss !== undefined) parts.push(`held out ${heldOutLoss.toFixed(3)}`);
  parts.push(`${formatCount(tokens)} tokens`);
  if (tokensPerSecond > 0) parts.push(`${formatRate(tokensPerSecond)} tokens/s`);
  if (secondsLeft !== undefined) parts.push(`${formatDuration(secondsLeft)} left`);
  return parts.join(" · ");
}

/**
 * Trains a decoder and exports it as a checkpoint folder. Broken off at any moment, even by a kill, the
 * run goes on from its last checkpoint with `existing: "resume"`, and ends with the same weights, bit
 * for bit, as one that was never broken off (same machine, same `threads`).
 *
 * @example
 * const { modelFolder } = await trainLanguageModel({
 *   folder: "runs/prose",
 *   config: { model_type: "llama", hidden_size: 256, ... },
 *   tokenizer: "tokenizer.json",
 *   corpora: [{ files: ["prose.txt.gz"] }],
 *   steps: 2000,
 *   onProgress: (progress) => console.error(formatTrainingProgress(progress)),
 * });
 *
 * @throws JetonError `train-run-busy` (another process trains there), `train-run-exists`,
 *   `train-configuration-changed`, `train-checkpoint-damaged`, `train-loss-not-finite`,
 *   `option-invalid`, `corpus-…`, and what writing files throws (`disk-full`)
 */
export async function trainLanguageModel(
  options: TrainLanguageModelOptions,
): Promise<TrainedLanguageModel> {
  const { folder, existing = "refuse", signal } = options;
  // A run goes on with what it began with, also when it was moved or the originals are gone.
  const kept = existing === "resume" ? await findKeptTokenizer(folder) : undefined;
  const tokenizer = await loadTokenizer(kept ?? options.tokenizer);
  const settings = resolveSettings(options, tokenizer);
  const changeable = pickChangeable(options);
  if (existing === "refuse") {
    // A misspelt name is said before hours are spent on what precedes it.
    const all = options.heldOut ? [...options.corpora, options.heldOut] : options.corpora;
    for (const { files } of all) await listCorpusFiles(files);
  }
  const run = await openRunFolder(folder, settings, { existing, changeable });
  try {
    const tokenizerFolder = kept ?? (await keepTokenizer(folder, options.tokenizer));
    const stores: TokenStore[] = [];
    const prepare = (name: string, corpus: Corpus): Promise<TokenStore> =>
      prepareTokens(join(folder, "data", name), corpus, tokenizer, {
        ...(signal && { signal }),
        onProgress: (tokens) => options.onProgress?.(tokenizing(settings.steps, tokens)),
      });
    for (const [index, corpus] of options.corpora.entries()) {
      stores.push(await prepare(`corpus-${index}.tokens`, corpus));
    }
    const heldOut = options.heldOut && (await prepare("held-out.tokens", options.heldOut));
    return await runSteps(run, { options, settings, tokenizer, tokenizerFolder, stores, heldOut });
  } finally {
    await run.close();
  }
}

function tokenizing(steps: number, tokens: number): TrainingProgress {
  const rest = { tokensPerSecond: 0, secondsLeft: undefined };
  return { stage: "tokenize", step: 0, steps, tokens, ...rest };
}

/** The tokenizer's copy in the folder of the run; undefined while there is none. */
async function findKeptTokenizer(folder: string): Promise<string | undefined> {
  const path = join(folder, "data", "tokenizer");
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ? path : undefined;
}

/** Copies the tokenizer into the folder of the run, whole or not at all. */
async function keepTokenizer(folder: string, tokenizer: string): Promise<string> {
  const path = join(folder, "data", "tokenizer");
  const partial = `${path}.partial`;
  await rm(partial, { recursive: true, force: true });
  await copyTokenizer(tokenizer, partial);
  await rename(partial, path);
  return path;
}

/** Options that say nothing about the weights: a resumed run may have others. */
const changeableOptions = [
  "checkpointEvery",
  "keepCheckpoints",
  "evaluateEvery",
  "evaluationSequences",
  "dtype",
  "name",
] as const satisfies readonly (keyof TrainLanguageModelOptions)[];

function pickChangeable(
  options: Partial<TrainLanguageModelOptions>,
): Pick<TrainLanguageModelOptions, (typeof changeableOptions)[number]> {
  return Object.fromEntries(
    changeableOptions.flatMap((key) => (options[key] === undefined ? [] : [[key, options[key]]])),
  );
}

/**
 * The options with which a run was begun, to go on with it: `{ ...await readRunOptions(folder),
 * existing: "resume" }`.
 *
 * @throws JetonError `train-run-missing`
 */
export async function readRunOptions(folder: string): Promise<TrainLanguageModelOptions> {
  const known = await readRunConfiguration(folder);
  if (known === undefined) {
    throw new JetonError(`${folder} holds no run (there is no run.json)`, {
      code: "train-run-missing",
      details: { folder },
    });
  }
  return {
    ...(known.configuration as Omit<TrainLanguageModelOptions, "folder">),
    ...pickChangeable(known.changeable),
    folder,
  };
}

/** What determines the weights in the end; recorded in `run.json`. */
interface Settings extends Record<string, unknown> {
  readonly config: ModelConfig;
  readonly steps: number;
  readonly batch: number;
  readonly accumulation: number;
  readonly sequenceLength: number;
  readonly schedule: Schedule;
  readonly optimizer: readonly Transform[];
  readonly averageDecay: number | undefined;
  readonly documentMask: boolean;
  readonly frozen: readonly string[];
  readonly seed: number;
}

function resolveSettings(options: TrainLanguageModelOptions, tokenizer: Tokenizer): Settings {
  const { steps, batch = 16, accumulation = 1, sequenceLength = 256, seed = 0 } = options;
  const { checkpointEvery, keepCheckpoints, evaluateEvery, evaluationSequences } = options;
  const counts = {
    ...{ steps, batch, accumulation, sequenceLength },
    ...{ checkpointEvery, keepCheckpoints, evaluateEvery, evaluationSequences },
  };
  for (const [option, found] of Object.entries(counts)) {
    if (found === undefined || (Number.isSafeInteger(found) && found > 0)) continue;
    throw new JetonError(`${option} is ${found}, expected a positive integer`, {
      code: "option-invalid",
      details: { option, found },
    });
  }
  if (batch % accumulation !== 0) {
    throw new JetonError(`a batch of ${batch} cannot be divided into ${accumulation} equal parts`, {
      code: "option-invalid",
      details: { option: "accumulation", found: accumulation, expected: `a divisor of ${batch}` },
    });
  }
  if (options.corpora.length === 0) {
    throw new JetonError("there is no corpus to learn from", {
      code: "option-invalid",
      details: { option: "corpora", found: [], expected: "at least one corpus" },
    });
  }
  for (const { files, weight = 1 } of options.corpora) {
    if (Number.isFinite(weight) && weight > 0) continue;
    throw new JetonError(
      `the share of ${files.join(", ")} is ${weight}, expected a number above 0`,
      {
        code: "option-invalid",
        details: { option: "corpora.weight", found: weight, expected: "a number above 0" },
      },
    );
  }
  checkAverageDecay(options.averageDecay);
  checkTransforms(options.optimizer ?? []);
  const { start, end = start } = documentTokens(tokenizer);
  const config = {
    vocab_size: tokenizer.vocabSize,
    ...(start !== undefined && { bos_token_id: start }),
    ...(end !== undefined && { eos_token_id: end }),
    ...options.config,
  } as ModelConfig;
  const decoder = decoderConfig(config);
  const { vocabSize } = decoder;
  const frozen = options.frozen ?? [];
  matchParameters(frozen, [...decoderParameterShapes(decoder).keys()]);
  if (vocabSize < tokenizer.vocabSize) {
    throw new JetonError(
      `vocab_size is ${vocabSize}, the tokenizer has ${tokenizer.vocabSize} tokens`,
      {
        code: "train-vocabulary-too-small",
        details: { found: vocabSize, expected: tokenizer.vocabSize },
      },
    );
  }
  const schedule = options.schedule ?? {
    kind: "cosine",
    peak: 1e-3,
    final: 1e-4,
    steps,
    warmupSteps: Math.ceil(steps / 20),
  };
  checkSchedule(schedule);
  return {
    config,
    steps,
    batch,
    accumulation,
    sequenceLength,
    schedule,
    optimizer: options.optimizer ?? adamW({ beta2: 0.95, maxNorm: 1 }),
    averageDecay: options.averageDecay,
    documentMask: options.documentMask ?? true,
    frozen,
    seed,
    threads: options.threads,
    tokenizer: options.tokenizer,
    corpora: options.corpora,
    heldOut: options.heldOut,
    initialWeights: options.initialWeights,
    initialization: options.initialization,
  };
}

interface RunParts {
  readonly options: TrainLanguageModelOptions;
  readonly settings: Settings;
  readonly tokenizer: Tokenizer;
  /** Where it lies within the folder of the run. */
  readonly tokenizerFolder: string;
  readonly stores: readonly TokenStore[];
  readonly heldOut: TokenStore | undefined;
}

/** What a checkpoint notes beside the arrays. Every random choice is keyed by seed and position. */
interface Notes {
  readonly position: DataPosition;
  readonly tokens: number;
  readonly seed: number;
}

async function runSteps(run: RunFolder, parts: RunParts): Promise<TrainedLanguageModel> {
  const { options, settings, tokenizer, stores, heldOut } = parts;
  const { steps, seed, sequenceLength, accumulation, documentMask } = settings;
  const { signal, checkpointEvery = 100, keepCheckpoints = 2, evaluateEvery = 100 } = options;
  const config = decoderConfig(settings.config);
  const shapes = decoderParameterShapes(config);
  const frozen = matchParameters(settings.frozen, [...shapes.keys()]);
  const data = {
    sequenceLength,
    batch: settings.batch / accumulation,
    seed,
    documents: documentTokens(tokenizer),
  };
  await using source = await openBatchSource(stores, {
    ...data,
    weights: options.corpora.map(({ weight = 1 }) => weight),
  });
  await using trainer = await openTrainer({
    graph: languageModelGraph(config, {
      parameters: shapes,
      trainable: new Set([...shapes.keys()].filter((name) => !frozen.has(name))),
      documentMask,
    }),
    parameters: await chooseFirstValues(run, options, { config, shapes, seed }),
    moveParameters: true,
    schedule: settings.schedule,
    optimizer: settings.optimizer,
    group: decayMatricesOnly,
    ...(settings.averageDecay !== undefined && { averageDecay: settings.averageDecay }),
    ...(options.threads !== undefined && { threads: options.threads }),
  });
  const toInputs = languageModelInputs(config, { sequenceLength, documentMask });
  const held = heldOut && (await readHeldOut(heldOut, options, data, toInputs));

  const { step: first, notes } = await resume(run, trainer);
  let { position, tokens } = notes ?? { position: source.start, tokens: 0 };
  const entries = await run.openLog(first);
  const meter = createProgressMeter({ window: 20 });
  meter.update(tokens);
  let last: LogEntry | undefined = entries.at(-1);
  let pending = first < steps ? readStep(source, position, accumulation, toInputs) : undefined;
  const save = async (step: number): Promise<void> => {
    const saved: Notes = { position, tokens, seed };
    const path = run.checkpointPath(step);
    await run.checkOwned();
    await trainer.save(path, JSON.stringify(saved));
    options.onCheckpoint?.({ step, path });
    await run.prune(keepCheckpoints);
    await writeFileAtomically(
      join(run.path, "loss.svg"),
      renderLossCurve(entries, runName(options)),
    );
  };
  for (let step = first + 1; step <= steps; step++) {
    if (signal?.aborted) {
      await pending;
      if (step > 1) await save(step - 1);
      signal.throwIfAborted();
    }
    const began = performance.now();
    const { inputs, next } = await pending!;
    // The next batch is read while this one is computed.
    pending = step < steps ? readStep(source, next, accumulation, toInputs) : undefined;
    pending?.catch(() => {}); // Its failure is reported when it is awaited.
    const report = await trainer.step(inputs);
    position = next;
    tokens += report.weight;
    const isEvaluated = held && (step % evaluateEvery === 0 || step === steps);
    const evaluation = isEvaluated ? await evaluate(trainer, held, settings) : {};
    last = {
      step,
      loss: report.loss,
      gradientNorm: report.gradientNorm,
      learningRate: report.learningRate,
      tokens,
      seconds: (performance.now() - began) / 1000,
      ...evaluation,
    };
    entries.push(last);
    await run.log(last);
    if (step % checkpointEvery === 0 || step === steps) await save(step);
    const { rate, secondsLeft } = meter.update(tokens, (tokens / step) * steps);
    options.onProgress?.({
      stage: "train",
      step,
      steps,
      tokens,
      loss: report.loss,
      learningRate: report.learningRate,
      ...evaluation,
      tokensPerSecond: rate,
      secondsLeft,
    });
  }

  const rest = { tokensPerSecond: 0, secondsLeft: undefined };
  options.onProgress?.({ stage: "export", step: steps, steps, tokens, ...rest });
  const averaged = settings.averageDecay !== undefined;
  const parameters = await trainer.parameters({ averaged });
  const tail = entries.slice(-Math.ceil(steps / 20));
  const result: TrainedLanguageModel = {
    modelFolder: join(run.path, "model"),
    steps,
    tokens,
    loss: tail.reduce((sum, { loss }) => sum + loss, 0) / tail.length,
    heldOutLoss: last?.heldOutLoss,
    heldOutBitsPerByte: last?.heldOutBitsPerByte,
    parameters: [...parameters.values()].reduce((sum, { data }) => sum + data.length, 0),
  };
  await exportModel(result.modelFolder, {
    config: completeConfig(settings.config, config),
    parameters,
    tokenizer: parts.tokenizerFolder,
    ...(options.dtype && { dtype: options.dtype }),
    card: modelCard(options, settings, stores, result),
  });
  return result;
}

/** The parts of one update, and the position after it. */
async function readStep(
  source: BatchSource,
  position: DataPosition,
  accumulation: number,
  toInputs: ReturnType<typeof languageModelInputs>,
): Promise<{ inputs: TrainingInputs[]; next: DataPosition }> {
  const inputs: TrainingInputs[] = [];
  let next = position;
  for (let part = 0; part < accumulation; part++) {
    const read = await source.read(next);
    inputs.push(toInputs(read.batch));
    next = read.next;
  }
  return { inputs, next };
}

/**
 * Goes to the newest checkpoint.
 *
 * @throws JetonError `train-checkpoint-damaged`; nothing is removed or overwritten
 */
async function resume(
  run: RunFolder,
  trainer: Trainer,
): Promise<{ step: number; notes: Notes | undefined }> {
  const steps = await run.checkpoints();
  const newest = steps.at(-1);
  if (newest === undefined) return { step: 0, notes: undefined };
  const path = run.checkpointPath(newest);
  try {
    const { step, notes } = await trainer.load(path);
    return { step, notes: JSON.parse(notes) as Notes };
  } catch (cause) {
    const earlier = steps.at(-2);
    const advice =
      earlier === undefined
        ? "remove it to begin anew"
        : `remove it to go on from step ${earlier}, whose checkpoint is still there`;
    throw new JetonError(`${path} is damaged (${(cause as Error).message}): ${advice}`, {
      code: "train-checkpoint-damaged",
      cause,
      details: { path, step: newest, earlier },
    });
  }
}

interface HeldOut {
  readonly inputs: readonly TrainingInputs[];
  readonly bytesPerToken: number;
}

/** At most `evaluationSequences` of the held-out text, the same ones at every evaluation. */
async function readHeldOut(
  store: TokenStore,
  options: TrainLanguageModelOptions,
  data: Parameters<typeof openBatchSource>[1],
  toInputs: ReturnType<typeof languageModelInputs>,
): Promise<HeldOut> {
  const { evaluationSequences = 64 } = options;
  await using source = await openBatchSource([store], { ...data, batch: 1 });
  const count = Math.min(evaluationSequences, source.sequences[0]!);
  const inputs: TrainingInputs[] = [];
  let position = source.start;
  for (let index = 0; index < count; index++) {
    const { batch, next } = await source.read(position);
    inputs.push(toInputs(batch));
    position = next;
  }
  return { inputs, bytesPerToken: store.bytes / store.tokens };
}

async function evaluate(
  trainer: Trainer,
  held: HeldOut,
  settings: Settings,
): Promise<{ heldOutLoss: number; heldOutBitsPerByte: number }> {
  const averaged = settings.averageDecay !== undefined;
  const { loss } = await trainer.evaluate(held.inputs, { averaged });
  return { heldOutLoss: loss, heldOutBitsPerByte: loss / Math.LN2 / held.bytesPerToken };
}

/** First values; those of a run that goes on come from its checkpoint, and the originals may be gone. */
async function chooseFirstValues(
  run: RunFolder,
  options: TrainLanguageModelOptions,
  model: {
    readonly config: DecoderConfig;
    readonly shapes: ReadonlyMap<string, readonly number[]>;
    readonly seed: number;
  },
): Promise<Map<string, ParameterValue>> {
  const { config, shapes, seed } = model;
  if ((await run.checkpoints()).length > 0) {
    const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
    return new Map(
      [...shapes].map(([name, shape]) => [name, { shape, data: new Float32Array(sizeOf(shape)) }]),
    );
  }
  return options.initialWeights === undefined
    ? initializeDecoder(config, seed, options.initialization)
    : readWeights(options.initialWeights, shapes);
}

/**
 * The parameters that patterns mean.
 *
 * @throws JetonError `option-invalid` for a pattern that means none
 */
function matchParameters(patterns: readonly string[], names: readonly string[]): Set<string> {
  const matching = patterns.map((pattern) => {
    const parts = pattern.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
    const expression = new RegExp(`^${parts.join(".*")}$`);
    return names.filter((name) => expression.test(name));
  });
  const unknown = patterns.filter((_, index) => matching[index]!.length === 0);
  if (unknown.length > 0) {
    throw new JetonError(`the model has no parameter ${unknown.join(", ")}`, {
      code: "option-invalid",
      details: { option: "frozen", found: unknown, expected: names },
    });
  }
  return new Set(matching.flat());
}

async function readWeights(
  folder: string,
  shapes: ReadonlyMap<string, readonly number[]>,
): Promise<Map<string, ParameterValue>> {
  await using checkpoint = await openCheckpoint(folder);
  const values = new Map<string, ParameterValue>();
  for (const [name, shape] of shapes) {
    values.set(name, { shape, data: await checkpoint.readFloat32(name) });
  }
  return values;
}

const architectures: Readonly<Record<string, string>> = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
  smollm3: "SmolLM3ForCausalLM",
  phi3: "Phi3ForCausalLM",
  olmo2: "Olmo2ForCausalLM",
  gemma: "GemmaForCausalLM",
  gemma2: "Gemma2ForCausalLM",
  gemma3_text: "Gemma3ForCausalLM",
};

/** Other tools ask for the name of a class, and for the tying of embeddings to be said. */
function completeConfig(file: ModelConfig, config: DecoderConfig): ModelConfig {
  const architecture = architectures[config.family];
  return {
    ...(architecture !== undefined && { architectures: [architecture] }),
    ...file,
    tie_word_embeddings: config.tieWordEmbeddings,
  } as ModelConfig;
}

function runName(options: TrainLanguageModelOptions): string {
  return options.name ?? basename(options.folder);
}

function modelCard(
  options: TrainLanguageModelOptions,
  settings: Settings,
  stores: readonly TokenStore[],
  result: TrainedLanguageModel,
): string {
  const data = stores.map(({ tokens, documents, bytes }, index) => {
    const files = options.corpora[index]!.files.map(describeCorpusName).join(", ");
    return `- ${files}: ${documents} ${documents === 1 ? "document" : "documents"}, ${bytes} bytes, ${tokens} tokens`;
  });
  const { heldOutLoss, heldOutBitsPerByte } = result;
  const { averageDecay, frozen } = settings;
  const origin = [
    ...(options.initialWeights === undefined
      ? []
      : [`- began with the weights of ${describeCorpusName(options.initialWeights)}`]),
    ...(frozen.length === 0 ? [] : [`- left as they were: \`${frozen.join("`, `")}\``]),
    ...(averageDecay === undefined
      ? []
      : [`- these are exponential moving averages of the weights, decay ${averageDecay}`]),
  ];
  const held =
    heldOutLoss === undefined
      ? []
      : [
          `- loss on held-out text (${options.heldOut!.files.map(describeCorpusName).join(", ")}): ${heldOutLoss.toFixed(4)} nats a token, ${heldOutBitsPerByte!.toFixed(4)} bits per byte`,
        ];
  return [
    `# ${runName(options)}`,
    "",
    `A decoder-only language model (${settings.config.model_type}) of ${formatCount(result.parameters)} parameters, trained with jeton.`,
    "",
    "## Data",
    "",
    ...data,
    "",
    "## Training",
    "",
    `- ${result.steps} steps of ${settings.batch} sequences of ${settings.sequenceLength} tokens, ${formatCount(result.tokens)} tokens in all, seed ${settings.seed}`,
    `- schedule: \`${JSON.stringify(settings.schedule)}\``,
    `- optimizer: \`${JSON.stringify(settings.optimizer)}\``,
    ...origin,
    `- loss over the last steps: ${result.loss.toFixed(4)} nats a token`,
    ...held,
    "",
    "## Use",
    "",
    "```sh",
    'jeton run --model <this folder> "Once upon a time"',
    "```",
    "",
  ].join("\n");
}
