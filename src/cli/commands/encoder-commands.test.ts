import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { testData } from "../../testing/test-data.ts";
import { runCommand } from "../testing/run-command.ts";

const sentences = testData("models/families/st-mean");
const colbert = testData("models/families/colbert");
const classifier = testData("models/families/bert-sequence-classification");
const masked = testData("models/families/bert");

async function json<T>(...args: string[]): Promise<T> {
  const { status, stdout, stderr } = await runCommand([...args, "--json"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout) as T;
}

describe("jeton embed", () => {
  interface Embedded {
    size: number;
    tokens: number;
    embeddings: number[][];
  }

  test.skipIf(sentences.skip)(
    "prints the vectors of the reference, in the order of the texts",
    async () => {
      const expected = JSON.parse(
        readFileSync(join(sentences.folder, "expected.json"), "utf8"),
      ) as {
        texts: { text: string; ids: number[]; embedding: number[] }[];
      };
      const texts = expected.texts.map(({ text }) => text);
      const found = await json<Embedded>("embed", "-m", sentences.folder, ...texts);
      expect(found.size).toBe(32);
      expect(found.tokens).toBe(expected.texts.reduce((sum, { ids }) => sum + ids.length, 0));
      for (const [index, { embedding }] of expected.texts.entries()) {
        for (const [at, value] of embedding.entries()) {
          expect(found.embeddings[index]![at]).toBeCloseTo(value, 4);
        }
      }
    },
  );

  test.skipIf(sentences.skip)(
    "--dimensions with --normalize gives short vectors of length 1",
    async () => {
      const whole = await json<Embedded>("embed", "-m", sentences.folder, "a rose");
      const short = await json<Embedded>(
        ...["embed", "-m", sentences.folder, "--dimensions", "8", "--normalize", "a rose"],
      );
      const head = whole.embeddings[0]!.slice(0, 8);
      const length = Math.hypot(...head);
      expect(short.embeddings[0]).toHaveLength(8);
      for (const [at, value] of head.entries()) {
        expect(short.embeddings[0]![at]).toBeCloseTo(value / length, 6);
      }
    },
  );

  test.skipIf(sentences.skip)(
    "reads a text on each line, and shows how alike texts are",
    async () => {
      const { stdout, status } = await runCommand(["embed", "-m", sentences.folder, "-"], {
        stdin: "a rose\na rose\n",
      });
      expect(status).toBe(0);
      const [, first, second] = stdout.split("\n");
      expect(first).toMatch(/1 {2}a rose .* 1\.000 {2}1\.000$/);
      expect(second).toMatch(/2 {2}a rose .* 1\.000 {2}1\.000$/);
    },
  );

  test.skipIf(colbert.skip)("--tokens gives each token's vector and place", async () => {
    const found = await json<{
      size: number;
      texts: { tokens: { id: number; start: number }[] }[];
    }>(...["embed", "-m", colbert.folder, "--tokens", "--role", "query", "Where is the king?"]);
    expect(found.size).toBe(24);
    expect(found.texts[0]!.tokens).toHaveLength(16);
    expect(found.texts[0]!.tokens[4]).toMatchObject({ id: 92, start: 9 });
  });

  test("without a model: the bundled encoder", async () => {
    const { embeddings } = await json<Embedded>("embed", "a rose");
    expect(embeddings.map((vector) => vector.length)).toEqual([128]);
  });

  test("says what is missing or wrong", async () => {
    const none = await runCommand(["classify", "a rose"]);
    expect(none.status).toBe(2);
    expect(none.stderr).toContain("(model-missing)");
    const prompts = ["--prompt", "a", "--prompt-name", "query"];
    const both = await runCommand(["embed", "-m", "x", ...prompts, "a rose"]);
    expect(both.stderr).toContain("(option-conflict)");
  });

  test.skipIf(sentences.skip)("names an unknown pooling and what there is", async () => {
    const { status, stderr } = await runCommand([
      "embed",
      "-m",
      sentences.folder,
      "--pooling",
      "median",
      "a rose",
    ]);
    expect(status).toBe(1);
    expect(stderr).toContain("mean_sqrt_len_tokens");
    expect(stderr).toContain("(encoder-pooling-unknown)");
  });
});

describe("jeton classify", () => {
  test.skipIf(classifier.skip)("prints the classes, the most probable first", async () => {
    const expected = JSON.parse(readFileSync(join(classifier.folder, "expected.json"), "utf8")) as {
      texts: { text: string; classes: number[] }[];
    };
    const { text, classes } = expected.texts[0]!;
    const { results } = await json<{
      results: { classes: { label: string; logit: number; score: number }[] }[];
    }>("classify", "-m", classifier.folder, text);
    const found = results[0]!.classes;
    const labels = ["left", "middle", "right"];
    for (const { label, logit } of found) {
      expect(logit).toBeCloseTo(classes[labels.indexOf(label)]!, 3);
    }
    expect(found.map(({ score }) => score)).toEqual(
      found.map(({ score }) => score).toSorted((a, b) => b - a),
    );
    expect(found.reduce((sum, { score }) => sum + score, 0)).toBeCloseTo(1, 6);
  });

  test.skipIf(masked.skip)("names the head that a checkpoint lacks", async () => {
    const { status, stderr } = await runCommand(["classify", "-m", masked.folder, "a rose"]);
    expect(status).toBe(1);
    expect(stderr).toContain("(encoder-head-missing)");
  });
});

describe("jeton fill", () => {
  interface Filled {
    results: { masks: { id: number; text: string; probability: number }[][] }[];
  }

  test.skipIf(masked.skip)("prints the most probable tokens of each mask", async () => {
    const { results } = await json<Filled>(
      ...["fill", "-m", masked.folder, "--mask", "___", "--top-k", "3", "the ___ and ___"],
    );
    expect(results[0]!.masks.map((tokens) => tokens.length)).toEqual([3, 3]);
    const [first, second] = results[0]!.masks[0]!;
    expect(first!.probability).toBeGreaterThan(second!.probability);
  });

  test.skipIf(masked.skip)("says that a text has no mask", async () => {
    const { status, stderr } = await runCommand(["fill", "-m", masked.folder, "a rose"]);
    expect(status).toBe(1);
    expect(stderr).toContain("(encoder-mask-missing)");
  });
});
