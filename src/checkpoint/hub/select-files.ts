/** Which files of a repository a checkpoint needs. */

import { join } from "node:path";
import { JetonError } from "../../core/index.ts";
import { readWeightMap, singleWeightsName, weightsIndexName } from "../checkpoint.ts";
import { readJson } from "../config.ts";
import { moduleListName, parseModuleList, transformerModule } from "../module-list.ts";
import type { HubFile } from "./hub-download.ts";

/** What is asked for: named files, or a checkpoint with or without its weights. */
export interface FileSelection {
  readonly files?: readonly string[];
  readonly weights?: boolean;
}

/** Files that describe a model and its tokenizer; everything else that is small is not needed. */
const describing: ReadonlySet<string> = new Set([
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "vocab.txt",
  "merges.txt",
  "chat_template.json",
  "chat_template.jinja",
  "spiece.model",
  "sentencepiece.bpe.model",
  "preprocessor_config.json",
  "processor_config.json",
  moduleListName,
  "config_sentence_transformers.json",
  "artifact.metadata",
]);

/** Settings of sentence encoders beside the model, under any of their names. */
const sentenceSettings = /^sentence_[\w-]+_config\.json$/;

const isDescribing = (name: string): boolean =>
  describing.has(name) || sentenceSettings.test(name) || /^[\w.-]+\.tiktoken$/.test(name);

/** Folders of a repository that belong to its model. */
interface ModelFolders {
  /** Where the checkpoint lies: empty, or a path with a slash at its end. */
  readonly checkpoint: string;
  /** Whether a folder is a module's, by its path with a slash at its end. */
  isModule(path: string): boolean;
}

/** Modules of sentence encoders, as `modules.json` names them. */
async function findFolders(
  list: HubFile | undefined,
  fetchFirst: (file: HubFile) => Promise<string>,
): Promise<ModelFolders> {
  if (list === undefined) {
    // XTR has its projection there without a list.
    return { checkpoint: "", isModule: (path) => /^\d+_\w+\/$/.test(path) };
  }
  const entries = parseModuleList(await readJson(join(await fetchFirst(list), list.path)));
  const slashed = (path: string): string => (path === "" ? "" : `${path}/`);
  const paths = new Set(entries.map(({ path }) => slashed(path)));
  return {
    checkpoint: slashed(transformerModule(entries)?.path ?? ""),
    isModule: (path) => paths.has(path),
  };
}

/**
 * The files to fetch. `fetchFirst` is given a file that says what else belongs to the model, and answers with the
 * folder in which the repository's files then lie: `modules.json`, which says where the checkpoint is, and the index of
 * sharded weights (some repositories hold the weights a second time in another form).
 */
export async function selectFiles(
  listing: readonly HubFile[],
  { files, weights = true }: FileSelection,
  fetchFirst: (file: HubFile) => Promise<string>,
): Promise<HubFile[]> {
  const byPath = new Map(listing.map((file) => [file.path, file]));
  const pick = (path: string): HubFile => {
    const file = byPath.get(path);
    if (file) return file;
    throw new JetonError(`the repository has no file ${JSON.stringify(path)}`, {
      code: "hub-file-not-found",
      details: { path, found: [...byPath.keys()].slice(0, 50) },
    });
  };
  if (files) return [...new Set(files)].map(pick);
  const { checkpoint, isModule } = await findFolders(byPath.get(moduleListName), fetchFirst);
  const parts = listing.map((file) => {
    const [, folder = "", name = ""] = /^(.*\/)?([^/]*)$/s.exec(file.path) ?? [];
    return { file, folder, name };
  });
  const described = parts.filter(
    ({ folder, name }) =>
      ((folder === "" || folder === checkpoint) && isDescribing(name)) ||
      (isModule(folder) && name === "config.json"),
  );
  const selected = described.map(({ file }) => file);
  if (!weights) return selected;
  for (const { file, folder, name } of parts) {
    const isOwn = folder !== "" && folder !== checkpoint && isModule(folder);
    if (isOwn && name === singleWeightsName) selected.push(file);
  }
  const single = byPath.get(checkpoint + singleWeightsName);
  if (single) return [...selected, single];
  const index = byPath.get(checkpoint + weightsIndexName);
  if (!index) {
    throw new JetonError(
      `the repository holds neither ${checkpoint + singleWeightsName} nor ${weightsIndexName} beside it; weights in other forms (.bin, .gguf, .onnx) are not read`,
      { code: "hub-weights-missing", details: { found: [...byPath.keys()].slice(0, 50) } },
    );
  }
  const folder = await fetchFirst(index);
  const shards = new Set((await readWeightMap(join(folder, index.path))).values());
  return [...selected, index, ...[...shards].sort().map((name) => pick(checkpoint + name))];
}
