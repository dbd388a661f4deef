/**
 * Span corruption of prose: one model is trained without deletion, as ByT5 is, and goes on with the gate, with
 * random deletion at the rate that the gate reached, and without deletion, on equal texts and steps.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom, type Random } from "../../core/index.ts";
import { gibbonParagraphs, isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import type { RatioParts, ReproductionContext } from "../../reproduce/index.ts";
import {
  evaluatePairs,
  type PairTraining,
  type SmallSize,
  type TrainedPairs,
  trainPairs,
  type Way,
} from "./reproduction-training.ts";
import { corruptSpans, partitionSpans } from "./span-corruption.ts";
import type { IdPair } from "./tasks.ts";

const size: SmallSize = {
  width: 64,
  heads: 4,
  feedForward: 128,
  encoderLayers: 4,
  decoderLayers: 2,
  layer: 1,
  vocabSize: 384,
};

/** Bytes of a text before spans are taken out. */
const textBytes = 128;
export const spanTarget = 0.4;
const heldOutTexts = 150;
const settings = {
  ...{ size, batch: 12, target: spanTarget, textBytes },
  ...{ proportional: 0.05, scores: 0, delay: 0 },
};
const first = { steps: 1800, learningRate: 3e-3 };
const further = { steps: 500, learningRate: 1e-3 };

/** Bits of the targets by text, and what was deleted. */
export interface SpanResult {
  readonly bits: readonly RatioParts[];
  /** Share of each text. */
  readonly deleted: readonly number[];
}

/** One training with each way, and the gate asked about the targets of other texts (the control). */
export type SpanResults = Readonly<Record<Way | "mismatched", SpanResult>>;

/** Results of each seed. */
export async function measureSpans(
  context: ReproductionContext,
  seeds: number,
): Promise<SpanResults[]> {
  const gibbon = await context.data("text/gibbon");
  const files = (await readdir(gibbon)).filter((file) => file.endsWith(".txt")).sort();
  const read = async (isWanted: (file: string) => boolean): Promise<Uint8Array> => {
    const texts = await Promise.all(
      files.filter(isWanted).map((file) => readFile(join(gibbon, file), "utf8")),
    );
    return new TextEncoder().encode(texts.flatMap(gibbonParagraphs).join(" "));
  };
  const learned = await read((file) => !isHeldOutChapter(file));
  const heldOut = await read(isHeldOutChapter);
  const results: SpanResults[] = [];
  for (let run = 0; run < seeds; run++) {
    const seed = context.seed + run;
    results.push(
      await context.remember(`spans, seed ${seed}`, { ...settings, first, further, run }, () =>
        measureSeed(context, seed, learned, heldOut),
      ),
    );
  }
  return results;
}

async function measureSeed(
  context: ReproductionContext,
  seed: number,
  learned: Uint8Array,
  heldOut: Uint8Array,
): Promise<SpanResults> {
  const random = createRandom(seed, "held-out spans");
  const pairs = Array.from({ length: heldOutTexts }, () => hideSpans(heldOut, random));
  const train = (
    way: Way,
    target: number,
    more: Partial<PairTraining> & Pick<PairTraining, "steps" | "learningRate">,
  ): Promise<TrainedPairs> =>
    trainPairs(context, {
      ...{ ...settings, ...more, way, target, seed, name: `spans, ${way}, seed ${seed}` },
      draw: (own) => hideSpans(learned, own),
    });
  const { parameters: start } = await train("none", spanTarget, first);
  const go = { ...further, start };
  const gate = await train("gate", spanTarget, go);
  const reached = mean((await evaluatePairs(gate, "gate", pairs, spanTarget)).deleted);
  // As many positions as the gate deletes in hard mode, so that neither has more to read.
  const byChance = await train("random", reached, go);
  const none = await train("none", spanTarget, go);
  const results = async (
    trained: TrainedPairs,
    way: Way,
    texts: readonly IdPair[],
  ): Promise<SpanResult> => {
    const { bits, bytes, deleted } = await evaluatePairs(trained, way, texts, reached);
    return { bits: bits.map((sum, text) => ({ sum, weight: bytes[text]! })), deleted };
  };
  const mismatched = pairs.map(({ target }, text) => ({
    source: pairs[(text + 1) % pairs.length]!.source,
    target,
  }));
  return {
    gate: await results(gate, "gate", pairs),
    random: await results(byChance, "random", pairs),
    none: await results(none, "none", pairs),
    mismatched: await results(gate, "gate", mismatched),
  };
}

/** A window of text with its spans taken out, as ids of ByT5. */
function hideSpans(text: Uint8Array, random: Random): IdPair {
  const start = random.integer(text.length - textBytes);
  const ids = Array.from(text.subarray(start, start + textBytes), (byte) => byte + 3);
  const { input, labels } = corruptSpans(ids, partitionSpans(textBytes, random));
  return { source: input, target: labels };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
