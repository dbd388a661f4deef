/** Opens a static model: what folders and bytes in memory have in common. */
import type { ModelConfig, TensorEntry, TensorReader } from "../../../checkpoint/index.ts";
import { JetonError } from "../../../core/index.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";
import { defaultFormat } from "../../decoder-model.ts";
import type { FolderFiles } from "../sentence/folder-files.ts";
import { readSentenceFolder } from "../sentence/sentence-folder.ts";
import type { LoadEncoderOptions, LoadedEncoder } from "../types.ts";
import { staticEncoderConfig, staticModules, staticTensors } from "./static-config.ts";
import { StaticEncoder } from "./static-encoder.ts";
import { readStaticSteps } from "./static-modules.ts";
import { readStaticTable } from "./static-table.ts";

/** Where a static model comes from. */
export interface StaticSource {
  readonly name: string;
  readonly folder: string;
  /** Files beside the weights. */
  readonly files: FolderFiles;
  readonly checkpoint: TensorReader & {
    readonly config: ModelConfig;
    readonly tensors: ReadonlyMap<string, TensorEntry>;
    readonly files: readonly string[];
  };
  readonly tokenizer: Tokenizer;
}

/**
 * Reads the table into memory.
 *
 * @throws JetonError `model-option-invalid` for a format other than f32 and int8, `model-weights-missing`,
 *   `model-weights-shape`, `model-weights-dtype`, `model-weights-invalid`, and those of the folder's modules
 */
export async function openStatic(
  { name, folder, files, checkpoint, tokenizer }: StaticSource,
  options: Pick<LoadEncoderOptions, "format" | "contextLength" | "onProgress" | "signal">,
): Promise<LoadedEncoder> {
  options.signal?.throwIfAborted();
  const { config: file, tensors } = checkpoint;
  const own = staticTensors(file, tensors);
  const entry = tensors.get(own.table)!;
  const format = options.format ?? defaultFormat({ tensors });
  if (format !== "f32" && format !== "int8") {
    throw new JetonError(
      `format is "${format}", expected f32 or int8: the table of a static model has no others`,
      { code: "model-option-invalid", details: { option: "format", value: format } },
    );
  }
  const config = staticEncoderConfig(file, own, tokenizer, options.contextLength);
  const { sentence } = await readSentenceFolder(files, config, {
    tokenizer,
    shape: () => undefined,
  });
  const modules = staticModules(file, sentence.modules);
  const steps = await readStaticSteps(files, modules, config.hiddenSize);
  const table = await readStaticTable(checkpoint, { ...own, dtype: entry.dtype }, format, options);
  return new StaticEncoder({
    ...{ name, folder, tokenizer, config, format, table, steps },
    checkpoint: { config: file, tensors, files: checkpoint.files },
    contextLength: config.contextLength,
    sentence: { ...sentence, modules },
  });
}
