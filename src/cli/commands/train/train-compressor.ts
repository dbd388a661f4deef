/** `jeton train compressor`: trains a compressor of long texts under a frozen decoder, in a resumable run. */
import type { TrainCompressorOptions } from "../../../context/index.ts";
import { type Command, defineCommand, defined, UsageError, type Values } from "../../command.ts";
import type { CommandContext } from "../../context.ts";
import { chooseModel, locateModel } from "../../options/locate.ts";
import {
  linearSchedule,
  missingOptions,
  pickRunSettings,
  readCorpus,
  readKnownRun,
  runOptions,
  stepOptions,
} from "../../options/run-options.ts";
import { runTraining } from "./run-training.ts";

const { dtype: _, ...resumable } = runOptions;

const options = {
  out: {
    kind: "text",
    short: "o",
    value: "FOLDER",
    help: "folder of the run; the compressor is written to compressor.safetensors in it",
  },
  model: {
    kind: "text",
    short: "m",
    value: "M",
    help: "the decoder that stays as it is: checkpoint folder, or owner/name on the hub; default: the bundled model jeton-nano",
  },
  corpus: {
    kind: "list",
    short: "c",
    value: "NAME",
    help: "long texts, as jeton train lm reads them; NAME@SHARE weights one",
  },
  heldOut: { kind: "list", value: "NAME", help: "text for evaluation only" },
  initialCompressor: {
    kind: "text",
    value: "FILE",
    help: "begin with this compressor of the same form; default: the decoder's first layers",
  },
  layers: {
    kind: "integer",
    value: "N",
    min: 0,
    help: "first layers of the decoder that it is made of; default: a quarter of them",
  },
  window: {
    kind: "integer",
    value: "TOKENS",
    min: 1,
    help: "tokens that are compressed together; default: a quarter of the model's context",
  },
  windows: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "windows of a sample; default: 4",
  },
  chunk: {
    kind: "integer",
    value: "TOKENS",
    min: 1,
    help: "tokens that are predicted behind the embeddings; default: an eighth of the model's context",
  },
  factors: {
    kind: "text",
    value: "K,…",
    help: "tokens for each embedding: every sample draws one of them; default: 2,4,8,16,32",
  },
  norm: {
    kind: "text",
    value: "WHICH",
    choices: ["none", "final"],
    help: "norm behind the layers; default: final",
  },
  noProjection: { kind: "flag", help: "no matrix behind the layers" },
  steps: stepOptions.steps,
  batch: { kind: "integer", value: "N", min: 1, help: "samples per step; default: 8" },
  learningRate: stepOptions.learningRate,
  averageDecay: {
    ...stepOptions.averageDecay,
    help: "write an exponential moving average with this decay, below 1",
  },
  ...resumable,
  evaluateEvery: stepOptions.evaluateEvery,
  resume: stepOptions.resume,
} as const;

type CompressorValues = Values<typeof options>;

export const command: Command = defineCommand({
  name: "train compressor",
  summary: "train a compressor of long texts for a model",
  description:
    "Trains a compressor whose embeddings stand for 2 to 32 tokens each (extensible tokenization). The model itself " +
    "does not change. jeton context pack compresses texts with it, and jeton run --packed-context answers from " +
    "them. An interrupted run goes on with --resume and ends with the same weights, bit for bit.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton train compressor --corpus book.txt --steps 500 --out runs/compressor",
      shows:
        "a compressor for the bundled model; use it with jeton context pack --compressor runs/compressor/compressor.safetensors",
    },
    {
      line: "jeton train compressor --resume --out runs/compressor",
      shows: "resumes the run after an interruption",
    },
  ],
  async run(context, values) {
    const { trainCompressor } = await import("../../../context/index.ts");
    const settings = await readOptions(context, values);
    const { folder } = settings;
    await runTraining(
      context,
      { kind: "compressor", folder, json: values.json },
      (reports) => trainCompressor({ ...settings, ...reports }),
      ({ file }) => file,
    );
  },
});

async function readOptions(
  context: CommandContext,
  values: CompressorValues,
): Promise<TrainCompressorOptions> {
  const { out: folder, resume } = values;
  if (folder === undefined) throw missingOptions("train compressor", ["--out"]);
  const { readCompressorRunOptions } = await import("../../../context/index.ts");
  const known = resume
    ? await readKnownRun(() => readCompressorRunOptions(folder), values.corpus.length > 0)
    : undefined;
  const steps = values.steps ?? known?.steps;
  const corpora = values.corpus.length > 0 ? values.corpus.map(readCorpus) : known?.corpora;
  const absent = [
    ...(steps === undefined ? ["--steps"] : []),
    ...(corpora === undefined ? ["--corpus"] : []),
  ];
  if (steps === undefined || corpora === undefined)
    throw missingOptions("train compressor", absent);
  const isKnown = known !== undefined && values.model === undefined;
  const model = isKnown ? known.model : await locateModel(context, chooseModel(values.model));
  return {
    ...known,
    ...{ folder, steps, corpora, model },
    existing: resume ? "resume" : "refuse",
    ...(values.heldOut.length > 0 && { heldOut: { files: values.heldOut } }),
    ...(values.factors !== undefined && { factors: readFactors(values.factors) }),
    ...(values.noProjection && { projection: false }),
    ...linearSchedule(values.learningRate, steps),
    ...defined({
      initialCompressor: values.initialCompressor,
      layers: values.layers,
      window: values.window,
      windows: values.windows,
      chunk: values.chunk,
      norm: values.norm,
    }),
    ...pickRunSettings(values),
  };
}

/** Parses `2,4,8`. */
function readFactors(written: string): number[] {
  const factors = written.split(",").map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : 0));
  if (factors.every((factor) => factor >= 1)) return factors.sort((a, b) => a - b);
  throw new UsageError(
    "option-value-invalid",
    `--factors must be whole numbers from 1 with commas between them, not ${JSON.stringify(written)}`,
    { option: "--factors", found: written, expected: "2,4,8" },
  );
}
