/** Monarch Mixer encoders against the expected values: states, steps, vectors, masked tokens, and what padding does. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testData } from "../../../testing/test-data.ts";
import { loadEncoder } from "../load-encoder.ts";
import { embedCounted } from "../tasks/embed.ts";
import { fillMask } from "../tasks/fill-mask.ts";

interface ExpectedText {
  readonly text: string;
  readonly tokens: number;
  readonly ids: number[];
  readonly mask: number[];
  readonly types?: number[];
  readonly lastHiddenState: number[][];
  readonly pooled: number[];
}

interface Expected {
  readonly texts: (ExpectedText & {
    readonly pooledMean?: number[];
    readonly unpadded: { ids: number[]; lastHiddenState: number[][]; pooled: number[] };
  })[];
  readonly pair: ExpectedText;
  readonly masked: { ids: number[]; position: number; logits: number[] };
  readonly cosine: number[][];
}

const readExpected = (folder: string): Expected =>
  JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Expected;

function largestDifference(found: ArrayLike<number>, expected: readonly number[]): number {
  expect(found.length).toBe(expected.length);
  return expected.reduce(
    (largest, value, at) => Math.max(largest, Math.abs(value - found[at]!)),
    0,
  );
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
    Array.from(x).reduce((sum, value, at) => sum + value * y[at]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe.each(["m2-bert", "m2-bert/options"])("%s", (name) => {
  const { folder, skip } = testData(`models/families/${name}`);
  const open = () => loadEncoder(folder, { inline: true, threads: 1, format: "f32" });

  test.skipIf(skip)(
    "states equal the expected ones, padded and bare, alone and together",
    async () => {
      await using model = await open();
      const { texts, pair } = readExpected(folder);
      const asked = [
        ...[...texts, pair].map(({ ids, mask, types, lastHiddenState, pooled }) => ({
          request: { ids, attended: mask, ...(types && { types }) },
          lastHiddenState,
          pooled,
        })),
        ...texts.map(({ unpadded: { ids, ...expected } }) => ({ request: { ids }, ...expected })),
      ];
      const outputs = ["states", "pooled"] as const;
      const run = ({ request }: (typeof asked)[number]) => model.run({ ...request, outputs });
      const together = await Promise.all(asked.map(run));
      for (const [index, text] of asked.entries()) {
        const { states, pooled } = together[index]!;
        expect(largestDifference(states!.data, text.lastHiddenState.flat())).toBeLessThan(1e-4);
        expect(largestDifference(pooled!.data, text.pooled)).toBeLessThan(1e-4);
        // To the bit: what runs beside a text changes nothing.
        expect(await run(text)).toEqual(together[index]);
      }
    },
  );

  test.skipIf(skip)("texts are read as the authors' models do, filled up or cut", async () => {
    await using model = await open();
    const { texts, cosine: expected } = readExpected(folder);
    const { vectors, tokens } = await embedCounted(
      model,
      texts.map(({ text }) => text),
    );
    const length = model.contextLength;
    expect(tokens).toBe(texts.reduce((sum, text) => sum + Math.min(text.tokens, length), 0));
    expect(model.sentence.similarity).toBe("cosine");
    for (const [index, { pooled }] of texts.entries()) {
      expect(largestDifference(vectors[index]!, pooled)).toBeLessThan(1e-4);
      for (const [other, vector] of vectors.entries()) {
        expect(cosine(vectors[index]!, vector)).toBeCloseTo(expected[index]![other]!, 4);
      }
    }
  });

  test.skipIf(skip)("masked tokens have the expected logits", async () => {
    await using model = await open();
    const { ids, position, logits } = readExpected(folder).masked;
    const { masked } = await model.run({ ids, outputs: ["masked"], rows: [position] });
    expect(largestDifference(masked!.data, logits)).toBeLessThan(5e-4);
    const [first] = await fillMask(model, "to be or [MASK] to be");
    expect(first).toHaveLength(5);
  });
});
