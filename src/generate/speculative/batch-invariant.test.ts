import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type LoadedModel, loadModel, type WeightFormat } from "../../model/index.ts";
import { complete } from "../generate.ts";

const data = process.env["JETON_DATA"];
const tiny = data ? join(data, "models/tinystories-260k") : "";
const available = existsSync(tiny);
if (!available) console.log("batch-invariant: skipped, JETON_DATA does not hold tinystories-260k");

/** Logits of `ids` after `prompt`, `width` rows at a time beside a rejected draft token. */
async function logitsByWidth(
  model: LoadedModel,
  prompt: readonly number[],
  ids: readonly number[],
  width: number,
): Promise<Float32Array[]> {
  const vocabulary = model.config.vocabSize;
  const sequence = await model.openSequence();
  await sequence.step({ ids: prompt, results: "none" });
  const rows: Float32Array[] = [];
  for (let at = 0; at < ids.length; at += width) {
    const part = ids.slice(at, at + width);
    const { logits } = await sequence.step({
      ids: [...part, 7],
      results: "all",
      logits: true,
      commit: false,
    });
    await sequence.accept(part.map((_, row) => row));
    for (let row = 0; row < part.length; row++) {
      rows.push(logits!.slice(row * vocabulary, (row + 1) * vocabulary));
    }
  }
  await sequence.release();
  return rows;
}

describe.skipIf(!available)("a batch-invariant model", () => {
  const formats: WeightFormat[] = ["f32", "int8", "int8-channel", "int4"];
  test.each(formats)("%s: a row is bit-identical beside any other rows", async (format) => {
    const model = await loadModel(tiny, { format, threads: 2, inline: true, batchInvariant: true });
    const prompt = Array.from({ length: 31 }, (_, index) => 3 + ((index * 37) % 500));
    const { ids } = await complete(model, prompt, {
      greedy: true,
      maxTokens: 48,
      ignoreEos: true,
    });
    const alone = await logitsByWidth(model, prompt, ids, 1);
    for (const width of [2, 5, 9, 16]) {
      const together = await logitsByWidth(model, prompt, ids, width);
      expect(together.length).toBe(alone.length);
      for (const [row, logits] of together.entries()) {
        expect(logits.every((logit, id) => logit === alone[row]![id])).toBe(true);
      }
    }

    const options = { temperature: 0.9, seed: 2, maxTokens: 30, ignoreEos: true };
    const texts = ["Once upon a time", "The", "Lily and Ben saw a big red ball in the park"];
    const one = [];
    for (const text of texts) one.push(await complete(model, text, options));
    const all = await Promise.all(texts.map((text) => complete(model, text, options)));
    for (const [index, { tokens }] of all.entries()) {
      expect(tokens.map((token) => token.logProbability)).toEqual(
        one[index]!.tokens.map((token) => token.logProbability),
      );
    }
    await model.close();
  });
});
