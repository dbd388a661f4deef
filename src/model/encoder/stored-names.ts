/**
 * Which tensors of a checkpoint are the encoder's, under any prefix of their names.
 *
 * A class with a head saves its base model as `bert.embeddings…`, the base model alone saves
 * `embeddings…`; checkpoints that were converted from TensorFlow call a norm's weights gamma and beta.
 */
import type { Checkpoint } from "../../checkpoint/index.ts";
import { nameTensors, storedNames } from "../decoder/stored-names.ts";
import { renameTensors } from "../weights/rename-tensors.ts";
import type { EncoderConfig } from "./config.ts";
import { encoderNames, weightOf } from "./encoder-names.ts";
import { frequencyAliases, frequencyName, mixerLayerNames } from "./mixer/mixer-names.ts";
import { nomicTensorName } from "./nomic-config.ts";

/** The name under which each tensor is stored, by the encoder's own name for it. */
export function encoderStoredNames(
  config: EncoderConfig,
  stored: Iterable<string>,
): ReadonlyMap<string, string> {
  const names = [...stored];
  if (config.backbone) return storedNames(names) ?? new Map(names.map((name) => [name, name]));
  if (config.family === "t5") return t5StoredNames(names);
  const table = weightOf(encoderNames(config).tokens);
  const tables = names.filter((name) => name === table || name.endsWith(`.${table}`));
  const prefix = tables.length === 1 ? tables[0]!.slice(0, -table.length) : "";
  // What trained a model may have put a name in front of all of it: `model.bert.…` beside `model.cls.…`.
  const [outer = ""] = /^((?:model|module)\.)+(?=bert\.$)/.exec(prefix) ?? [];
  const own = new Map<string, string>();
  for (const name of names) {
    const front = [prefix, outer].find((part) => name.startsWith(part)) ?? "";
    const inside = name.slice(front.length);
    const plain = inside.replace(/\.gamma$/, ".weight").replace(/\.beta$/, ".bias");
    own.set(config.family === "nomic_bert" ? nomicTensorName(plain) : plain, name);
  }
  if (config.mixer) addFrequencies(config, own);
  return own;
}

/** One tensor of frequencies has six names, of which a file may keep any. */
function addFrequencies({ layers, mixer }: EncoderConfig, own: Map<string, string>): void {
  for (const index of layers.keys()) {
    for (const filter of mixerLayerNames(mixer!, index).filters) {
      const stored = frequencyAliases(filter).find((name) => own.has(name));
      if (stored !== undefined) own.set(frequencyName(filter), own.get(stored)!);
    }
  }
}

/**
 * T5 keeps one table of embeddings, as `shared` or only as its encoder's or its decoder's. Its classes for tokens and
 * sequences have a name in front of all but their head.
 */
function t5StoredNames(names: readonly string[]): ReadonlyMap<string, string> {
  const own = new Map(names.map((name) => [name.replace(/^transformer\./, ""), name]));
  const tables = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];
  const stored = tables.find((name) => own.has(name));
  if (stored !== undefined) own.set(tables[0]!, own.get(stored)!);
  return own;
}

/** A checkpoint's tensors by the encoder's names for them, a backbone's stacked experts split. */
export function nameEncoderTensors(config: EncoderConfig, checkpoint: Checkpoint): Checkpoint {
  if (config.backbone) return nameTensors(checkpoint, config.backbone);
  return renameTensors(checkpoint, encoderStoredNames(config, checkpoint.tensors.keys()));
}
