/** The baselines of the reproduction: encoding efficiency and token classification. */

import type { Tokenizer } from "../tokenizer-interface.ts";
import { trainTokenizer } from "../training/train-tokenizer.ts";
import { type Experiment, mean } from "./reproduction-experiment.ts";

/**
 * Baseline "encoding efficiency": bytes per token on each category, against a tokenizer of the same
 * size trained on that category alone.
 */
export async function measureEfficiency(experiment: Experiment, merges: number): Promise<number[]> {
  const efficiencies: number[] = [];
  for (const { documents } of experiment.samples) {
    const own = await trainTokenizer({
      kind: "byte-level-bpe",
      vocabSize: 257 + merges,
      texts: documents,
    });
    efficiencies.push(
      countTokens(own.tokenizer, documents) / countTokens(experiment.tokenizer, documents),
    );
  }
  return efficiencies;
}

function countTokens(tokenizer: Tokenizer, texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + tokenizer.countTokens(text), 0);
}

/** Baseline "token classification": each token counts for the category in whose text it is commonest. */
export function classifyTokens({ tokenizer, samples }: Experiment): number[] {
  const texts = samples.map(({ documents }) => documents.join(""));
  const counts = samples.map(() => 0);
  for (let id = 257; id < tokenizer.vocabSize; id++) {
    const token = tokenizer.decode([id]);
    if (token.includes("\ufffd")) continue;
    const rates = texts.map((text) => (text.split(token).length - 1) / text.length);
    const best = rates.indexOf(Math.max(...rates));
    if (rates[best]! > 0) counts[best]!++;
  }
  const sum = counts.reduce((all, count) => all + count, 0);
  return counts.map((count) => count / sum);
}

/**
 * Shares predicted from a feature of each category by a line in logarithms, fitted on all other
 * mixtures, and normalized.
 */
export function predictFromOthers(
  features: readonly (readonly number[])[],
  truths: readonly (readonly number[])[],
  which: number,
): number[] {
  const points = features.flatMap((row, i) =>
    i === which ? [] : row.map((value, j) => [logOf(value), logOf(truths[i]![j]!)] as const),
  );
  const meanX = mean(points.map(([x]) => x));
  const meanY = mean(points.map(([, y]) => y));
  const covariance = mean(points.map(([x, y]) => (x - meanX) * (y - meanY)));
  const variance = mean(points.map(([x]) => (x - meanX) ** 2));
  const slope = variance > 0 ? covariance / variance : 0;
  const raw = features[which]!.map((value) => Math.exp(meanY + slope * (logOf(value) - meanX)));
  const sum = raw.reduce((all, value) => all + value, 0);
  return raw.map((value) => value / sum);
}

function logOf(value: number): number {
  return Math.log(Math.max(value, 1e-4));
}
