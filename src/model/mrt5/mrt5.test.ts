/**
 * Numbers that can be checked by hand, then the reference values of a random MrT5, then properties that hold
 * for any weights.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { compile, constant, float32, int32, type Tensor, trace } from "../../tensor/index.ts";
import { testData } from "../../testing/test-data.ts";
import { softmaxOne } from "../layers/bidirectional-attention.ts";
import { seq2seqConfig } from "../seq2seq/config.ts";
import { fileBindings, traceWeights } from "../weights/trace-weights.ts";
import { createDeletionController } from "./deletion-controller.ts";
import { keepFirstOfSegments, keepRandomly } from "./keep-masks.ts";
import { relativeCost, runShortened } from "./mrt5.ts";
import { gateShortener, givenShortener, noShortener, type Shortener } from "./shortener.ts";
import {
  corruptedLengths,
  corruptSpans,
  partitionSpans,
  restoreSpans,
  spanCounts,
} from "./span-corruption.ts";

const data = testData("models/families/mrt5");
const expected = data.skip
  ? undefined
  : (JSON.parse(readFileSync(join(data.folder, "expected.json"), "utf8")) as {
      texts: {
        ids: number[];
        decoderIds: number[];
        kept: number[];
        deletedShare: number;
        gateMean: number;
        scorePenalty: number;
        soft: { logits: number[][] };
        hard: { logits: number[][] };
      }[];
      spanCorruption: {
        original: number[];
        partition: number[];
        input: number[];
        labels: number[];
      };
      spanCounts: { length: number; noise: number; spans: number }[];
      lengths: {
        inputLength: number;
        density: number;
        meanSpan: number;
        originalLength: number;
        targetLength: number;
      }[];
      controller: {
        target: number;
        kp: number;
        ki: number;
        alpha0: number;
        delay?: number;
        rates: number[];
        trace: number[][];
      };
    });

describe("by hand", () => {
  test("softmax with a one in the denominator", async () => {
    const graph = trace({ x: float32(["n"]) }, ({ x }) => ({ y: softmaxOne(x) }));
    await using program = await compile(graph, { inline: true });
    const run = async (...values: number[]) =>
      Array.from(
        (await program.run({ x: { data: Float32Array.from(values), shape: [values.length] } })).y
          .data as Float32Array,
      );
    expect(await run(0, 0)).toEqual([1 / 3, 1 / 3].map(Math.fround));
    expect((await run(10))[0]).toBeCloseTo(0.99995, 5);
    expect(await run(-1e9, -1e9)).toEqual([0, 0]);
    expect((await run(1000, 999))[0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
  });

  test("the controller's first two steps", () => {
    const controller = createDeletionController({ target: 0.5 });
    controller.update(0);
    expect(controller.proportional).toBeCloseTo(0.025, 12);
    expect(controller.integral).toBeCloseTo(5e-6, 12);
    expect(controller.weight).toBeCloseTo(0.025005, 12);
    controller.update(0);
    expect(controller.proportional).toBeCloseTo(0.0475, 12);
    expect(() => createDeletionController({ target: 1 })).toThrow("between 0 and 1");
  });

  test("the controller holds a plant that deletes more as the weight grows", () => {
    const controller = createDeletionController({ target: 0.4, integral: 1e-3 });
    let rate = 0;
    for (let step = 0; step < 5000; step++) {
      controller.update(rate);
      rate += 0.1 * (Math.min(1, 4 * controller.weight) - rate);
    }
    expect(rate).toBeCloseTo(0.4, 2);
  });

  test("fixed deletion keeps the beginning of each segment", () => {
    const ids = Int32Array.from([...new TextEncoder().encode("abcd ef.")].map((byte) => byte + 3));
    // "abcd " keeps 3 of 5, "ef." 2 of 3.
    expect([...keepFirstOfSegments(ids, 0.5)]).toEqual([1, 1, 1, 0, 0, 1, 1, 0]);
  });

  test("random deletion keeps the asked share", () => {
    const random = createRandom(1, "keep");
    const kept = keepRandomly(1000, 0.3, random, 0).reduce((sum, keep) => sum + keep, 0);
    expect(kept).toBe(700);
    expect(keepRandomly(3, 1, random).includes(1)).toBe(true);
  });

  test("less is computed the more is deleted", () => {
    const config = seq2seqConfig({
      model_type: "mrt5",
      architectures: ["MrT5ForConditionalGeneration"],
      vocab_size: 384,
      d_model: 1472,
      d_kv: 64,
      d_ff: 3584,
      num_layers: 12,
      num_decoder_layers: 4,
      num_heads: 6,
      feed_forward_proj: "gated-gelu",
      delete_gate_layer: 3,
    } as never);
    const cost = (deleted: number) => relativeCost(config, { source: 1024, output: 189, deleted });
    expect(cost(0)).toBe(1);
    expect(cost(0.5)).toBeGreaterThan(0.55);
    expect(cost(0.5)).toBeLessThan(0.68);
    expect(cost(0.7)).toBeLessThan(cost(0.5));
  });
});

describe("span corruption", () => {
  test("removing and putting back gives the text", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), fc.integer(), (length, seed) => {
        const random = createRandom(seed, "spans");
        const ids = Array.from({ length }, () => 3 + random.integer(128));
        const options = { density: 0.3, meanSpan: 8 };
        const partition = partitionSpans(length, random, options);
        expect(partition.reduce((a, b) => a + b)).toBe(length);
        expect(Math.min(...partition)).toBeGreaterThan(0);
        const { noise, spans } = spanCounts(length, options);
        expect(partition.length).toBe(2 * spans);
        const corrupted = corruptSpans(ids, partition);
        expect(corrupted.labels.length).toBe(noise + spans + 1);
        expect(restoreSpans(corrupted)).toEqual(ids);
      }),
      { numRuns: 200 },
    );
  });

  test.skipIf(data.skip)("counts, lengths and ids equal the reference", () => {
    const { spanCounts: counts, lengths, spanCorruption } = expected!;
    for (const { length, ...found } of counts) expect(spanCounts(length)).toEqual(found);
    for (const { inputLength, density, meanSpan, ...found } of lengths) {
      expect(corruptedLengths(inputLength, { density, meanSpan })).toEqual(found);
    }
    const { original, partition, input, labels } = spanCorruption;
    expect(corruptSpans(original, partition)).toEqual({ input, labels });
  });
});

test.skipIf(data.skip)("the controller follows the reference's trace", () => {
  const { target, kp, ki, alpha0, delay, rates, trace: steps } = expected!.controller;
  const controller = createDeletionController({
    target,
    proportional: kp,
    integral: ki,
    first: alpha0,
    ...(delay !== undefined && { delay }),
  });
  for (const [step, [used, p, i, after]] of steps.entries()) {
    expect(controller.weight).toBeCloseTo(used!, 8);
    controller.update(rates[step]!);
    expect([controller.proportional, controller.integral, controller.weight]).toEqual(
      [p, i, after].map((value) => expect.closeTo(value!, 8)),
    );
  }
});

describe.skipIf(data.skip)("training's forward pass", () => {
  async function run(
    make: (gate: NonNullable<ReturnType<typeof seq2seqConfig>["deleteGate"]>) => Shortener,
    text: number,
    keep?: number[],
    padding = 2,
  ) {
    await using checkpoint = await openCheckpoint(data.folder);
    const config = seq2seqConfig(checkpoint.config);
    const has = (name: string): boolean => checkpoint.tensors.has(name);
    const { ids, decoderIds } = expected!.texts[text]!;
    const graph = trace(
      {
        ids: int32(["batch", "time"]),
        attended: float32(["batch", "time"]),
        decoderIds: int32(["batch", "output"]),
        keep: float32(["batch", "time"]),
      },
      (input): Record<string, Tensor> => {
        const weights = traceWeights(checkpoint.tensors, "f32");
        const shortener = make(config.deleteGate!);
        const model = { config, weights, shortener, layer: config.deleteGate!.layer, has };
        const pairs = {
          ids: input.ids,
          attended: input.attended,
          decoderIds: input.decoderIds,
          targets: input.decoderIds,
          counted: constant([1], { shape: [1, 1] }),
          inputs: { keep: input.keep },
        };
        const { logits, shortened, scorePenalty, states } = runShortened(model, pairs);
        const { penalty, deletedShare } = shortened;
        return { logits, scorePenalty, states, deletedShare, ...(penalty && { penalty }) };
      },
    );
    await using program = await compile(graph, {
      inline: true,
      parameters: fileBindings(checkpoint.tensors),
    });
    const time = ids.length;
    // One row of padding shows that what is computed reads tokens only.
    const padded = [...ids, ...new Array<number>(padding).fill(0)];
    const results = await program.run({
      ids: { data: Int32Array.from(padded), shape: [1, time + padding] },
      attended: {
        data: Float32Array.from(padded, (_, at) => (at < time ? 1 : 0)),
        shape: [1, time + padding],
      },
      decoderIds: { data: Int32Array.from(decoderIds), shape: [1, decoderIds.length] },
      keep: {
        data: Float32Array.from(padded, (_, at) => keep?.[at] ?? 1),
        shape: [1, time + padding],
      },
    });
    return (name: string) => Array.from(results[name]!.data as Float32Array);
  }
  const far = (found: number[], wanted: number[]) =>
    wanted.reduce((largest, value, at) => Math.max(largest, Math.abs(value - found[at]!)), 0);

  test("soft and hard logits, mean gate value and deleted share equal the reference", async () => {
    for (const [index, text] of expected!.texts.entries()) {
      const soft = await run((gate) => gateShortener(gate, 48), index);
      expect(far(soft("logits"), text.soft.logits.flat())).toBeLessThan(5e-4);
      expect(soft("deletedShare")[0]).toBeCloseTo(text.deletedShare, 4);
      expect(soft("penalty")[0]).toBeCloseTo(text.gateMean, 3);
      const alone = await run((gate) => gateShortener(gate, 48), index, undefined, 0);
      expect(alone("scorePenalty")[0]).toBeCloseTo(text.scorePenalty, 4);
      const hard = await run((gate) => gateShortener(gate, 48, { hard: true }), index);
      expect(far(hard("logits"), text.hard.logits.flat())).toBeLessThan(5e-4);
    }
  });

  test("given positions delete as the gate does, and none deletes nothing", async () => {
    const { kept, hard, ids } = expected!.texts[0]!;
    const keep = Array.from(ids, (_, at) => (kept.includes(at) ? 1 : 0));
    const given = await run(() => givenShortener("random"), 0, keep);
    expect(far(given("logits"), hard.logits.flat())).toBeLessThan(5e-4);
    const none = await run(() => noShortener(), 0);
    const all = await run(() => givenShortener("random"), 0);
    expect(far(all("logits"), none("logits"))).toBeLessThan(1e-5);
    expect(far(none("logits"), hard.logits.flat())).toBeGreaterThan(0.1);
  });
});
