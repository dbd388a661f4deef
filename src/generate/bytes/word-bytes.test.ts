import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { smallWordConfig, writeSmallWordModel } from "../../model/byte/testing/small-word-model.ts";
import { type LoadedModel, loadModel, wordEndId } from "../../model/index.ts";
import { errorOf } from "../../testing/code-of.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { endOutcome } from "./byte-distribution.ts";
import { scoreBytes } from "./score-bytes.ts";
import { openWordBytes } from "./word-bytes.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

describe.each(["word-pooled", "hierarchical-transformer"])("bytes of a %s model", (family) => {
  let root = "";
  let model: LoadedModel;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "jeton-word-bytes-"));
    const folder = await writeSmallWordModel(root, smallWordConfig(family), 7);
    model = await loadModel(folder, { inline: true, threads: 1 });
  });
  afterAll(async () => {
    await model.close();
    rmSync(root, { recursive: true, force: true });
  });

  test("sum to one behind any prefix, half a character too; signs are impossible", async () => {
    const bytes = await openWordBytes(model);
    for (const text of ["", "The c", "The cat, ", "élan", "漢字"]) {
      const all = encode(text);
      for (const cut of [all.length, all.length - 1].filter((end) => end >= 0)) {
        await bytes.prefill(all.subarray(0, cut));
        expect(bytes.length).toBe(cut);
        const logs = await bytes.logProbabilities();
        const sum = logs.reduce((total, log) => total + Math.exp(log), 0);
        expect(sum).toBeCloseTo(1, 6);
        expect(logs[wordEndId]).toBe(Number.NEGATIVE_INFINITY);
        expect(logs[endOutcome]).toBeGreaterThan(Number.NEGATIVE_INFINITY);
      }
    }
    await bytes.close();
    await bytes.close();
    expect(model.openSequences).toBe(0);
  });

  test("a byte is the byte within the word, or the one behind the word's end", async () => {
    const bytes = await openWordBytes(model);
    await bytes.prefill(encode("ab"));
    const logs = await bytes.logProbabilities();
    const sequence = await model.openSequence();
    const rows = async (ids: number[]): Promise<number[]> => {
      const { logits, logSumExp } = await sequence.step({ ids, logits: true });
      return Array.from(logits!, (value) => Math.exp(value - logSumExp[0]!));
    };
    const open = await rows([...encode("ab")]);
    const closed = await rows([wordEndId]);
    await sequence.release();
    // What empty words and the signs as bytes would have is shared out.
    const raw = (id: number): number => open[id]! + open[wordEndId]! * closed[id]!;
    const first = Math.exp(logs[0x63]!) / raw(0x63);
    for (const id of [0x20, 0x61, 0x2c, 0xc3]) {
      expect(Math.exp(logs[id]!) / raw(id)).toBeCloseTo(first, 3);
    }
    expect(first).toBeGreaterThanOrEqual(1 - 1e-6);
    await bytes.close();
  });

  test("a text's bytes are scored, and what no text holds is rejected", async () => {
    const bytes = await openWordBytes(model);
    const { bitsPerByte, bytes: count } = await scoreBytes(bytes, "The cat, élan 漢");
    expect(count).toBe(18);
    expect(bitsPerByte).toBeGreaterThan(0);
    expect((await errorOf(bytes.advance(wordEndId))).code).toBe("byte-impossible");
    await bytes.close();
  });
});

test("a decoder over tokens has another byte distribution", async () => {
  await using nano = await loadModel(bundledModel, { inline: true });
  expect((await errorOf(openWordBytes(nano))).code).toBe("byte-model-unsupported");
});
