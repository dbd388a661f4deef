/** Names of the options of trainings, and those that every training needs. */
import {
  checkOptionNames,
  checkRequired,
  type OptionRule,
  pathRule,
  threadsRule,
} from "../../core/option-rules.ts";
import type { RunOptions } from "../language-model-options.ts";

/** Options of one kind of training, without those of every run; the compiler sees that none is missing. */
export type OwnOptions<Options extends RunOptions> = Readonly<
  Record<Exclude<keyof Options, keyof RunOptions>, true>
>;

const runOptions: Readonly<Record<keyof RunOptions, true>> = {
  folder: true,
  steps: true,
  schedule: true,
  optimizer: true,
  averageDecay: true,
  seed: true,
  threads: true,
  checkpointEvery: true,
  keepCheckpoints: true,
  evaluateEvery: true,
  existing: true,
  name: true,
  onProgress: true,
  onCheckpoint: true,
  onWarning: true,
  signal: true,
};

/**
 * Refuses mistyped names and missing options before anything is read; values are checked where they are used.
 *
 * @param required what must be there besides the folder
 * @throws JetonError `option-invalid`
 */
export function checkTrainingOptions<Options extends RunOptions>(
  options: Options,
  own: OwnOptions<Options>,
  required: Partial<Readonly<Record<keyof Options, OptionRule>>> = {},
): void {
  const names = [...Object.keys(own), ...Object.keys(runOptions)];
  checkOptionNames(options, names, { what: "a training", invalidCode: "option-invalid" });
  const { threads } = options;
  const given = threads === undefined ? {} : { threads: threadsRule };
  checkRequired(options, { folder: pathRule, ...required, ...given }, "option-invalid");
}
