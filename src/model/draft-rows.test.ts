/** Rows that wait for `accept`: what the worker is told of them, and when. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorOf } from "../testing/code-of.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { startReference } from "../testing/reference-decoder.ts";
import { wordTokenizer } from "../testing/word-tokenizer.ts";
import { loadModel } from "./load-model.ts";
import type { LoadedModel, OpenSequence } from "./types.ts";

describe.each([false, true])("inline: %s", (inline) => {
  let root = "";
  let model: LoadedModel;
  let made: ReturnType<typeof createRandomCheckpoint>;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "jeton-draft-rows-"));
    const tokenizer = join(root, "tokenizer.json");
    writeFileSync(tokenizer, JSON.stringify(wordTokenizer(512)));
    const folder = join(root, "model");
    made = createRandomCheckpoint(folder, { family: "llama", seed: 5, dtype: "F32", tokenizer });
    model = await loadModel(folder, { format: "f32", inline });
  });
  afterAll(async () => {
    await model.close();
    rmSync(root, { recursive: true, force: true });
  });

  const prompt = [3, 17, 44, 9, 120];
  const tree = { ids: [21, 35, 60, 8], parents: [-1, 0, 0, 2], results: "all" } as const;

  /** A sequence whose rows 0 and 2 of a tree were accepted, and that holds the prompt. */
  async function openAccepted(): Promise<OpenSequence> {
    const sequence = await model.openSequence();
    await sequence.step({ ids: prompt, results: "none" });
    await sequence.step({ ...tree, commit: false });
    await sequence.accept([0, 2]);
    expect(sequence.length).toBe(prompt.length + 2);
    return sequence;
  }

  function expectNext(got: Float32Array | undefined, before: readonly number[], id: number): void {
    const reference = startReference(made.config, made.tensors);
    const wanted = reference.append([...before, id]).slice(-model.config.vocabSize);
    const apart = wanted.map((value, at) => Math.abs(value - got![at]!));
    expect(got).toHaveLength(wanted.length);
    expect(Math.max(...apart)).toBeLessThan(1e-4 * Math.max(...wanted.map(Math.abs)));
  }

  test("the next step reads the accepted rows, also after one that was aborted before it began", async () => {
    const sequence = await openAccepted();
    const aborted = sequence.step({ ids: [50] }, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ name: "AbortError" });
    const { logits } = await sequence.step({ ids: [77], logits: true });
    expectNext(logits, [...prompt, 21, 60], 77);
    await sequence.release();
  });

  test("a sequence can be cut into its accepted rows", async () => {
    const sequence = await openAccepted();
    await sequence.truncate(prompt.length + 1);
    expect(sequence.length).toBe(prompt.length + 1);
    const { logits } = await sequence.step({ ids: [77], logits: true });
    expectNext(logits, [...prompt, 21], 77);
    await sequence.release();
  });

  test("accepted rows of a released sequence are the prefix of the next one", async () => {
    const sequence = await openAccepted();
    await sequence.release();
    const prefix = [...prompt, 21, 60, 77];
    const next = await model.openSequence({ prefix });
    expect(next.reused).toBe(prompt.length + 2);
    const { logits } = await next.step({ ids: [77], logits: true });
    expectNext(logits, [...prompt, 21, 60], 77);
    await next.release();
  });

  test("rows that were not accepted are forgotten by the next step", async () => {
    const sequence = await model.openSequence();
    await sequence.step({ ids: prompt, results: "none" });
    await sequence.step({ ...tree, commit: false });
    const { logits } = await sequence.step({ ids: [77], logits: true });
    expectNext(logits, prompt, 77);
    await sequence.release();
  });

  test("accept refuses rows that do not wait", async () => {
    const sequence = await model.openSequence();
    await sequence.step({ ids: prompt, results: "none" });
    expect(await errorOf(sequence.accept([0]))).toMatchObject({ code: "model-nothing-pending" });
    await sequence.step({ ...tree, commit: false });
    for (const row of [4, -1, 0.5, Number.NaN]) {
      expect(await errorOf(sequence.accept([0, row]))).toMatchObject({
        code: "model-row-invalid",
        details: { row },
      });
    }
    await sequence.accept([0]);
    expect(await errorOf(sequence.accept([1]))).toMatchObject({ code: "model-nothing-pending" });
    await sequence.step({ ...tree, commit: false });
    await sequence.truncate(2);
    expect(await errorOf(sequence.accept([0]))).toMatchObject({ code: "model-nothing-pending" });
    await sequence.release();
    expect(await errorOf(sequence.accept([0]))).toMatchObject({ code: "model-sequence-released" });
  });
});
