import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { decoderConfig } from "../../model/index.ts";
import { randomReferenceTensors } from "../../testing/random-weights.ts";
import { type ReferenceAdamWState, referenceAdamW } from "../../testing/reference-adamw.ts";
import { referenceForward } from "../../testing/reference-decoder.ts";
import { describeReference } from "../../testing/reference-families.ts";
import { hasGradients, referenceLossAndGradients } from "../../testing/reference-training.ts";
import { referenceFamilies } from "../../testing/tiny-config-variants.ts";
import {
  ignoredTarget,
  type LanguageModelBatch,
  languageModelGraph,
  languageModelInputs,
  softPromptName,
} from "../graph/language-model-graph.ts";
import { decoderParameterShapes, type ParameterValue } from "../graph/parameters.ts";
import type { TrainingGraph } from "../graph/training-graph.ts";
import { adamW, decayMatricesOnly } from "../optimizer/optimizer.ts";
import { openTrainer } from "./trainer.ts";

const tiny = {
  vocabulary: 29,
  width: 32,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  feedForward: 40,
};

/** Next-token prediction over whole sequences, each one token longer than what goes in. */
function batchOf(sequences: readonly (readonly number[])[]): LanguageModelBatch {
  const time = Math.max(...sequences.map((ids) => ids.length)) - 1;
  const ids = new Int32Array(sequences.length * time);
  const targets = new Int32Array(sequences.length * time).fill(ignoredTarget);
  for (const [row, sequence] of sequences.entries()) {
    ids.set(sequence.slice(0, -1), row * time);
    targets.set(sequence.slice(1), row * time);
  }
  return { batch: sequences.length, time, ids, targets };
}

function randomSequences(seed: number, count: number, length: number): number[][] {
  const random = createRandom(seed, "sequences");
  return Array.from({ length: count }, () =>
    // A skewed distribution: something can be learned.
    Array.from({ length }, () => Math.floor(random.uniform() ** 3 * tiny.vocabulary)),
  );
}

function setUp(family: string, seed = 4) {
  const file = referenceFamilies[family]!(tiny);
  const config = decoderConfig(file as never);
  const tensors = randomReferenceTensors(file, seed);
  const parameters = new Map<string, ParameterValue>(
    [...tensors]
      .filter(([name]) => !(config.tieWordEmbeddings && name === "lm_head.weight"))
      .map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]),
  );
  // Both sides start from the same float32 values.
  const reference = new Map(
    [...parameters].map(([name, { shape, data }]) => [
      name,
      { shape, data: Float64Array.from(data) },
    ]),
  );
  return { file, config, parameters, reference };
}

/** A trainer that is asked for losses and gradients, not for steps. */
const openForGradients = (graph: TrainingGraph, parameters: Map<string, ParameterValue>) =>
  openTrainer({
    graph,
    parameters,
    schedule: { kind: "constant", peak: 0 },
    threads: 2,
    spinning: false,
    inline: true,
  });

describe("languageModelGraph", () => {
  // Gradients of experts, of layer norms and behind Granite's factors have an oracle of their own below.
  const hasOwnOracle = (family: string): boolean =>
    !hasGradients(describeReference(referenceFamilies[family]!(tiny)));
  const families = Object.keys(referenceFamilies);

  test.each(families.filter((family) => !hasOwnOracle(family)))(
    "%s: loss and gradients are the oracle's",
    async (family) => {
      const { file, config, parameters, reference } = setUp(family);
      expect(
        new Map([...decoderParameterShapes(config)].sort()),
        "shapes of a new decoder",
      ).toEqual(
        new Map([...parameters].map(([name, { shape }]) => [name, [...shape]] as const).sort()),
      );
      const sequenceLength = 40;
      // Sequences of different lengths: the rest of the short one does not count.
      const sequences = [...randomSequences(1, 1, 17), ...randomSequences(2, 1, 9)];
      const graph = languageModelGraph(config, { parameters: decoderParameterShapes(config) });
      await using trainer = await openForGradients(graph, parameters);
      const inputs = languageModelInputs(config, { sequenceLength });
      const { loss, gradients } = await trainer.gradients([inputs(batchOf(sequences))]);
      const expected = referenceLossAndGradients(file, reference, sequences, { sequenceLength });
      expect(Math.abs(loss / expected.loss - 1)).toBeLessThan(1e-5);
      for (const [name, gradient] of expected.gradients) {
        const found = gradients.get(name)!;
        const size = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
        const distance = Math.sqrt(gradient.reduce((sum, g, i) => sum + (g - found[i]!) ** 2, 0));
        expect(distance / size, name).toBeLessThan(1e-3);
      }
      const { loss: evaluated } = await trainer.evaluate([inputs(batchOf(sequences))]);
      expect(evaluated).toBeCloseTo(loss, 5);
    },
  );

  // OpenMoE trains with capacities and router losses: src/model/openmoe has their tests.
  test.each(families.filter((family) => hasOwnOracle(family) && family !== "openmoe"))(
    "%s: loss and directional derivatives are those of the float64 forward pass",
    async (family) => {
      const { file, config, parameters, reference } = setUp(family);
      const sequence = randomSequences(1, 1, 12)[0]!;
      const graph = languageModelGraph(config, { parameters: decoderParameterShapes(config) });
      await using trainer = await openForGradients(graph, parameters);
      const inputs = languageModelInputs(config, { sequenceLength: sequence.length - 1 });
      const { loss, gradients } = await trainer.gradients([inputs(batchOf([sequence]))]);
      const lossOf = (): number => sequenceLoss(file, reference, sequence);
      expect(Math.abs(loss / lossOf() - 1)).toBeLessThan(1e-5);
      const random = createRandom(3, "directions");
      for (const [name, { data }] of reference) {
        const direction = Float64Array.from(data, () => random.normal());
        const move = (step: number): void => {
          for (const [i, v] of direction.entries()) data[i]! += step * v;
        };
        const step = 1e-6;
        move(step);
        const above = lossOf();
        move(-2 * step);
        const below = lossOf();
        move(step);
        const found = gradients.get(name)!;
        const along = direction.reduce((sum, v, i) => sum + v * found[i]!, 0);
        const size = Math.hypot(...found);
        expect(Math.abs((above - below) / (2 * step) - along), name).toBeLessThan(
          1e-3 * size + 1e-6,
        );
      }
    },
  );
});

/** Mean negative log-probability of the next tokens, by the float64 oracle. */
function sequenceLoss(
  file: Parameters<typeof referenceForward>[0],
  tensors: Parameters<typeof referenceForward>[1],
  sequence: readonly number[],
): number {
  const ids = sequence.slice(0, -1);
  const logits = referenceForward(file, tensors, ids, { ropeLength: ids.length });
  const losses = ids.map((_, row) => {
    const own = logits.subarray(row * tiny.vocabulary, (row + 1) * tiny.vocabulary);
    const largest = Math.max(...own);
    const total = own.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
    return largest + Math.log(total) - own[sequence[row + 1]!]!;
  });
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}

describe("openTrainer", () => {
  test("20 steps fall along the curve of the float64 reference", async () => {
    const { file, config, parameters, reference } = setUp("llama", 7);
    const options = { learningRate: 3e-3, weightDecay: 0.1, maxNorm: 1 };
    await using trainer = await openTrainer({
      graph: languageModelGraph(config, { parameters: decoderParameterShapes(config) }),
      parameters,
      moveParameters: true,
      schedule: { kind: "constant", peak: options.learningRate },
      optimizer: adamW({ weightDecay: options.weightDecay, maxNorm: options.maxNorm }),
      group: decayMatricesOnly,
      threads: 2,
    });
    expect([...parameters.values()].every(({ data }) => data.length === 0)).toBe(true);
    const inputs = languageModelInputs(config, { sequenceLength: 16 });
    let tensors = reference;
    let state: ReferenceAdamWState = { step: 0, first: new Map(), second: new Map() };
    const losses: number[] = [];
    for (let step = 0; step < 20; step++) {
      const sequences = randomSequences(step, 4, 17);
      // The same batch in one part or two: accumulation must not show.
      const parts = step % 2 ? [sequences] : [sequences.slice(0, 1), sequences.slice(1)];
      const report = await trainer.step(parts.map((part) => inputs(batchOf(part))));
      const expected = referenceLossAndGradients(file, tensors, sequences);
      expect(Math.abs(report.loss / expected.loss - 1), `step ${step}`).toBeLessThan(1e-3);
      losses.push(expected.loss);
      const moved = referenceAdamW(tensors, expected.gradients, state, {
        ...options,
        weightDecay: (_name, shape) => (shape.length >= 2 ? options.weightDecay : 0),
      });
      tensors = moved.tensors as typeof tensors;
      state = moved.state;
    }
    expect(losses.at(-1)!).toBeLessThan(losses[0]! - 0.3);
  });

  test("documents that share a sequence do not see each other", async () => {
    const { config, parameters } = setUp("mistral");
    const graph = languageModelGraph(config, {
      parameters: decoderParameterShapes(config),
      documentMask: true,
    });
    await using trainer = await openTrainer({
      graph,
      parameters,
      schedule: { kind: "constant", peak: 0 },
      threads: 1,
      inline: true,
    });
    const inputs = languageModelInputs(config, { sequenceLength: 32, documentMask: true });
    const documents = randomSequences(3, 2, 12);
    const apart = await trainer.gradients(documents.map((ids) => inputs(batchOf([ids]))));
    const parts = documents.map((ids) => batchOf([ids]));
    const together = await trainer.gradients([
      inputs({
        batch: 1,
        time: 22,
        ids: Int32Array.from(parts.flatMap(({ ids }) => [...ids])),
        targets: Int32Array.from(parts.flatMap(({ targets }) => [...targets])),
        segments: Int32Array.from(parts.flatMap(({ ids }, segment) => [...ids].map(() => segment))),
      }),
    ]);
    expect(together.loss).toBeCloseTo(apart.loss, 5);
    for (const [name, gradient] of apart.gradients) {
      const found = together.gradients.get(name)!;
      const difference = Math.max(...gradient.map((g, i) => Math.abs(g - found[i]!)));
      expect(difference, name).toBeLessThan(1e-4);
    }
  });

  test("a soft prompt learns, and everything frozen stays as it was", async () => {
    const { config, parameters } = setUp("qwen2");
    const shapes = decoderParameterShapes(config);
    const random = createRandom(5);
    const prompt = {
      shape: [3, tiny.width],
      data: Float32Array.from({ length: 3 * tiny.width }, () => 0.02 * random.normal()),
    };
    await using trainer = await openTrainer({
      graph: languageModelGraph(config, {
        parameters: shapes,
        trainable: new Set([softPromptName]),
        softPrompt: 3,
      }),
      parameters: new Map([...parameters, [softPromptName, prompt]]),
      schedule: { kind: "constant", peak: 0.05 },
      optimizer: adamW({ weightDecay: 0 }),
      threads: 1,
    });
    const inputs = languageModelInputs(config, { sequenceLength: 19 });
    const batch = [inputs(batchOf(randomSequences(8, 2, 17)))];
    const before = await trainer.evaluate(batch);
    for (let step = 0; step < 10; step++) await trainer.step(batch);
    const after = await trainer.evaluate(batch);
    expect(after.loss).toBeLessThan(before.loss - 0.05);
    const trained = await trainer.parameters();
    for (const [name, { data }] of parameters) expect(trained.get(name)!.data).toEqual(data);
    expect(trained.get(softPromptName)!.data).not.toEqual(prompt.data);
  });
});
