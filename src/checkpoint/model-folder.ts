/** Where a model's checkpoint lies: in its folder, or where `modules.json` there says. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { JetonError } from "../core/index.ts";
import { type ModelConfig, readConfig, readJson } from "./config.ts";
import {
  moduleListName,
  parseModuleList,
  staticModuleConfig,
  staticModuleKind,
  transformerModule,
} from "./module-list.ts";

/** Where a checkpoint lies, and what stands in the place of its `config.json`. */
export interface CheckpointPlace {
  readonly folder: string;
  /** Of a folder whose modules describe the model; undefined where the checkpoint's own file does. */
  readonly config?: ModelConfig;
}

/**
 * The folder of a model's weights and tokenizer, and of its `config.json` if it has one: a folder below the model's own
 * where `modules.json` names one (`0_Transformer`, `0_StaticEmbedding`), otherwise the folder itself.
 *
 * @param folder a folder, or a file, which stays what it is
 *
 * @throws JetonError `encoder-module-invalid`, `encoder-module-unknown` where no module reads texts by a checkpoint, and the codes of `readJson`
 */
export async function locateCheckpoint(folder: string): Promise<CheckpointPlace> {
  const path = join(folder, moduleListName);
  if (!(await isFile(path))) return { folder };
  const entries = parseModuleList(await readJson(path));
  const module = transformerModule(entries);
  if (module === undefined && entries[0] && !(await isFile(join(folder, "config.json")))) {
    const { type } = entries[0];
    throw new JetonError(
      `${path}: the first module is ${JSON.stringify(type)}, expected a Transformer or a StaticEmbedding: texts are read by nothing else here`,
      { code: "encoder-module-unknown", details: { type, path } },
    );
  }
  const inner = module?.path ? join(folder, ...module.path.split("/")) : folder;
  if (module?.kind !== staticModuleKind) return { folder: inner };
  const hasFile = await isFile(join(inner, "config.json"));
  const config = staticModuleConfig(module, hasFile ? await readConfig(inner) : undefined);
  return { folder: inner, ...(config && { config: config as ModelConfig }) };
}

/** The folder of `locateCheckpoint`. */
export async function checkpointFolder(folder: string): Promise<string> {
  return (await locateCheckpoint(folder)).folder;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
