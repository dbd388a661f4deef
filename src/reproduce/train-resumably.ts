/** A training that a reproduction can be interrupted in: it goes on from its folder. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { StepReport, Trainer, TrainingInputs } from "../train/index.ts";

/** Options of `trainResumably`. */
export interface TrainResumablyOptions {
  /** Where the state is kept, as `ReproductionContext.folder` gives it. */
  folder: string;
  /** Steps in all. */
  steps: number;
  /** Parts of the batch of a step, counted from 1. Must depend on nothing else than the step. */
  batch(step: number): readonly TrainingInputs[] | Promise<readonly TrainingInputs[]>;
  /** Seconds between two savings. Default 20. */
  saveSeconds?: number;
  /** Aborting saves the state and throws the signal's reason. */
  signal?: AbortSignal;
  /** Told that steps of an earlier run are used, and from when: `ReproductionContext.notice`. */
  notice: (line: string) => void;
  onStep?: (report: StepReport) => void;
}

/** Losses and times of a training, earlier runs included. */
export interface ResumableTraining {
  /** Loss of every step, those of earlier runs included. */
  readonly losses: readonly number[];
  /** Time of all steps, those of earlier runs included. */
  readonly seconds: number;
  /** The part of it that earlier runs spent: what `ReproductionContext.charge` wants. */
  readonly earlierSeconds: number;
}

interface Notes {
  readonly losses: readonly number[];
  readonly seconds: number;
  /** When it was saved. */
  readonly date: string;
}

/**
 * Trains to a number of steps. A run that was killed goes on from the last saving and ends with the
 * same parameters, bit for bit, as an unbroken one with the same number of threads; a run that was
 * finished returns at once.
 *
 * @throws JetonError `train-checkpoint-foreign`, `train-checkpoint-mismatch` (the folder holds another
 *   training), and the errors of a step
 */
export async function trainResumably(
  trainer: Trainer,
  options: TrainResumablyOptions,
): Promise<ResumableTraining> {
  const { folder, steps, batch, saveSeconds = 20, signal, notice, onStep } = options;
  const path = join(folder, "state.safetensors");
  const losses: number[] = [];
  let earlierSeconds = 0;
  if (await exists(path)) {
    const notes = JSON.parse((await trainer.load(path)).notes) as Notes;
    losses.push(...notes.losses);
    earlierSeconds = notes.seconds;
    notice(`${losses.length} of ${steps} training steps are remembered from ${notes.date}`);
  }
  let seconds = earlierSeconds;
  const save = (): Promise<void> => {
    const notes: Notes = { losses, seconds, date: new Date().toISOString() };
    return trainer.save(path, JSON.stringify(notes));
  };

  let lastSaved = performance.now();
  for (let step = losses.length + 1; step <= steps; step++) {
    if (signal?.aborted) {
      await save();
      signal.throwIfAborted();
    }
    // A trainer on this thread never waits: without a pause Ctrl-C would not arrive.
    await setImmediate();
    const began = performance.now();
    const report = await trainer.step(await batch(step));
    losses.push(report.loss);
    seconds += (performance.now() - began) / 1000;
    onStep?.(report);
    if (step === steps || performance.now() - lastSaved > saveSeconds * 1000) {
      await save();
      lastSaved = performance.now();
    }
  }
  return { losses, seconds, earlierSeconds };
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
