/** Options that the resumable trainings have in common, and what is made of them. */
import type { Corpus, Schedule, TrainLanguageModelOptions } from "../../train/index.ts";
import { defined, UsageError, type Values } from "../command.ts";

/** Options of every resumable training. */
export const runOptions = {
  dtype: {
    kind: "text",
    value: "TYPE",
    choices: ["F32", "F16", "BF16"],
    help: "type of the exported weights; default: F16",
  },
  name: {
    kind: "text",
    value: "NAME",
    help: "title of the model card; default: the folder's name",
  },
  seed: {
    kind: "integer",
    value: "N",
    help: "seed of initial weights and data order; default: 0",
  },
  threads: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 256,
    help: "number of threads; the same number repeats a run bit for bit; default: the cores, at most 8",
  },
  checkpointEvery: {
    kind: "integer",
    value: "STEPS",
    min: 1,
    help: "steps between checkpoints; default: 100",
  },
} as const;

/** Options about the steps of a training, which each command has a place for. */
export const stepOptions = {
  steps: { kind: "integer", value: "N", min: 1, help: "number of optimizer steps" },
  learningRate: {
    kind: "number",
    value: "RATE",
    min: 0,
    help: "peak learning rate, falling linearly to 0; default: 0.0003",
  },
  averageDecay: {
    kind: "number",
    value: "SHARE",
    min: 0,
    max: 1,
    help: "export an exponential moving average with this decay, below 1",
  },
  evaluateEvery: {
    kind: "integer",
    value: "STEPS",
    min: 1,
    help: "steps between evaluations of the held-out text; default: 100",
  },
  resume: { kind: "flag", help: "go on with the run in --out; begins it if there is none" },
} as const;

type RunValues = Partial<
  Pick<
    Values<typeof runOptions & typeof stepOptions>,
    "name" | "seed" | "threads" | "checkpointEvery" | "evaluateEvery" | "averageDecay"
  >
> & { readonly batch: number | undefined };

/** The settings of a run that are given, under the same names as on the command line. */
export function pickRunSettings(
  values: RunValues,
): Pick<TrainLanguageModelOptions, keyof RunValues> {
  const { batch, averageDecay, name, seed, threads, checkpointEvery, evaluateEvery } = values;
  return defined({ batch, averageDecay, name, seed, threads, checkpointEvery, evaluateEvery });
}

/** The schedule of `stepOptions.learningRate`, with a twentieth of the steps for the warmup; nothing where none is given. */
export function linearSchedule(
  peak: number | undefined,
  steps: number,
): { readonly schedule?: Schedule } {
  if (peak === undefined) return {};
  const warmupSteps = Math.ceil(steps / 20);
  return { schedule: { kind: "linear", peak, final: 0, steps, warmupSteps } };
}

/**
 * The options of the run in a folder; undefined if there is none, as `--resume` may start one.
 *
 * @param mayBegin whether the command line says what to learn from. Otherwise it can only mean an existing run.
 */
export async function readKnownRun<Options>(
  read: () => Promise<Options>,
  mayBegin: boolean,
): Promise<Options | undefined> {
  try {
    return await read();
  } catch (error) {
    const isAbsent = (error as { code?: string }).code === "train-run-missing";
    if (isAbsent && mayBegin) return undefined;
    throw error;
  }
}

/** The error that names the missing options of a command, all at once. */
export function missingOptions(command: string, absent: readonly string[]): UsageError {
  return new UsageError("option-missing", `jeton ${command} needs ${absent.join(" and ")}`, {
    option: absent[0],
    options: absent,
  });
}

/** Parses `prose.txt@3`: a name and its weight. */
export function readCorpus(written: string): Corpus {
  const share = /^(.+)@(\d+(?:\.\d+)?)$/.exec(written);
  return share === null
    ? { files: [written], weight: 1 }
    : { files: [share[1]!], weight: Number(share[2]) };
}
