import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testData } from "../../testing/test-data.ts";
import type { HeadName } from "./heads/heads.ts";
import { loadEncoder } from "./load-encoder.ts";
import { embed, embedTokens } from "./tasks/embed.ts";

interface ExpectedText {
  text: string;
  pair: string | null;
  ids: number[];
  types: number[];
  lastHiddenState: number[][];
  classes?: number[];
}

interface Expected {
  texts: (ExpectedText & Record<string, unknown>)[];
  padded: { ids: number[][]; mask: number[][]; types: number[][] };
  masked?: { ids: number[]; position: number; logits: number[] }[];
}

function readExpected<T>(folder: string): T {
  return JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as T;
}

function largestDifference(found: ArrayLike<number>, expected: readonly number[]): number {
  expect(found.length).toBe(expected.length);
  return expected.reduce(
    (largest, value, at) => Math.max(largest, Math.abs(value - found[at]!)),
    0,
  );
}

/** Results of heads by the names of the expected values. */
const results: Readonly<Record<string, HeadName>> = {
  pooled: "pooled",
  classes: "sequence",
  tokenClasses: "tokens",
  nextSentence: "nextSentence",
  sentenceOrder: "sentenceOrder",
  replaced: "replaced",
};

const folders = [
  "bert",
  "bert-sequence-classification",
  "modernbert",
  "modernbert-sequence-classification",
] as const;

describe.each(folders)("%s", (name) => {
  const { folder, skip } = testData(`models/families/${name}`);

  test.skipIf(skip)(
    "states and heads equal the expected values, alone and in a batch",
    async () => {
      await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
      const { texts, masked = [] } = readExpected<Expected>(folder);
      const outputs = ["states", ...model.heads.filter((head) => head !== "masked")] as const;
      const run = (text: ExpectedText) => model.run({ ids: text.ids, types: text.types, outputs });
      const together = await Promise.all(texts.map(run));
      for (const [index, text] of texts.entries()) {
        const encoding = model.tokenizer.encode(text.text, {
          applyLimits: false,
          ...(text.pair !== null && { pair: text.pair }),
        });
        expect([...encoding.ids]).toEqual(text.ids);
        const alone = await run(text);
        for (const found of [alone, together[index]!]) {
          const states = found.states!.data;
          expect(largestDifference(states, text.lastHiddenState.flat())).toBeLessThan(1e-4);
          for (const [key, head] of Object.entries(results)) {
            if (text[key] === undefined) continue;
            const expected = (text[key] as number[] | number[][]).flat();
            expect(largestDifference(found[head]!.data, expected), key).toBeLessThan(5e-4);
          }
        }
        // To the bit: padding never changes a result.
        expect(together[index]).toEqual(alone);
      }
      for (const { ids, position, logits } of masked) {
        const found = await model.run({ ids, outputs: ["masked"], rows: [position] });
        expect(largestDifference(found.masked!.data, logits)).toBeLessThan(5e-4);
      }
    },
  );
});

describe("sentence-transformers layout", () => {
  const { folder, skip } = testData("models/families/st-mean");
  interface Sentences {
    texts: { text: string; ids: number[]; embedding: number[] }[];
    similarity: number[][];
  }

  test.skipIf(skip)("vectors equal the expected ones", async () => {
    await using model = await loadEncoder(folder, { inline: true, threads: 1 });
    const { texts } = readExpected<Sentences>(folder);
    const vectors = await embed(
      model,
      texts.map(({ text }) => text),
    );
    for (const [index, { embedding }] of texts.entries()) {
      expect(largestDifference(vectors[index]!, embedding)).toBeLessThan(1e-4);
    }
  });
});

describe("PyLate layout", () => {
  const { folder, skip } = testData("models/families/colbert");
  interface Late {
    text: string;
    ids: number[];
    keep: number[];
    vectors: number[][];
  }

  test.skipIf(skip)("vectors of queries and documents equal the expected ones", async () => {
    await using model = await loadEncoder(folder, { inline: true, threads: 1 });
    const expected = readExpected<{ queries: Late[]; documents: Late[] }>(folder);
    for (const [role, texts] of [
      ["query", expected.queries],
      ["document", expected.documents],
    ] as const) {
      const found = await embedTokens(
        model,
        texts.map(({ text }) => text),
        { role },
      );
      for (const [index, { ids, keep, vectors }] of texts.entries()) {
        expect([...found[index]!.ids]).toEqual(ids.filter((_, at) => keep[at] === 1));
        expect(largestDifference(found[index]!.vectors, vectors.flat())).toBeLessThan(1e-4);
      }
    }
  });
});
