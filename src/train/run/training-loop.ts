/** The steps of a run: batches, updates, checkpoints, evaluations and the exported model. */

import { join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/index.ts";
import { createProgressMeter, JetonError } from "../../core/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { type Architecture, openArchitecture } from "../architectures.ts";
import {
  type BatchSource,
  type DataPosition,
  documentTokens,
  openBatchSource,
  type TokenStore,
} from "../data/token-store.ts";
import type { TrainedLanguageModel, TrainLanguageModelOptions } from "../language-model-options.ts";
import { decayMatricesOnly } from "../optimizer/optimizer.ts";
import { exportModel } from "./export-model.ts";
import { chooseFirstValues } from "./first-values.ts";
import { evaluate, type HeldOut, readHeldOut } from "./held-out.ts";
import { renderLossCurve } from "./loss-curve.ts";
import { completeConfig, modelCard, runName } from "./model-card.ts";
import type { LogEntry, RunFolder } from "./run-folder.ts";
import { matchParameters, type Settings } from "./run-settings.ts";
import { openTrainer, type Trainer } from "./trainer.ts";
import type { TrainingInputs } from "./training-interface.ts";

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

/** Trains to the last step, from the newest checkpoint where there is one, and exports the model. */
export async function runSteps(run: RunFolder, parts: RunParts): Promise<TrainedLanguageModel> {
  const { options, settings, stores } = parts;
  const architecture = openArchitecture(settings.config);
  const data = {
    sequenceLength: settings.sequenceLength,
    batch: settings.batch / settings.accumulation,
    seed: settings.seed,
    documents: documentTokens(parts.tokenizer),
  };
  const weights = options.corpora.map(({ weight = 1 }) => weight);
  await using source = await openBatchSource(stores, { ...data, weights });
  await using trainer = await openRunTrainer(run, { options, settings, architecture });
  const toInputs = architecture.inputs({ ...settings, tokenizer: parts.tokenizer });
  const held =
    parts.heldOut && (await readHeldOut(parts.heldOut, options, data, { toInputs, architecture }));

  const { step, notes } = await resume(run, trainer);
  const state = {
    ...(notes ?? { position: source.start, tokens: 0 }),
    entries: await run.openLog(step),
  };
  const shared = { ...parts, architecture, trainer, state };
  await trainSteps(run, step, { ...shared, source, toInputs, held });
  return await exportRun(run, shared);
}

async function openRunTrainer(
  run: RunFolder,
  {
    options,
    settings,
    architecture,
  }: { options: TrainLanguageModelOptions; settings: Settings; architecture: Architecture },
): Promise<Trainer> {
  const { parameters: shapes } = architecture;
  const frozen = matchParameters(settings.frozen, [...shapes.keys()]);
  return openTrainer({
    graph: architecture.graph({
      trainable: new Set([...shapes.keys()].filter((name) => !frozen.has(name))),
      documentMask: settings.documentMask,
    }),
    parameters: await chooseFirstValues(run, options, architecture, settings.seed),
    moveParameters: true,
    sameSizes: architecture.hasFixedSizes,
    schedule: settings.schedule,
    optimizer: settings.optimizer,
    group: decayMatricesOnly,
    ...(settings.averageDecay !== undefined && { averageDecay: settings.averageDecay }),
    ...(options.threads !== undefined && { threads: options.threads }),
  });
}

/** How far a run has come. */
interface RunState {
  position: DataPosition;
  /** Tokens that counted, of all steps so far. */
  tokens: number;
  readonly entries: LogEntry[];
}

interface TrainedParts extends RunParts {
  readonly architecture: Architecture;
  readonly trainer: Trainer;
  readonly state: RunState;
}

interface LoopParts extends TrainedParts {
  readonly source: BatchSource;
  readonly toInputs: ReturnType<Architecture["inputs"]>;
  readonly held: HeldOut | undefined;
}

async function trainSteps(run: RunFolder, done: number, parts: LoopParts): Promise<void> {
  const { options, settings, source, trainer, toInputs, held, state } = parts;
  const { steps, accumulation } = settings;
  const { signal, checkpointEvery = 100, evaluateEvery = 100 } = options;
  const meter = createProgressMeter({ window: 20 });
  meter.update(state.tokens);
  let pending = done < steps ? readStep(source, state.position, accumulation, toInputs) : undefined;
  for (let step = done + 1; step <= steps; step++) {
    if (signal?.aborted) {
      await pending;
      if (step > 1) await saveStep(run, step - 1, parts);
      signal.throwIfAborted();
    }
    const began = performance.now();
    const { inputs, next } = await pending!;
    // The next batch is read while this one is computed.
    pending = step < steps ? readStep(source, next, accumulation, toInputs) : undefined;
    pending?.catch(() => {}); // Its failure is reported when it is awaited.
    const { loss, gradientNorm, learningRate, weight } = await trainer.step(inputs);
    state.position = next;
    state.tokens += weight;
    const isEvaluated = held && (step % evaluateEvery === 0 || step === steps);
    const evaluation = isEvaluated ? await evaluate(trainer, held, settings) : {};
    const { tokens } = state;
    const seconds = (performance.now() - began) / 1000;
    const entry = { step, loss, gradientNorm, learningRate, tokens, seconds, ...evaluation };
    state.entries.push(entry);
    await run.log(entry);
    if (step % checkpointEvery === 0 || step === steps) await saveStep(run, step, parts);
    const { rate, secondsLeft } = meter.update(tokens, (tokens / step) * steps);
    options.onProgress?.({
      stage: "train",
      step,
      steps,
      tokens,
      loss,
      learningRate,
      ...evaluation,
      tokensPerSecond: rate,
      secondsLeft,
    });
  }
}

async function saveStep(run: RunFolder, step: number, parts: LoopParts): Promise<void> {
  const { options, settings, architecture, trainer, state } = parts;
  const { position, tokens } = state;
  const saved: Notes = { position, tokens, seed: settings.seed };
  const path = run.checkpointPath(step);
  await run.checkOwned();
  await trainer.save(path, JSON.stringify(saved));
  options.onCheckpoint?.({ step, path });
  await run.prune(options.keepCheckpoints ?? 2);
  const curve = renderLossCurve(state.entries, runName(options), architecture.lossUnit);
  await writeFileAtomically(join(run.path, "loss.svg"), curve);
}

/** Writes the trained model as a checkpoint folder. */
async function exportRun(run: RunFolder, parts: TrainedParts): Promise<TrainedLanguageModel> {
  const { options, settings, tokenizerFolder, architecture, trainer, state } = parts;
  const { steps } = settings;
  const { tokens, entries } = state;
  const rest = { tokensPerSecond: 0, secondsLeft: undefined };
  options.onProgress?.({ stage: "export", step: steps, steps, tokens, ...rest });
  const averaged = settings.averageDecay !== undefined;
  const parameters = await trainer.parameters({ averaged });
  const tail = entries.slice(-Math.ceil(steps / 20));
  const last = entries.at(-1);
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
    config: completeConfig(settings.config, architecture),
    parameters,
    tokenizer: tokenizerFolder,
    ...(options.dtype && { dtype: options.dtype }),
    card: modelCard(result, parts),
  });
  return result;
}

/** The parts of one update, and the position after it. */
async function readStep(
  source: BatchSource,
  position: DataPosition,
  accumulation: number,
  toInputs: ReturnType<Architecture["inputs"]>,
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
