/** Where a model's checkpoint lies: in its folder, or where `modules.json` there says. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { readJson } from "./config.ts";
import { moduleListName, parseModuleList, transformerModule } from "./module-list.ts";

/**
 * The folder of a model's `config.json`, weights and tokenizer: a folder below the model's own for the models of older
 * versions of sentence-transformers (`0_Transformer`), otherwise the folder itself.
 *
 * @param folder a folder, or a file, which stays what it is
 *
 * @throws JetonError `encoder-module-invalid`, and the codes of `readJson`
 */
export async function checkpointFolder(folder: string): Promise<string> {
  const path = join(folder, moduleListName);
  const isThere = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isThere) return folder;
  const transformer = transformerModule(parseModuleList(await readJson(path)));
  return transformer === undefined || transformer.path === ""
    ? folder
    : join(folder, ...transformer.path.split("/"));
}
