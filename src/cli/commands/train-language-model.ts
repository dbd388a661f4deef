/** `jeton train lm`: a decoder from a configuration and corpora, in a run that survives a kill. */
import { formatCount, formatDuration } from "../../core/progress.ts";
import type {
  Corpus,
  InitializationOptions,
  Schedule,
  TrainedLanguageModel,
  TrainLanguageModelOptions,
  Transform,
} from "../../train/index.ts";
import { type Command, defineCommand, defined, UsageError, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { createStatusLine } from "../options/locate.ts";

const options = {
  out: {
    kind: "text",
    short: "o",
    value: "FOLDER",
    help: "folder of the run; the model is exported to its folder model/",
  },
  config: {
    kind: "text",
    value: "FILE",
    help: "config.json of the model: its family and sizes; default: that of --initial-weights",
  },
  tokenizer: {
    kind: "text",
    value: "T",
    help: "checkpoint folder, or tokenizer.json; default: that of --initial-weights",
  },
  corpus: {
    kind: "list",
    value: "NAME[@SHARE]",
    help:
      "text or JSON lines, also .gz: a file, a folder, a pattern such as 'prose/**/*.txt', or " +
      "data:NAME of the data registry; with its share of the training sequences (default 1)",
  },
  heldOut: { kind: "list", value: "NAME", help: "text that is only measured" },
  steps: { kind: "integer", value: "N", min: 1, help: "updates to make" },
  batch: { kind: "integer", value: "N", min: 1, help: "sequences of an update; default: 16" },
  accumulation: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "parts in which the sequences of an update are computed, to save memory; default: 1",
  },
  sequenceLength: {
    kind: "integer",
    value: "TOKENS",
    min: 2,
    help: "tokens of a sequence; default: 256",
  },
  learningRate: {
    kind: "number",
    value: "RATE",
    min: 0,
    help: "highest rate; default: 0.001",
  },
  finalLearningRate: {
    kind: "number",
    value: "RATE",
    min: 0,
    help: "rate at the end; default: a tenth of the highest",
  },
  schedule: {
    kind: "text",
    value: "KIND",
    choices: ["cosine", "linear", "warmup-stable-decay", "constant"],
    help: "how the rate falls; default: cosine",
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
  optimizer: {
    kind: "text",
    value: "KIND",
    choices: ["adamw", "adafactor", "sgd"],
    help: "how weights follow their gradients; sgd has a momentum of 0.9; default: adamw",
  },
  weightDecay: {
    kind: "number",
    value: "SHARE",
    min: 0,
    help: "share of every matrix that a step takes away, times the rate; default: 0.1",
  },
  clip: {
    kind: "number",
    value: "NORM",
    min: 0,
    help: "largest norm of all gradients together; 0 turns clipping off; default: 1",
  },
  averageDecay: {
    kind: "number",
    value: "SHARE",
    min: 0,
    max: 1,
    help: "export an exponential moving average with this decay, below 1",
  },
  freeze: {
    kind: "list",
    value: "PARAMETER",
    help: "parameters that stay as they are, '*' for any characters: 'model.layers.0.*'",
  },
  initialWeights: {
    kind: "text",
    value: "FOLDER",
    help: "start from the weights of this checkpoint folder",
  },
  initialize: {
    kind: "list",
    value: "PART=DEVIATION",
    help:
      "how far random first weights spread: of matrices (default 0.02), embedding, head or outputs, " +
      "the matrices that write into the residual stream; 'induction-heads' plants heads that copy what " +
      "followed an earlier occurrence of the present token",
  },
  dtype: {
    kind: "text",
    value: "TYPE",
    choices: ["F32", "F16", "BF16"],
    help: "how the exported weights are stored; default: F16",
  },
  name: { kind: "text", value: "NAME", help: "title of the model card; default: the folder's" },
  seed: {
    kind: "integer",
    value: "N",
    help: "of the weights and the order of the data; default: 0",
  },
  threads: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "a run repeats bit for bit with the same number; default: the cores, at most 8",
  },
  checkpointEvery: {
    kind: "integer",
    value: "STEPS",
    min: 1,
    help: "steps between checkpoints; default: 100",
  },
  evaluateEvery: {
    kind: "integer",
    value: "STEPS",
    min: 1,
    help: "steps between measurements of the held-out text; default: 100",
  },
  resume: {
    kind: "flag",
    help: "go on with the run in the folder; what it was begun with need not be said again",
  },
} as const;

type TrainValues = Values<typeof options>;

export const command: Command = defineCommand({
  name: "train lm",
  summary: "train a language model on your own text",
  description:
    "Trains a decoder and exports it as an ordinary checkpoint folder. A run that was broken off, " +
    "even by a kill, goes on with --resume and ends with the same weights, bit for bit. Ctrl-C ends " +
    "the step under way, saves, and says how to go on. The folder also holds a line of log for every " +
    "step (log.jsonl) and the loss curve (loss.svg). With --json every step is a line of JSON on " +
    "standard error, and the result one document on standard output.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton train lm --config config.json --tokenizer my-tokenizer --corpus 'prose/*.txt' --steps 2000 --out runs/prose",
      shows: "a model of your own; jeton run --model runs/prose/model lets it speak",
    },
    {
      line: "jeton train lm --resume --out runs/prose",
      shows: "the same run after an interruption",
    },
    {
      line: "jeton train lm --initial-weights path/to/checkpoint --corpus notes.txt --steps 200 --learning-rate 1e-4 --out runs/notes",
      shows: "a checkpoint that goes on learning from your notes",
    },
  ],
  async run(context, values) {
    const { stdout, stderr } = context;
    const { formatTrainingProgress, trainLanguageModel } = await import("../../train/index.ts");
    const settings = await chooseOptions(values);
    const line = createStatusLine(context);
    const began = performance.now();
    let savedStep: number | undefined;
    const sayStopping = (): void => {
      line.clear();
      if (!values.json)
        void stderr.write("ending the step under way, then saving (Ctrl-C again gives that up)\n");
    };
    context.signal.addEventListener("abort", sayStopping, { once: true });
    let result: TrainedLanguageModel;
    try {
      result = await trainLanguageModel({
        ...settings,
        signal: context.signal,
        onCheckpoint: ({ step }) => {
          savedStep = step;
        },
        onProgress: (progress) => {
          if (context.signal.aborted) return;
          if (!values.json) line.show(formatTrainingProgress(progress));
          // Tokenizing reports every part of a text, which is of no use to a program.
          else if (progress.stage !== "tokenize") {
            void stderr.write(`${JSON.stringify(progress)}\n`);
          }
        },
      });
    } catch (error) {
      line.clear();
      if (context.signal.aborted) await sayHowToGoOn(context, values, settings.folder, savedStep);
      throw error;
    } finally {
      context.signal.removeEventListener("abort", sayStopping);
      line.clear();
    }
    if (values.json) {
      await stdout.write(`${JSON.stringify(result)}\n`);
      return;
    }
    await stdout.write(`${result.modelFolder}\n`);
    await stderr.write(`${summarize(result, (performance.now() - began) / 1000)}\n`);
  },
});

function summarize(result: TrainedLanguageModel, seconds: number): string {
  const { steps, tokens, loss, heldOutLoss, heldOutBitsPerByte, parameters } = result;
  const parts = [
    `${formatCount(parameters)} parameters`,
    `${steps} steps, ${formatCount(tokens)} tokens`,
    `loss ${loss.toFixed(3)}`,
  ];
  if (heldOutLoss !== undefined) {
    parts.push(
      `held out ${heldOutLoss.toFixed(3)}, ${heldOutBitsPerByte!.toFixed(3)} bits per byte`,
    );
  }
  return [...parts, formatDuration(seconds)].join(" · ");
}

/** After an interruption: what is safe, and the command that goes on. */
async function sayHowToGoOn(
  { stderr }: CommandContext,
  values: TrainValues,
  folder: string,
  step: number | undefined,
): Promise<void> {
  const command = ["jeton", "train", "lm", "--resume", "--out", folder];
  if (values.json) {
    await stderr.write(`${JSON.stringify({ stage: "interrupted", step: step ?? 0, command })}\n`);
    return;
  }
  const quoted = command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`));
  const saved = step === undefined ? "no step was done yet" : `saved at step ${step}`;
  await stderr.write(`${saved}; go on with: ${quoted.join(" ")}\n`);
}

/**
 * What the library is asked for. A run that is gone on with gives what is not said on the command
 * line; what is said there must be the same, which the library checks.
 */
async function chooseOptions(values: TrainValues): Promise<TrainLanguageModelOptions> {
  const { out: folder, initialWeights } = values;
  if (folder === undefined) throw missing("out FOLDER", values);
  const known = values.resume ? await readKnown(folder, values) : undefined;
  const { corpus, heldOut } = values;
  const tokenizer = values.tokenizer ?? known?.tokenizer ?? initialWeights;
  const corpora = corpus.length > 0 ? corpus.map(readCorpus) : known?.corpora;
  const steps = values.steps ?? known?.steps;
  const config = (await readConfigFile(values)) ?? known?.config;
  if (tokenizer === undefined) throw missing("tokenizer T", values);
  if (config === undefined) throw missing("config FILE", values);
  if (corpora === undefined) throw missing("corpus NAME", values);
  if (steps === undefined) throw missing("steps N", values);
  const optimizer = await chooseOptimizer(values, known !== undefined);
  return {
    ...known,
    folder,
    config,
    tokenizer,
    corpora,
    steps,
    schedule: chooseSchedule(values, steps, known?.schedule),
    existing: values.resume ? "resume" : "refuse",
    ...(heldOut.length > 0 && { heldOut: { files: heldOut } }),
    ...(values.freeze.length > 0 && { frozen: values.freeze }),
    ...defined({
      optimizer,
      batch: values.batch,
      accumulation: values.accumulation,
      sequenceLength: values.sequenceLength,
      averageDecay: values.averageDecay,
      initialWeights,
      initialization: readInitialization(values.initialize),
      dtype: values.dtype,
      name: values.name,
      seed: values.seed,
      threads: values.threads,
      checkpointEvery: values.checkpointEvery,
      evaluateEvery: values.evaluateEvery,
    }),
  };
}

function missing(option: string, values: TrainValues): UsageError {
  const name = `--${option.split(" ")[0]}`;
  const where = values.resume && values.out !== undefined ? `, as ${values.out} holds no run` : "";
  return new UsageError("option-missing", `jeton train lm needs --${option}${where}`, {
    option: name,
  });
}

/** The options of the run in the folder; undefined where none is: `--resume` may begin one. */
async function readKnown(
  folder: string,
  values: TrainValues,
): Promise<TrainLanguageModelOptions | undefined> {
  const { readRunOptions } = await import("../../train/index.ts");
  try {
    return await readRunOptions(folder);
  } catch (error) {
    const isAbsent = (error as { code?: string }).code === "train-run-missing";
    // Who gives nothing but the folder means a run that is there.
    if (isAbsent && values.corpus.length > 0) return undefined;
    throw error;
  }
}

async function readConfigFile(
  values: TrainValues,
): Promise<TrainLanguageModelOptions["config"] | undefined> {
  const { readConfig, readJsonObject } = await import("../../checkpoint/index.ts");
  if (values.config !== undefined) return (await readJsonObject(values.config)) as never;
  if (values.initialWeights === undefined) return undefined;
  return readConfig(values.initialWeights);
}

const initialParts = {
  matrices: "deviation",
  embedding: "embeddingDeviation",
  head: "headDeviation",
  outputs: "outputDeviation",
} as const satisfies Record<string, Exclude<keyof InitializationOptions, "inductionHeads">>;

/** `embedding=1`: parts of the model and how far their first weights spread. */
function readInitialization(written: readonly string[]): InitializationOptions | undefined {
  if (written.length === 0) return undefined;
  const options: InitializationOptions = {};
  for (const text of written) {
    if (text === "induction-heads") {
      options.inductionHeads = true;
      continue;
    }
    const [, part, deviation] = /^(\w+)=(\d*\.?\d+(?:e-?\d+)?)$/.exec(text) ?? [];
    const key = initialParts[part as keyof typeof initialParts];
    if (key === undefined || deviation === undefined) {
      const deviations = Object.keys(initialParts).map((name) => `${name}=DEVIATION`);
      const expected = [...deviations, "induction-heads"];
      throw new UsageError(
        "option-value-invalid",
        `--initialize must be one of ${expected.join(", ")}, not ${JSON.stringify(text)}`,
        { option: "--initialize", found: text, expected },
      );
    }
    options[key] = Number(deviation);
  }
  return options;
}

/** `prose.txt@3`: a name and its share. */
function readCorpus(written: string): Corpus {
  const share = /^(.+)@(\d+(?:\.\d+)?)$/.exec(written);
  return share === null
    ? { files: [written], weight: 1 }
    : { files: [share[1]!], weight: Number(share[2]) };
}

/** Undefined where a run that is gone on with knows it. */
async function chooseOptimizer(
  values: TrainValues,
  isKnown: boolean,
): Promise<readonly Transform[] | undefined> {
  const { optimizer, weightDecay, clip } = values;
  const isSaid = [optimizer, weightDecay, clip].some((value) => value !== undefined);
  if (isKnown && !isSaid) return undefined;
  const { optimizer: kind = "adamw", weightDecay: decay = 0.1, clip: norm = 1 } = values;
  const { adafactor, adamW, addWeightDecay, clipByGlobalNorm, sgd } = await import(
    "../../train/index.ts"
  );
  const chains = {
    adamw: () => adamW({ beta2: 0.95, weightDecay: decay }),
    adafactor: () => adafactor({ weightDecay: decay }),
    sgd: () => [...sgd(), addWeightDecay(decay)],
  } as const;
  return [...(norm === 0 ? [] : [clipByGlobalNorm(norm)]), ...chains[kind]()];
}

function chooseSchedule(values: TrainValues, steps: number, known: Schedule | undefined): Schedule {
  const { schedule, learningRate, finalLearningRate, warmup, decay } = values;
  const said = [schedule, learningRate, finalLearningRate, warmup, decay];
  if (known !== undefined && said.every((value) => value === undefined)) return known;
  const { schedule: kind = "cosine", learningRate: peak = 1e-3 } = values;
  const final = finalLearningRate ?? peak / 10;
  const warmupSteps = warmup ?? Math.ceil(steps / 20);
  if (kind === "constant") return { kind, peak, warmupSteps };
  if (kind !== "warmup-stable-decay") return { kind, peak, final, steps, warmupSteps };
  const decaySteps = decay ?? Math.ceil(steps / 5);
  return { kind, peak, final, steps, warmupSteps, decaySteps };
}
