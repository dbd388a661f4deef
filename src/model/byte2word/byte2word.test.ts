import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModelConfig } from "../../checkpoint/index.ts";
import { errorOf } from "../../testing/code-of.ts";
import { createTokenizer } from "../../tokenizer/index.ts";
import { writeByteTokenizer } from "../../train/data/byte-tokenizer.ts";
import {
  byte2WordGraph,
  classifiedInputs,
  exportModel,
  initializeByte2Word,
  openTrainer,
  trainLanguageModel,
} from "../../train/index.ts";
import { prose } from "../../train/testing/small-run.ts";
import { byteTokenizerFiles } from "../byte/byte-vocabulary.ts";
import { reportParameters } from "./byte2word.ts";
import { byte2WordConfig } from "./config.ts";
import { type Byte2WordModel, loadByte2Word } from "./load-byte2word.ts";
import { basicWords, layOutTexts, targetPieces, wordParts } from "./word-texts.ts";

const file = {
  model_type: "byte2word",
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 32,
  max_position_embeddings: 40,
  max_word_bytes: 12,
  max_word_pieces: 10,
  vocab_size: 256,
  labels: ["animal", "other"],
} as unknown as ModelConfig;

describe("texts", () => {
  test("words as BERT separates them", () => {
    expect(basicWords("Hello, world!  Don't 漢字")).toEqual([
      ...["Hello", ",", "world", "!", "Don", "'", "t", "漢", "字"],
    ]);
    expect(basicWords(" \n")).toEqual([]);
  });

  test("a long word is cut between characters, so that it equals no other", () => {
    expect(wordParts("abcdé", 5)).toEqual([
      [97, 98, 99, 100],
      [0xc3, 0xa9],
    ]);
    expect(wordParts("cat", 5)).toEqual([[99, 97, 116]]);
  });

  test("equal words are laid out once", () => {
    const words = [[1], [2, 3], [1]];
    const values = layOutTexts([words, [[2, 3]]], { maxWordBytes: 4 });
    expect(values["units.0"]!.shape).toEqual([2, 4]);
    expect([...values["units.0"]!.data]).toEqual([1, 0, 0, 0, 2, 3, 0, 0]);
    expect([...values["order"]!.data]).toEqual([0, 1, 0, 1, 0, 0]);
    expect([...values["counts"]!.data]).toEqual([3, 1]);
  });
});

test("the input side has a tenth of BERT's parameters at its sizes", () => {
  const sizes = { hidden_size: 768, num_hidden_layers: 12, num_attention_heads: 12 };
  const config = byte2WordConfig({
    ...file,
    ...sizes,
    intermediate_size: 3072,
    max_word_bytes: 32,
  });
  const { input } = reportParameters(config);
  // 259 bytes and signs, 32 places, four matrices, the query and a norm.
  expect(input).toBe(259 * 768 + 32 * 768 + 4 * 768 ** 2 + 3 * 768);
  expect(input / (30_522 * 768)).toBeCloseTo(0.11, 2);
});

describe("a model with random weights", () => {
  let root = "";
  let model: Byte2WordModel;
  const write = async (name: string, config: ModelConfig): Promise<string> => {
    const tokenizer = join(root, "tokenizer");
    await writeByteTokenizer(tokenizer);
    const options = { deviation: 0.3, embeddingDeviation: 1, outputDeviation: 0.3 };
    const parameters = initializeByte2Word(byte2WordConfig(config), 5, options);
    const folder = join(root, name);
    await exportModel(folder, { config, parameters, tokenizer, dtype: "F32", card: "# test\n" });
    return folder;
  };
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "jeton-byte2word-"));
    model = await loadByte2Word(await write("model", file), { inline: true });
  });
  afterAll(async () => {
    await model.close();
    rmSync(root, { recursive: true, force: true });
  });
  const distance = (a: Float32Array, b: Float32Array): number =>
    Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0));

  test("a word's vector depends on its own bytes and their order alone", async () => {
    const [cat, act, same] = await model.wordVectors(["cat", "act", "cat"]);
    expect(distance(cat!, same!)).toBe(0);
    expect(distance(cat!, act!)).toBeGreaterThan(0.1);
    const [beside] = await model.wordVectors(["cat", "unbelievable", "漢字"]);
    expect(distance(cat!, beside!)).toBeLessThan(1e-5);
  });

  test("the mean of the bytes, the baseline, does without a query", async () => {
    await using mean = await loadByte2Word(
      await write("mean", { ...file, pooling: "mean" } as ModelConfig),
      { inline: true },
    );
    const [cat, dog] = await mean.wordVectors(["cat", "dog"]);
    expect(distance(cat!, dog!)).toBeGreaterThan(0.1);
    expect(mean.config.pooling).toBe("mean");
  });

  test("words of pieces, the other baseline, have a table as large as the vocabulary", async () => {
    const pieces = { ...file, units: "pieces" } as ModelConfig;
    await using other = await loadByte2Word(await write("pieces", pieces), { inline: true });
    expect(reportParameters(other.config).input).toBe(reportParameters(model.config).input);
    const [cat, act] = await other.wordVectors(["cat", "act"]);
    expect(distance(cat!, act!)).toBeGreaterThan(0.1);
    const wrong = { ...file, units: "letters" } as ModelConfig;
    expect((await errorOf(() => byte2WordConfig(wrong))).code).toBe("model-config-invalid");
  });

  test("states depend on the words around, and on nothing behind the text", async () => {
    const alone = await model.encode("the cat sat");
    const other = await model.encode(["the", "cat", "ran"]);
    expect(alone).toHaveLength(3);
    expect(distance(alone[0]!, other[0]!)).toBeGreaterThan(1e-3);
  });

  test("a masked word is hidden completely", async () => {
    const first = await model.predictMasked(["the", "cat", "sat"], 1, 3);
    const second = await model.predictMasked(["the", "unbelievable", "sat"], 1, 3);
    expect(second).toEqual(first);
    expect(first).toHaveLength(3);
    const sums = first.map(({ logProbability }) => logProbability);
    expect([...sums].sort((a, b) => b - a)).toEqual(sums);
    for (const { pieces, logProbability, text } of first.slice(0, 1)) {
      expect(text).toBe(createTokenizer(byteTokenizerFiles().tokenizer).decode(pieces).trim());
      expect(logProbability).toBeLessThan(0);
    }
    const own = await model.scoreMasked(["the", "cat", "sat"], 1);
    expect(own).toBeLessThanOrEqual(sums[0]!);
    expect(await model.scoreMasked(["the", "unbelievably", "sat"], 1)).toBeUndefined();
  });

  test("what cannot be answered is refused", async () => {
    expect((await errorOf(model.predictMasked(["a"], 1))).code).toBe("byte2word-index-invalid");
    const long = Array.from({ length: 39 }, () => "a");
    expect((await errorOf(model.encode(long))).code).toBe("model-context-exceeded");
    await using plain = await loadByte2Word(
      await write("plain", { ...file, labels: [] } as unknown as ModelConfig),
      { inline: true },
    );
    expect((await errorOf(plain.classify("a"))).code).toBe("byte2word-no-classes");
    const wrong = { ...file, pooling: "largest" } as ModelConfig;
    expect((await errorOf(() => byte2WordConfig(wrong))).code).toBe("model-config-invalid");
  });

  test("learns to classify words and texts", async () => {
    const config = byte2WordConfig(file);
    await using trainer = await openTrainer({
      graph: byte2WordGraph(config, { objective: "classes" }),
      parameters: initializeByte2Word(config, 1),
      schedule: { kind: "constant", peak: 5e-3 },
      inline: true,
      threads: 1,
      sameSizes: false,
    });
    const tokenizer = createTokenizer(byteTokenizerFiles().tokenizer);
    const animals = ["cat", "dog"];
    const texts = [
      ["the", "cat", "sat"],
      ["a", "dog", "and", "a", "cat"],
      ["the", "green", "tree"],
      ["green", "hills"],
    ];
    const byWord = texts.map((words) => ({
      words,
      classes: words.map((word) => (animals.includes(word) ? 0 : 1)),
    }));
    const byText = texts.map((words, index) => ({ words, classes: index < 2 ? 0 : 1 }));
    const parts = [
      classifiedInputs(config, byWord, tokenizer),
      classifiedInputs(config, byText, tokenizer),
    ];
    let loss = 0;
    for (let step = 0; step < 60; step++) ({ loss } = await trainer.step(parts));
    expect(loss).toBeLessThan(0.1);
    const folder = join(root, "classes");
    await exportModel(folder, {
      config: file,
      parameters: new Map([...initializeByte2Word(config, 1), ...(await trainer.parameters())]),
      tokenizer: join(root, "tokenizer"),
      dtype: "F32",
      card: "# test\n",
    });
    await using tagger = await loadByte2Word(folder, { inline: true });
    const { words, text } = await tagger.classify("the cat sat");
    expect(words.map(([animal, other]) => animal! > other!)).toEqual([false, true, false]);
    expect(text[0]).toBeGreaterThan(text[1]!);
  });
});

test("masked words are learned by the one trainer, and predicted", async () => {
  const root = mkdtempSync(join(tmpdir(), "jeton-byte2word-"));
  try {
    const { readFile, writeFile } = await import("node:fs/promises");
    const text = join(root, "text.txt");
    await writeFile(text, prose(1, 300));
    const folder = join(root, "run");
    const losses: number[] = [];
    const trained = await trainLanguageModel({
      folder,
      config: { ...file, labels: [] } as unknown as ModelConfig,
      tokenizer: "bytes",
      corpora: [{ files: [text] }],
      heldOut: { files: [text] },
      steps: 40,
      batch: 8,
      sequenceLength: 160,
      schedule: { kind: "constant", peak: 5e-3 },
      threads: 1,
      dtype: "F32",
      onProgress: ({ loss }) => loss !== undefined && losses.push(loss),
    });
    expect(trained.heldOutBitsPerByte).toBeUndefined();
    for (const name of ["loss.svg", "model/README.md"]) {
      expect(await readFile(join(folder, name), "utf8")).toContain(" nats a masked word");
    }
    expect(trained.heldOutLoss).toBeLessThan(0.7 * losses[0]!);
    await using model = await loadByte2Word(trained.modelFolder, { inline: true });
    const words = basicWords("the cat sat on a mat and then");
    const [best] = await model.predictMasked(words, 3);
    const pieces = targetPieces(createTokenizer(byteTokenizerFiles().tokenizer), best!.text);
    expect(best!.pieces.length).toBeLessThanOrEqual(pieces.length + 1);
    expect(best!.logProbability).toBeGreaterThan(-12);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
