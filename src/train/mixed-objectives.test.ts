/** Several objectives over common parameters. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import { decoderConfig } from "../model/index.ts";
import {
  gather,
  int32,
  multiply,
  parameter,
  subtract,
  sum,
  type TensorValue,
} from "../tensor/index.ts";
import { codeOf } from "../testing/code-of.ts";
import { referenceFamilies } from "../testing/tiny-config-variants.ts";
import { languageModelGraph, languageModelInputs } from "./graph/language-model-graph.ts";
import {
  decoderParameterShapes,
  initializeDecoder,
  type ParameterValue,
} from "./graph/parameters.ts";
import { objectiveGraph, type TrainingGraph } from "./graph/training-graph.ts";
import { adamW, sgd } from "./optimizer/optimizer.ts";
import { openTrainer, type Trainer, type TrainerOptions } from "./run/trainer.ts";
import type { TrainingInputs } from "./run/training-interface.ts";

const vocabulary = 29;
const width = 32;
const embeddings = "model.embed_tokens.weight";
const config = decoderConfig(
  referenceFamilies["llama"]!({
    vocabulary,
    width,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 8,
    feedForward: 40,
  }) as never,
);
const shapes = decoderParameterShapes(config);
const text: TrainingGraph = languageModelGraph(config, { parameters: shapes });

/** Tokens that mean the same should lie close to each other, moved by a vector that is learned too. */
function pairGraph(rows = vocabulary): TrainingGraph {
  const own = new Map<string, readonly number[]>([
    [embeddings, [rows, width]],
    ["pairs.offset", [width]],
  ]);
  const inputs = { left: int32(["pairs"]), right: int32(["pairs"]), ones: int32(["pairs"]) };
  return objectiveGraph(inputs, own, [...own.keys()], (input) => {
    const table = parameter(embeddings, [rows, width]);
    const offset = parameter("pairs.offset", [width]);
    const difference = subtract(
      subtract(gather(table, input["left"]!, 0), gather(table, input["right"]!, 0)),
      offset,
    );
    return {
      loss: sum(multiply(difference, difference)),
      weight: sum(multiply(1, input["ones"]!)),
    };
  });
}

const toInputs = languageModelInputs(config, { sequenceLength: 16 });
function textPart(seed: number): TrainingInputs {
  const random = createRandom(seed, "text");
  const draw = (): Int32Array =>
    Int32Array.from({ length: 32 }, () => Math.floor(random.uniform() ** 3 * vocabulary));
  return toInputs({ batch: 2, time: 16, ids: draw(), targets: draw() });
}
function pairPart(seed: number): TrainingInputs {
  const random = createRandom(seed, "pairs");
  const value = (data: Int32Array): TensorValue => ({ dtype: "int32", shape: [4], data });
  const draw = (): TensorValue =>
    value(Int32Array.from({ length: 4 }, () => random.integer(vocabulary)));
  return { left: draw(), right: draw(), ones: value(new Int32Array(4).fill(1)) };
}

let parameters: Map<string, ParameterValue>;
let folder = "";
beforeAll(() => {
  const random = createRandom(1, "offset");
  parameters = new Map([
    ...initializeDecoder(config, 4),
    [
      "pairs.offset",
      { shape: [width], data: Float32Array.from({ length: width }, () => random.normal()) },
    ],
  ]);
  folder = mkdtempSync(join(tmpdir(), "jeton-mixed-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(
  options: Pick<TrainerOptions, "graph" | "objectives"> & Partial<TrainerOptions>,
): Promise<Trainer> {
  return openTrainer({
    parameters,
    schedule: { kind: "constant", peak: 1e-2 },
    optimizer: sgd({ momentum: 0 }),
    threads: 1,
    inline: true,
    ...options,
  });
}

const both = (): NonNullable<TrainerOptions["objectives"]> => ({
  text: { graph: text },
  pairs: { graph: pairGraph(), weight: 0.25 },
});

describe("several objectives", () => {
  test("summed: loss and gradients are the weighted sums of what each gives alone", async () => {
    await using mixed = await open({ objectives: both() });
    await using textAlone = await open({ graph: text });
    await using pairsAlone = await open({ graph: pairGraph() });
    const texts = [textPart(1), textPart(2)];
    const pairs = [pairPart(3)];
    const together = await mixed.gradients({ text: texts, pairs });
    const ofText = await textAlone.gradients(texts);
    const ofPairs = await pairsAlone.gradients(pairs);
    expect(together.loss).toBeCloseTo(ofText.loss + 0.25 * ofPairs.loss, 5);
    expect([...together.gradients.keys()].sort()).toEqual([...parameters.keys()].sort());
    for (const [name, gradient] of together.gradients) {
      const first = ofText.gradients.get(name);
      const second = ofPairs.gradients.get(name);
      const expected = gradient.map((_, i) => (first?.[i] ?? 0) + 0.25 * (second?.[i] ?? 0));
      const distance = Math.max(...gradient.map((value, i) => Math.abs(value - expected[i]!)));
      expect(distance, name).toBeLessThan(1e-6);
      expect(Math.max(...gradient.map(Math.abs)), name).toBeGreaterThan(1e-6);
    }
    const report = await mixed.step({ text: texts, pairs });
    expect(report.losses).toEqual({
      text: expect.closeTo(ofText.loss, 5),
      pairs: expect.closeTo(ofPairs.loss, 4),
    });
    expect(report.weight).toBe(2 * 32 + 4);
    expect(report.loss).toBeCloseTo(together.loss, 5);
  });

  test("alternating: each step is the step of its objective alone, to the bit", async () => {
    await using mixed = await open({ objectives: both() });
    let expected: ReadonlyMap<string, ParameterValue> = parameters;
    for (const [turn, name] of ["text", "pairs", "pairs", "text"].entries()) {
      const isText = name === "text";
      const parts = isText ? [textPart(turn)] : [pairPart(turn)];
      const { losses } = await mixed.step({ [name]: parts });
      expect(Object.keys(losses)).toEqual([name]);
      await using alone = await open({
        objectives: { only: isText ? { graph: text } : { graph: pairGraph(), weight: 0.25 } },
        parameters: expected,
      });
      await alone.step({ only: parts });
      expected = new Map([...expected, ...(await alone.parameters())]);
    }
    const found = await mixed.parameters();
    for (const [name, { data }] of expected) expect(found.get(name)!.data, name).toEqual(data);
  });

  test("both losses fall, and an interrupted alternation goes on to the same bits", async () => {
    const options = { objectives: both(), optimizer: adamW(), averageDecay: 0.9 };
    const parts = { text: [textPart(1)], pairs: [pairPart(2)] };
    const stepAt = (step: number) =>
      step % 3 === 0 ? parts : step % 3 === 1 ? { text: parts.text } : { pairs: parts.pairs };
    await using unbroken = await open(options);
    const before = await unbroken.evaluate(parts);
    const path = join(folder, "state.safetensors");
    for (let step = 0; step < 30; step++) {
      await unbroken.step(stepAt(step));
      if (step === 13) await unbroken.save(path, "after 14");
    }
    const after = await unbroken.evaluate(parts);
    expect(after.losses["text"]).toBeLessThan(before.losses["text"]! - 0.1);
    expect(after.losses["pairs"]).toBeLessThan(before.losses["pairs"]! * 0.9);
    expect(after.loss).toBeCloseTo(after.losses["text"]! + 0.25 * after.losses["pairs"]!, 5);

    await using resumed = await open(options);
    expect(await resumed.load(path)).toEqual({ step: 14, notes: "after 14" });
    for (let step = 14; step < 30; step++) await resumed.step(stepAt(step));
    for (const averaged of [false, true]) {
      const expected = await unbroken.parameters({ averaged });
      const found = await resumed.parameters({ averaged });
      for (const [name, { data }] of expected) expect(found.get(name)!.data, name).toEqual(data);
    }
  });

  test("a parameter that a step does not use keeps its momentum", async () => {
    await using trainer = await open({ objectives: both(), optimizer: sgd({ momentum: 0.5 }) });
    const offset = async (): Promise<Float32Array> =>
      (await trainer.parameters()).get("pairs.offset")!.data;
    const first = await offset();
    await trainer.step({ pairs: [pairPart(1)] });
    const second = await offset();
    await trainer.step({ text: [textPart(1)] });
    const third = await offset();
    for (const [i, value] of third.entries()) {
      expect(value - second[i]!).toBeCloseTo(0.5 * (second[i]! - first[i]!), 5);
    }
  });

  test("mistakes are named", async () => {
    const objectives = both();
    expect(await codeOf(open({}))).toBe("option-invalid");
    expect(await codeOf(open({ graph: text, objectives }))).toBe("option-invalid");
    expect(await codeOf(open({ objectives: { text: { graph: text, weight: 0 } } }))).toBe(
      "option-invalid",
    );
    const other = { text: { graph: text }, pairs: { graph: pairGraph(vocabulary + 1) } };
    expect(await codeOf(open({ objectives: other }))).toBe("train-objectives-disagree");
    await using trainer = await open({ objectives });
    expect(await codeOf(trainer.step([textPart(1)]))).toBe("train-objective-unknown");
    expect(await codeOf(trainer.step({ test: [textPart(1)] }))).toBe("train-objective-unknown");
    expect(await codeOf(trainer.step({ text: [] }))).toBe("train-batch-empty");
  });
});
