import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete } from "../../generate/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { openArchitecture } from "../../train/index.ts";
import { readWeights } from "../../train/run/first-values.ts";
import {
  hasPolicyOracle,
  largestDifference,
  oracleCases,
  oracleModel,
} from "../testing/policy-oracle.ts";
import type { Compressor } from "./compressor.ts";
import {
  compressorShapes,
  contextRows,
  countKept,
  identifyModel,
  initializeCompressor,
  keptPlaces,
  openCompressor,
  openExtensibleSession,
  promptWithContext,
  smallestFactor,
  thinContext,
} from "./index.ts";
import { joinRows, readEmbeddings } from "./prompt-with-context.ts";
import {
  logitsAfter,
  openSmallModel,
  type SmallModel,
  smallForm,
  someIds,
} from "./testing/small-model.ts";

const inline = { inline: true, threads: 1 } as const;

/** Rows of the embedding table. */
async function embed(model: LoadedModel, ids: readonly number[]): Promise<Float32Array> {
  const table = await readEmbeddings(model, ids);
  return joinRows(ids.map((id) => table.get(id)!));
}

describe("kept places", () => {
  test("by hand: the last of every three tokens, and the last of a short rest", () => {
    expect(keptPlaces(8, { window: 100, factor: 3 })).toEqual([2, 5, 7]);
    // Groups begin anew with each window: the last of tokens 0..2, 3, then of 4..6 and 7.
    expect(keptPlaces(8, { window: 4, factor: 3 })).toEqual([2, 3, 6, 7]);
    expect(keptPlaces(9, { window: 100, factor: 1 })).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  const sizes = {
    length: fc.integer({ min: 1, max: 200 }),
    window: fc.integer({ min: 1, max: 40 }),
    factor: fc.integer({ min: 1, max: 40 }),
  };
  test("sorted, counted, every group at most a factor long, the last token kept", () => {
    fc.assert(
      fc.property(fc.record(sizes), ({ length, window, factor }) => {
        const places = keptPlaces(length, { window, factor });
        expect(places.length).toBe(countKept(length, { window, factor }));
        expect(places.at(-1)).toBe(length - 1);
        let before = -1;
        for (const place of places) {
          expect(place - before).toBeGreaterThan(0);
          expect(place - before).toBeLessThanOrEqual(factor);
          before = place;
        }
      }),
    );
  });

  test("those of a multiple of a factor are a part of those of the factor", () => {
    fc.assert(
      fc.property(fc.record(sizes), fc.integer({ min: 1, max: 5 }), (one, times) => {
        const held = new Set(keptPlaces(one.length, one));
        const fewer = keptPlaces(one.length, { window: one.window, factor: one.factor * times });
        expect(fewer.every((place) => held.has(place))).toBe(true);
      }),
    );
  });

  test("the smallest factor that fits is the first in order", () => {
    const how = { window: 16, factors: [8, 2, 4] };
    expect(smallestFactor([64], 32, how)).toBe(2);
    expect(smallestFactor([64], 31, how)).toBe(4);
    expect(smallestFactor([64, 32], 12, how)).toBe(8);
    expect(smallestFactor([64], 7, how)).toBeUndefined();
  });
});

describe.each(["llama", "gemma2", "qwen3"])("compressing for a random %s", (family) => {
  let small: SmallModel;
  let model: LoadedModel;
  const ids = someIds(61);
  beforeAll(async () => {
    small = await openSmallModel(family);
    ({ model } = small);
  });
  afterAll(() => small[Symbol.asyncDispose]());

  test("no layers and factor 1: what the model reads is what it reads without a compressor", async () => {
    const config = {
      layers: 0,
      window: 16,
      factors: [1],
      norm: "none",
      projection: false,
    } as const;
    const plain: Compressor = { config, model: small.compressor.model, parameters: new Map() };
    await using compressor = await openCompressor(model, plain, inline);
    const packed = await compressor.compress(ids);
    expect(packed.outputs).toEqual(await embed(model, ids));
    const given = await promptWithContext(model, [packed], someIds(9, 2), { factor: 1 });
    expect(given.promptEmbeddings).toEqual(await embed(model, given.prompt));
    const options = { greedy: true, maxTokens: 8 } as const;
    const read = { promptEmbeddings: given.promptEmbeddings, ...options };
    const [behind, alone] = [
      await complete(model, given.prompt, read),
      await complete(model, given.prompt, options),
    ];
    expect(behind.ids).toEqual(alone.ids);
  });

  test("windows do not see each other, and an output depends on no later token", async () => {
    await using compressor = await openCompressor(model, small.compressor, inline);
    const { window } = smallForm;
    const width = model.config.hiddenSize;
    const { outputs } = await compressor.compress(ids);
    const second = await compressor.compress(ids.slice(window, 2 * window));
    const own = outputs.subarray(window * width, 2 * window * width);
    expect(largestDifference(second.outputs, own)).toBeLessThan(1e-6);
    const changed = ids.with(21, ids[21]! + 1);
    const { outputs: other } = await compressor.compress(changed);
    const differs = ids.map((_, at) =>
      largestDifference(
        outputs.subarray(at * width, (at + 1) * width),
        other.subarray(at * width, (at + 1) * width),
      ),
    );
    for (const [at, difference] of differs.entries()) {
      if (at >= 21 && at < 32) expect(difference).toBeGreaterThan(1e-6);
      else expect(difference).toBe(0);
    }
  });

  test("embeddings of a factor are a part of the outputs, held whole or thinned out", async () => {
    await using compressor = await openCompressor(model, small.compressor, inline);
    const packed = await compressor.compress(ids);
    const width = model.config.hiddenSize;
    for (const factor of [1, 2, 3, 8]) {
      const { embeddings, raw } = contextRows(packed, factor);
      const places = keptPlaces(ids.length, { window: 16, factor });
      expect(raw).toEqual([]);
      const rows = places.map((at) => packed.outputs.subarray(at * width, (at + 1) * width));
      expect(embeddings).toEqual(joinRows(rows));
      for (const times of [1, 2]) {
        const thin = contextRows(thinContext(packed, factor), factor * times);
        expect(thin).toEqual(contextRows(packed, factor * times));
      }
    }
    const tail = contextRows(packed, 8, "raw");
    expect(tail.raw).toEqual(ids.slice(56));
    expect(tail.embeddings.length / width).toBe(7);
    expect(await codeOf(() => contextRows(packed, 0))).toBe("option-invalid");
    expect(await codeOf(() => contextRows(thinContext(packed, 4), 6))).toBe("option-invalid");
  });
});

describe("texts that grow", () => {
  let small: SmallModel;
  beforeAll(async () => {
    small = await openSmallModel("llama");
  });
  afterAll(() => small[Symbol.asyncDispose]());

  test("embeddings and tokens never exceed the context, and are those of an offline compression", async () => {
    await using compressor = await openCompressor(small.model, small.compressor, inline);
    const ids = someIds(150);
    const contextLength = 40;
    const session = openExtensibleSession(small.model, compressor, { factor: 4, contextLength });
    for (let at = 0; at < ids.length; at += 7) {
      await session.append(ids.slice(at, at + 7));
      expect(session.embeddings + session.raw).toBeLessThan(contextLength);
    }
    expect(session.ids).toEqual(ids);
    // Windows of 16, 16 and 8 tokens give 4, 4 and 2 embeddings; 5 tokens are left.
    const whole = openExtensibleSession(small.model, compressor, { factor: 4, contextLength });
    await whole.append(ids.slice(0, 45));
    expect([whole.embeddings, whole.raw]).toEqual([10, 5]);
    const offline = contextRows(await compressor.compress(ids.slice(0, 40)), 4);
    const rows = joinRows([offline.embeddings, await embed(small.model, ids.slice(40, 45))]);
    const written: number[] = [];
    for await (const token of whole.generate({ greedy: true, maxTokens: 1, ignoreEos: true })) {
      written.push(token.id);
    }
    const logits = await logitsAfter(small.model, rows);
    expect(written).toEqual([logits.indexOf(Math.max(...logits))]);
  });

  test("a session writes on over many contexts, with larger factors where embeddings alone would fill one", async () => {
    await using compressor = await openCompressor(small.model, small.compressor, inline);
    const session = openExtensibleSession(small.model, compressor, { contextLength: 24 });
    await session.append([5, 6, 7]);
    let tokens = 0;
    for await (const _ of session.generate({ greedy: true, maxTokens: 120, ignoreEos: true })) {
      tokens++;
      expect(session.embeddings + session.raw).toBeLessThanOrEqual(24);
    }
    expect(tokens).toBe(120);
    expect(session.ids).toHaveLength(123);
    expect(session.factor).toBeGreaterThan(2);
    expect(small.model.openSequences).toBe(0);
    for await (const _ of session.generate({ greedy: true, ignoreEos: true })) break;
    expect(small.model.openSequences).toBe(0);
  });

  test("a session grows until an embedding for each window fills its context, and says so then", async () => {
    await using compressor = await openCompressor(small.model, small.compressor, inline);
    const contextLength = 24;
    const session = openExtensibleSession(small.model, compressor, { factor: 3, contextLength });
    const { window } = compressor.compressor.config;
    // Parts that end short of a window have an embedding of their own: no factor leaves half of the context now.
    const ids = someIds(12 * window);
    await session.append(ids);
    expect(session.ids).toEqual(ids);
    expect(session.factor).toBe(window);
    expect(session.embeddings).toBeGreaterThan(contextLength / 2);
    expect(session.embeddings + session.raw).toBeLessThan(contextLength);
    await expect(session.append(someIds(24 * window))).toRejectWithCode("packed-context-too-long");
  });
});

describe.skipIf(!hasPolicyOracle)("equals an independent float64 program", () => {
  interface PromptCase {
    readonly settings: {
      readonly layers: number;
      readonly norm: "none" | "final";
      readonly window: number;
      readonly k: number;
      readonly tail: "embedding" | "raw";
      readonly raw: number;
    };
    readonly promptIds: readonly number[];
    readonly steps: number;
    readonly expected: {
      readonly embeddings: number;
      readonly firstEmbedding: readonly number[];
      readonly lastEmbedding: readonly number[];
      readonly logitsAfterPrompt: readonly number[];
      readonly greedyIds: readonly number[];
      readonly logitsAfterSteps: readonly number[];
    };
  }
  const cases = oracleCases("extensible").filter(({ policy }) => policy === "extensible-prompt");

  test.each(cases.map((case_) => [case_.name, case_] as const))("%s", async (_name, case_) => {
    const { settings, promptIds, steps, expected } = case_ as unknown as PromptCase;
    const path = oracleModel(case_);
    await using model = await loadModel(path, { ...inline, format: "f32" });
    const { layers, window, norm, k, tail, raw } = settings;
    const config = { layers, window, norm, factors: [k], projection: false };
    const values = await readWeights(path, openArchitecture(model.checkpoint.config));
    const parameters = initializeCompressor(compressorShapes(model.config, config), values);
    const identity = await identifyModel(path);
    await using open = await openCompressor(model, { config, model: identity, parameters }, inline);
    const cut = promptIds.length - raw;
    const packed = await open.compress(promptIds.slice(0, cut));
    const { embeddings } = contextRows(packed, k, tail);
    const width = model.config.hiddenSize;
    expect(embeddings.length / width).toBe(expected.embeddings);
    expect(largestDifference(embeddings.subarray(0, width), expected.firstEmbedding)).toBeLessThan(
      1e-4,
    );
    expect(largestDifference(embeddings.subarray(-width), expected.lastEmbedding)).toBeLessThan(
      1e-4,
    );
    const given = await promptWithContext(model, [packed], promptIds.slice(cut), {
      ...{ factor: k, tail, maxTokens: steps },
    });
    const { promptEmbeddings, prompt } = given;
    const logits = await logitsAfter(model, promptEmbeddings);
    expect(largestDifference(logits, expected.logitsAfterPrompt)).toBeLessThan(1e-3);
    const options = { greedy: true, ignoreEos: true, maxTokens: steps, promptEmbeddings };
    const { ids } = await complete(model, prompt, options);
    expect(ids).toEqual(expected.greedyIds);
    const after = joinRows([promptEmbeddings, await embed(model, ids)]);
    expect(
      largestDifference(await logitsAfter(model, after), expected.logitsAfterSteps),
    ).toBeLessThan(1e-3);
  });
});
