import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { bundledModelFolder } from "../../checkpoint/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { fillMiddle } from "../exact-byte-probabilities/fill-middle.ts";
import { healPrompt } from "../exact-byte-probabilities/heal-prompt.ts";
import {
  openByteDistribution,
  openExactBytes,
} from "../exact-byte-probabilities/open-byte-distribution.ts";
import { resolveSampling } from "../sampling/options.ts";
import { score } from "../score.ts";
import { scoreContinuations } from "../score-continuations.ts";
import { removeFillTokens } from "../testing/remove-fill-tokens.ts";
import { type ByteDistribution, byteOutcomes, endOutcome } from "./byte-distribution.ts";
import { createByteEnsemble } from "./byte-ensemble.ts";
import { createByteTrie } from "./byte-trie.ts";
import { generateBytesAsTokens } from "./generate-as-tokens.ts";
import { completeBytes } from "./generate-bytes.ts";
import { scoreBytes } from "./score-bytes.ts";

const encoder = new TextEncoder();

/** A distribution that knows the probabilities of a few outcomes after any text. */
function fixedBytes(probabilities: Readonly<Record<number, number>>): ByteDistribution {
  let length = 0;
  return {
    name: "fixed",
    get length() {
      return length;
    },
    remaining: Number.POSITIVE_INFINITY,
    async prefill(bytes) {
      length = bytes.length;
    },
    async logProbabilities() {
      return Float64Array.from({ length: byteOutcomes }, (_, outcome) =>
        Math.log(probabilities[outcome] ?? 0),
      );
    },
    async advance() {
      length++;
    },
    async close() {},
  };
}

describe("byte trie", () => {
  test("a node's tokens are those that begin with its bytes", () => {
    const tokens = ["a", "ab", "abc", "b", "ab"].map((text) => encoder.encode(text));
    const trie = createByteTrie([...tokens, undefined]);
    const node = trie.find(encoder.encode("ab"))!;
    expect([...trie.order.subarray(node.low, node.high)]).toEqual([1, 4, 2]);
    expect(trie.endOfExact(node) - node.low).toBe(2);
    expect(trie.child(node, 99)).toMatchObject({ depth: 3 });
    expect(trie.find(encoder.encode("ac"))).toBeUndefined();
    expect(trie.longest).toBe(3);
  });
});

describe("ensembles", () => {
  const members = [fixedBytes({ 97: 0.5, 98: 0.5 }), fixedBytes({ 97: 0.9, 256: 0.1 })];

  test("the mean of probabilities, and their geometric mean", async () => {
    const mean = await createByteEnsemble(members).logProbabilities();
    expect([97, 98, 256].map((outcome) => Math.exp(mean[outcome]!))).toEqual([
      expect.closeTo(0.7, 12),
      expect.closeTo(0.25, 12),
      expect.closeTo(0.05, 12),
    ]);
    const weighted = await createByteEnsemble(members, { weights: [1, 3] }).logProbabilities();
    expect(Math.exp(weighted[97]!)).toBeCloseTo(0.8, 12);
    // Only a is possible under both.
    const geometric = await createByteEnsemble(members, { mean: "logarithms" }).logProbabilities();
    expect(geometric[97]).toBeCloseTo(0, 12);
    expect(geometric[98]).toBe(-Infinity);
  });

  test("members and weights that do not fit end in an error", async () => {
    expect(await codeOf(() => createByteEnsemble([]))).toBe("byte-ensemble-invalid");
    expect(await codeOf(() => createByteEnsemble(members, { weights: [1] }))).toBe(
      "byte-ensemble-invalid",
    );
    expect(await codeOf(() => createByteEnsemble(members, { weights: [1, -1] }))).toBe(
      "byte-ensemble-invalid",
    );
  });
});

describe("generation", () => {
  test("the end ends the text; it may be ignored; a stop string stays out", async () => {
    const ends = fixedBytes({ 97: 0.4, [endOutcome]: 0.6 });
    expect(await completeBytes(ends, "", { greedy: true })).toMatchObject({
      text: "",
      finishReason: "stop",
    });
    const ignored = await completeBytes(ends, "", { greedy: true, ignoreEos: true, maxBytes: 3 });
    expect(ignored).toMatchObject({ text: "aaa", finishReason: "length" });
    expect(ignored.logProbability).toBeCloseTo(3 * Math.log(0.4), 12);
    const stopped = await completeBytes(fixedBytes({ 97: 1 }), "", { stop: ["aa"], seed: 1 });
    expect(stopped).toMatchObject({ text: "", finishReason: "stop" });
  });

  test("half a character is withheld, and one that the prompt leaves open is no part of the text", async () => {
    const [lead, rest] = encoder.encode("é");
    const result = await completeBytes(fixedBytes({ [rest!]: 1 }), Uint8Array.of(lead!), {
      maxBytes: 1,
    });
    expect([...result.bytes]).toEqual([rest]);
    const forced = await completeBytes(fixedBytes({ 97: 1 }), "", { forced: "éb", maxBytes: 4 });
    expect(forced.text).toBe("éba");
  });

  test("only allowed bytes come, and the end where it is among them", async () => {
    const bytes = fixedBytes({ 97: 0.5, 98: 0.3, 99: 0.1, [endOutcome]: 0.1 });
    const asked: string[] = [];
    const alternate = await completeBytes(bytes, "", {
      greedy: true,
      maxBytes: 4,
      allowed: (written) => {
        asked.push(new TextDecoder().decode(written));
        return written.at(-1) === 98 ? [97, 99] : [98, 99];
      },
    });
    expect(alternate).toMatchObject({ text: "baba", finishReason: "length" });
    expect(asked).toEqual(["", "b", "ba", "bab"]);
    // Log-probabilities are the model's own.
    expect(alternate.logProbability).toBeCloseTo(2 * Math.log(0.5 * 0.3), 12);
    const ended = await completeBytes(bytes, "", { allowed: () => [endOutcome], seed: 1 });
    expect(ended).toMatchObject({ text: "", finishReason: "stop" });
    const stopped = await completeBytes(bytes, "", {
      greedy: true,
      forced: "cc",
      allowed: ({ length }) => (length < 3 ? undefined : []),
    });
    expect(stopped).toMatchObject({ text: "cca", finishReason: "stop" });
    // A filter that the forbidden ones would pass alone.
    const drawn = await completeBytes(bytes, "", { topK: 1, allowed: () => [99], maxBytes: 2 });
    expect(drawn.text).toBe("cc");
    const codes = [[257], [1.5], [120]].map((list) =>
      codeOf(() => completeBytes(bytes, "", { allowed: () => list, maxBytes: 1 })),
    );
    expect(await Promise.all(codes)).toEqual([
      "generate-option-invalid",
      "generate-option-invalid",
      "byte-impossible",
    ]);
  });

  test("options out of range end in an error", async () => {
    const bytes = fixedBytes({ 97: 1 });
    for (const options of [{ topP: 0 }, { temperature: -1 }, { maxBytes: 1.5 }]) {
      expect(await codeOf(() => completeBytes(bytes, "", options))).toBe("generate-option-invalid");
    }
  });
});

describe("jeton-nano", () => {
  let model: LoadedModel;
  beforeAll(async () => {
    const folder = bundledModelFolder("jeton-nano");
    model = await loadModel(folder, { exact: false });
  });
  afterAll(() => model.close());

  test("bits per byte are no more than those of the one encoding; announced bytes change nothing", async () => {
    const text = "The emperor of the West was elected by the soldiers.";
    const bytes = await openByteDistribution(model);
    const exact = await scoreBytes(bytes, text);
    const tokens = await score(model, text);
    expect(exact.logProbability).toBeGreaterThan(tokens.logProbability - 1e-3);
    expect(exact.logProbability).toBeLessThan(tokens.logProbability + 2);
    const { expect: _, ...silent } = bytes;
    const plain: ByteDistribution = {
      ...silent,
      name: "plain",
      length: 0,
      remaining: 1000,
      prefill: (read, options) => bytes.prefill(read, options),
      logProbabilities: (options) => bytes.logProbabilities(options),
      advance: (byte) => bytes.advance(byte),
      close: async () => {},
    };
    const again = await scoreBytes(plain, text);
    expect(Math.abs(again.logProbability - exact.logProbability)).toBeLessThan(1e-2);
    // The chain over a split text is the chain over the whole.
    const rest = await scoreBytes(bytes, text.slice(7), { prefix: text.slice(0, 7) });
    const first = exact.logProbabilities.slice(7).reduce((sum, log) => sum + log, 0);
    expect(Math.abs(rest.logProbability - first)).toBeLessThan(1e-2);
    await bytes.close();
  });

  test("a text longer than the context is scored in windows", async () => {
    const short = await loadModel(model.folder, { exact: false, contextLength: 160 });
    const bytes = await openByteDistribution(short);
    const text = "It was the year of the great war, and the city fell. ".repeat(10);
    const { bitsPerByte, bytes: count } = await scoreBytes(bytes, text);
    expect(count).toBe(text.length);
    expect(bitsPerByte).toBeGreaterThan(0);
    expect(bitsPerByte).toBeLessThan(3);
    await bytes.close();
    await short.close();
  });

  test("a prompt that ends inside a token is healed: greedy bytes differ from its own encoding", async () => {
    const sampling = resolveSampling(model, { greedy: true });
    const prompt = "The Roman emp";
    const heal = (healing: "exact" | "token" | "none") =>
      healPrompt(model, prompt, { healing, sampling });
    const [exact, token, none] = [await heal("exact"), await heal("token"), await heal("none")];
    expect(new TextDecoder().decode(exact.rest)).toMatch(/^(ire|eror)/);
    expect(model.tokenizer.decode(exact.ids)).toBe(prompt + new TextDecoder().decode(exact.rest));
    expect(model.tokenizer.decode(token.ids)).toBe(prompt + new TextDecoder().decode(token.rest));
    expect(none.rest).toHaveLength(0);
    expect(exact.ids).not.toEqual(none.ids);
    expect(model.openSequences).toBe(0);
  });

  test("sampled coverings follow their probabilities", async () => {
    const bytes = await openExactBytes(model);
    const prompt = "The empe";
    await bytes.prefill(encoder.encode(prompt));
    const coverings = await bytes.coverings();
    const logs = coverings.map(({ logProbability }) => logProbability);
    const total = logs.reduce((sum, log) => sum + Math.exp(log - logs[0]!), 0);
    const best = coverings.reduce((a, b) => (b.logProbability > a.logProbability ? b : a));
    const share = Math.exp(best.logProbability - logs[0]!) / total;
    let hits = 0;
    for (let seed = 0; seed < 40; seed++) {
      const sampling = resolveSampling(model, { temperature: 1, seed });
      const { ids } = await healPrompt(model, prompt, { healing: "exact", sampling });
      if (ids.at(-1) === best.ids.at(-1)) hits++;
    }
    const deviation = Math.sqrt((share * (1 - share)) / 40) + 1e-9;
    expect(Math.abs(hits / 40 - share)).toBeLessThan(4 * deviation + 0.01);
    await bytes.close();
  });

  test("generation in the form of tokens", async () => {
    const tokens: string[] = [];
    const generation = generateBytesAsTokens(model, "The emp", { greedy: true, maxTokens: 8 });
    let next = await generation.next();
    while (next.done !== true) {
      tokens.push(next.value.text);
      next = await generation.next();
    }
    expect(tokens.join("") + next.value.tail).toBe(next.value.text);
    expect(next.value.ids).toHaveLength(8);
    expect(next.value.text).toMatch(/^(eror|ire)/);
    const misplaced = [
      { logitBias: { 5: 1 } },
      { typicalP: 0.5 },
      { etaCutoff: 0.1 },
      { maxDraft: 4 },
    ];
    for (const options of misplaced) {
      const failing = generateBytesAsTokens(model, "a", options);
      expect(await codeOf(() => failing.next())).toBe("generate-option-invalid");
    }
    const unknown = generateBytesAsTokens(model, "a", { maxBytes: 8 } as object);
    expect(await codeOf(() => unknown.next())).toBe("generate-option-unknown");
  });

  test("fill-in-the-middle by the model's own tokens", async () => {
    const options = { greedy: true, maxBytes: 40 } as const;
    const filled = await fillMiddle(model, "the emperor and the ", " of Rome were", options);
    expect(filled.method).toBe("prompt");
    expect(filled.middle).not.toContain("fim");
    const candidates = { ...options, candidates: 2 };
    expect(await codeOf(() => fillMiddle(model, "a", "b", candidates))).toBe(
      "generate-option-invalid",
    );
  });

  test("fill-in-the-middle of a model without its tokens compares continuations", async () => {
    const folder = mkdtempSync(join(tmpdir(), "jeton-without-fill-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    cpSync(bundledModelFolder("jeton-nano"), folder, { recursive: true });
    removeFillTokens(folder);
    await using plain = await loadModel(folder, { threads: 1 });
    const filled = await fillMiddle(plain, "The Roman emp", " of the East", {
      greedy: true,
      maxBytes: 12,
      candidates: 2,
      seed: 3,
    });
    expect(filled.method).toBe("search");
    expect(filled.middle).toMatch(/^(eror|ire)/);
  });

  test("continuations: equal to one by one, shared beginnings computed once", async () => {
    const prompt = "The emperor";
    const choices = [" of the West", " of the East", " was", " of"];
    const scores = await scoreContinuations(model, prompt, choices);
    for (const [at, choice] of choices.entries()) {
      const alone = await score(model, choice, { prefix: prompt });
      expect(Math.abs(scores[at]!.logProbability - alone.logProbability)).toBeLessThan(1e-3);
    }
    expect(scores.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 9);
    const divided = await scoreContinuations(model, prompt, choices, { maxNodes: 1 });
    for (const [at, { logProbability }] of divided.entries()) {
      expect(Math.abs(logProbability - scores[at]!.logProbability)).toBeLessThan(1e-3);
    }
    expect(await codeOf(() => scoreContinuations(model, prompt, []))).toBe(
      "score-continuations-empty",
    );
    expect(await codeOf(() => scoreContinuations(model, "The emp", ["eror"]))).toBe(
      "score-continuation-joins",
    );
  });
});
