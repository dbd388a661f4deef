import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readReferenceCheckpoint } from "./reference-checkpoint.ts";
import { referenceForward, referenceGreedy, startReference } from "./reference-decoder.ts";

const data = process.env["JETON_DATA"];
const models = data === undefined ? undefined : join(data, "models");
if (models === undefined) console.log("JETON_DATA is unset: the oracle is not compared with data");

function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

describe.skipIf(models === undefined)("the oracle equals independent programs", () => {
  test("tinystories-260k: greedy text and logits after the first token", () => {
    const folder = join(models!, "tinystories-260k");
    const { config, tensors } = readReferenceCheckpoint(folder);
    const expected = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8")) as {
      greedy_ids: number[];
      logits_after_bos: number[];
    };
    const { ids, logitsAfterPrompt } = referenceGreedy(config, tensors, [1], { maxTokens: 200 });
    expect([1, ...ids]).toEqual(expected.greedy_ids);
    expect(maxDifference(logitsAfterPrompt, expected.logits_after_bos)).toBeLessThan(1e-5);
  });

  const folder = models === undefined ? "" : join(models, "architectures");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  test.each(names)("%s: greedy text and logits after three prompts", (name) => {
    const { config, tensors } = readReferenceCheckpoint(join(folder, name));
    const expected = JSON.parse(readFileSync(join(folder, name, "expected.json"), "utf8")) as {
      prompts: { promptIds: number[]; greedyIds: number[]; logitsAfterPrompt: number[] }[];
    };
    expect(expected.prompts.length).toBeGreaterThan(0);
    for (const { promptIds, greedyIds, logitsAfterPrompt } of expected.prompts) {
      const result = referenceGreedy(config, tensors, promptIds, { maxTokens: greedyIds.length });
      expect(result.ids).toEqual(greedyIds);
      expect(maxDifference(result.logitsAfterPrompt, logitsAfterPrompt)).toBeLessThan(1e-5);
    }
  });

  test.each(names)("%s: in pieces equals at once", (name) => {
    const { config, tensors } = readReferenceCheckpoint(join(folder, name));
    const ids = Array.from({ length: 20 }, (_, i) => (i * 37 + 5) % 512);
    const whole = referenceForward(config, tensors, ids);
    const sequence = startReference(config, tensors);
    const pieces = [ids.slice(0, 7), ids.slice(7, 8), ids.slice(8)].flatMap((piece) => [
      ...sequence.append(piece),
    ]);
    expect(maxDifference(whole, pieces)).toBe(0);
    expect(sequence.length).toBe(ids.length);
  });
});
