/** Sizes of the reproduction's models, and their training. */

import type { ReproductionContext } from "../../reproduce/index.ts";
import type { SymbolBatch, SymbolEmbeddings } from "./lexinvariant.ts";
import { letters, type SymbolModelSize, trainSymbols } from "./reproduction-training.ts";
import { openSymbolModel, type SymbolModel } from "./symbol-model.ts";

/** Classes of characters: a space, the two most frequent letters, vowels, and two of consonants. */
export const classes: readonly string[] = [" ", "e", "t", "aiouy", "dhlnrs", "bcfgjkmpqvwxz"];

export const context = 192;

export const classSize: SymbolModelSize = {
  symbols: classes.length,
  width: 64,
  layers: 2,
  // One head of the whole width and slow rotation: vectors of distant symbols can be compared.
  heads: 1,
  feedForward: 192,
  context,
};

export const letterSize: SymbolModelSize = { ...classSize, symbols: letters.length };

export const chainSize: SymbolModelSize = {
  ...classSize,
  symbols: 6,
  feedForward: 128,
  context: 64,
};

export type Context = ReproductionContext<string>;

interface TextTraining {
  readonly name: string;
  readonly size: SymbolModelSize;
  readonly embeddings: SymbolEmbeddings;
  readonly steps: number;
  readonly permute?: number;
  draw(count: number, time: number, key: number): SymbolBatch;
  /** Takes the loss of each step. */
  readonly onTrained?: (losses: readonly number[]) => void;
}

export async function openTrained(
  reproduce: Context,
  { onTrained, ...training }: TextTraining,
): Promise<SymbolModel> {
  const { config, parameters, losses } = await trainSymbols(reproduce, {
    ...training,
    batch: training.size.context > 100 ? 8 : 16,
    learningRate: 0.003,
  });
  onTrained?.(losses);
  const { embeddings } = training;
  return openSymbolModel({ config, embeddings, parameters, threads: 1, inline: true });
}
