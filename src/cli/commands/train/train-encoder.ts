/** `jeton train encoder`: trains an encoder from examples, in a resumable run. */
import type { EncoderObjective, TrainEncoderOptions } from "../../../train/index.ts";
import {
  type Command,
  defineCommand,
  defined,
  toOptionName,
  UsageError,
  type Values,
} from "../../command.ts";
import { withBundledPaths } from "../../options/locate.ts";
import {
  linearSchedule,
  missingOptions,
  pickRunSettings,
  readKnownRun,
  runOptions,
  stepOptions,
} from "../../options/run-options.ts";
import { runTraining } from "./run-training.ts";

const options = {
  out: {
    kind: "text",
    short: "o",
    value: "FOLDER",
    help: "folder of the run; the model is exported to its subfolder model/",
  },
  examples: {
    kind: "list",
    short: "e",
    value: "FILE",
    help: "JSON lines, also .gz: {query, document, negatives?}; with distillation {query, documents, scores}; with dupmae {text}; with classes {text, pair?, label}; with token-classes {text, spans: [[start, end, label]]}",
  },
  heldOut: { kind: "list", value: "FILE", help: "examples for evaluation only" },
  objective: {
    kind: "text",
    value: "NAME",
    choices: [
      "contrastive",
      "orthogonal-projection",
      "token-contrastive",
      "dupmae",
      "hybrid-contrastive",
      "distillation",
      "classes",
      "token-classes",
    ],
    help: "contrastive (default): a vector for each text; orthogonal-projection: the same from pairs alone, for long texts whose batches are small (LoCo); token-contrastive: one for each token (XTR, ColBERT); dupmae: pre-training on plain texts, so that a vector carries a text and the other states its words; hybrid-contrastive: both of them by pairs; distillation: from a teacher's scores; classes of texts or of tokens",
  },
  initialWeights: {
    kind: "text",
    short: "m",
    value: "FOLDER",
    help: "begin with this encoder: a folder, as jeton train lm --architecture bert makes one, or the bundled jeton-embed",
  },
  config: {
    kind: "text",
    value: "FILE",
    help: "config.json of an encoder that begins with random weights",
  },
  tokenizer: {
    kind: "text",
    value: "T",
    help: "checkpoint folder or tokenizer.json; default: that of --initial-weights",
  },
  label: { kind: "list", value: "NAME", help: "a class; all of them, in the order of their ids" },
  problem: {
    kind: "text",
    value: "KIND",
    choices: ["single-label", "multi-label", "regression"],
    help: "how classes relate; default: single-label, regression for one label",
  },
  scoring: {
    kind: "text",
    value: "NAME",
    choices: ["xtr", "max-sim"],
    help: "with token-contrastive: xtr (default) counts only tokens retrieved from the batch; max-sim is ColBERT's",
  },
  candidates: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "with xtr: tokens of the batch that each token of a query retrieves; default: 128",
  },
  width: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "length of the vectors: with token-contrastive 128, with hybrid-contrastive half of the hidden size",
  },
  terms: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "with hybrid-contrastive: words that a document keeps; default: 384",
  },
  decodingWeight: {
    kind: "number",
    value: "FACTOR",
    min: 0,
    help: "with dupmae: of rebuilding a text from its vector; default: 1",
  },
  lexicalWeight: {
    kind: "number",
    value: "FACTOR",
    min: 0,
    help: "with dupmae: of telling a text's words; default: 1",
  },
  masking: {
    kind: "number",
    value: "SHARE",
    min: 0,
    max: 1,
    help: "with dupmae: share of the tokens that the encoder does not see; default: 0.3",
  },
  hiding: {
    kind: "number",
    value: "SHARE",
    min: 0,
    max: 1,
    help: "with dupmae: share that each row of the decoder does not see; default: 0.5",
  },
  negatives: {
    kind: "integer",
    value: "N",
    help: "hard negatives of each example; default: 1; with orthogonal-projection its own and others drawn from the file, default: 32",
  },
  temperature: {
    kind: "number",
    value: "T",
    min: 0,
    exclusiveMin: true,
    help: "scores are divided by it; default: 0.05, with hybrid-contrastive 1",
  },
  chunk: {
    kind: "integer",
    value: "TEXTS",
    min: 1,
    help: "with contrastive: texts of one pass (gradient caching), for batches beyond the memory; default: all",
  },
  pooling: {
    kind: "text",
    value: "MODE",
    choices: ["mean", "cls", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"],
    help: "how tokens become the vector of a text; default: mean",
  },
  steps: stepOptions.steps,
  batch: { kind: "integer", value: "N", min: 1, help: "examples per step; default: 32" },
  queryLength: {
    kind: "integer",
    value: "TOKENS",
    min: 3,
    help: "tokens of a query at most; default: 32",
  },
  documentLength: {
    kind: "integer",
    value: "TOKENS",
    min: 3,
    help: "tokens of a document or text at most; default: 128",
  },
  learningRate: stepOptions.learningRate,
  averageDecay: stepOptions.averageDecay,
  freeze: {
    kind: "list",
    value: "PARAMETER",
    help: "parameters that are not trained; '*' matches any characters",
  },
  ...runOptions,
  evaluateEvery: { ...stepOptions.evaluateEvery, help: "steps between evaluations; default: 100" },
  resume: stepOptions.resume,
} as const;

type EncoderValues = Values<typeof options>;

export const command: Command = defineCommand({
  name: "train encoder",
  summary: "train an encoder for search or classes from examples",
  description:
    "Trains an encoder from lines of JSON and exports it as a checkpoint folder that jeton embed, index, search and " +
    "classify read, and other tools too: vectors of texts in the layout of sentence-transformers, of tokens in PyLate's. " +
    "An interrupted run goes on with --resume and ends with the same weights, bit for bit.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton train encoder --initial-weights path/to/encoder --examples pairs.jsonl --steps 500 --out runs/search",
      shows:
        "an encoder that finds the documents of its queries; use it with jeton index --model runs/search/model",
    },
    {
      line: "jeton train encoder --objective classes --label bad --label good --initial-weights path/to/encoder --examples reviews.jsonl --steps 200 --out runs/mood",
      shows: "a classifier; try it with jeton classify --model runs/mood/model",
    },
    {
      line: "jeton train encoder --resume --out runs/search",
      shows: "resumes the run after an interruption",
    },
  ],
  async run(context, values) {
    const { trainEncoder } = await import("../../../train/index.ts");
    const settings = await readOptions(values);
    const { folder } = settings;
    await runTraining(
      context,
      { kind: "encoder", folder, json: values.json },
      (reports) => trainEncoder({ ...settings, ...reports }),
      ({ modelFolder }) => modelFolder,
    );
  },
});

async function readOptions(given: EncoderValues): Promise<TrainEncoderOptions> {
  const values = withBundledPaths(given);
  const { out: folder, resume } = values;
  if (folder === undefined) throw missingOptions("train encoder", ["--out"]);
  const { readEncoderRunOptions } = await import("../../../train/index.ts");
  const known = resume
    ? await readKnownRun(() => readEncoderRunOptions(folder), values.examples.length > 0)
    : undefined;
  const steps = values.steps ?? known?.steps;
  const examples = values.examples.length > 0 ? values.examples : known?.examples;
  const isGiven = values.initialWeights ?? values.config ?? known?.initialWeights ?? known?.config;
  const absent = [
    ...(steps === undefined ? ["--steps"] : []),
    ...(examples === undefined ? ["--examples"] : []),
    ...(isGiven === undefined ? ["--initial-weights"] : []),
  ];
  if (steps === undefined || examples === undefined || absent.length > 0)
    throw missingOptions("train encoder", absent);
  const { readJsonObject } = await import("../../../checkpoint/index.ts");
  return {
    ...known,
    folder,
    steps,
    examples,
    objective: readObjective(values, known?.objective),
    existing: resume ? "resume" : "refuse",
    ...(values.heldOut.length > 0 && { heldOut: values.heldOut }),
    ...(values.freeze.length > 0 && { frozen: values.freeze }),
    ...(values.config !== undefined && { config: (await readJsonObject(values.config)) as never }),
    ...linearSchedule(values.learningRate, steps),
    ...defined({
      initialWeights: values.initialWeights,
      tokenizer: values.tokenizer,
      pooling: values.pooling,
      queryLength: values.queryLength,
      documentLength: values.documentLength,
      dtype: values.dtype,
    }),
    ...pickRunSettings(values),
  };
}

/** Options that some objectives read. */
const readBy = {
  scoring: ["token-contrastive"],
  candidates: ["token-contrastive"],
  width: ["token-contrastive", "hybrid-contrastive"],
  terms: ["hybrid-contrastive"],
  decodingWeight: ["dupmae"],
  lexicalWeight: ["dupmae"],
  masking: ["dupmae"],
  hiding: ["dupmae"],
  negatives: ["contrastive", "orthogonal-projection", "token-contrastive", "hybrid-contrastive"],
  temperature: ["contrastive", "token-contrastive", "hybrid-contrastive", "distillation"],
  chunk: ["contrastive"],
  label: ["classes", "token-classes"],
  problem: ["classes"],
  pooling: ["contrastive", "orthogonal-projection", "distillation"],
} as const satisfies Partial<Record<keyof EncoderValues, readonly string[]>>;

/** The objective that the options say; that of the known run where they say none. */
function readObjective(
  values: EncoderValues,
  known: EncoderObjective | undefined,
): EncoderObjective {
  const kind = values.objective ?? known?.kind ?? "contrastive";
  const given = (Object.keys(readBy) as (keyof typeof readBy)[]).filter((key) => {
    const value = values[key];
    return value !== undefined && !(Array.isArray(value) && value.length === 0);
  });
  for (const key of given) {
    const kinds: readonly string[] = readBy[key];
    if (kinds.includes(kind)) continue;
    throw new UsageError(
      "option-conflict",
      `--${toOptionName(key)} means nothing for the objective ${kind}`,
      {
        option: `--${toOptionName(key)}`,
        expected: kinds,
      },
    );
  }
  const isNew = values.objective !== undefined || given.some((key) => key !== "pooling");
  if (known !== undefined && !isNew) return known;
  const { scoring, candidates, width, negatives, temperature, chunk, problem } = values;
  const { label: labels, terms, decodingWeight, lexicalWeight, masking, hiding } = values;
  switch (kind) {
    case "contrastive":
      return { kind, ...defined({ temperature, negatives, chunk }) };
    case "orthogonal-projection":
      return { kind, ...defined({ negatives }) };
    case "token-contrastive":
      return { kind, ...defined({ scoring, candidates, width, negatives, temperature }) };
    case "dupmae":
      return { kind, ...defined({ decodingWeight, lexicalWeight, masking, hiding }) };
    case "hybrid-contrastive":
      return { kind, ...defined({ width, terms, temperature, negatives }) };
    case "distillation":
      return { kind, ...defined({ temperature }) };
    case "classes":
      return { kind, labels: checkLabels(labels), ...defined({ problem }) };
    case "token-classes":
      return { kind, labels: checkLabels(labels) };
  }
}

function checkLabels(labels: readonly string[]): readonly string[] {
  if (labels.length > 0) return labels;
  throw missingOptions("train encoder", ["--label"]);
}
