/** Folders of static models with a trained vocabulary, and means of the rows that were written there. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { writeSafetensors } from "../../../checkpoint/index.ts";
import { createRandom } from "../../../core/index.ts";
import { saveTokenizer, type Tokenizer, trainTokenizer } from "../../../tokenizer/index.ts";
import { loadEncoder } from "../load-encoder.ts";
import type { LoadEncoderOptions, LoadedEncoder } from "../types.ts";

/** Numbers of a row. */
export const width = 70;

type Trained = Awaited<ReturnType<typeof trainTokenizer>>;
export type StaticTensor =
  Parameters<typeof writeSafetensors>[1] extends Iterable<infer One> ? One : never;

/** A small vocabulary of word pieces. */
export function trainStaticTokenizer(): Promise<Trained> {
  const texts = ["a rose is a rose. king queen castle where is the king ?"];
  return trainTokenizer({ kind: "wordpiece", texts, vocabSize: 60 });
}

/** Multiples of 1/16, which every type of floats holds as they are. */
export function randomRows(rows: number, seed = 1): Float32Array {
  const random = createRandom(seed, "rows");
  return Float32Array.from({ length: rows * width }, () => Math.round(16 * random.normal()) / 16);
}

export const table = (name: string, data: Float32Array): StaticTensor => ({
  ...{ name, dtype: "F32", shape: [data.length / width, width], data },
});

let made = 0;
/** Writes a folder below `root`, its tensors and tokenizer in the folder `below` of it. */
export async function writeStaticFolder(
  root: string,
  trained: Trained,
  tensors: readonly StaticTensor[],
  files: Readonly<Record<string, unknown>>,
  below = "",
): Promise<string> {
  const folder = join(root, String(made++));
  mkdirSync(join(folder, below), { recursive: true });
  await saveTokenizer(join(folder, below), trained);
  await writeSafetensors(join(folder, below, "model.safetensors"), [...tensors]);
  for (const [path, value] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), JSON.stringify(value));
  }
  return folder;
}

/** A line of `modules.json`. */
export const line = (kind: string, path: string): { path: string; type: string } => ({
  path,
  type: `sentence_transformers.models.${kind}`,
});
export const model2vec: { "config.json": { model_type: string; hidden_dim: number } } = {
  "config.json": { model_type: "model2vec", hidden_dim: width },
};

export const open = (folder: string, options: LoadEncoderOptions = {}): Promise<LoadedEncoder> =>
  loadEncoder(folder, { format: "f32", ...options });

/** The mean of rows, by hand. */
export function meanOf(rows: Float32Array, ids: Iterable<number>): number[] {
  const own = [...ids].map((id) => rows.subarray(id * width, (id + 1) * width));
  return Array.from({ length: width }, (_, column) => {
    const sum = own.reduce((total, row) => total + row[column]!, 0);
    return own.length === 0 ? 0 : sum / own.length;
  });
}

export const unit = (row: readonly number[]): number[] =>
  row.map((value) => value / (Math.hypot(...row) || 1));

/** Ids without special tokens. */
export const plainIds = (tokenizer: Tokenizer, text: string): number[] => [
  ...tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false }),
];

export function expectNear(found: Float32Array | undefined, expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  for (const [at, value] of expected.entries())
    expect(found![at]).toBeCloseTo(Math.fround(value), 6);
}
