/** Options of `jeton train lm` and their translation into those of `trainLanguageModel`. */
import type {
  InitializationOptions,
  Schedule,
  TrainLanguageModelOptions,
  Transform,
} from "../../train/index.ts";
import { defined, UsageError, type Values } from "../command.ts";
import { withBundledPaths } from "./locate.ts";
import { refuseMisplaced } from "./misplaced.ts";
import { defaultTokenizer, presetConfig } from "./presets.ts";
import {
  pickRunSettings,
  readCorpus,
  readKnownRun,
  type runOptions,
  stepOptions,
} from "./run-options.ts";

export const trainingOptions = {
  out: {
    kind: "text",
    short: "o",
    value: "FOLDER",
    help: "folder of the run; the model is exported to its subfolder model/",
  },
  config: {
    kind: "text",
    value: "FILE",
    help: "config.json of the model with its family and sizes; default: that of --initial-weights, or --preset",
  },
  architecture: {
    kind: "text",
    value: "NAME",
    choices: [
      "llama",
      "openmoe",
      "landmark",
      "word-pooled",
      "hierarchical-transformer",
      "byte2word",
      "mrt5",
      "bert",
      "m2-bert",
    ],
    help: "kind of model whose sizes --preset and the like give; openmoe is a mixture of eight experts; landmark is a llama with landmark attention, which looks up blocks of texts longer than its window; word-pooled and hierarchical-transformer read bytes and need no tokenizer; byte2word is an encoder of masked words, whose pieces are the tokenizer's; mrt5 is an encoder-decoder over bytes that writes hidden spans and learns to delete; bert is an encoder of masked tokens, which jeton train encoder makes a model for search or classes of; m2-bert is one for long texts, with convolutions in the place of attention; default: llama",
  },
  preset: {
    kind: "text",
    value: "SIZE",
    choices: ["tiny", "small"],
    help: "sizes of a model instead of --config: 4 layers of size 128, or 6 of size 384",
  },
  layers: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "number of layers, instead of the preset's",
  },
  hiddenSize: {
    kind: "integer",
    value: "N",
    min: 2,
    help: "size of the hidden states, instead of the preset's",
  },
  heads: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "number of attention heads, instead of the preset's",
  },
  landmarkBlock: {
    kind: "integer",
    value: "TOKENS",
    min: 1,
    help: "tokens of a block of --architecture landmark (default: 15), or of a checkpoint that is to learn landmarks",
  },
  deleteShare: {
    kind: "number",
    value: "SHARE",
    min: 0,
    max: 1,
    help: "share of the positions that the gate of --architecture mrt5 learns to delete (default: 0.5)",
  },
  tokenizer: {
    kind: "text",
    value: "T",
    help: "checkpoint folder, tokenizer.json, a bundled model such as jeton-nano, or 'bytes' for the byte vocabulary, 'byt5' for the one with ByT5's ids; default: that of --initial-weights, 'bytes' for models of words, 'byt5' for mrt5",
  },
  corpus: {
    kind: "list",
    value: "NAME[@SHARE]",
    help: "text or JSON lines, also .gz: a file, a folder, a pattern such as 'prose/**/*.txt', or data:NAME of the data registry; SHARE is its weight among the training sequences (default 1)",
  },
  allowSpecial: {
    kind: "flag",
    help: "special tokens that the texts of --corpus spell, such as those of fill-in-the-middle, are these tokens; by default they are text",
  },
  heldOut: { kind: "list", value: "NAME", help: "held-out text for evaluation only" },
  steps: stepOptions.steps as typeof stepOptions.steps,
  batch: { kind: "integer", value: "N", min: 1, help: "sequences per step; default: 16" },
  accumulation: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "gradient accumulation: number of parts in which a batch is computed, to save memory; default: 1",
  },
  sequenceLength: {
    kind: "integer",
    value: "TOKENS",
    min: 2,
    help: "tokens per sequence; default: 256",
  },
  learningRate: {
    kind: "number",
    value: "RATE",
    min: 0,
    help: "peak learning rate; default: 0.001",
  },
  finalLearningRate: {
    kind: "number",
    value: "RATE",
    min: 0,
    help: "learning rate at the end; default: a tenth of the peak",
  },
  schedule: {
    kind: "text",
    value: "KIND",
    choices: ["cosine", "linear", "warmup-stable-decay", "constant"],
    help: "learning rate schedule; default: cosine",
  },
  warmup: {
    kind: "integer",
    value: "STEPS",
    help: "warmup steps; default: a twentieth of all steps",
  },
  decay: {
    kind: "integer",
    value: "STEPS",
    help: "final decay steps of warmup-stable-decay; default: a fifth of all steps",
  },
  optimizer: {
    kind: "text",
    value: "KIND",
    choices: ["adamw", "adafactor", "sgd"],
    help: "optimizer; sgd uses a momentum of 0.9; default: adamw",
  },
  weightDecay: {
    kind: "number",
    value: "SHARE",
    min: 0,
    help: "weight decay of matrices, scaled by the learning rate; default: 0.1",
  },
  clip: {
    kind: "number",
    value: "NORM",
    min: 0,
    help: "maximum global gradient norm; 0 turns clipping off; default: 1",
  },
  averageDecay: stepOptions.averageDecay as typeof stepOptions.averageDecay,
  freeze: {
    kind: "list",
    value: "PARAMETER",
    help: "parameters that are not trained; '*' matches any characters: 'model.layers.0.*'",
  },
  initialWeights: {
    kind: "text",
    value: "FOLDER",
    help: "start from the weights of this checkpoint folder, or of a bundled model such as jeton-nano",
  },
  initialize: {
    kind: "list",
    value: "PART=DEVIATION",
    help: "standard deviation of initial weights: of matrices (default 0.02), embedding, head, or outputs (the matrices that write to the residual stream); 'induction-heads' initializes heads that copy the token after an earlier occurrence of the current one",
  },
  evaluateEvery: stepOptions.evaluateEvery as typeof stepOptions.evaluateEvery,
  resume: {
    kind: "flag",
    help: "resume the run in the folder; its options need not be repeated",
  },
} as const;

/** The parsed options of `jeton train lm`. */
export type TrainValues = Values<typeof trainingOptions & typeof runOptions>;

/**
 * The options of `trainLanguageModel`. With `--resume` the run in the folder supplies those that the
 * command line leaves out; the library checks that the given ones are equal.
 *
 * @throws UsageError `option-missing`, `option-value-invalid`
 */
export async function readTrainingOptions(given: TrainValues): Promise<TrainLanguageModelOptions> {
  const values = withBundledPaths(given);
  const { out: folder, initialWeights } = values;
  checkSizes(values);
  checkDependent(values);
  if (values.architecture !== "landmark" && values.initialWeights === undefined) {
    const why = "needs --architecture landmark, or --initial-weights to teach a model landmarks";
    refuseMisplaced(values, ["landmarkBlock"], why);
  }
  const { readRunOptions } = await import("../../train/index.ts");
  const known =
    values.resume && folder !== undefined
      ? await readKnownRun(() => readRunOptions(folder), values.corpus.length > 0)
      : undefined;
  const { corpus, heldOut } = values;
  if (corpus.length === 0) refuseMisplaced(values, ["allowSpecial"], "needs --corpus");
  const special = values.allowSpecial ? ({ allowedSpecial: "all" } as const) : {};
  const tokenizer =
    values.tokenizer ?? known?.tokenizer ?? initialWeights ?? defaultTokenizer(values.architecture);
  const corpora =
    corpus.length > 0
      ? corpus.map((name) => ({ ...readCorpus(name), ...special }))
      : known?.corpora;
  const steps = values.steps ?? known?.steps;
  const config = (await readConfigFile(values)) ?? known?.config;
  if (
    folder === undefined ||
    tokenizer === undefined ||
    config === undefined ||
    corpora === undefined ||
    steps === undefined
  ) {
    throw missing({ folder, config, tokenizer, corpora, steps }, values);
  }
  if (config.model_type !== "mrt5") {
    refuseMisplaced(values, ["deleteShare"], "needs a model with a gate: --architecture mrt5");
  }
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
      accumulation: values.accumulation,
      sequenceLength: values.sequenceLength,
      initialWeights,
      deletion: values.deleteShare === undefined ? undefined : { target: values.deleteShare },
      initialization: readInitialization(values.initialize),
      dtype: values.dtype,
    }),
    ...pickRunSettings(values),
  };
}

/** How each required part is given on the command line. */
const required = {
  folder: "--out FOLDER",
  config: "--preset tiny (or --config FILE)",
  tokenizer: "--tokenizer T",
  corpora: "--corpus NAME",
  steps: "--steps N",
} as const;

/** The error that names all missing options at once. */
function missing(
  parts: { readonly [K in keyof typeof required]: unknown },
  values: TrainValues,
): UsageError {
  const absent = Object.entries(required)
    .filter(([part]) => parts[part as keyof typeof required] === undefined)
    .map(([, option]) => option);
  const where = values.resume && values.out !== undefined ? `, as ${values.out} holds no run` : "";
  const last = absent.at(-1)!;
  const list = absent.length === 1 ? last : `${absent.slice(0, -1).join(", ")} and ${last}`;
  const options = absent.map((option) => option.split(" ")[0]!);
  return new UsageError("option-missing", `jeton train lm needs ${list}${where}`, {
    option: options[0],
    options,
  });
}

/** Options that only others give a meaning. A run that is resumed may hold those. */
function checkDependent(values: TrainValues): void {
  const { schedule = "cosine", resume } = values;
  if (values.schedule !== undefined || !resume) {
    const what = `for --schedule ${schedule}`;
    if (schedule !== "warmup-stable-decay") {
      refuseMisplaced(values, ["decay"], `means nothing ${what}`);
    }
    if (schedule === "constant") {
      refuseMisplaced(values, ["finalLearningRate"], `means nothing ${what}`);
    }
  }
  if (values.heldOut.length === 0 && !resume) {
    refuseMisplaced(values, ["evaluateEvery"], "needs --held-out, a text to evaluate on");
  }
}

/** Sizes that a configuration or a checkpoint already sets cannot be given. */
function checkSizes(values: TrainValues): void {
  if (values.architecture === "m2-bert") {
    refuseMisplaced(values, ["heads"], "means nothing for --architecture m2-bert, which has none");
  }
  const source =
    values.config !== undefined
      ? "--config"
      : values.initialWeights !== undefined
        ? "--initial-weights"
        : undefined;
  if (source === undefined) return;
  const sizes = ["architecture", "preset", "layers", "hiddenSize", "heads"] as const;
  refuseMisplaced(values, sizes, `means nothing beside ${source}`);
}

async function readConfigFile(
  values: TrainValues,
): Promise<TrainLanguageModelOptions["config"] | undefined> {
  const { checkpointFolder, readConfig, readJsonObject } = await import(
    "../../checkpoint/index.ts"
  );
  if (values.config !== undefined) return (await readJsonObject(values.config)) as never;
  if (values.initialWeights !== undefined) {
    const { landmarkBlock } = values;
    const config = await readConfig(await checkpointFolder(values.initialWeights));
    return landmarkBlock === undefined ? config : { ...config, mem_freq: landmarkBlock };
  }
  return presetConfig(values, values.sequenceLength);
}

const initialParts = {
  matrices: "deviation",
  embedding: "embeddingDeviation",
  head: "headDeviation",
  outputs: "outputDeviation",
} as const satisfies Record<string, Exclude<keyof InitializationOptions, "inductionHeads">>;

/** Parses `embedding=1`: a part of the model and the standard deviation of its initial weights. */
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

/** The optimizer; undefined if a resumed run supplies it. */
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
