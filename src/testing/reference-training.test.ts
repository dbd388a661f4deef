import { describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import { randomReferenceTensors } from "./random-weights.ts";
import { activate, activationSlope, erf } from "./reference-activation.ts";
import {
  type ReferenceAdamWState,
  referenceAdamW,
  referenceGradientNorm,
} from "./reference-adamw.ts";
import type { ReferenceConfig, ReferenceTensor, ReferenceTensors } from "./reference-checkpoint.ts";
import { referenceForward } from "./reference-decoder.ts";
import { describeReference } from "./reference-families.ts";
import type { ReferenceActivation } from "./reference-plan.ts";
import { hasGradients, referenceLossAndGradients } from "./reference-training.ts";
import { referenceFamilies } from "./tiny-config-variants.ts";

const tiny = {
  vocabulary: 20,
  width: 32,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 10,
  feedForward: 24,
};
/** Sequences of different lengths, with repeated ids. */
const batch = [
  [3, 7, 7, 1, 19, 0, 3, 12, 5, 7, 2, 16, 11],
  [4, 4, 9, 18],
];
// src/train/run/trainer.test.ts has slopes of the others.
const families = Object.keys(referenceFamilies).filter((family) =>
  hasGradients(describeReference(referenceFamilies[family]!(tiny))),
);

/** The loss from the other implementation's logits. */
function lossByForward(
  config: ReferenceConfig,
  tensors: ReferenceTensors,
  ids: number[][],
  sequenceLength: number,
): number {
  const losses: number[] = [];
  for (const sequence of ids) {
    const logits = referenceForward(config, tensors, sequence.slice(0, -1), {
      ropeLength: sequenceLength,
    });
    for (const [row, target] of sequence.slice(1).entries()) {
      const scores = logits.subarray(row * tiny.vocabulary, (row + 1) * tiny.vocabulary);
      const sum = scores.reduce((total, score) => total + Math.exp(score), 0);
      losses.push(Math.log(sum) - scores[target]!);
    }
  }
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}

describe("referenceLossAndGradients", () => {
  test.each(families)(
    "%s: the loss is that of the forward oracle, gradients are its slopes",
    (family) => {
      const config = referenceFamilies[family]!(tiny);
      const tensors = randomReferenceTensors(config, 4);
      const sequenceLength = 40; // Reaches the stretched bases and the long factors.
      const { loss, gradients } = referenceLossAndGradients(config, tensors, batch, {
        sequenceLength,
      });
      expect(loss).toBeCloseTo(lossByForward(config, tensors, batch, sequenceLength), 11);
      expect([...gradients.keys()].sort()).toEqual([...tensors.keys()].sort());
      for (const [name, { shape, data }] of tensors) {
        // Along one random direction of this parameter.
        const random = createRandom(9, name);
        const direction = data.map(() => random.normal());
        const step = 1e-5;
        const lossAt = (distance: number): number => {
          const moved = data.map((value, i) => value + distance * direction[i]!);
          const changed = new Map(tensors).set(name, { shape, data: moved });
          return lossByForward(config, changed, batch, sequenceLength);
        };
        // Four points: the error falls with step^4, which sharp random attention needs.
        const inner = lossAt(step) - lossAt(-step);
        const outer = lossAt(2 * step) - lossAt(-2 * step);
        const slope = (8 * inner - outer) / (12 * step);
        const gradient = gradients.get(name)!;
        const expected = gradient.reduce((sum, value, i) => sum + value * direction[i]!, 0);
        // Losses of about 3 are exact to 1e-15, so their differences by 1e-5 to some 1e-10.
        expect(Math.abs(slope - expected), name).toBeLessThan(1e-9 + 1e-7 * Math.abs(expected));
        expect(
          gradient.some((value) => value !== 0),
          name,
        ).toBe(true);
      }
    },
  );

  test("the mean is over predicted tokens, not over sequences", () => {
    const config = referenceFamilies["llama"]!(tiny);
    const tensors = randomReferenceTensors(config, 4);
    const [long, short] = batch.map((ids) => referenceLossAndGradients(config, tensors, [ids]));
    const both = referenceLossAndGradients(config, tensors, batch);
    expect(both.loss).toBeCloseTo((12 * long!.loss + 3 * short!.loss) / 15, 12);
  });
});

describe("referenceAdamW", () => {
  const start: ReferenceAdamWState = { step: 0, first: new Map(), second: new Map() };
  const one = (...values: number[]): Map<string, ReferenceTensor> =>
    new Map([["w", { shape: [values.length], data: Float64Array.from(values) }]]);

  test("a constant gradient moves each value by the learning rate, independent of its size", () => {
    let tensors = one(1, -2, 0.5);
    let state = start;
    const gradients = new Map([["w", Float64Array.of(3, -0.01, 200)]]);
    for (let i = 1; i <= 5; i++) {
      ({ tensors, state } = referenceAdamW(tensors, gradients, state, { learningRate: 0.1 }));
      const values = tensors.get("w")!.data;
      expect(state.step).toBe(i);
      for (const [at, value] of [1 - 0.1 * i, -2 + 0.1 * i, 0.5 - 0.1 * i].entries()) {
        expect(values[at]).toBeCloseTo(value, 5);
      }
    }
  });

  test("two steps worked out by hand", () => {
    // Moments after gradients 1 and -2: m = 0.5 * 0.5 - 1 = -0.75, v = 0.5 * 0.5 + 2 = 2.25;
    // corrected by 1 - 0.25: -1 and 3.
    const options = { learningRate: 0.1, beta1: 0.5, beta2: 0.5, epsilon: 0, weightDecay: 0.5 };
    const first = referenceAdamW(one(2), new Map([["w", Float64Array.of(1)]]), start, options);
    expect(first.tensors.get("w")!.data[0]).toBeCloseTo(2 * 0.95 - 0.1, 14);
    const gradients = new Map([["w", Float64Array.of(-2)]]);
    const second = referenceAdamW(first.tensors, gradients, first.state, options);
    expect(second.tensors.get("w")!.data[0]).toBeCloseTo(1.8 * 0.95 + 0.1 / Math.sqrt(3), 14);
    expect(first.state.step).toBe(1);
  });

  test("decay by name, and a limit on the norm over all parameters", () => {
    const tensors = new Map([...one(1), ["bias", { shape: [1], data: Float64Array.of(1) }]]);
    const zero = new Map([...tensors.keys()].map((name) => [name, Float64Array.of(0)]));
    const weightDecay = (name: string): number => (name === "bias" ? 0 : 0.1);
    const decayed = referenceAdamW(tensors, zero, start, { learningRate: 1, weightDecay });
    expect(decayed.tensors.get("w")!.data[0]).toBeCloseTo(0.9, 14);
    expect(decayed.tensors.get("bias")!.data[0]).toBe(1);

    const gradients = new Map([
      ["w", Float64Array.of(3)],
      ["bias", Float64Array.of(4)],
    ]);
    expect(referenceGradientNorm(gradients)).toBe(5);
    const clipped = referenceAdamW(tensors, gradients, start, {
      learningRate: 0.1,
      maxNorm: 1,
      beta1: 0,
    });
    expect(clipped.state.first.get("w")![0]).toBeCloseTo(0.6, 14);
    expect(clipped.state.first.get("bias")![0]).toBeCloseTo(0.8, 14);
  });

  test("twenty steps on one batch learn it", () => {
    const config = referenceFamilies["llama"]!(tiny);
    let tensors = randomReferenceTensors(config, 4);
    let state = start;
    const losses: number[] = [];
    for (let i = 0; i < 20; i++) {
      const { loss, gradients } = referenceLossAndGradients(config, tensors, batch);
      losses.push(loss);
      ({ tensors, state } = referenceAdamW(tensors, gradients, state, { learningRate: 0.02 }));
    }
    expect(losses.at(-1)).toBeLessThan(0.1 * losses[0]!);
  });
});

describe("activations", () => {
  test("erf has its known values", () => {
    // Abramowitz and Stegun, table 7.1, and an asymptotic value.
    expect(erf(0)).toBe(0);
    expect(erf(0.5)).toBeCloseTo(0.5204998778130465, 14);
    expect(erf(1)).toBeCloseTo(0.8427007929497149, 14);
    expect(erf(-2)).toBeCloseTo(-0.9953222650189527, 14);
    expect(1 - erf(3.5)).toBeCloseTo(7.430983723414128e-7, 15);
    expect(erf(2.9999999)).toBeCloseTo(erf(3.0000001), 10);
    expect(erf(40)).toBe(1);
  });

  test.each(["silu", "gelu", "gelu-tanh", "relu"] satisfies ReferenceActivation[])(
    "%s: the slope is that of the values",
    (activation) => {
      for (const x of [-30, -4.2, -1, -0.3, 0.2, 1.7, 5, 30]) {
        const step = 1e-6;
        const difference = activate(x + step, activation) - activate(x - step, activation);
        expect(activationSlope(x, activation)).toBeCloseTo(difference / (2 * step), 7);
      }
    },
  );

  test("both forms of GELU are near each other but not the same", () => {
    let largest = 0;
    for (let x = -4; x <= 4; x += 0.125) {
      largest = Math.max(largest, Math.abs(activate(x, "gelu") - activate(x, "gelu-tanh")));
    }
    expect(largest).toBeGreaterThan(1e-4);
    expect(largest).toBeLessThan(1e-3);
  });
});
