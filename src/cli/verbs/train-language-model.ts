/** `jeton train lm`: a decoder from a configuration and corpora, in a run that survives a kill. */
import type { Schedule } from "../../train/index.ts";
import { type Command, defineCommand, defined, UsageError, type Values } from "../command.ts";
import { createStatusLine } from "../locate.ts";

const options = {
  out: {
    kind: "text",
    short: "o",
    value: "FOLDER",
    help: "folder of the run; the model is exported to its folder model/",
  },
  config: { kind: "text", value: "FILE", help: "config.json of the model: its family and sizes" },
  tokenizer: { kind: "text", value: "T", help: "checkpoint folder, or tokenizer.json" },
  corpus: {
    kind: "list",
    value: "FILE[@SHARE]",
    help: "text or JSON lines, also .gz, with its share of the training sequences (default 1)",
  },
  heldOut: { kind: "text", value: "FILE", help: "text that is only measured" },
  steps: { kind: "integer", value: "N", minimum: 1, help: "updates to make" },
  batch: { kind: "integer", value: "N", minimum: 1, default: 16, help: "sequences of an update" },
  accumulation: {
    kind: "integer",
    value: "N",
    minimum: 1,
    default: 1,
    help: "parts in which the sequences of an update are computed, to save memory",
  },
  sequenceLength: {
    kind: "integer",
    value: "TOKENS",
    minimum: 2,
    default: 256,
    help: "tokens of a sequence",
  },
  learningRate: { kind: "number", value: "RATE", minimum: 0, default: 1e-3, help: "highest rate" },
  finalLearningRate: {
    kind: "number",
    value: "RATE",
    minimum: 0,
    help: "rate at the end; default: a tenth of the highest",
  },
  schedule: {
    kind: "text",
    value: "KIND",
    choices: ["cosine", "linear", "warmup-stable-decay", "constant"],
    default: "cosine",
    help: "how the rate falls",
  },
  warmup: {
    kind: "integer",
    value: "STEPS",
    help: "steps over which the rate rises; default: a twentieth of all",
  },
  decay: {
    kind: "integer",
    value: "STEPS",
    help: "last steps over which warmup-stable-decay falls; default: a fifth of all",
  },
  weightDecay: { kind: "number", value: "SHARE", minimum: 0, default: 0.1, help: "of AdamW" },
  averageDecay: {
    kind: "number",
    value: "SHARE",
    minimum: 0,
    maximum: 1,
    help: "export an exponential moving average with this decay",
  },
  initialWeights: {
    kind: "text",
    value: "FOLDER",
    help: "start from the weights of this checkpoint folder",
  },
  dtype: {
    kind: "text",
    value: "TYPE",
    choices: ["F32", "F16", "BF16"],
    default: "F16",
    help: "how the exported weights are stored",
  },
  name: { kind: "text", value: "NAME", help: "title of the model card; default: the folder's" },
  seed: {
    kind: "integer",
    value: "N",
    default: 0,
    help: "of the weights and the order of the data",
  },
  threads: {
    kind: "integer",
    value: "N",
    minimum: 1,
    help: "a run repeats bit for bit with the same number; default: the cores, at most 8",
  },
  checkpointEvery: {
    kind: "integer",
    value: "STEPS",
    minimum: 1,
    default: 100,
    help: "steps between checkpoints",
  },
  evaluateEvery: {
    kind: "integer",
    value: "STEPS",
    minimum: 1,
    default: 100,
    help: "steps between measurements of the held-out text",
  },
  resume: { kind: "flag", help: "go on with the run in the folder" },
} as const;

export const command: Command = defineCommand({
  name: "train lm",
  summary: "train a language model on your own text",
  description:
    "Trains a decoder and exports it as an ordinary checkpoint folder. A run that was broken off, " +
    "even by a kill, goes on with --resume and the same options, and ends with the same weights.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton train lm --config config.json --tokenizer tokenizer.json --corpus prose.txt --steps 2000 --out runs/prose",
      shows: "a model of your own; jeton run --model runs/prose/model lets it speak",
    },
    {
      line: "jeton train lm --resume --config config.json --tokenizer tokenizer.json --corpus prose.txt --steps 2000 --out runs/prose",
      shows: "the same run after an interruption",
    },
  ],
  async run(context, values) {
    const { out, config, tokenizer, corpus, steps } = required(values);
    const { readJsonObject } = await import("../../checkpoint/index.ts");
    const { adamW, formatTrainingProgress, trainLanguageModel } = await import(
      "../../train/index.ts"
    );
    const line = createStatusLine(context);
    try {
      const result = await trainLanguageModel({
        folder: out,
        config: (await readJsonObject(config)) as never,
        tokenizer,
        corpora: corpus.map(readCorpus),
        ...(values.heldOut !== undefined && { heldOut: { files: [values.heldOut] } }),
        steps,
        batch: values.batch,
        accumulation: values.accumulation,
        sequenceLength: values.sequenceLength,
        schedule: chooseSchedule(values, steps),
        optimizer: adamW({ beta2: 0.95, maximumNorm: 1, weightDecay: values.weightDecay }),
        ...defined({
          averageDecay: values.averageDecay,
          initialWeights: values.initialWeights,
          name: values.name,
          threads: values.threads,
        }),
        dtype: values.dtype,
        seed: values.seed,
        checkpointEvery: values.checkpointEvery,
        evaluateEvery: values.evaluateEvery,
        existing: values.resume ? "resume" : "refuse",
        signal: context.signal,
        onProgress: (progress) => line.show(formatTrainingProgress(progress)),
      });
      line.clear();
      const { stdout } = context;
      if (values.json) {
        await stdout.write(`${JSON.stringify(result)}\n`);
        return;
      }
      await stdout.write(`${result.modelFolder}\n`);
    } finally {
      line.clear();
    }
  },
});

/** The options that a run cannot do without. */
function required(values: Values<typeof options>): {
  out: string;
  config: string;
  tokenizer: string;
  corpus: readonly string[];
  steps: number;
} {
  const { out, config, tokenizer, corpus, steps } = values;
  const given = { out, config, tokenizer, corpus: corpus.length > 0 ? corpus : undefined, steps };
  const missing = Object.entries(given).find(([, value]) => value === undefined)?.[0];
  if (missing !== undefined) {
    throw new UsageError("option-missing", `jeton train lm needs --${missing}`, {
      option: missing,
    });
  }
  return given as ReturnType<typeof required>;
}

/** `prose.txt@3`: a file and its share. */
function readCorpus(written: string): { files: string[]; weight: number } {
  const share = /^(.+)@(\d+(?:\.\d+)?)$/.exec(written);
  return share === null
    ? { files: [written], weight: 1 }
    : { files: [share[1]!], weight: Number(share[2]) };
}

function chooseSchedule(values: Values<typeof options>, steps: number): Schedule {
  const { schedule: kind, learningRate: peak, finalLearningRate: final = peak / 10 } = values;
  const warmupSteps = values.warmup ?? Math.ceil(steps / 20);
  if (kind === "constant") return { kind, peak, warmupSteps };
  if (kind !== "warmup-stable-decay") return { kind, peak, final, steps, warmupSteps };
  const decaySteps = values.decay ?? Math.ceil(steps / 5);
  return { kind, peak, final, steps, warmupSteps, decaySteps };
}
