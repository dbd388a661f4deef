/** Rotations that depend on the length of a text: by the tokens there are, as in transformers. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandomCheckpoint, type RandomCheckpoint } from "../testing/random-checkpoint.ts";
import { startReference } from "../testing/reference-decoder.ts";
import { wordTokenizer } from "../testing/word-tokenizer.ts";
import { loadModel } from "./load-model.ts";
import { recordRouting } from "./openmoe/routing-trace.ts";
import type { LoadedModel, OpenSequence } from "./types.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-rotation-"));
  writeFileSync(join(root, "tokenizer.json"), JSON.stringify(wordTokenizer(512)));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const ids = Array.from({ length: 48 }, (_, at) => (at * 37 + 11) % 200);
const original = 24;

function expectNear(got: Float32Array, wanted: Float64Array): void {
  expect(got.length).toBe(wanted.length);
  let largest = 0;
  for (const [at, value] of wanted.entries()) {
    largest = Math.max(largest, Math.abs(value - got[at]!));
  }
  expect(largest).toBeLessThan(1e-3);
}

// The original context of each is 24 tokens.
describe.each(["llama-dynamic", "phi3-longrope", "phi4-mini-parameters"])("%s", (family) => {
  let model: LoadedModel;
  let made: RandomCheckpoint;
  beforeAll(async () => {
    const folder = join(root, family);
    const tokenizer = join(root, "tokenizer.json");
    made = createRandomCheckpoint(folder, { family, seed: 3, dtype: "F32", tokenizer });
    model = await loadModel(folder, { format: "f32", inline: true });
  });
  afterAll(() => model.close());

  /** Logits of the reference: the prompt in one pass, then token by token. */
  function expected(promptLength: number): Float64Array {
    const sequence = startReference(made.config, made.tensors);
    const parts = [sequence.append(ids.slice(0, promptLength))];
    for (const id of ids.slice(promptLength)) parts.push(sequence.append([id]));
    return Float64Array.from(parts.flatMap((part) => [...part]));
  }

  async function inSequence<T>(
    options: Parameters<LoadedModel["openSequence"]>[0],
    body: (sequence: OpenSequence) => Promise<T>,
  ): Promise<T> {
    const sequence = await model.openSequence(options);
    try {
      return await body(sequence);
    } finally {
      await sequence.release();
    }
  }

  test.each([1, 5, 23, 24, 25, 40])(
    "a prompt of %i tokens in chunks, then one by one, as transformers does",
    async (promptLength) => {
      const logits: number[] = [];
      await inSequence({ promptLength }, async (sequence) => {
        const steps: number[][] = [];
        for (let at = 0; at < promptLength; at += 7) {
          steps.push(ids.slice(at, Math.min(promptLength, at + 7)));
        }
        for (const id of ids.slice(promptLength)) steps.push([id]);
        for (const step of steps) {
          const result = await sequence.step({ ids: step, results: "all", logits: true });
          logits.push(...result.logits!);
        }
      });
      expectNear(Float32Array.from(logits), expected(promptLength));
    },
  );

  test("a chain that crosses the original context is what its tokens are one by one", async () => {
    const logits = await inSequence({ promptLength: 5 }, async (sequence) => {
      await sequence.step({ ids: ids.slice(0, 5), results: "none" });
      const { logits } = await sequence.step({ ids: ids.slice(5), results: "all", logits: true });
      return logits!;
    });
    expectNear(logits, expected(5).slice(5 * model.config.vocabSize));
  });

  test("rows of embeddings cross it too", async () => {
    const { hiddenSize, vocabSize, embeddingScale } = model.config;
    const table = made.tensors.get("model.embed_tokens.weight")!.data;
    expect(embeddingScale).toBe(1);
    const rowsOf = (tokens: readonly number[]) =>
      Float32Array.from(
        tokens.flatMap((id) => [...table.subarray(id * hiddenSize, (id + 1) * hiddenSize)]),
      );
    const logits = await inSequence({ promptLength: 5 }, async (sequence) => {
      await sequence.step({ ids: ids.slice(0, 5), embeddings: rowsOf(ids.slice(0, 5)) });
      await sequence.step({ ids: ids.slice(5, 12) });
      await sequence.step({
        ids: ids.slice(12, 14),
        embeddings: rowsOf(ids.slice(12, 14)),
        commit: false,
      });
      await sequence.accept([0, 1]);
      const result = await sequence.step({ ids: ids.slice(14), results: "all", logits: true });
      return result.logits!;
    });
    expectNear(logits, expected(5).slice(14 * vocabSize));
  });

  test("a prefix is reused where its rotations are those of the new prompt", async () => {
    // Other tokens than those of the tests above, whose rows lie in released slots.
    const own = ids.map((id) => (id + 1) % model.config.vocabSize);
    const first = own.slice(0, 10);
    await inSequence({ prefix: first }, (sequence) => sequence.step({ ids: first }));
    const short = own.slice(0, 16);
    await inSequence({ prefix: short }, async (sequence) => {
      expect(sequence.reused).toBe(10);
      await sequence.step({ ids: short.slice(10) });
    });
    const long = own.slice(0, original + 6);
    const logits = await inSequence({ prefix: long }, async (sequence) => {
      expect(sequence.reused).toBe(0);
      const result = await sequence.step({ ids: long, results: "all", logits: true });
      return result.logits!;
    });
    expectNear(logits, startReference(made.config, made.tensors).append(long));
  });
});

test("a routing trace is that of whole texts", async () => {
  const folder = join(root, "phimoe-longrope");
  const tokenizer = join(root, "tokenizer.json");
  createRandomCheckpoint(folder, { family: "phimoe-longrope", seed: 4, dtype: "F32", tokenizer });
  await using model = await loadModel(folder, { format: "f32", inline: true });
  const sequence = await model.openSequence({ promptLength: ids.length });
  const { expertChoices } = await sequence.step({ ids, results: "all", routing: true });
  await sequence.release();
  const { choices } = await recordRouting(model, [{ text: ids }]);
  expect(choices).toEqual(expertChoices);
});
