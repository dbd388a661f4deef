/** Describes a checkpoint or a tokenizer from its configuration and its headers. */
import { readdir, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import {
  type Checkpoint,
  locateCheckpoint,
  type ModelConfig,
  openCheckpoint,
  readConfig,
  singleWeightsName,
  weightsIndexName,
} from "../../checkpoint/index.ts";
import { JetonError } from "../../core/error.ts";
import { diskFolder } from "../../model/encoder/sentence/disk-folder.ts";
import { hasModuleList } from "../../model/encoder/sentence/sentence-folder.ts";
import { defaultFormat } from "../../model/index.ts";
import { hasChatTemplate, loadTokenizer } from "../../tokenizer/index.ts";
import { type ArchitectureDescription, describeArchitecture } from "./architecture.ts";

/** Weights as stored. */
export interface WeightsDescription {
  readonly parameters: number;
  readonly tensors: number;
  /** Parameters by stored type. */
  readonly dtypes: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly files: number;
  /** Default format of the weights in memory. */
  readonly defaultFormat: string;
}

export interface TokenizerDescription {
  readonly kind: string;
  readonly vocabSize: number;
  readonly specialTokens: number;
  readonly bosToken: string | null;
  readonly eosToken: string | null;
  readonly padToken: string | null;
  readonly unkToken: string | null;
  readonly chatTemplate: boolean;
}

/** The contents of a folder or file; null for a part that it does not contain. */
export interface ModelDescription {
  readonly name: string;
  readonly path: string;
  readonly model: ArchitectureDescription | null;
  readonly weights: WeightsDescription | null;
  readonly tokenizer: TokenizerDescription | null;
}

/**
 * Describes a checkpoint folder, a folder with a part of one, or a tokenizer file. Reads headers and
 * configuration, no weights.
 *
 * @throws JetonError `nothing-to-inspect` if the folder contains neither a configuration nor a
 * tokenizer, and the errors of the readers
 */
export async function describeModel(name: string, path: string): Promise<ModelDescription> {
  const absolute = resolve(path);
  if ((await stat(path)).isFile()) {
    const tokenizer = await describeTokenizer(path);
    return { name: basename(path), path: absolute, model: null, weights: null, tokenizer };
  }
  const { folder, config: stated } = await locateCheckpoint(path);
  const files = new Set(await readdir(folder));
  const hasConfig = stated !== undefined || files.has("config.json");
  const hasWeights = files.has(singleWeightsName) || files.has(weightsIndexName);
  const config = stated ?? (hasConfig ? await readConfig(folder) : undefined);
  const stored = config && hasWeights ? await describeWeights(folder, config) : null;
  const tokenizer = await describeTokenizer(folder).catch((error: unknown) => {
    if (JetonError.isInstance(error) && error.code === "tokenizer-not-found") return null;
    throw error;
  });
  if (config === undefined && tokenizer === null) {
    throw new JetonError(`${path} holds neither a checkpoint nor a tokenizer`, {
      code: "nothing-to-inspect",
      details: { path, expected: "config.json, *.safetensors, tokenizer.json", found: [...files] },
    });
  }
  const hasModules = await hasModuleList(diskFolder(path));
  const model =
    config === undefined
      ? null
      : describeArchitecture(config, { hasModules, ...(stored && { tensors: stored.tensors }) });
  const { weights = null } = stored ?? {};
  return { name: displayName(name, absolute), path: absolute, model, weights, tokenizer };
}

/** A hub name unchanged; of a path its last part. */
function displayName(name: string, path: string): string {
  return /^[\w.-]+\/[\w.-]+(@.+)?$/.test(name) && resolve(name) !== path ? name : basename(path);
}

/** Masks and frequencies that older checkpoints hold beside their weights. */
const heldBeside = /\.(attn|attention)\.(masked_)?bias$|\.rotary_emb\.inv_freq$/;

async function describeWeights(
  folder: string,
  config: ModelConfig,
): Promise<Pick<Checkpoint, "tensors"> & { readonly weights: WeightsDescription }> {
  const checkpoint = await openCheckpoint(folder, { config });
  try {
    const dtypes: Record<string, number> = {};
    let parameters = 0;
    for (const [name, { dtype, shape }] of checkpoint.tensors) {
      if (heldBeside.test(name)) continue;
      const count = shape.reduce((product, size) => product * size, 1);
      dtypes[dtype] = (dtypes[dtype] ?? 0) + count;
      parameters += count;
    }
    const sizes = await Promise.all(checkpoint.files.map(async (file) => (await stat(file)).size));
    const weights = {
      parameters,
      tensors: checkpoint.tensors.size,
      dtypes,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      files: checkpoint.files.length,
      defaultFormat: defaultFormat(checkpoint),
    };
    return { tensors: checkpoint.tensors, weights };
  } finally {
    await checkpoint.close();
  }
}

async function describeTokenizer(path: string): Promise<TokenizerDescription> {
  const tokenizer = await loadTokenizer(path);
  const name = (id: number | undefined): string | null =>
    id === undefined ? null : (tokenizer.idToToken(id) ?? null);
  return {
    kind: tokenizer.kind,
    vocabSize: tokenizer.vocabSize,
    specialTokens: tokenizer.specialTokens.size,
    bosToken: name(tokenizer.bosTokenId),
    eosToken: name(tokenizer.eosTokenId),
    padToken: name(tokenizer.padTokenId),
    unkToken: name(tokenizer.unkTokenId),
    chatTemplate: hasChatTemplate(tokenizer),
  };
}
