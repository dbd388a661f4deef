import { describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import { decoderConfig, decoderNames } from "../model/index.ts";
import { add, float32, matmul, multiply, parameter, subtract, sum } from "../tensor/index.ts";
import {
  ignoredTarget,
  type LanguageModelBatch,
  type LanguageModelGraphOptions,
  languageModelGraph,
  languageModelInputs,
} from "./graph/language-model-graph.ts";
import { decoderParameterShapes, initializeDecoder } from "./graph/parameters.ts";
import { objectiveGraph } from "./graph/training-graph.ts";
import { openTrainer, type Trainer } from "./run/trainer.ts";

const width = 16;
const vocabulary = 11;
const config = decoderConfig({
  model_type: "llama",
  vocab_size: vocabulary,
  hidden_size: width,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 24,
  max_position_embeddings: 32,
  tie_word_embeddings: false,
} as never);
const parameters = initializeDecoder(config, 3, { deviation: 0.3 });
const table = parameters.get(decoderNames.embedding)!.data;
const inputs = languageModelInputs(config, { sequenceLength: 16 });

const openModel = (options: Omit<LanguageModelGraphOptions, "parameters">): Promise<Trainer> =>
  openTrainer({
    graph: languageModelGraph(config, { parameters: decoderParameterShapes(config), ...options }),
    parameters,
    schedule: { kind: "constant", peak: 0.01 },
    threads: 1,
    inline: true,
  });

function randomBatch(seed: number, batch: number, time: number): LanguageModelBatch {
  const random = createRandom(seed, "sensitivities");
  const draw = () => Int32Array.from({ length: batch * time }, () => random.integer(vocabulary));
  const targets = draw();
  targets[2] = ignoredTarget;
  return { batch, time, ids: draw(), targets };
}

function embedded(batch: LanguageModelBatch): LanguageModelBatch & { embeddings: Float32Array } {
  const embeddings = new Float32Array(batch.ids.length * width);
  for (const [at, id] of batch.ids.entries()) {
    embeddings.set(table.subarray(id * width, (id + 1) * width), at * width);
  }
  return { ...batch, embeddings };
}

const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0);

describe("input gradients", () => {
  test("of embeddings, added up by token, are the gradient of the table", async () => {
    const batches = [randomBatch(1, 2, 9), randomBatch(2, 1, 13)];
    await using trainer = await openModel({ embeddingGradients: true });
    const parts = batches.map(inputs);
    const { loss, parts: found } = await trainer.inputGradients(parts);
    const whole = await trainer.gradients(parts);
    expect(loss).toBeCloseTo(whole.loss, 5);
    const added = new Float64Array(vocabulary * width);
    for (const [part, { batch, time, ids }] of batches.entries()) {
      const { shape, data } = found[part]!.get("embeddings")!;
      expect(shape).toEqual([batch, time, width]);
      for (const [at, id] of ids.entries()) {
        for (let i = 0; i < width; i++) added[id * width + i]! += data[at * width + i]!;
      }
    }
    const expected = whole.gradients.get(decoderNames.embedding)!;
    expect(difference(added, new Float64Array(added.length))).toBeGreaterThan(1e-3);
    expect(difference(added, expected)).toBeLessThan(1e-5);
  });

  test("are finite differences of the loss, and need nothing that learns", async () => {
    const batch = embedded(randomBatch(4, 1, 7));
    await using trainer = await openModel({ reads: "embeddings", trainable: new Set() });
    const { loss, parts } = await trainer.inputGradients([inputs(batch)]);
    const gradient = parts[0]!.get("embeddings")!.data;
    await using withIds = await openModel({});
    expect(loss).toBeCloseTo(
      (await withIds.evaluate([inputs(batchWithoutEmbeddings(batch))])).loss,
      5,
    );

    const random = createRandom(9, "directions");
    const lossAt = async (step: number, direction: Float32Array): Promise<number> => {
      const moved = batch.embeddings.map((value, at) => value + step * direction[at]!);
      return (await trainer.evaluate([inputs({ ...batch, embeddings: moved })])).loss;
    };
    for (let round = 0; round < 5; round++) {
      const direction = batch.embeddings.map(() => random.normal());
      const size = 0.002;
      const slope =
        ((await lossAt(size, direction)) - (await lossAt(-size, direction))) / (2 * size);
      const predicted = gradient.reduce((total, value, at) => total + value * direction[at]!, 0);
      expect(Math.abs(slope - predicted)).toBeLessThan(0.01 * Math.abs(predicted) + 0.005);
    }
    await expect(trainer.step([inputs(batch)])).rejects.toMatchObject({
      code: "train-nothing-learns",
    });
  });

  test("follow the parameters as they learn", async () => {
    const parts = [inputs(randomBatch(5, 2, 8))];
    await using trainer = await openModel({ embeddingGradients: true });
    const before = (await trainer.inputGradients(parts)).parts[0]!.get("embeddings")!.data;
    await trainer.step(parts);
    const after = (await trainer.inputGradients(parts)).parts[0]!.get("embeddings")!.data;
    expect(difference(before, after)).toBeGreaterThan(1e-4);
  });

  test("are those of any tensor that an objective names", async () => {
    const graph = objectiveGraph(
      { x: float32(["rows", 2]) },
      new Map([["w", [2, 1]]]),
      ["w"],
      ({ x }) => {
        const y = matmul(x!, parameter("w", [2, 1]));
        const weight = sum(multiply(subtract(x!, x!), 0));
        return { loss: sum(multiply(y, y)), weight: add(weight, 4), sensitive: { x: x!, y } };
      },
    );
    await using trainer = await openTrainer({
      graph,
      parameters: new Map([["w", { shape: [2, 1], data: Float32Array.of(2, -1) }]]),
      schedule: { kind: "constant", peak: 0 },
      threads: 1,
      inline: true,
    });
    const part = { x: { dtype: "float32", shape: [1, 2], data: Float32Array.of(3, 4) } } as const;
    // y = 3 · 2 - 4 = 2, loss 4 over a weight of 4 a part: two parts have a weight of 8.
    const { loss, parts } = await trainer.inputGradients([part, part]);
    expect(loss).toBe(1);
    for (const found of parts) {
      expect([...found.get("y")!.data]).toEqual([4 / 8]);
      expect([...found.get("x")!.data]).toEqual([(4 * 2) / 8, (4 * -1) / 8]);
    }
  });

  test("of an objective that names none are an error", async () => {
    await using trainer = await openModel({});
    await expect(trainer.inputGradients([inputs(randomBatch(1, 1, 4))])).rejects.toMatchObject({
      code: "train-nothing-sensitive",
    });
    expect(() =>
      languageModelGraph(config, {
        parameters: decoderParameterShapes(config),
        trainable: new Set(),
      }),
    ).toThrow(expect.objectContaining({ code: "train-nothing-learns" }));
  });
});

function batchWithoutEmbeddings({
  batch,
  time,
  ids,
  targets,
}: LanguageModelBatch): LanguageModelBatch {
  return { batch, time, ids, targets };
}
