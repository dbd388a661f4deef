/**
 * Trained parameters as an ordinary checkpoint folder.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type ModelConfig,
  writeFileAtomically,
  writeShardedSafetensors,
} from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { copyTokenizer } from "../../tokenizer/index.ts";
import type { ParameterValue } from "../graph/parameters.ts";

/** Options of `exportModel`. */
export interface ExportModelOptions {
  /** `config.json` without its dtype. How weights were quantized is left out: these are not. */
  config: ModelConfig;
  parameters: ReadonlyMap<string, ParameterValue>;
  /** A checkpoint folder or tokenizer file whose tokenizer the model was trained with. */
  tokenizer: string;
  /** How weights are stored. Default F16. */
  dtype?: "F32" | "F16" | "BF16";
  /** Parameters that are stored in F32 with any `dtype`. Default: none. */
  isExact?: (name: string) => boolean;
  /** The text of the model card, Markdown. */
  card: string;
}

const dtypeNames = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

/**
 * Writes `config.json`, `generation_config.json`, the weights, the tokenizer's files and the model
 * card. Every file is written whole or not at all, the configuration last.
 *
 * @throws JetonError `train-weights-overflow` (a value that F16 cannot hold), and those of writing
 */
export async function exportModel(folder: string, options: ExportModelOptions): Promise<void> {
  const { parameters, tokenizer, dtype = "F16", isExact = () => false, card } = options;
  const { quantization_config: _, ...config } = options.config;
  await mkdir(folder, { recursive: true });
  if (dtype === "F16") checkRange(parameters);
  await writeShardedSafetensors(
    folder,
    [...parameters].map(([name, { shape, data }]) => ({
      ...{ name, shape, data },
      dtype: isExact(name) ? "F32" : dtype,
    })),
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
