/** Folders of sentence encoders for tests: modules around one small model of random weights. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { writeShardedSafetensors } from "../../../checkpoint/index.ts";
import { writeSafetensors } from "../../../checkpoint/safetensors/write-safetensors.ts";
import {
  encodeReference,
  ReferenceWeights,
} from "../../../testing/reference-encoder/reference-encoder.ts";
import { referenceEncoders } from "../../../testing/reference-encoder/reference-encoder-families.ts";
import { saveTokenizer, trainTokenizer } from "../../../tokenizer/index.ts";
import { loadEncoder } from "../load-encoder.ts";
import type { LoadedEncoder } from "../types.ts";

const made: string[] = [];
/** Removes what `openSentenceFolder` made. */
export function removeSentenceFolders(): void {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** Width of the model's states. */
export const width = 32;

/** A text's files by path: JSON, or tensors of `model.safetensors` by name. */
type Files = Readonly<Record<string, unknown>>;

/** Opens a folder with these files beside the model's own. */
export async function openSentenceFolder(
  files: Files,
  more: ReadonlyMap<string, number[]> = new Map(),
  checkpoint = "",
): Promise<LoadedEncoder> {
  const root = mkdtempSync(join(tmpdir(), "jeton-sentence-"));
  made.push(root);
  const folder = join(root, checkpoint);
  mkdirSync(folder, { recursive: true });
  const { config, plan } = referenceEncoders["electra"]!();
  const weights = new ReferenceWeights(3);
  encodeReference(plan, weights, [5]);
  for (const [name, shape] of more) weights.get(name, ...shape);
  const tensors = (own: ReferenceWeights) =>
    [...own.tensors].map(([name, tensor]) => ({ name, dtype: "F32" as const, ...tensor }));
  await writeShardedSafetensors(folder, tensors(weights));
  const texts = ["a rose is a rose. king queen [ ] !"];
  const tokenizer = await trainTokenizer({ kind: "wordpiece", texts, vocabSize: 60 });
  await saveTokenizer(folder, tokenizer);
  const all = { [join(checkpoint, "config.json")]: config, ...files };
  for (const [path, value] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (!(value instanceof Map)) writeFileSync(join(root, path), JSON.stringify(value));
    else {
      const own = new ReferenceWeights(4);
      for (const [name, shape] of value) own.get(name, ...shape);
      await writeSafetensors(join(root, path), tensors(own));
    }
  }
  return loadEncoder(root, { inline: true, threads: 1, format: "f32" });
}

const transformer = { path: "", type: "sentence_transformers.models.Transformer" };
/** `modules.json`: a transformer and modules of these classes, each in a folder `1_Class`, `2_Class`, ... */
export const modules = (...kinds: string[]): { path: string; type: string }[] => [
  transformer,
  ...kinds.map((kind, at) => ({
    path: `${at + 1}_${kind}`,
    type: `sentence_transformers.models.${kind}`,
  })),
];

/** States of a text's tokens. */
export async function statesOf(model: LoadedEncoder, text: string): Promise<number[][]> {
  const { ids } = model.tokenizer.encode(text, { applyLimits: false });
  const { states } = await model.run({ ids, outputs: ["states"] });
  return Array.from(ids, (_, at) => [...states!.data.subarray(at * width, (at + 1) * width)]);
}

/** The mean of rows. */
export const meanOf = (rows: number[][]): number[] =>
  rows[0]!.map((_, at) => rows.reduce((sum, row) => sum + row[at]!, 0) / rows.length);

/** Expects numbers to agree to four digits. */
export function expectNear(found: ArrayLike<number>, expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  for (const [at, value] of expected.entries()) expect(found[at]).toBeCloseTo(value, 4);
}

/** A row's length. */
export const lengthOf = (row: readonly number[]): number => Math.hypot(...row);
/** A row of length 1. */
export const unit = (row: readonly number[]): number[] => row.map((value) => value / lengthOf(row));
