/**
 * Tiny random checkpoints of every decoder family, as test subjects.
 *
 * Each `config.json` has the fields of a published config of that family, the irrelevant ones too, at
 * the size of a toy. Weights are scaled so that every feature shows in the logits: norms and their
 * neighbours are far from one, biases from zero, soft caps are small enough to bite, windows and
 * original contexts shorter than a 40-token text.
 */

import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { JetonError } from "../core/index.ts";
import { toStoredLayout } from "./older-families/stored-layout.ts";
import { randomReferenceTensors } from "./random-weights.ts";
import {
  type FloatDtype,
  type ReferenceConfig,
  type ReferenceTensor,
  roundToDtype,
  writeReferenceCheckpoint,
} from "./reference-checkpoint.ts";
import { referenceFamilies } from "./tiny-config-variants.ts";
import type { TinyDimensions } from "./tiny-configs.ts";
import { encodedReferenceFamilies } from "./tiny-sparse-configs.ts";

const defaultDimensions: TinyDimensions = {
  vocabulary: 512,
  width: 64,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 24,
  feedForward: 96,
};

export interface RandomCheckpointOptions extends Partial<TinyDimensions> {
  /** A name of `referenceFamilies` or `encodedReferenceFamilies`. */
  family: string;
  seed: number;
  /** Default F32. */
  dtype?: FloatDtype;
  /** Number of safetensors files, default 1. */
  shards?: number;
  /** A `tokenizer.json` to copy into the folder. */
  tokenizer?: string;
}

/** A written checkpoint, as the oracle sees it. */
export interface RandomCheckpoint {
  readonly config: ReferenceConfig;
  /** Rounded to the stored dtype: what the files hold, by the names of the reference decoder. */
  readonly tensors: Map<string, ReferenceTensor>;
}

const dtypeNames: Readonly<Record<FloatDtype, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/**
 * Writes a checkpoint folder (created if needed): `config.json`, `generation_config.json`, weights and,
 * if given, the tokenizer. Equal options give equal files. Error: `reference-family` for an unknown name.
 */
export function createRandomCheckpoint(
  folder: string,
  options: RandomCheckpointOptions,
): RandomCheckpoint {
  const { family, seed, dtype = "F32", shards = 1, tokenizer, ...dimensions } = options;
  const build = referenceFamilies[family] ?? encodedReferenceFamilies[family];
  if (build === undefined) {
    throw new JetonError(
      `family ${family} is none of ${Object.keys(referenceFamilies).join(", ")}`,
      { code: "reference-family", details: { family } },
    );
  }
  const built = build({ ...defaultDimensions, ...dimensions });
  // Transformers 5 renamed the field.
  const dtypeKey = built["rope_parameters"] === undefined ? "torch_dtype" : "dtype";
  const config = Object.fromEntries(
    Object.entries({ ...built, [dtypeKey]: dtypeNames[dtype] }).sort(([a], [b]) =>
      a < b ? -1 : 1,
    ),
  );
  const tensors = new Map<string, ReferenceTensor>();
  for (const [name, { shape, data, isBytes }] of randomReferenceTensors(config, seed)) {
    if (isBytes) tensors.set(name, { shape, data, isBytes });
    else tensors.set(name, { shape, data: roundToDtype(data, dtype) });
  }
  mkdirSync(folder, { recursive: true });
  const stored = toStoredLayout(String(config["model_type"]), tensors);
  writeReferenceCheckpoint(folder, { config, tensors: stored }, { dtype, shards });
  const generation: Record<string, unknown> = { _from_model_config: true };
  for (const key of ["bos_token_id", "eos_token_id", "pad_token_id", "transformers_version"]) {
    if (typeof config[key] !== "undefined") generation[key] = config[key];
  }
  writeFileSync(join(folder, "generation_config.json"), `${JSON.stringify(generation, null, 2)}\n`);
  if (tokenizer !== undefined) copyFileSync(tokenizer, join(folder, "tokenizer.json"));
  return { config, tensors };
}
