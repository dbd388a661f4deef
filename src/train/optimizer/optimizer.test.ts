import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { type ReferenceAdamWState, referenceAdamW } from "../../testing/reference-adamw.ts";
import {
  adafactor,
  adamW,
  clipByGlobalNorm,
  createOptimizer,
  decayMatricesOnly,
  globalNorm,
  scaleAndSquare,
  scaleByAdam,
  sgd,
  type TrainedParameter,
  type Transform,
} from "./optimizer.ts";
import { checkSchedule, learningRateAt, type Schedule } from "./schedule.ts";

const shapes: readonly (readonly [string, readonly number[]])[] = [
  ["matrix", [3, 5]],
  ["vector", [4]],
];

function randomArrays(seed: number, scale = 1): Map<string, Float32Array> {
  const random = createRandom(seed);
  return new Map(
    shapes.map(([name, shape]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, Float32Array.from({ length: size }, () => scale * random.normal())];
    }),
  );
}

function parametersOf(arrays: ReadonlyMap<string, Float32Array>, more = {}): TrainedParameter[] {
  return shapes.map(([name, shape]) => ({ name, shape, data: arrays.get(name)!.slice(), ...more }));
}

describe("createOptimizer", () => {
  test("AdamW with clipping equals the float64 reference", () => {
    const start = randomArrays(1);
    const parameters = parametersOf(start);
    const optimizer = createOptimizer(adamW({ weightDecay: 0.1, maxNorm: 0.5 }), parameters);
    let tensors: Parameters<typeof referenceAdamW>[0] = new Map(
      shapes.map(([name, shape]) => [name, { shape, data: Float64Array.from(start.get(name)!) }]),
    );
    let state: ReferenceAdamWState = { step: 0, first: new Map(), second: new Map() };
    for (let step = 1; step <= 12; step++) {
      const gradients = randomArrays(step + 10, step % 3 === 0 ? 0.01 : 1);
      const exact = new Map([...gradients].map(([name, data]) => [name, Float64Array.from(data)]));
      const settings = { learningRate: 0.02, weightDecay: 0.1, maxNorm: 0.5 };
      ({ tensors, state } = referenceAdamW(tensors, exact, state, settings));
      const expected = globalNorm(gradients);
      expect(optimizer.update(gradients, step, 0.02)).toBe(expected);
    }
    for (const { name, data } of parameters) {
      for (const [i, value] of tensors.get(name)!.data.entries()) {
        expect(data[i]!).toBeCloseTo(value, 5);
      }
    }
  });

  test.each([
    ["as usual", adamW({ maxNorm: 0.5 })],
    ["without clipping", adamW({ weightDecay: 0.3, beta2: 0.95 })],
    ["without decay", [scaleByAdam({ epsilon: 1e-6 })]],
  ])("AdamW in one pass equals its links one after the other, to the bit: %s", (_, transforms) => {
    const groups = { rateFactor: 0.7, decayFactor: 0.5 };
    const [whole, parts] = [
      parametersOf(randomArrays(1), groups),
      parametersOf(randomArrays(1), groups),
    ];
    const fused = createOptimizer(transforms, whole);
    const chain = createOptimizer(transforms, parts, { fuse: false });
    for (let step = 1; step <= 6; step++) {
      const size = step % 3 === 0 ? 0.01 : 1;
      const norm = fused.update(randomArrays(step + 10, size), step, 0.02);
      expect(chain.update(randomArrays(step + 10, size), step, 0.02)).toBe(norm);
    }
    expect(whole).toEqual(parts);
    expect(fused.state).toEqual(chain.state);
  });

  test("scaling gives the squares of what is left", () => {
    const array = Float32Array.of(0.1, -3, 1e20);
    const squares = scaleAndSquare(array, 1 / 3);
    expect(array).toEqual(Float32Array.of(0.1, -3, 1e20).map((value) => value / 3));
    expect(squares).toBe(scaleAndSquare(array, 1));
  });

  test("matrices decay, and biases do not, those of stacked experts among them", () => {
    const decays = (name: string, shape: number[]) => decayMatricesOnly(name, shape).decayFactor;
    expect(decays("model.layers.0.mlp.experts.gate_up_proj", [4, 16, 64])).toBe(1);
    expect(decays("model.layers.0.mlp.experts.gate_up_proj_bias", [4, 64])).toBe(0);
    expect(decays("decoder.SelfAttention.relative_attention_bias.weight", [32, 4])).toBe(1);
    expect(decays("model.layers.0.self_attn.q_proj.bias", [64])).toBe(0);
  });

  test("clipping bounds the norm and keeps the direction", () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 0.01, max: 10, noNaN: true }), (seed, maximum) => {
        const gradients = randomArrays(seed);
        const norm = globalNorm(gradients);
        const before = new Map([...gradients].map(([name, data]) => [name, data.slice()]));
        const parameters = parametersOf(randomArrays(0));
        createOptimizer([clipByGlobalNorm(maximum)], parameters).update(gradients, 1, 0);
        const factor = Math.min(1, maximum / norm);
        for (const [name, data] of gradients) {
          for (const [i, value] of data.entries()) {
            expect(value).toBeCloseTo(before.get(name)![i]! * factor, 4);
          }
        }
      }),
      { numRuns: 50 },
    );
  });

  test.each<[string, Transform[], number]>([
    ["AdamW", adamW({ weightDecay: 0 }), 0.05],
    ["a heavy ball", sgd(), 0.02],
    ["Nesterov", sgd({ nesterov: true }), 0.02],
    ["plain descent", sgd({ momentum: 0 }), 0.2],
    ["Adafactor", adafactor(), 0.05],
  ])("%s finds the bottom of a bowl", (_name, transforms, rate) => {
    const parameters = parametersOf(randomArrays(5));
    const bottom = randomArrays(6);
    const optimizer = createOptimizer(transforms, parameters);
    const distance = (): number =>
      Math.sqrt(
        parameters.reduce(
          (sum, { name, data }) =>
            sum + data.reduce((s, value, i) => s + (value - bottom.get(name)![i]!) ** 2, 0),
          0,
        ),
      );
    const before = distance();
    for (let step = 1; step <= 300; step++) {
      const gradients = new Map(
        parameters.map(({ name, data }) => [
          name,
          data.map((value, i) => value - bottom.get(name)![i]!),
        ]),
      );
      optimizer.update(gradients, step, rate * (1 - step / 301));
    }
    expect(distance()).toBeLessThan(before / 20);
  });

  test("Adafactor keeps rows and columns of a matrix, not its elements", () => {
    const { state } = createOptimizer(adafactor(), parametersOf(randomArrays(1)));
    const sizes = [...state].map(([key, data]) => [key, data.length]);
    expect(sizes).toEqual([
      ["0.rows/matrix", 3],
      ["0.columns/matrix", 5],
      ["0.second/vector", 4],
    ]);
  });

  test("groups: a rate factor of 0 freezes, a decay factor of 0 spares", () => {
    const start = randomArrays(2);
    const zero = (): Map<string, Float32Array> =>
      new Map(shapes.map(([name]) => [name, new Float32Array(start.get(name)!.length)]));
    const frozen = parametersOf(start, { rateFactor: 0 });
    createOptimizer(adamW(), frozen).update(randomArrays(3), 1, 0.1);
    for (const { name, data } of frozen) expect(data).toEqual(start.get(name));
    const spared = parametersOf(start, { decayFactor: 0 });
    createOptimizer(adamW(), spared).update(zero(), 1, 0.1);
    for (const { name, data } of spared) expect(data).toEqual(start.get(name));
    const decayed = parametersOf(start);
    createOptimizer(adamW({ weightDecay: 0.5 }), decayed).update(zero(), 1, 0.1);
    for (const { name, data } of decayed) {
      for (const [i, value] of data.entries()) {
        expect(value).toBeCloseTo(0.95 * start.get(name)![i]!, 6);
      }
    }
  });

  test("gradients that are not finite change nothing", () => {
    const parameter = { name: "w", shape: [2], data: Float32Array.of(1, 2) };
    const optimizer = createOptimizer(adamW({ maxNorm: 1 }), [parameter]);
    const before = JSON.stringify([...optimizer.state]);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const gradients = new Map([["w", Float32Array.of(bad, 1)]]);
      expect(optimizer.update(gradients, 1, 0.1)).not.toSatisfy(Number.isFinite);
      expect([...parameter.data]).toEqual([1, 2]);
      expect(JSON.stringify([...optimizer.state])).toBe(before);
    }
  });

  test("an impossible number is refused by name", () => {
    expect(() => createOptimizer([clipByGlobalNorm(Number.NaN)], [])).toThrow(
      /clip-by-global-norm: maximum is NaN/,
    );
  });
});

describe("learningRateAt", () => {
  const schedules: Schedule[] = [
    { kind: "constant", peak: 2, warmupSteps: 10 },
    { kind: "linear", peak: 2, steps: 100, warmupSteps: 10, final: 0.5 },
    { kind: "cosine", peak: 2, steps: 100, warmupSteps: 10, final: 0.5 },
    { kind: "warmup-stable-decay", peak: 2, steps: 100, decaySteps: 30, warmupSteps: 10 },
  ];

  test.each(schedules)("$kind rises, reaches its peak and never rises again", (schedule) => {
    const rates = Array.from({ length: 120 }, (_, index) => learningRateAt(schedule, index + 1));
    for (let i = 1; i < 10; i++) expect(rates[i]!).toBeGreaterThan(rates[i - 1]!);
    expect(rates[9]).toBe(2);
    for (let i = 10; i < 120; i++) expect(rates[i]!).toBeLessThanOrEqual(rates[i - 1]!);
    // Every step of the run moves something.
    expect(Math.min(...rates.slice(0, 100))).toBeGreaterThan(0);
    const final = schedule.kind === "constant" ? 2 : (schedule.final ?? 0);
    expect(rates[119]).toBeCloseTo(final, 12);
    if (schedule.kind === "warmup-stable-decay") expect(rates[68]).toBe(2);
  });

  test("a negative number is refused", () => {
    expect(() => checkSchedule({ kind: "constant", peak: -1 })).toThrow(/peak is -1/);
  });
});
