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
import type { EncoderSettings, TrainEncoderOptions, TrainedEncoder } from "./encoder-options.ts";
import { type EncoderPlan, projectionName } from "./encoder-plans.ts";

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
  const isModule = (name: string): boolean => name.startsWith(`${projectionName}.`);
  const isHeaded = plan.head !== undefined;
  const own = [...parameters].filter(([name]) => !isModule(name));
  await mkdir(folder, { recursive: true });
  if (plan.tokenModules) await writeProjection(folder, parts);
  if (!isHeaded) await writeModules(folder, parts);
  await exportModel(folder, {
    config: exportedConfig(settings.config, config),
    parameters: new Map(
      own.map(([name, value]) => [isHeaded ? prefixEncoderName(config.family, name) : name, value]),
    ),
    tokenizer: parts.tokenizer,
    ...(options.dtype && { dtype: options.dtype }),
    card: encoderCard(parts),
  });
  return { modelFolder: folder, ...parts.result };
}

/** `config.json` with the class that other tools ask for, and the names of classes. */
function exportedConfig(
  file: ModelConfig,
  { family, task, labels, problemType }: EncoderConfig,
): ModelConfig {
  const className = encoderClassName(family, task);
  const { architectures: _, ...own } = file as Record<string, unknown>;
  return {
    ...(className !== undefined && { architectures: [className] }),
    ...own,
    ...(task !== "states" && {
      id2label: Object.fromEntries(labels.map((label, id) => [id, label])),
      label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
    }),
    ...(task === "sequence" && { problem_type: problemName(problemType) }),
  } as ModelConfig;
}

const writeJson = (path: string, value: unknown): Promise<void> =>
  writeFileAtomically(path, `${JSON.stringify(value, null, 2)}\n`);

/** The matrix behind the states of tokens, as PyLate stores it. */
async function writeProjection(
  folder: string,
  { parameters, options }: ExportEncoderParts,
): Promise<void> {
  const { shape, data } = parameters.get(`${projectionName}.weight`)!;
  const path = join(folder, "1_Dense");
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

async function writeModules(folder: string, parts: ExportEncoderParts): Promise<void> {
  const { settings, config, plan } = parts;
  const { queryLength, documentLength } = settings;
  const module = (idx: number, path: string, type: string) => ({
    idx,
    name: String(idx),
    path,
    type,
  });
  const isTokens = plan.tokenModules !== undefined;
  const common = { prompts: {}, default_prompt_name: null };
  const transformer = module(0, "", "sentence_transformers.models.Transformer");
  await writeJson(join(folder, "sentence_bert_config.json"), {
    max_seq_length: isTokens ? Math.max(queryLength, documentLength) : documentLength,
    do_lower_case: false,
  });
  if (isTokens) {
    await writeJson(join(folder, "modules.json"), [
      transformer,
      module(1, "1_Dense", "pylate.models.Dense.Dense"),
    ]);
    await writeJson(join(folder, "config_sentence_transformers.json"), {
      ...common,
      similarity_fn_name: "MaxSim",
      query_prefix: "",
      document_prefix: "",
      query_length: queryLength,
      document_length: documentLength,
      attend_to_expansion_tokens: false,
      skiplist_words: [],
      do_query_expansion: false,
    });
    return;
  }
  const pooling = plan.pipeline!.pooling;
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
  await writeJson(join(folder, "modules.json"), [
    transformer,
    module(1, "1_Pooling", "sentence_transformers.models.Pooling"),
    module(2, "2_Normalize", "sentence_transformers.models.Normalize"),
  ]);
  await writeJson(join(folder, "config_sentence_transformers.json"), {
    ...common,
    similarity_fn_name: "cosine",
  });
}

const purposes = {
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
  const command = plan.head === undefined ? "embed" : "classify";
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
