/** A decoder with landmark attention: trained, exported, and read as it was trained. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openCheckpoint } from "../checkpoint/index.ts";
import { landmarkAttention } from "../context/index.ts";
import { complete, score } from "../generate/index.ts";
import {
  decoderConfig,
  decoderParameterShapes,
  fillerDocument,
  loadModel,
  readParameter,
  rotationTables,
} from "../model/index.ts";
import { insertLandmarks, landmarkRowCount } from "./graph/landmark-rows.ts";
import { ignoredTarget, languageModelGraph } from "./graph/language-model-graph.ts";
import type { ParameterValue } from "./graph/parameters.ts";
import { openTrainer } from "./run/trainer.ts";
import { optionsFor, smallConfig, useSmallCorpora } from "./testing/small-run.ts";
import { trainLanguageModel } from "./train-language-model.ts";

useSmallCorpora();
const config = { ...smallConfig, mem_freq: 5 };

test("landmarks are put behind every block, by hand", () => {
  const batch = {
    batch: 1,
    time: 5,
    ids: Int32Array.of(1, 2, 3, 4, 5),
    targets: Int32Array.of(2, 3, 4, 5, 6),
    segments: Int32Array.of(0, 0, 1, 1, 1),
  };
  const landmark = { id: 9, block: 2, trainLength: 12 };
  const laid = insertLandmarks(landmark, batch, { first: 1 });
  // One token, its landmark, two whole blocks; nothing fills the last rows.
  expect([...laid.ids]).toEqual([0, 1, 9, 2, 3, 9, 4, 5, 9]);
  const none = ignoredTarget;
  expect([...laid.targets]).toEqual([none, 2, none, 3, 4, none, 5, 6, none]);
  const filler = fillerDocument;
  expect([...laid.segments]).toEqual([filler, 0, 0, 0, 1, 1, 1, 1, 1]);
  expect(laid.time).toBe(landmarkRowCount(landmark, 5));
  const whole = insertLandmarks(landmark, batch, { first: 2, documentMask: false });
  expect([...whole.ids]).toEqual([1, 2, 9, 3, 4, 9, 5, 0, 0]);
  expect([...whole.segments]).toEqual([0, 0, 0, 0, 0, 0, 0, filler, filler]);
});

test("a trained model is a checkpoint folder that says what it is, and never writes a landmark", async () => {
  const warnings: string[] = [];
  const { modelFolder, loss, heldOutLoss } = await trainLanguageModel(
    optionsFor("landmark", {
      config,
      steps: 12,
      heldOut: optionsFor("any").corpora[1]!,
      evaluationSequences: 4,
      onWarning: ({ code }) => warnings.push(code),
    }),
  );
  expect(warnings).toEqual([]);
  expect(loss).toBeLessThan(5.7);
  expect(heldOutLoss).toBeLessThan(5.7);
  const file = JSON.parse(readFileSync(join(modelFolder, "config.json"), "utf8")) as object;
  await using model = await loadModel(modelFolder, { inline: true, threads: 1 });
  const { vocabSize } = model.tokenizer;
  expect(file).toMatchObject({
    model_type: "llama",
    vocab_size: vocabSize + 1,
    mem_id: vocabSize,
    mem_freq: 5,
    // 24 tokens, wherever in a block they begin: six blocks.
    train_context_length: 36,
  });
  expect(model.contextPolicy?.name).toBe("landmark");
  const { ids } = await complete(model, "the cat", {
    maxTokens: 80,
    ignoreEos: true,
    temperature: 3,
    seed: 2,
  });
  expect(ids).toHaveLength(80);
  expect(ids).not.toContain(vocabSize);
});

test("a plain model learns landmarks: their row begins as the mean of the others", async () => {
  const plain = await trainLanguageModel(optionsFor("plain", { steps: 1 }));
  const options = { config, steps: 1, initialWeights: plain.modelFolder };
  const schedule = { kind: "constant", peak: 1e-9 } as const;
  const { modelFolder } = await trainLanguageModel(optionsFor("taught", { ...options, schedule }));
  await using before = await openCheckpoint(plain.modelFolder);
  await using after = await openCheckpoint(modelFolder);
  const name = "model.embed_tokens.weight";
  const [old, grown] = [await before.readFloat32(name), await after.readFloat32(name)];
  const width = 16;
  expect(grown.length).toBe(old.length + width);
  for (let column = 0; column < width; column++) {
    const rows = Array.from(old).filter((_, at) => at % width === column);
    const mean = rows.reduce((a, b) => a + b, 0) / rows.length;
    expect(grown[old.length + column]).toBeCloseTo(mean, 5);
  }
  expect(grown[0]).toBeCloseTo(old[0]!, 5);
});

test("the loss of training is that of decoding where all blocks are retrieved", async () => {
  const { modelFolder } = await trainLanguageModel(optionsFor("equal", { config, steps: 4 }));
  await using model = await loadModel(modelFolder, { inline: true, threads: 1, format: "f32" });
  const ids = Array.from({ length: 43 }, (_, at) => 3 + ((at * at * 7 + 11 * at) % 250));
  const own = decoderConfig(model.checkpoint.config);
  const landmark = own.landmark!;
  const laid = insertLandmarks(
    landmark,
    {
      batch: 1,
      time: ids.length - 1,
      ids: Int32Array.from(ids.slice(0, -1)),
      targets: Int32Array.from(ids.slice(1)),
    },
    { first: landmark.block },
  );
  const shapes = decoderParameterShapes(own);
  await using checkpoint = await openCheckpoint(modelFolder);
  const parameters = new Map<string, ParameterValue>();
  for (const [name, shape] of shapes) {
    parameters.set(name, { shape, data: await readParameter(checkpoint, name, shape) });
  }
  await using trainer = await openTrainer({
    graph: languageModelGraph(own, { parameters: shapes }),
    parameters,
    schedule: { kind: "constant", peak: 0.01 },
    threads: 1,
    inline: true,
  });
  const shape = [1, laid.time / 6, 6];
  const { loss } = await trainer.evaluate([
    {
      ids: { dtype: "int32", shape, data: laid.ids },
      targets: { dtype: "int32", shape, data: laid.targets },
      segments: { dtype: "int32", shape, data: laid.segments },
      ...rotationTables(own, laid.time),
    },
  ]);
  for (const chunk of [1000, 10]) {
    const view = model.withContextPolicy!(landmarkAttention({ blocks: 20, chunk }));
    const { logProbability, scoredTokens } = await score(view, ids.slice(1), {
      prefix: ids.slice(0, 1),
    });
    expect(scoredTokens).toBe(ids.length - 1);
    expect(-logProbability / scoredTokens).toBeCloseTo(loss, 5);
  }
});
