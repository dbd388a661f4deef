/**
 * Three layers: worked examples with probabilities that can be checked by hand; random rows against an
 * independent computation of the whole chain of filters; the rules of logits processors through `complete`.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { complete } from "../generate.ts";
import { createDistributionModel } from "../measure/distribution-model.ts";
import { unfilteredSampling } from "../testing/unfiltered-sampling.ts";
import {
  forbidRepeatedNgrams,
  forbidSequences,
  type LogitsProcessor,
  processLogits,
  suppressBefore,
} from "./logits-processors.ts";
import { penalize, TokenCounter } from "./penalties.ts";
import { distributionById, pickToken, type Sampling, tokenDistribution } from "./sampler.ts";
import { createStopText } from "./stop-text.ts";

/** Logits of given probabilities. */
const logitsOf = (...probabilities: number[]): Float32Array =>
  Float32Array.from(probabilities, (p) => Math.log(p));

const sampling = (options: Partial<Sampling>): Sampling => ({
  ...unfilteredSampling,
  temperature: 1,
  ...options,
});

/** Probabilities by id, rounded to four digits. */
function probabilities(logits: Float32Array, options: Partial<Sampling>): Record<number, number> {
  const { ids, probabilities: values } = distributionById(logits, sampling(options));
  return Object.fromEntries(Array.from(ids, (id, at) => [id, Number(values[at]!.toFixed(4))]));
}

describe("worked examples", () => {
  const logits = logitsOf(0.5, 0.25, 0.15, 0.1);

  test("temperature 1 leaves the distribution; 0.5 squares and renormalizes it", () => {
    expect(probabilities(logits, {})).toEqual({ 0: 0.5, 1: 0.25, 2: 0.15, 3: 0.1 });
    // 0.25, 0.0625, 0.0225, 0.01: together 0.345.
    const squared = { 0: 0.7246, 1: 0.1812, 2: 0.0652, 3: 0.029 };
    expect(probabilities(logits, { temperature: 0.5 })).toEqual(squared);
    expect(probabilities(logits, { temperature: 0 })).toEqual({ 0: 1 });
  });

  test("top-k keeps the k most probable tokens", () => {
    // 0.5 and 0.25 of 0.75.
    expect(probabilities(logits, { topK: 2 })).toEqual({ 0: 0.6667, 1: 0.3333 });
  });

  test("top-p keeps the smallest set that reaches p", () => {
    expect(probabilities(logits, { topP: 0.7 })).toEqual({ 0: 0.6667, 1: 0.3333 });
    // 0.75 is not enough: 0.15 joins, together 0.9.
    expect(probabilities(logits, { topP: 0.8 })).toEqual({ 0: 0.5556, 1: 0.2778, 2: 0.1667 });
    expect(probabilities(logits, { topP: 0.01 })).toEqual({ 0: 1 });
  });

  test("min-p keeps tokens above a fraction of the best", () => {
    // Half of 0.5 is 0.25; 0.4 of it is 0.2.
    expect(probabilities(logits, { minP: 0.4 })).toEqual({ 0: 0.6667, 1: 0.3333 });
    expect(probabilities(logits, { minP: 0.25 })).toEqual({ 0: 0.5556, 1: 0.2778, 2: 0.1667 });
  });

  test("the order: temperature before top-p, top-k before top-p", () => {
    // At temperature 0.5 the best token alone has 0.7246.
    expect(probabilities(logits, { temperature: 0.5, topP: 0.7 })).toEqual({ 0: 1 });
    // Of the two best, 0.6667 is the first's share: top-p 0.6 counts it after top-k.
    expect(probabilities(logits, { topK: 2, topP: 0.6 })).toEqual({ 0: 1 });
    expect(probabilities(logits, { topP: 0.6 })).toEqual({ 0: 0.6667, 1: 0.3333 });
  });

  test("the repetition penalty divides positive and multiplies negative logits, once per token", () => {
    const row = Float32Array.of(2, -2, 3, -1);
    const counts = new TokenCounter([0, 1, 0]);
    penalize(row, counts, sampling({ repetitionPenalty: 2 }));
    expect([...row]).toEqual([1, -4, 3, -1]);
  });

  test("frequency and presence count generated tokens only", () => {
    const row = Float32Array.of(5, 5, 5, 5);
    const counts = new TokenCounter([0, 0, 1]);
    for (const id of [1, 2, 2, 2]) counts.push(id);
    // Token 0 stands in the prompt; 1 was generated once, 2 three times.
    penalize(row, counts, sampling({ frequencyPenalty: 0.5, presencePenalty: 1 }));
    expect([...row]).toEqual([5, 3.5, 2.5, 5]);
  });

  test("a random number picks the token at which the cumulative distribution passes it", () => {
    const distribution = distributionById(logits, sampling({}));
    expect([0, 0.49, 0.51, 0.74, 0.76, 0.89, 0.91, 0.999].map((u) => pickToken(distribution, u)))
      // Cumulated: 0.5, 0.75, 0.9, 1.
      .toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
  });
});

/** The filters one by one, with sorting and sums over the whole row: nothing shared with the sampler. */
function filterByDefinition(logits: readonly number[], options: Sampling): Map<number, number> {
  const { temperature, topK, topP, minP } = options;
  const exponents = logits.map((logit) => Math.exp((logit - Math.max(...logits)) / temperature));
  let entries = exponents
    .map((mass, id): [number, number] => [id, mass])
    .sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  const normalize = (): void => {
    const total = entries.reduce((sum, [, mass]) => sum + mass, 0);
    entries = entries.map(([id, mass]) => [id, mass / total]);
  };
  if (topK > 0) entries = entries.slice(0, topK);
  normalize();
  let before = 0;
  if (topP < 1) {
    entries = entries.filter(([, mass], index) => {
      const isKept = index === 0 || before < topP;
      before += mass;
      return isKept;
    });
  }
  const best = entries[0]![1];
  entries = entries.filter(([, mass], index) => index === 0 || mass >= minP * best);
  normalize();
  return new Map(entries);
}

test("random rows under all filters equal an independent computation", () => {
  const options = fc.record({
    temperature: fc.double({ min: 0.2, max: 3, noNaN: true }),
    topK: fc.oneof(fc.constant(0), fc.integer({ min: 2, max: 30 })),
    topP: fc.oneof(fc.constant(1), fc.double({ min: 0.05, max: 0.999, noNaN: true })),
    minP: fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 0.9, noNaN: true })),
  });
  const rows = fc.uniqueArray(fc.integer({ min: -4000, max: 4000 }), {
    minLength: 2,
    maxLength: 60,
  });
  fc.assert(
    fc.property(rows, options, (integers, filters) => {
      const logits = Float32Array.from(integers, (value) => value / 500);
      const expected = filterByDefinition([...logits], sampling(filters));
      const { ids, probabilities: found } = tokenDistribution(logits, sampling(filters));
      // At a threshold, rounding may decide: compare unless a token lies within 1e-9 of it.
      for (const [at, id] of ids.entries()) {
        expect(found[at]!).toBeCloseTo(expected.get(id) ?? 0, 6);
      }
      for (const [id, probability] of expected) {
        if (probability > 1e-12) expect(ids).toContain(id);
      }
    }),
  );
});

describe("logits processors", () => {
  const row = (ids: readonly number[], promptLength = 0) => ({
    ids,
    promptLength,
    logits: new Float32Array(6),
  });
  const excluded = async (processor: LogitsProcessor, ...args: Parameters<typeof row>) => {
    const logits = await processLogits([processor], row(...args));
    return [...logits.keys()].filter((id) => logits[id] === -Infinity);
  };

  test("an n-gram does not come twice: worked example with pairs and triples", async () => {
    // After 1: 2 and 3 followed it before.
    expect(await excluded(forbidRepeatedNgrams(2), [1, 2, 1, 3, 1])).toEqual([2, 3]);
    // After 2 1: only 3 did.
    expect(await excluded(forbidRepeatedNgrams(3), [2, 1, 3, 4, 2, 1])).toEqual([3]);
    expect(await excluded(forbidRepeatedNgrams(1), [4, 0, 4])).toEqual([0, 4]);
    expect(await excluded(forbidRepeatedNgrams(3), [1])).toEqual([]);
  });

  test("bad words exclude their last token after their beginning", async () => {
    const words = forbidSequences([[5], [1, 2], [0, 1, 3]]);
    expect(await excluded(words, [1])).toEqual([2, 5]);
    expect(await excluded(words, [0, 1])).toEqual([2, 3, 5]);
    expect(await excluded(words, [2])).toEqual([5]);
  });

  test("tokens are suppressed before a number of generated tokens", async () => {
    expect(await excluded(suppressBefore(2, [3]), [1, 1, 0], 2)).toEqual([3]);
    expect(await excluded(suppressBefore(2, [3]), [1, 1, 0, 0], 2)).toEqual([]);
  });

  test("excluding every token, and NaN, are errors", () => {
    const fill = (value: number): LogitsProcessor[] => [({ logits }) => void logits.fill(value)];
    expect(() => processLogits(fill(-Infinity), row([1]))).toThrowCode("generate-no-token-left");
    expect(() => processLogits(fill(Number.NaN), row([1]))).toThrowCode(
      "generate-logits-not-finite",
    );
  });

  test("run in order, once per emitted token, also asynchronously; ids grow by one", async () => {
    const model = createDistributionModel();
    const seen: number[][] = [];
    const { ids } = await complete(model, [1, 2], {
      seed: 1,
      maxTokens: 5,
      logitBias: { 3: 100 },
      logitsProcessors: [
        async ({ ids: so, logits }) => {
          seen.push([...so]);
          await Promise.resolve();
          // The bias is there already; this one wins.
          expect(logits[3]!).toBeGreaterThan(90);
          if (so.length === 4) logits.fill(-Infinity).fill(0, 5, 6);
        },
      ],
    });
    expect(ids).toEqual([3, 3, 5, 3, 3]);
    expect(seen).toEqual([0, 1, 2, 3, 4].map((length) => [1, 2, ...ids.slice(0, length)]));
  });

  test("a generation config is obeyed, and the caller's options take its place", async () => {
    const model = createDistributionModel();
    const generationConfig = {
      suppress_tokens: [0, 1],
      begin_suppress_tokens: [2],
      max_new_tokens: 30,
      repetition_penalty: 1.1,
    };
    Object.assign(model, { checkpoint: { ...model.checkpoint, generationConfig } });
    const { ids } = await complete(model, [1, 2], { seed: 3 });
    expect(ids).toHaveLength(30);
    expect(ids.some((id) => id < 2)).toBe(false);
    expect(ids[0]).not.toBe(2);
    const own = await complete(model, [1, 2], { seed: 3, suppressTokens: [5], maxTokens: 40 });
    expect(own.ids).toHaveLength(40);
    expect(own.ids).not.toContain(5);
    expect(own.ids.some((id) => id < 2)).toBe(true);
    Object.assign(generationConfig, { no_repeat_ngram_size: "two" });
    await expect(complete(model, [1, 2])).toRejectWithCode("generation-config-invalid");
  });

  test("only allowed tokens come, also against a bias, and no list is empty", async () => {
    const model = createDistributionModel();
    const options = { seed: 4, allowedTokens: [5, 1, 5], logitBias: { 2: 50 }, maxTokens: 60 };
    const { ids } = await complete(model, [1, 2], options);
    expect(ids).toHaveLength(60);
    expect([...new Set(ids)].sort()).toEqual([1, 5]);
    const invalid = [[], [model.config.vocabSize], [-1]];
    for (const allowedTokens of invalid) {
      await expect(complete(model, [1, 2], { allowedTokens })).toRejectWithCode(
        "generate-option-invalid",
      );
    }
    await expect(
      complete(model, [1, 2], { allowedTokens: [1], suppressTokens: [1] }),
    ).toRejectWithCode("generate-no-token-left");
  });

  test("an end token comes no earlier than the least number of tokens, and is reported", async () => {
    const model = createDistributionModel();
    const options = { seed: 2, stopIds: [0, 1, 2, 3, 4], maxTokens: 20 };
    const { ids, endToken, finishReason } = await complete(model, [1, 2], {
      ...options,
      minTokens: 3,
    });
    // Only token 5 does not end the text.
    expect(ids.slice(0, 3)).toEqual([5, 5, 5]);
    expect(finishReason).toBe("stop");
    expect(options.stopIds).toContain(endToken!.id);
    expect(endToken!.logProbability).toBeLessThan(0);
  });
});

describe("filters behind min-p, by hand", () => {
  const kept = (options: Partial<Sampling>, ...probabilities: number[]) => [
    ...distributionById(logitsOf(...probabilities), sampling(options)).ids,
  ];

  test("typical-p keeps the tokens whose information is nearest to the entropy", () => {
    // Entropy 1.28 nats; distances 0.36, 0.08, 0.33 and 1.02: the second is the nearest, then the third.
    expect(kept({ typicalP: 0.2 }, 0.4, 0.3, 0.2, 0.1)).toEqual([1]);
    expect(kept({ typicalP: 0.4 }, 0.4, 0.3, 0.2, 0.1)).toEqual([1, 2]);
    expect(kept({ typicalP: 0.6 }, 0.4, 0.3, 0.2, 0.1)).toEqual([0, 1, 2]);
    expect(kept({ typicalP: 1 }, 0.4, 0.3, 0.2, 0.1)).toEqual([0, 1, 2, 3]);
  });

  test("epsilon cutoff keeps what is probable enough, and the best token always", () => {
    expect(kept({ epsilonCutoff: 0.25 }, 0.4, 0.3, 0.2, 0.1)).toEqual([0, 1]);
    expect(kept({ epsilonCutoff: 0.9 }, 0.4, 0.3, 0.2, 0.1)).toEqual([0]);
    // Behind top-k: 0.3 of 0.7 is more than 0.4.
    expect(kept({ topK: 2, epsilonCutoff: 0.42 }, 0.4, 0.3, 0.2, 0.1)).toEqual([0, 1]);
  });

  test("eta cutoff is lower where the distribution is flat", () => {
    // sqrt(0.09) exp(-1.28) = 0.083, sqrt(0.25) exp(-1.28) = 0.139.
    expect(kept({ etaCutoff: 0.09 }, 0.4, 0.3, 0.2, 0.1)).toEqual([0, 1, 2, 3]);
    expect(kept({ etaCutoff: 0.25 }, 0.4, 0.3, 0.2, 0.1)).toEqual([0, 1, 2]);
  });

  test("the distribution that is left adds up to one", () => {
    const { probabilities } = distributionById(
      logitsOf(0.4, 0.3, 0.2, 0.1),
      sampling({ typicalP: 0.4 }),
    );
    expect([...probabilities].map((p) => Number(p.toFixed(6)))).toEqual([0.6, 0.4]);
  });
});

test("stop strings may hold special tokens, whose spelling never comes out", () => {
  const stop = createStopText(["end</s>"]);
  expect(stop.push("the en")).toEqual({ text: "the ", stopped: false });
  expect(stop.push("d")).toEqual({ text: "", stopped: false });
  expect(stop.pushHidden("</s>")).toEqual({ text: "", stopped: true });
  const other = createStopText(["<x>"]);
  expect(other.pushHidden("</s>")).toEqual({ text: "", stopped: false });
  expect(other.push("a", true)).toEqual({ text: "a", stopped: false });
  expect(other.pushHidden("<x>", false)).toEqual({ text: "", stopped: false });
  expect(other.pushHidden("<x>")).toEqual({ text: "", stopped: true });
});
