import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { smallWordConfig, writeSmallWordModel } from "../../model/byte/testing/small-word-model.ts";
import { type LoadedModel, loadModel, wordEndId } from "../../model/index.ts";
import { codeOf, errorOf } from "../../testing/code-of.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { openExactBytes } from "../exact-byte-probabilities/index.ts";
import { type ByteDistribution, endOutcome } from "./byte-distribution.ts";
import { createByteEnsemble } from "./byte-ensemble.ts";
import { scoreBytes } from "./score-bytes.ts";
import { openWordBytes } from "./word-bytes.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The character of two bytes, 0xc3 and this one. */
const accented = (second: number): string => new TextDecoder().decode(Uint8Array.of(0xc3, second));

/** ln P of the ids from `start` on. */
async function logOfIds(
  model: LoadedModel,
  ids: readonly number[],
  start: number,
): Promise<number> {
  const sequence = await model.openSequence();
  const { logits, logSumExp } = await sequence.step({ ids, results: "all", logits: true });
  await sequence.release();
  let sum = 0;
  for (let at = start; at < ids.length; at++) {
    sum += logits![(at - 1) * 256 + ids[at]!]! - logSumExp[at - 1]!;
  }
  return sum;
}

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
        // No text ends inside a character.
        const isWhole = new TextDecoder().decode(all.subarray(0, cut)).at(-1) !== "\ufffd";
        expect(logs[endOutcome]! > Number.NEGATIVE_INFINITY).toBe(isWhole);
      }
    }
    await bytes.close();
    await bytes.close();
    expect(model.openSequences).toBe(0);
  });

  test("byte by byte or at once: the same distribution", async () => {
    const [whole, grown] = [await openWordBytes(model), await openWordBytes(model)];
    const text = encode("The élan's, 3.5 漢字🇫🇷 extraordinarily\n x");
    await grown.prefill(new Uint8Array(0));
    for (const [at, byte] of text.entries()) {
      await whole.prefill(text.subarray(0, at));
      const [once, stepped] = [await whole.logProbabilities(), await grown.logProbabilities()];
      expect([at, ...stepped]).toEqual([at, ...Array.from(once, (log) => expect.closeTo(log, 3))]);
      await grown.advance(byte);
    }
    await whole.close();
    await grown.close();
  });

  test("a byte is that of all texts that the rule cuts into the words of this one", async () => {
    const bytes = await openWordBytes(model);
    // Characters of one byte, and of two whose first byte is 0xc3; a lead byte alone is half a character.
    const characters = ["a", "B", "4", " ", ",", "\n", ...[0x80, 0xa9, 0xbf].map(accented)];
    for (const prefix of ["", "ab", "ab ", "ab,", "a4", "verylongword"]) {
      const found = new Map<string, number>();
      for (const next of characters) {
        const whole = encode(prefix + next);
        // One more character, so that the word behind a boundary is begun.
        const ids = [...model.tokenizer.encodeIds(prefix + next)];
        found.set(next, await logOfIds(model, ids, model.tokenizer.encodeIds(prefix).length));
        expect(whole.length).toBeGreaterThan(0);
      }
      await bytes.prefill(encode(prefix));
      const logs = await bytes.logProbabilities();
      const single = characters.filter((one) => encode(one).length === 1);
      const [first] = single;
      const shift = logs[encode(first!)[0]!]! - found.get(first!)!;
      expect(shift).toBeGreaterThan(-1e-4);
      for (const one of single) {
        expect([prefix, one, logs[encode(one)[0]!]]).toEqual([
          prefix,
          one,
          expect.closeTo(found.get(one)! + shift, 3),
        ]);
      }
      // Behind the lead byte each character has its share by the way in which the rule cuts it.
      await bytes.advance(0xc3);
      const second = await bytes.logProbabilities();
      const pairs = characters.filter((one) => encode(one).length === 2);
      const [pair] = pairs;
      const move = second[encode(pair!)[1]!]! - found.get(pair!)!;
      for (const one of pairs) {
        expect(second[encode(one)[1]!]).toBeCloseTo(found.get(one)! + move, 3);
      }
      expect(second[endOutcome]).toBe(Number.NEGATIVE_INFINITY);
      expect(second[0x41]).toBe(Number.NEGATIVE_INFINITY);
    }
    await bytes.close();
  });

  test("a text's bytes are scored, and what no text holds is rejected", async () => {
    const bytes = await openWordBytes(model);
    const { bitsPerByte, bytes: count } = await scoreBytes(bytes, "The cat, élan 漢");
    expect(count).toBe(18);
    expect(bitsPerByte).toBeGreaterThan(0);
    for (const byte of [wordEndId, 0x80, 0xff, 256, 1.5]) {
      expect((await errorOf(bytes.advance(byte))).code).toBe("byte-impossible");
    }
    const broken = [Uint8Array.of(0x61, wordEndId, 0x62), Uint8Array.of(0xc3, 0x41)];
    for (const text of broken) {
      expect((await errorOf(bytes.prefill(text))).code).toBe("byte-impossible");
    }
    const before = bytes.prefill(encode("a"), { before: [3] });
    expect((await errorOf(before)).code).toBe("byte-tokens-unsupported");
    await bytes.close();
  });

  test("calls that overlap, and calls after the end, are rejected; no sequence stays open", async () => {
    await checkCallsApart(model, () => openWordBytes(model));
  });
});

/** One call at a time: another one during it would read a text that changes. */
async function checkCallsApart(
  model: LoadedModel,
  open: () => Promise<ByteDistribution>,
): Promise<void> {
  const bytes = await open();
  await bytes.prefill(encode("The c"));
  const expected = await bytes.logProbabilities();
  await bytes.prefill(encode("The c"));
  const first = bytes.logProbabilities();
  const others = [bytes.logProbabilities(), bytes.advance(0x61), bytes.prefill(encode("A"))];
  const codes = await Promise.all(others.map((call) => codeOf(call)));
  expect(codes).toEqual(codes.map(() => "byte-distribution-busy"));
  expect(await first).toEqual(expected);
  const twice = createByteEnsemble([bytes, bytes]);
  expect(await codeOf(twice.logProbabilities())).toBe("byte-distribution-busy");
  await Promise.all([bytes.close(), bytes.close()]);
  for (const call of [
    () => bytes.logProbabilities(),
    () => bytes.advance(0x61),
    () => bytes.prefill(encode("A")),
  ]) {
    expect(await codeOf(call)).toBe("byte-distribution-closed");
  }
  expect(model.openSequences).toBe(0);
}

test("the exact bytes of a model of tokens keep their calls apart as well", async () => {
  await using nano = await loadModel(bundledModel, { inline: true, threads: 1 });
  await checkCallsApart(nano, () => openExactBytes(nano));
});

test("a decoder over tokens has another byte distribution", async () => {
  await using nano = await loadModel(bundledModel, { inline: true });
  expect((await errorOf(openWordBytes(nano))).code).toBe("byte-model-unsupported");
});
