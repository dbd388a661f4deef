/** `jeton train compressor`: trains a compressor of long texts under a frozen decoder, in a resumable run. */
import type { TrainCompressorOptions } from "../../../context/index.ts";
import { formatCount, formatDuration } from "../../../core/progress.ts";
import { type Command, defineCommand, defined, UsageError, type Values } from "../../command.ts";
import type { CommandContext } from "../../context.ts";
import type { TrainCompressorDocument, TrainCompressorProgress } from "../../json-context.ts";
import { writeJson } from "../../json-output.ts";
import { reportInterruption } from "../../options/interrupted-training.ts";
import { chooseModel, createStatusLine, locateModel } from "../../options/locate.ts";
import { readCorpus, runOptions } from "../../options/training-options.ts";

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
  steps: { kind: "integer", value: "N", min: 1, help: "number of optimizer steps" },
  batch: { kind: "integer", value: "N", min: 1, help: "samples per step; default: 8" },
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
    help: "write an exponential moving average with this decay, below 1",
  },
  ...resumable,
  evaluateEvery: {
    kind: "integer",
    value: "STEPS",
    min: 1,
    help: "steps between evaluations of the held-out text; default: 100",
  },
  resume: { kind: "flag", help: "go on with the run in --out; begins it if there is none" },
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
    const { stdout, stderr } = context;
    const { trainCompressor } = await import("../../../context/index.ts");
    const { formatTrainingProgress } = await import("../../../train/index.ts");
    const settings = await readOptions(context, values);
    const line = createStatusLine(context);
    const began = performance.now();
    let savedStep: number | undefined;
    try {
      const result = await trainCompressor({
        ...settings,
        signal: context.signal,
        onCheckpoint: ({ step }) => {
          savedStep = step;
        },
        onProgress: (progress) => {
          if (context.signal.aborted) return;
          if (values.json) void writeJson<TrainCompressorProgress>(stderr, progress);
          else line.show(formatTrainingProgress(progress));
        },
      });
      line.clear();
      if (values.json) {
        await writeJson<TrainCompressorDocument>(stdout, result);
        return;
      }
      await stdout.write(`${result.file}\n`);
      const held =
        result.heldOutLoss === undefined ? "" : ` · held out ${result.heldOutLoss.toFixed(3)}`;
      await stderr.write(
        `${formatCount(result.parameters)} parameters · ${result.steps} steps · loss ${result.loss.toFixed(3)}${held} · ${formatDuration((performance.now() - began) / 1000)}\n`,
      );
    } catch (error) {
      line.clear();
      if (context.signal.aborted)
        await reportInterruption(context, "compressor", values.json, settings.folder, savedStep);
      throw error;
    } finally {
      line.clear();
    }
  },
});

async function readOptions(
  context: CommandContext,
  values: CompressorValues,
): Promise<TrainCompressorOptions> {
  const { out: folder, resume } = values;
  if (folder === undefined) throw missing(["--out"]);
  const known = resume ? await readKnown(folder, values) : undefined;
  const steps = values.steps ?? known?.steps;
  const corpora = values.corpus.length > 0 ? values.corpus.map(readCorpus) : known?.corpora;
  const absent = [
    ...(steps === undefined ? ["--steps"] : []),
    ...(corpora === undefined ? ["--corpus"] : []),
  ];
  if (steps === undefined || corpora === undefined) throw missing(absent);
  const isKnown = known !== undefined && values.model === undefined;
  const model = isKnown ? known.model : await locateModel(context, chooseModel(values.model));
  const warmupSteps = Math.ceil(steps / 20);
  const { learningRate: peak } = values;
  return {
    ...known,
    ...{ folder, steps, corpora, model },
    existing: resume ? "resume" : "refuse",
    ...(values.heldOut.length > 0 && { heldOut: { files: values.heldOut } }),
    ...(values.factors !== undefined && { factors: readFactors(values.factors) }),
    ...(values.noProjection && { projection: false }),
    ...(peak !== undefined && { schedule: { kind: "linear", peak, final: 0, steps, warmupSteps } }),
    ...defined({
      initialCompressor: values.initialCompressor,
      layers: values.layers,
      window: values.window,
      windows: values.windows,
      chunk: values.chunk,
      norm: values.norm,
      batch: values.batch,
      averageDecay: values.averageDecay,
      name: values.name,
      seed: values.seed,
      threads: values.threads,
      checkpointEvery: values.checkpointEvery,
      evaluateEvery: values.evaluateEvery,
    }),
  };
}

/** The options of the run in the folder; undefined if there is none, as `--resume` may start one. */
async function readKnown(
  folder: string,
  values: CompressorValues,
): Promise<TrainCompressorOptions | undefined> {
  const { readCompressorRunOptions } = await import("../../../context/index.ts");
  try {
    return await readCompressorRunOptions(folder);
  } catch (error) {
    const isAbsent = (error as { code?: string }).code === "train-run-missing";
    if (isAbsent && values.corpus.length > 0) return undefined;
    throw error;
  }
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

function missing(absent: readonly string[]): UsageError {
  return new UsageError("option-missing", `jeton train compressor needs ${absent.join(" and ")}`, {
    option: absent[0],
    options: absent,
  });
}
