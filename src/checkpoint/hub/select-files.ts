/** Which files of a repository a checkpoint needs. */

import { join } from "node:path";
import { JetonError } from "../../core/index.ts";
import { readWeightMap, singleWeightsName, weightsIndexName } from "../checkpoint.ts";
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
  "modules.json",
  "config_sentence_transformers.json",
  "artifact.metadata",
]);

/** Settings of sentence encoders beside the model, under any of their names. */
const sentenceSettings = /^sentence_[\w-]+_config\.json$/;

/** What describes the modules behind a sentence encoder, in folders such as `1_Pooling`, and their weights. */
const moduleConfig = /^\d+_\w+\/config\.json$/;
const moduleWeights = /^\d+_\w+\/model\.safetensors$/;

function isDescribing(path: string): boolean {
  const patterns = [/^[\w.-]+\.tiktoken$/, sentenceSettings, moduleConfig];
  return describing.has(path) || patterns.some((pattern) => pattern.test(path));
}

/**
 * The files to fetch. `fetchFirst` is given the index of sharded weights and answers with the folder
 * in which it then lies, as only the index says which shards belong to the model (some repositories
 * hold the weights a second time in another form).
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
  const described = listing.filter(({ path }) => isDescribing(path));
  if (!weights) return described;
  const selected = [...described, ...listing.filter(({ path }) => moduleWeights.test(path))];
  const single = byPath.get(singleWeightsName);
  if (single) return [...selected, single];
  const index = byPath.get(weightsIndexName);
  if (!index) {
    throw new JetonError(
      `the repository holds neither ${singleWeightsName} nor ${weightsIndexName}; weights in other forms (.bin, .gguf, .onnx) are not read`,
      { code: "hub-weights-missing", details: { found: [...byPath.keys()].slice(0, 50) } },
    );
  }
  const folder = await fetchFirst(index);
  const shards = new Set((await readWeightMap(join(folder, weightsIndexName))).values());
  return [...selected, index, ...[...shards].sort().map(pick)];
}
