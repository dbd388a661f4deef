/**
 * Quantized formats on the checkpoints with expected values: how near they stay to single precision, and that a text's
 * results depend on neither its neighbours nor its padding, to the bit.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testData } from "../../testing/test-data.ts";
import { loadSeq2Seq } from "../seq2seq/load-seq2seq.ts";
import type { WeightFormat } from "../types.ts";
import { loadEncoder } from "./load-encoder.ts";
import type { EncoderOutput } from "./types.ts";

/** Least cosine between a token's state and the expected one. Random weights are harder than trained ones. */
const bounds: Readonly<Record<Exclude<WeightFormat, "f32">, number>> = {
  int8: 0.99,
  "int8-channel": 0.98,
  int4: 0.65,
};
const formats = Object.entries(bounds) as [Exclude<WeightFormat, "f32">, number][];

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (let at = 0; at < a.length; at++) {
    product += a[at]! * b[at]!;
    squaresA += a[at]! ** 2;
    squaresB += b[at]! ** 2;
  }
  return product / Math.sqrt(squaresA * squaresB);
}

const readExpected = <T>(folder: string): T =>
  JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as T;

interface Texts {
  texts: { ids: number[]; types?: number[]; lastHiddenState: number[][] }[];
}

const encoders = [
  "bert",
  "bert-sequence-classification",
  "modernbert",
  "t5-v1-1",
  "m2-bert",
  "m2-bert/options",
];

/**
 * Products of three projections in a layer make more of a rounding than attention does. In int4 a token of the small
 * random models keeps nothing of its state: there only the independence of neighbours is tested.
 */
const mixerBounds: typeof bounds = { int8: 0.97, "int8-channel": 0.95, int4: -1 };

describe.each(encoders)("%s", (name) => {
  const { folder, skip } = testData(`models/families/${name}`);
  const own = name.startsWith("m2-bert") ? mixerBounds : bounds;
  test.skipIf(skip).each(Object.entries(own) as typeof formats)(
    "%s: states stay within a cosine of %f",
    async (format, least) => {
      await using model = await loadEncoder(folder, { inline: true, threads: 1, format });
      const { texts } = readExpected<Texts>(folder);
      const outputs: EncoderOutput[] = ["states", "embedding"];
      if (model.heads.includes("sequence")) outputs.push("sequence");
      const run = ({ ids, types }: Texts["texts"][number]) =>
        model.run({ ids, ...(types && { types }), outputs });
      const together = await Promise.all(texts.map(run));
      for (const [index, text] of texts.entries()) {
        const alone = await run(text);
        const width = model.config.hiddenSize;
        for (const [place, expected] of text.lastHiddenState.entries()) {
          const found = alone.states!.data.subarray(place * width, (place + 1) * width);
          expect(cosine(found, expected), `token ${place}`).toBeGreaterThan(least);
        }
        expect(together[index]).toEqual(alone);
      }
    },
  );
});

describe.each(["t5-v1-1", "mrt5"])("%s reads", (name) => {
  const { folder, skip } = testData(`models/families/${name}`);
  test.skipIf(skip).each(formats)(
    "%s: as single precision within a cosine of %f",
    async (format, least) => {
      await using plain = await loadSeq2Seq(folder, { inline: true, threads: 1, format: "f32" });
      await using model = await loadSeq2Seq(folder, { inline: true, threads: 1, format });
      const ids = readExpected<{ texts: { ids: number[] }[] }>(folder).texts.map(
        (text) => text.ids,
      );
      // Deleting is a threshold, which quantization may cross: all tokens are kept.
      const options =
        plain.config.deleteGate === undefined ? {} : { threshold: Number.NEGATIVE_INFINITY };
      const expected = await plain.encode(ids, options);
      const together = await model.encode(ids, options);
      const width = plain.config.encoder.hiddenSize;
      for (const [index, text] of ids.entries()) {
        const [alone] = await model.encode([text], options);
        const states = together[index]!.states!;
        expect(states).toEqual(alone!.states);
        for (let at = 0; at < states.length; at += width) {
          const wanted = expected[index]!.states!.subarray(at, at + width);
          expect(cosine(states.subarray(at, at + width), wanted)).toBeGreaterThan(least);
        }
      }
    },
  );
});

describe.each(["st-mean", "colbert"])("%s", (name) => {
  const { folder, skip } = testData(`models/families/${name}`);
  interface Sentences {
    texts?: { ids: number[]; embedding: number[] }[];
    documents?: { ids: number[]; keep: number[]; vectors: number[][] }[];
  }
  test.skipIf(skip).each(formats)(
    "%s: vectors stay within a cosine of %f",
    async (format, least) => {
      await using model = await loadEncoder(folder, { inline: true, threads: 1, format });
      const { texts = [], documents = [] } = readExpected<Sentences>(folder);
      for (const { ids, embedding } of texts) {
        const { embedding: found } = await model.run({ ids, outputs: ["embedding"] });
        expect(cosine(found!.data, embedding)).toBeGreaterThan(least);
      }
      for (const { ids, keep, vectors } of documents) {
        const { vectors: found } = await model.run({ ids, outputs: ["vectors"] });
        const width = vectors[0]!.length;
        const places = [...keep.keys()].filter((place) => keep[place] === 1);
        for (const [row, place] of places.entries()) {
          const own = found!.data.subarray(place * width, (place + 1) * width);
          expect(cosine(own, vectors[row]!)).toBeGreaterThan(least);
        }
      }
    },
  );
});
