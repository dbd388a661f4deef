/** The steps of any run: updates, evaluations, log and checkpoints, from the newest checkpoint on. */
import { join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/index.ts";
import { createProgressMeter, JetonError } from "../../core/index.ts";
import type { TrainingProgress } from "../language-model-options.ts";
import { renderLossCurve } from "./loss-curve.ts";
import type { LogEntry, RunFolder } from "./run-folder.ts";
import type { Trainer } from "./trainer.ts";
import type { StepReport } from "./training-interface.ts";

/** What a step reads, and where the data stands behind it. */
export interface StepData<Batch, Position> {
  readonly inputs: Batch;
  readonly next: Position;
}

/** What an evaluation gives. */
export interface HeldOutReport {
  readonly heldOutLoss: number;
  readonly heldOutBitsPerByte?: number;
}

/** What of a run differs from kind to kind. */
export interface StepLoop<Batch, Position> {
  readonly steps: number;
  readonly seed: number;
  /** Title of the loss curve, and what the loss is a mean over. */
  readonly name: string;
  readonly lossUnit: string;
  /** Where the data of the first step begins; plain JSON, as checkpoints note it. */
  readonly start: Position;
  read(position: Position): Promise<StepData<Batch, Position>>;
  learn(inputs: Batch): Promise<StepReport>;
  /** State beside arrays and position that the next step depends on; plain JSON. Default: none. */
  readonly ownState?: {
    read(): unknown;
    /** Called before the first step where a run goes on. */
    restore(state: unknown): void;
  };
  /** What of a step counts as tokens. Default: its weight. */
  countTokens?(inputs: Batch): number;
  /** Undefined: nothing is held out. */
  readonly evaluate: (() => Promise<HeldOutReport>) | undefined;
  readonly options: StepLoopOptions;
}

/** Options of a run that its steps read. */
export interface StepLoopOptions {
  readonly signal?: AbortSignal;
  readonly checkpointEvery?: number;
  readonly evaluateEvery?: number;
  readonly keepCheckpoints?: number;
  readonly onProgress?: (progress: TrainingProgress) => void;
  readonly onCheckpoint?: (checkpoint: { readonly step: number; readonly path: string }) => void;
}

/** How far a run has come. */
export interface RunState<Position> {
  position: Position;
  /** Tokens that counted, of all steps so far. */
  tokens: number;
  readonly entries: LogEntry[];
}

/** What a checkpoint notes beside the arrays. Every random choice is keyed by seed and position. */
interface Notes<Position> {
  readonly position: Position;
  readonly tokens: number;
  readonly seed: number;
  readonly own?: unknown;
}

/**
 * Goes to the newest checkpoint, if there is one, and from there to the last step.
 *
 * @throws JetonError `train-checkpoint-damaged`, and those of the trainer; the signal's reason
 */
export async function runStepLoop<Batch, Position>(
  run: RunFolder,
  trainer: Trainer,
  loop: StepLoop<Batch, Position>,
): Promise<RunState<Position>> {
  const { steps, options } = loop;
  const { signal, checkpointEvery = 100, evaluateEvery = 100 } = options;
  const { step: done, notes } = await resume<Position>(run, trainer);
  if (notes) loop.ownState?.restore(notes.own);
  const { position, tokens: read } = notes ?? { position: loop.start, tokens: 0 };
  const state: RunState<Position> = {
    ...{ position, tokens: read },
    entries: await run.openLog(done),
  };
  const save = (step: number): Promise<void> => saveStep(run, step, { trainer, loop, state });
  const meter = createProgressMeter({ window: 20 });
  meter.update(state.tokens);
  let pending = done < steps ? loop.read(state.position) : undefined;
  for (let step = done + 1; step <= steps; step++) {
    if (signal?.aborted) {
      await pending;
      if (step > 1) await save(step - 1);
      signal.throwIfAborted();
    }
    const began = performance.now();
    const { inputs, next } = await pending!;
    // The next batch is read while this one is computed.
    pending = step < steps ? loop.read(next) : undefined;
    pending?.catch(() => {}); // Its failure is reported when it is awaited.
    const { loss, gradientNorm, learningRate, weight, reported } = await loop.learn(inputs);
    state.position = next;
    state.tokens += loop.countTokens?.(inputs) ?? weight;
    const isEvaluated = loop.evaluate && (step % evaluateEvery === 0 || step === steps);
    const evaluation = isEvaluated ? await loop.evaluate!() : {};
    const { tokens } = state;
    const seconds = (performance.now() - began) / 1000;
    const entry = {
      ...{ step, loss, gradientNorm, learningRate, tokens, seconds, ...evaluation },
      ...(Object.keys(reported).length > 0 && { reported }),
    };
    state.entries.push(entry);
    await run.log(entry);
    if (step % checkpointEvery === 0 || step === steps) await save(step);
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
  return state;
}

async function saveStep<Batch, Position>(
  run: RunFolder,
  step: number,
  parts: {
    readonly trainer: Trainer;
    readonly loop: StepLoop<Batch, Position>;
    readonly state: RunState<Position>;
  },
): Promise<void> {
  const { trainer, loop, state } = parts;
  const { position, tokens, entries } = state;
  const saved: Notes<Position> = {
    ...{ position, tokens, seed: loop.seed },
    ...(loop.ownState && { own: loop.ownState.read() }),
  };
  const path = run.checkpointPath(step);
  await run.checkOwned();
  await trainer.save(path, JSON.stringify(saved));
  loop.options.onCheckpoint?.({ step, path });
  await run.prune(loop.options.keepCheckpoints ?? 2);
  const curve = renderLossCurve(entries, loop.name, loop.lossUnit);
  await writeFileAtomically(join(run.path, "loss.svg"), curve);
}

/**
 * Goes to the newest checkpoint.
 *
 * @throws JetonError `train-checkpoint-damaged`; nothing is removed or overwritten
 */
async function resume<Position>(
  run: RunFolder,
  trainer: Trainer,
): Promise<{ step: number; notes: Notes<Position> | undefined }> {
  const steps = await run.checkpoints();
  const newest = steps.at(-1);
  if (newest === undefined) return { step: 0, notes: undefined };
  const path = run.checkpointPath(newest);
  try {
    const { step, notes } = await trainer.load(path);
    return { step, notes: JSON.parse(notes) as Notes<Position> };
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
