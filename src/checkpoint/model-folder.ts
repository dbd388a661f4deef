/** Where a model's checkpoint lies: in its folder, or where `modules.json` there says. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { JetonError } from "../core/index.ts";
import { readJson } from "./config.ts";
import { moduleListName, parseModuleList, transformerModule } from "./module-list.ts";

/**
 * The folder of a model's `config.json`, weights and tokenizer: a folder below the model's own for the models of older
 * versions of sentence-transformers (`0_Transformer`), otherwise the folder itself.
 *
 * @param folder a folder, or a file, which stays what it is
 *
 * @throws JetonError `encoder-module-invalid`, `encoder-module-unknown` where no module reads texts by a checkpoint, and the codes of `readJson`
 */
export async function checkpointFolder(folder: string): Promise<string> {
  const path = join(folder, moduleListName);
  if (!(await isFile(path))) return folder;
  const entries = parseModuleList(await readJson(path));
  const transformer = transformerModule(entries);
  if (transformer === undefined && entries[0] && !(await isFile(join(folder, "config.json")))) {
    const { type } = entries[0];
    throw new JetonError(
      `${path}: the first module is ${JSON.stringify(type)}, expected a Transformer: texts are read by nothing else here`,
      { code: "encoder-module-unknown", details: { type, path } },
    );
  }
  return transformer === undefined || transformer.path === ""
    ? folder
    : join(folder, ...transformer.path.split("/"));
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
