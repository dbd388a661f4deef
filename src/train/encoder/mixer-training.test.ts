/** Training of Monarch Mixer encoders: first values, rates, masked tokens, orthogonal projection, longer texts. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { embed, encoderConfig, fillMask, loadEncoder } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { adamW } from "../optimizer/optimizer.ts";
import { trainLanguageModel } from "../train-language-model.ts";
import type { TrainEncoderOptions } from "./encoder-options.ts";
import {
  decayRates,
  encoderGroups,
  positionFeatures,
  stretchMixerValue,
  times,
} from "./mixer-training.ts";
import { sampleNegatives } from "./random-negatives.ts";
import { trainEncoder } from "./train-encoder.ts";

const words = "cat dog tree hill sun moon river stone bread wine".split(" ");
const config = {
  model_type: "bert",
  monarch_mixer_sequence_mixing: true,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 1,
  max_position_embeddings: 16,
  long_conv_l_max: 16,
  hyena_filter_order: 16,
  residual_long_conv: true,
  use_monarch_mlp: true,
  use_positional_encodings: true,
};

let root = "";
let tokenizer = "";

function pairs(seed: number, count: number): { query: string; document: string }[] {
  const random = createRandom(seed, "pairs");
  const word = (): string => words[random.integer(words.length)]!;
  return Array.from({ length: count }, () => {
    const [a, b] = [word(), word()];
    return { query: `${a} ${b}`, document: `the ${a} sees a ${b} and the ${a}` };
  });
}

function writeLines(name: string, lines: readonly unknown[]): string {
  const path = join(root, name);
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
  return path;
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-mixer-training-"));
  tokenizer = join(root, "tokenizer");
  const texts = pairs(1, 40).map(({ document }) => document);
  await saveTokenizer(
    tokenizer,
    await trainTokenizer({ kind: "wordpiece", texts, vocabSize: 120 }),
  );
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function optionsFor(name: string, more: Partial<TrainEncoderOptions> = {}): TrainEncoderOptions {
  return {
    folder: join(root, name),
    objective: { kind: "orthogonal-projection", negatives: 4 },
    config,
    tokenizer,
    examples: [writeLines(`${name}.jsonl`, pairs(2, 64))],
    steps: 4,
    batch: 8,
    queryLength: 16,
    documentLength: 16,
    threads: 1,
    dtype: "F32",
    schedule: { kind: "constant", peak: 2e-3 },
    ...more,
  };
}

const open = (folder: string) => loadEncoder(folder, { inline: true, threads: 1, format: "f32" });

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
    Array.from(x).reduce((sum, value, at) => sum + value * y[at]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};

describe("first values, by hand", () => {
  test("times, features of positions and decays", () => {
    expect([...times({ kernelLength: 3 })]).toEqual([0, 0.5, 1]);
    const features = positionFeatures({ kernelLength: 4, positionFeatures: 5 });
    // At position 1 the second band has turned by a quarter: cosine 0, minus sine -1.
    const [time, near, far, nearSine, farSine] = features.subarray(5, 10);
    expect(time).toBeCloseTo(1 / 3, 6);
    expect(near).toBeCloseTo(1, 6);
    expect(far).toBeCloseTo(0, 6);
    expect(nearSine).toBeCloseTo(-1.5708e-4, 7);
    expect(farSine).toBeCloseTo(-1, 6);
    const rates = decayRates(3);
    expect(rates[0]).toBeCloseTo(Math.log(0.01) / 1.5, 5);
    expect(rates[2]).toBeCloseTo(Math.log(0.01) / 0.3, 5);
    expect(rates[1]).toBeCloseTo((rates[0]! + rates[2]!) / 2, 5);
  });

  test("kernels' networks learn at rates of their own", () => {
    const groups = encoderGroups(encoderConfig({ vocab_size: 120, ...config } as never), {
      schedule: { kind: "constant", peak: 5e-4 },
      optimizer: adamW({ weightDecay: 0.01 }),
    });
    const filter = "encoder.layer.0.attention.filter_fn";
    expect(groups(`${filter}.implicit_filter.2.weight`, [16, 16]).rateFactor).toBeCloseTo(2);
    expect(groups(`${filter}.implicit_filter.2.weight`, [16, 16]).decayFactor).toBeCloseTo(10);
    expect(groups(`${filter}.pos_emb.z`, [1, 16, 5])).toEqual({
      rateFactor: 1e-5 / 5e-4,
      decayFactor: 0,
    });
    expect(groups("encoder.layer.0.attention.in_linear.weight", [96, 32])).toEqual({
      decayFactor: 1,
    });
  });
});

describe("orthogonal projection", () => {
  test("the loss is that of the exported model's cosines", async () => {
    const held = [writeLines("held.jsonl", pairs(3, 16))];
    const { modelFolder, heldOutLoss } = await trainEncoder(
      optionsFor("still", {
        heldOut: held,
        steps: 1,
        schedule: { kind: "constant", peak: 0 },
      }),
    );
    await using model = await open(modelFolder);
    const examples = await sampleNegatives(held, { negatives: 4, seed: 0 });
    let expected = 0;
    for (const { query, documents } of examples) {
      const [own, ...others] = await embed(model, [query, ...documents]);
      const [right, ...wrong] = others.map((vector) => cosine(own!, vector));
      const squares = wrong.reduce((sum, value) => sum + value ** 2, 0) / wrong.length;
      expected += ((1 - right!) ** 2 + squares) / 2;
    }
    expect(heldOutLoss).toBeCloseTo(expected / examples.length, 4);
  });

  test("learns, in batches of one too, and leaves the constants alone", async () => {
    const { modelFolder, loss } = await trainEncoder(
      optionsFor("learned", { steps: 80, batch: 1, schedule: { kind: "constant", peak: 3e-3 } }),
    );
    // A constant vector has a loss of 0.5 at best, one of random directions too.
    expect(loss).toBeLessThan(0.3);
    await using checkpoint = await openCheckpoint(modelFolder);
    const name = "bert.encoder.layer.0.attention.filter_fn";
    const float = (data: Float32Array): number[] => [...data];
    expect(float(await checkpoint.readFloat32(`${name}.pos_emb.t`))).toEqual([
      ...times({ kernelLength: 16 }),
    ]);
    expect(float(await checkpoint.readFloat32(`${name}.modulation.deltas`))).toEqual([
      ...decayRates(32),
    ]);
    const features = positionFeatures({ kernelLength: 16, positionFeatures: 5 });
    expect(float(await checkpoint.readFloat32(`${name}.pos_emb.z`))).not.toEqual([...features]);
  });

  test("negatives: an example's own first, then others of its file, none that answers it", async () => {
    const lines = [
      { query: "a", document: "1", negatives: ["x"] },
      { query: "a", document: "2" },
      { query: "b", document: "3" },
      { query: "c", document: "4", negatives: ["4", "x"] },
    ];
    const file = writeLines("drawn.jsonl", lines);
    const drawn = await sampleNegatives([file], { negatives: undefined, seed: 1 });
    expect(drawn.map(({ documents }) => documents.length)).toEqual([3, 3, 3, 3]);
    expect(drawn[0]!.documents.slice(0, 2)).toEqual(["1", "x"]);
    expect(drawn[0]!.documents).not.toContain("2");
    expect([...drawn[1]!.documents].sort()).toEqual(["2", "3", "4"]);
    expect(drawn[3]!.documents.slice(0, 2)).toEqual(["4", "x"]);
    // The same every time, and only as many as there are.
    expect(await sampleNegatives([file], { negatives: undefined, seed: 1 })).toEqual(drawn);
    expect(await codeOf(sampleNegatives([file], { negatives: 3, seed: 1 }))).toBe(
      "example-invalid",
    );
  });

  test("what a mixer cannot do is refused", async () => {
    const code = (more: Partial<TrainEncoderOptions>) =>
      codeOf(trainEncoder(optionsFor("wrong", more)));
    expect(await code({ pooling: "lasttoken" })).toBe("option-invalid");
    expect(await code({ objective: { kind: "orthogonal-projection", negatives: 0 } })).toBe(
      "option-invalid",
    );
  });
});

describe("masked language modelling", () => {
  test("trains, fills masks, and goes on with longer texts", async () => {
    const lines = Array.from({ length: 300 }, (_, at) => ({
      text: `the cat sees a ${words[at % 10]} and the ${words[(3 * at + Math.floor(at / 10)) % 10]}`,
    }));
    const options = {
      tokenizer,
      corpora: [{ files: [writeLines("corpus.jsonl", lines)] }],
      batch: 8,
      sequenceLength: 10,
      threads: 1,
      dtype: "F32" as const,
      schedule: { kind: "constant", peak: 5e-3 } as const,
    };
    const masked = { ...config, mask_padding: true };
    const first = await trainLanguageModel({
      ...options,
      folder: join(root, "masked"),
      config: masked,
      steps: 100,
    });
    await using model = await open(first.modelFolder);
    const [filled] = await fillMask(model, "the [MASK] sees a tree and the sun");
    expect(filled![0]!.text).toBe("cat");
    const longer = await trainLanguageModel({
      ...options,
      folder: join(root, "longer"),
      config: { ...masked, max_position_embeddings: 32, long_conv_l_max: 32 },
      initialWeights: first.modelFolder,
      steps: 1,
    });
    await using long = await open(longer.modelFolder);
    expect(long.contextLength).toBe(32);
    const documents = { ...options, folder: join(root, "documents"), config: masked, steps: 1 };
    expect(await codeOf(trainLanguageModel({ ...documents, documentMask: true }))).toBe(
      "option-invalid",
    );
  });

  test("longer tables: rows repeat and times begin anew", () => {
    const value = (shape: number[], ...data: number[]) => ({
      shape,
      data: Float32Array.from(data),
    });
    const positions = value([2, 2], 1, 2, 3, 4);
    const name = "embeddings.position_embeddings.weight";
    expect([...stretchMixerValue(name, positions, [4, 2]).data]).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
    const features = value([1, 2, 1], 5, 6);
    expect([...stretchMixerValue("f.pos_emb.z", features, [1, 4, 1]).data]).toEqual([5, 6, 5, 6]);
    const time = value([1, 2, 1], 0, 1);
    const stretched = [...stretchMixerValue("f.pos_emb.t", time, [1, 4, 1]).data];
    expect(stretched.map((at) => Math.round(3 * at))).toEqual([0, 1, 2, 3]);
    // A length that does not divide, and any other parameter, stay.
    expect(stretchMixerValue(name, positions, [3, 2])).toBe(positions);
    expect(stretchMixerValue("f.bias", positions, [4, 2])).toBe(positions);
  });
});
