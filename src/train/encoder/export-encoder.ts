/** A trained encoder as a checkpoint folder: of sentence-transformers, of PyLate, or of a class with a head. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type ModelConfig,
  writeFileAtomically,
  writeShardedSafetensors,
} from "../../checkpoint/index.ts";
import { formatCount } from "../../core/index.ts";
import {
  type EncoderConfig,
  encoderClassName,
  prefixEncoderName,
  problemName,
} from "../../model/index.ts";
import { describeCorpusName } from "../data/corpus-files.ts";
import type { ParameterValue } from "../graph/parameters.ts";
import { exportModel } from "../run/export-model.ts";
import { isDuplexParameter } from "./duplex/duplex-decoder.ts";
import { densePartName } from "./duplex/duplex-plan.ts";
import type { VectorPipeline } from "./encoder-inputs.ts";
import type { EncoderSettings, TrainEncoderOptions, TrainedEncoder } from "./encoder-options.ts";
import type { EncoderPlan } from "./encoder-plan.ts";
import { projectionName } from "./encoder-plans.ts";
import { isKernelParameter } from "./mixer-training.ts";

/** What an export is made of. */
export interface ExportEncoderParts {
  readonly options: TrainEncoderOptions;
  readonly settings: EncoderSettings;
  readonly config: EncoderConfig;
  readonly plan: EncoderPlan<unknown>;
  /** Folder of the tokenizer. */
  readonly tokenizer: string;
  readonly parameters: ReadonlyMap<string, ParameterValue>;
  /** Number of examples. */
  readonly examples: number;
  readonly name: string;
  readonly result: Omit<TrainedEncoder, "modelFolder">;
}

/** Writes the model below the folder of the run. */
export async function exportEncoder(
  runFolder: string,
  parts: ExportEncoderParts,
): Promise<TrainedEncoder> {
  const { options, settings, config, plan, parameters } = parts;
  const folder = join(runFolder, "model");
  const dense = [projectionName, densePartName].filter((name) => parameters.has(`${name}.weight`));
  const isElsewhere = (name: string): boolean =>
    isDuplexParameter(name) || dense.some((module) => name === `${module}.weight`);
  // The base model's names stand behind its prefix where a head stands beside it.
  const isPrefixed = plan.head !== undefined || config.mixer !== undefined;
  const own = [...parameters].filter(([name]) => !isElsewhere(name));
  await mkdir(folder, { recursive: true });
  for (const name of dense) await writeDense(folder, name, parts);
  if (plan.tokenModules) await writeTokenModules(folder, parts);
  // The authors' mixers have no modules: the configuration says how a text becomes a vector.
  else if (plan.pipeline && !config.mixer) await writeModules(folder, parts, plan.pipeline);
  await exportModel(folder, {
    config: exportedConfig(settings, config),
    ...(config.mixer && { isExact: isKernelParameter }),
    parameters: new Map(
      own.map(([name, value]) => [
        isPrefixed ? prefixEncoderName(config.family, name) : name,
        value,
      ]),
    ),
    tokenizer: parts.tokenizer,
    ...(options.dtype && { dtype: options.dtype }),
    card: encoderCard(parts),
  });
  return { modelFolder: folder, ...parts.result };
}

/** Keys of a cross encoder whose head was another one. */
const otherHeads: readonly string[] = [
  "architectures",
  "sentence_transformers",
  "sbert_ce_default_activation_function",
];

/** `config.json` with the class that other tools ask for, and the names of classes. */
function exportedConfig(
  { config: file, pooling }: Pick<EncoderSettings, "config" | "pooling">,
  { family, task, labels, problemType, mixer }: EncoderConfig,
): ModelConfig {
  const className = encoderClassName(family, task);
  const own = Object.fromEntries(
    Object.entries(file as Record<string, unknown>).filter(([key]) => !otherHeads.includes(key)),
  );
  return {
    ...(className !== undefined && { architectures: [className] }),
    ...own,
    ...(mixer && { pool_all: pooling === "mean" }),
    ...((task === "sequence" || task === "tokens") && {
      id2label: Object.fromEntries(labels.map((label, id) => [id, label])),
      label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
    }),
    ...(task === "sequence" && { problem_type: problemName(problemType) }),
  } as ModelConfig;
}

const writeJson = (path: string, value: unknown): Promise<void> =>
  writeFileAtomically(path, `${JSON.stringify(value, null, 2)}\n`);

/** A matrix without a bias in a folder of its own, as sentence-transformers and PyLate store it. */
async function writeDense(
  folder: string,
  name: string,
  { parameters, options }: ExportEncoderParts,
): Promise<void> {
  const { shape, data } = parameters.get(`${name}.weight`)!;
  const path = join(folder, name.split(".")[0]!);
  await mkdir(path, { recursive: true });
  await writeShardedSafetensors(path, [
    { name: "linear.weight", dtype: options.dtype ?? "F16", shape, data },
  ]);
  await writeJson(join(path, "config.json"), {
    in_features: shape[1],
    out_features: shape[0],
    bias: false,
    activation_function: "torch.nn.modules.linear.Identity",
  });
}

interface ModuleLine {
  readonly idx: number;
  readonly name: string;
  readonly path: string;
  readonly type: string;
}

const moduleLine = (idx: number, path: string, type: string): ModuleLine => ({
  ...{ idx, name: String(idx), path, type },
});

const transformer: ModuleLine = moduleLine(0, "", "sentence_transformers.models.Transformer");

async function writeLengths(folder: string, length: number): Promise<void> {
  await writeJson(join(folder, "sentence_bert_config.json"), {
    max_seq_length: length,
    do_lower_case: false,
  });
}

/** PyLate's files. */
async function writeTokenModules(folder: string, { settings }: ExportEncoderParts): Promise<void> {
  const { queryLength, documentLength } = settings;
  await writeLengths(folder, Math.max(queryLength, documentLength));
  await writeJson(join(folder, "modules.json"), [
    transformer,
    moduleLine(1, "1_Dense", "pylate.models.Dense.Dense"),
  ]);
  await writeJson(join(folder, "config_sentence_transformers.json"), {
    ...{ prompts: {}, default_prompt_name: null },
    similarity_fn_name: "MaxSim",
    query_prefix: "",
    document_prefix: "",
    query_length: queryLength,
    document_length: documentLength,
    attend_to_expansion_tokens: false,
    skiplist_words: [],
    do_query_expansion: false,
  });
}

/** The files of sentence-transformers. */
async function writeModules(
  folder: string,
  { settings, config }: ExportEncoderParts,
  { pooling, modules }: VectorPipeline,
): Promise<void> {
  await writeLengths(folder, settings.documentLength);
  await mkdir(join(folder, "1_Pooling"), { recursive: true });
  await writeJson(join(folder, "1_Pooling", "config.json"), {
    word_embedding_dimension: config.hiddenSize,
    pooling_mode_cls_token: pooling === "cls",
    pooling_mode_mean_tokens: pooling === "mean",
    pooling_mode_max_tokens: false,
    pooling_mode_mean_sqrt_len_tokens: pooling === "mean_sqrt_len_tokens",
    pooling_mode_weightedmean_tokens: pooling === "weightedmean",
    pooling_mode_lasttoken: pooling === "lasttoken",
    include_prompt: true,
  });
  const kinds = { dense: "Dense", normalize: "Normalize", "layer-norm": "LayerNorm" } as const;
  await writeJson(join(folder, "modules.json"), [
    transformer,
    moduleLine(1, "1_Pooling", "sentence_transformers.models.Pooling"),
    ...modules.map(({ kind }, at) =>
      moduleLine(at + 2, `${at + 2}_${kinds[kind]}`, `sentence_transformers.models.${kinds[kind]}`),
    ),
  ]);
  await writeJson(join(folder, "config_sentence_transformers.json"), {
    ...{ prompts: {}, default_prompt_name: null },
    // Vectors of any length are compared by products.
    similarity_fn_name: modules.at(-1)?.kind === "normalize" ? "cosine" : "dot",
  });
}

const purposes = {
  dupmae: "the words and one vector of each text",
  "hybrid-contrastive": "the words and one vector of each text",
  "orthogonal-projection": "one vector for each text",
  contrastive: "one vector for each text",
  distillation: "one vector for each text",
  "token-contrastive": "one vector for each token",
  classes: "classes of texts",
  "token-classes": "classes of tokens",
} as const;

function encoderCard({
  options,
  settings,
  plan,
  examples,
  name,
  result,
}: ExportEncoderParts): string {
  const { objective, batch, schedule, optimizer, seed } = settings;
  const files = options.examples.map(describeCorpusName).join(", ");
  const held =
    result.heldOutLoss === undefined
      ? []
      : [`- loss on held-out examples: ${result.heldOutLoss.toFixed(4)} nats a ${plan.lossUnit}`];
  const origin =
    options.initialWeights === undefined
      ? []
      : [`- began with the weights of ${describeCorpusName(options.initialWeights)}`];
  const isClasses = plan.head === "sequence" || plan.head === "tokens";
  const command = isClasses ? "classify" : "embed";
  return [
    `# ${name}`,
    "",
    `An encoder (${settings.config.model_type}) of ${formatCount(result.parameters)} parameters for ${purposes[objective.kind]}, trained with jeton.`,
    "",
    "## Training",
    "",
    `- ${files}: ${examples} examples`,
    `- ${result.steps} steps of ${batch} examples, ${formatCount(result.tokens)} tokens in all, seed ${seed}`,
    `- objective: \`${JSON.stringify(objective)}\``,
    `- schedule: \`${JSON.stringify(schedule)}\``,
    `- optimizer: \`${JSON.stringify(optimizer)}\``,
    ...origin,
    `- loss over the last steps: ${result.loss.toFixed(4)} nats a ${plan.lossUnit}`,
    ...held,
    "",
    "## Use",
    "",
    "```sh",
    `jeton ${command} --model <this folder> "Once upon a time"`,
    "```",
    "",
  ].join("\n");
}
