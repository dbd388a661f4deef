/** Trains and scores the models of a comparison, and describes them: what the reproductions of this module share. */
import { readFile } from "node:fs/promises";
import type { ReproductionContext, Sample } from "../../reproduce/index.ts";
import { loadModel } from "../load-model.ts";
import type { LoadedModel } from "../types.ts";
import {
  bitsPerByte,
  sampleBits,
  scoreByBigrams,
  scoreTexts,
  type TextScore,
} from "./reproduction-measures.ts";
import {
  type Comparison,
  configOf,
  languages,
  type ModelKind,
  productsPerByte,
  trainKind,
} from "./reproduction-models.ts";

/** The held-out texts of all languages, one language after the other. */
export function heldOutTexts({ heldOut }: Comparison): string[] {
  return languages.flatMap((language) => heldOut[language]);
}

/** Bits per byte of the held-out texts by counted bigrams of the training text: the control. */
export async function sampleBigrams(comparison: Comparison): Promise<Sample> {
  const training = await Promise.all(comparison.corpora.map((file) => readFile(file, "utf8")));
  return sampleBits([scoreByBigrams(training.join(""), heldOutTexts(comparison))]);
}

/** Scores of one kind of model. */
export interface KindScores {
  /** Of the held-out texts, by seed, then text. */
  readonly scores: readonly (readonly TextScore[])[];
  readonly parameters: number;
  readonly trainingSeconds: number;
  readonly scoringSeconds: number;
}

/**
 * Trains a model with each seed and scores the held-out texts.
 *
 * @param measure what else is measured of each model
 */
export async function measureKind(
  context: ReproductionContext,
  comparison: Comparison,
  kind: ModelKind,
  measure: (model: LoadedModel) => Promise<void>,
): Promise<KindScores> {
  const texts = heldOutTexts(comparison);
  const scores: TextScore[][] = [];
  let [parameters, trainingSeconds, scoringSeconds] = [0, 0, 0];
  for (let seed = 0; seed < comparison.sizes.seeds; seed++) {
    const trained = await trainKind(context, comparison, kind, seed);
    parameters = trained.parameters;
    trainingSeconds += trained.seconds;
    await using model = await loadModel(trained.folder, { threads: 2 });
    const began = performance.now();
    scores.push(await scoreTexts(model, texts, context.signal));
    scoringSeconds += (performance.now() - began) / 1000;
    await measure(model);
  }
  return { scores, parameters, trainingSeconds, scoringSeconds };
}

/** Numbers of one kind: each language, each seed, time. */
export function describeKind(
  kind: ModelKind,
  { scores, parameters, trainingSeconds, scoringSeconds }: KindScores,
  comparison: Comparison,
): Record<string, unknown> {
  const count = comparison.sizes.texts;
  const bytes = scores.flat().reduce((sum, one) => sum + one.bytes, 0);
  const byLanguage = languages.map((language, index) => [
    language,
    bitsPerByte(scores.flatMap((texts) => texts.slice(index * count, (index + 1) * count))),
  ]);
  return {
    parameters,
    productsPerByte: Math.round(productsPerByte(configOf(kind, comparison), comparison)),
    bitsPerByte: Object.fromEntries(byLanguage),
    bySeed: scores.map((texts) => bitsPerByte(texts)),
    trainingSeconds,
    microsecondsPerByte: (1e6 * scoringSeconds) / bytes,
  };
}

/** Numbers of the texts. */
export function describeTexts({ wordsPerByte, tokensPerByte, sizes }: Comparison): {
  readonly bytesPerWord: number;
  readonly bytesPerSubword: number;
  readonly trainingBytes: number;
} {
  return {
    bytesPerWord: 1 / wordsPerByte,
    bytesPerSubword: 1 / tokensPerByte,
    trainingBytes: sizes.steps * sizes.batch * sizes.bytes,
  };
}
