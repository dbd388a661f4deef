/**
 * Trained parameters as an ordinary checkpoint folder.
 */
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  type ModelConfig,
  writeFileAtomically,
  writeShardedSafetensors,
} from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import type { ParameterValue } from "../graph/parameters.ts";

export interface ExportModelOptions {
  /** `config.json` without its dtype. */
  config: ModelConfig;
  parameters: ReadonlyMap<string, ParameterValue>;
  /** A checkpoint folder or tokenizer file whose tokenizer the model was trained with. */
  tokenizer: string;
  /** How weights are stored. Default F16. */
  dtype?: "F32" | "F16" | "BF16";
  /** The text of the model card, Markdown. */
  card: string;
}

const dtypeNames = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

const vocabularyFiles: readonly string[] = [
  "tokenizer.json",
  "tokenizer.model",
  "spiece.model",
  "sentencepiece.bpe.model",
];

/** Read beside the vocabulary, whether a folder or the vocabulary's file was named. */
const settingsFiles: readonly string[] = [
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
];

/**
 * Writes `config.json`, `generation_config.json`, the weights, the tokenizer's files and the model
 * card. Every file is written whole or not at all, the configuration last.
 *
 * @throws JetonError `train-weights-overflow` (a value that F16 cannot hold), and those of writing
 */
export async function exportModel(folder: string, options: ExportModelOptions): Promise<void> {
  const { config, parameters, tokenizer, dtype = "F16", card } = options;
  await mkdir(folder, { recursive: true });
  if (dtype === "F16") checkRange(parameters);
  await writeShardedSafetensors(
    folder,
    [...parameters].map(([name, { shape, data }]) => ({ name, dtype, shape, data })),
  );
  await copyTokenizer(tokenizer, folder);
  const generation: Record<string, unknown> = { _from_model_config: true };
  for (const key of ["bos_token_id", "eos_token_id", "pad_token_id"]) {
    if (config[key] !== undefined) generation[key] = config[key];
  }
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  await writeFileAtomically(join(folder, "generation_config.json"), json(generation));
  await writeFileAtomically(join(folder, "README.md"), card);
  await writeFileAtomically(
    join(folder, "config.json"),
    json({ ...config, torch_dtype: dtypeNames[dtype] }),
  );
}

function checkRange(parameters: ReadonlyMap<string, ParameterValue>): void {
  for (const [name, { data }] of parameters) {
    const tooLarge = data.find((value) => !(Math.abs(value) < 65520));
    if (tooLarge === undefined) continue;
    throw new JetonError(`"${name}" holds ${tooLarge}, which F16 cannot: export as BF16 or F32`, {
      code: "train-weights-overflow",
      details: { name, value: tooLarge },
    });
  }
}

/** Copies what belongs to a tokenizer into a folder from which it loads as it does from `path`. */
export async function copyTokenizer(path: string, folder: string): Promise<void> {
  for (const { source, name } of await findTokenizerFiles(path)) {
    await writeFileAtomically(join(folder, name), await readFile(source));
  }
}

/** The files of a tokenizer, and the names under which a checkpoint folder holds them. */
async function findTokenizerFiles(path: string): Promise<{ source: string; name: string }[]> {
  const isFolder = (await stat(path)).isDirectory();
  const folder = isFolder ? path : dirname(path);
  const isWanted = (name: string): boolean =>
    settingsFiles.includes(name) ||
    (isFolder && (vocabularyFiles.includes(name) || name.endsWith(".tiktoken")));
  const files = (await readdir(folder))
    .filter(isWanted)
    .map((name) => ({ source: join(folder, name), name }));
  return isFolder ? files : [{ source: path, name: nameVocabulary(basename(path)) }, ...files];
}

/** Ranks keep their name, which says how they are to be read. */
function nameVocabulary(name: string): string {
  if (vocabularyFiles.includes(name) || name.endsWith(".tiktoken")) return name;
  return name.endsWith(".model") ? "tokenizer.model" : "tokenizer.json";
}
