import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createByteCheckpoint } from "../../cli/testing/byte-checkpoint.ts";
import { createRandom } from "../../core/index.ts";
import { generate } from "../../generate/index.ts";
import { loadModel } from "../../model/index.ts";
import { loadTokenizer, saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { meanOfSubtokens } from "../baselines.ts";
import {
  hypernetworkConfig,
  initializeHypernetwork,
  openPredictor,
  predictRows,
} from "../hypernetwork.ts";
import { readHypernetwork, writeHypernetwork } from "../hypernetwork-file.ts";
import type { TextCutter } from "../text-cutter.ts";
import { formOfText, readTokenForms } from "../token-forms.ts";
import { predictTables, transfer } from "../transfer.ts";
import { type ModelFiles, readModelFiles } from "../whole-model.ts";
import { spellingGroups, spellingInput, transferBatches } from "./cut-texts.ts";
import { cutMostProbably, SubstringQueue, sampleTokenizer } from "./sample-tokenizers.ts";
import { trainHypernetwork } from "./train-hypernetwork.ts";
import { zett } from "./zett.ts";

const texts = Array.from(
  { length: 12 },
  (_, place) => `Tokens are names of bytes; number ${place} names more bytes than it has letters.`,
);

let folder = "";
let model: ModelFiles;
const form = { hidden: 16, feedForward: 32, layers: 2, heads: 2 } as const;
const quick = {
  texts,
  form,
  steps: 3,
  batch: 2,
  vocabSize: 300,
  queue: 8,
  threads: 1,
  inline: true,
};
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jeton-zett-"));
  createByteCheckpoint(join(folder, "source"), { width: 32, layers: 1 });
  model = await readModelFiles(join(folder, "source"));
  const trained = await trainTokenizer({
    kind: "byte-level-bpe",
    vocabSize: 290,
    texts,
    specialTokens: ["<bound>"],
    eosToken: "<bound>",
  });
  await saveTokenizer(join(folder, "target"), trained);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("sampled tokenizers", () => {
  test("cut a word as probably as any cut is", () => {
    const score = fc.double({ min: -9, max: -0.1, noNaN: true });
    const token = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.dictionary(token, score),
        fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 12 }),
        (scores, word) => {
          const vocabulary = new Map([["a", -5], ["b", -5], ...Object.entries(scores)] as [
            string,
            number,
          ][]);
          const best = (rest: string): number =>
            rest === ""
              ? 0
              : Math.max(
                  ...[...vocabulary]
                    .filter(([part]) => rest.startsWith(part))
                    .map(([part, value]) => value + best(rest.slice(part.length))),
                );
          const tokens = cutMostProbably(vocabulary, word);
          expect(tokens.join("")).toBe(word);
          const found = tokens.reduce((sum, part) => sum + vocabulary.get(part)!, 0);
          expect(found).toBeCloseTo(best(word), 9);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("remember only the latest texts", () => {
    const queue = new SubstringQueue({ texts: 2 });
    const other = new SubstringQueue({ texts: 2 });
    for (const text of ["one two", "three", "four five"]) queue.push(text);
    for (const text of ["three", "four five"]) other.push(text);
    expect(new Map([...queue.counts].sort())).toEqual(new Map([...other.counts].sort()));
  });

  test("hold all bytes, spell every text, and repeat with their seed", () => {
    const queue = new SubstringQueue();
    for (const text of texts) queue.push(text);
    const draw = (seed: number) => sampleTokenizer(queue.counts, 300, createRandom(seed));
    const tokenizer = draw(1);
    expect(tokenizer.forms).toHaveLength(300);
    expect(new Set(tokenizer.forms).size).toBe(300);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const forms = tokenizer.encode(text).map((id) => tokenizer.forms[id]);
        expect(forms.join("")).toBe(formOfText(text));
      }),
      { numRuns: 50 },
    );
    expect(draw(1).forms).toEqual(tokenizer.forms);
    expect(draw(2).forms).not.toEqual(tokenizer.forms);
  });
});

const inline = { threads: 1, inline: true } as const;

describe("the hypernetwork", () => {
  test("predicts a token from its spelling alone: not from its place, its neighbours or padding", async () => {
    const hypernetwork = await initializeHypernetwork(
      hypernetworkConfig(model.source.config, { ...form, predicts: "rows" }),
      model.source.tables,
      1,
      inline,
    );
    const { width } = hypernetwork.config;
    await using predictor = await openPredictor(hypernetwork, model.source.tables, inline);
    const rowsOf = async (list: readonly (readonly number[])[]) => {
      const { embedding } = await predictor.predict(list);
      return list.map((_, token) => embedding.slice(token * width, (token + 1) * width));
    };
    const expectRows = (found: readonly Float32Array[], wanted: readonly Float32Array[]): void => {
      for (const [token, row] of wanted.entries()) {
        for (const [i, value] of row.entries()) expect(found[token]![i]).toBeCloseTo(value, 5);
      }
    };
    const spellings = [[1], [7, 8], [9, 10, 11, 12], [3, 3], [255]];
    const rows = await rowsOf(spellings);
    expect(rows[1]).not.toEqual(rows[3]);
    // Without the long one (last here) there is less padding.
    for (const order of [[4, 2, 0, 3, 1], [0, 1, 3, 4], [2]]) {
      const chosen = await rowsOf(order.map((token) => spellings[token]!));
      expectRows(
        chosen,
        order.map((token) => rows[token]!),
      );
    }
    // What lies beyond the longest spelling is cut.
    const long = Array.from({ length: 9 }, (_, place) => place + 1);
    expectRows(await rowsOf([long]), await rowsOf([long.slice(0, 7)]));
    // In chunks as at once.
    const chunked = await predictRows(hypernetwork, model.source.tables, spellings, {
      ...inline,
      chunk: 2,
    });
    expectRows([chunked.embedding], [Float32Array.from(rows.flatMap((row) => [...row]))]);
  });

  test("that corrects begins with the mean of the spelling", async () => {
    const hypernetwork = await initializeHypernetwork(
      hypernetworkConfig(model.source.config, form),
      model.source.tables,
      1,
    );
    const target = readTokenForms(await loadTokenizer(join(folder, "target")));
    const [ours, means] = [
      await predictTables(model.source, target, zett(hypernetwork, inline)),
      await predictTables(model.source, target, meanOfSubtokens()),
    ];
    for (const [i, value] of means.embedding.entries()) {
      expect(ours.embedding[i]).toBeCloseTo(value, 5);
    }
  });
});

describe("batches of the training", () => {
  test("spell every token of a text in any group of lengths, and continue in the source's own", () => {
    const config = hypernetworkConfig(model.source.config, form);
    const { forms } = model.source.vocabulary;
    // Tokens of one, two, three and six bytes: one in the first group, two and three in the next, …
    const cutter: TextCutter = {
      continues: true,
      cut: (chosen) => ({
        forms: ["th", "e", "Ġcat", "Ġand", "strong"],
        rows: chosen.map(() => ({ predicted: [0, 1, 2, 3, 4], known: [101, 102] })),
      }),
    };
    const options = { texts: ["the cat andstrongef"], batch: 2, longest: 50, cutter };
    const [inputs] = transferBatches(model, config, options, createRandom(1))();
    const rows: string[] = [""];
    for (const group of spellingGroups(config).keys()) {
      const { data, shape } = inputs![spellingInput(group)]!;
      for (let row = 0; row < shape[0]!; row++) {
        const ids = [...(data as Int32Array).subarray(row * shape[1]!, (row + 1) * shape[1]!)];
        rows.push(ids.map((id) => (id < 0 ? "" : (forms[id] ?? ""))).join(""));
      }
    }
    const textOf = (name: string): string[] => {
      const { data, shape } = inputs![name]!;
      return [...(data as Int32Array).subarray(0, shape[1]!)].map((id) =>
        id < rows.length ? (rows[id] ?? "") : forms[id - rows.length]!,
      );
    };
    expect(textOf("ids")).toEqual(["", "th", "e", "Ġcat", "Ġand", "strong", "e"]);
    expect(textOf("targets").slice(0, 5)).toEqual(["th", "e", "Ġcat", "Ġand", "strong"]);
    const known = inputs!["knownTargets"]!;
    expect([...(known.data as Int32Array).subarray(5, 7)]).toEqual([101, 102]);
  });
});

describe("training", () => {
  test("the mimic stage brings predictions to the source's rows", async () => {
    const losses: number[] = [];
    await trainHypernetwork(model, {
      ...quick,
      form: { ...form, predicts: "rows" },
      mimicSteps: 20,
      mimicTokens: 64,
      steps: 0,
      learningRate: 3e-3,
      onProgress: (_, __, ___, loss) => losses.push(loss),
    });
    expect(losses).toHaveLength(20);
    const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b) / list.length;
    expect(mean(losses.slice(-5))).toBeLessThan(mean(losses.slice(0, 5)));
  });

  test("repeats with its seed, and changes nothing but the hypernetwork's own weights", async () => {
    const before = new Map([...model.parameters].map(([name, { data }]) => [name, data.slice()]));
    const losses: number[][] = [];
    const train = (seed: number) => {
      const own: number[] = [];
      losses.push(own);
      const onProgress = (_: string, __: number, ___: number, loss: number) => own.push(loss);
      return trainHypernetwork(model, { ...quick, steps: 2, seed, onProgress });
    };
    const [one, same] = [await train(1), await train(1)];
    expect(same).toEqual(one);
    expect(losses[1]).toEqual(losses[0]);
    expect([...one.parameters.keys()].every((name) => name.startsWith("hypernetwork."))).toBe(true);
    expect(one.parameters.get("hypernetwork.embedding.linear.weight")!.data.some(Boolean)).toBe(
      true,
    );
    for (const [name, data] of before) expect(model.parameters.get(name)!.data).toEqual(data);
  });

  test("needs text", async () => {
    await expect(trainHypernetwork(model, { ...quick, texts: [" "] })).rejects.toMatchObject({
      code: "zett-texts-empty",
    });
  });
});

describe("transfer with zett", () => {
  test("writes a model that runs, special tokens with their rows; the hypernetwork is kept in a file", async () => {
    const hypernetwork = await trainHypernetwork(model, {
      ...quick,
      form: { ...form, predicts: "rows" },
      mimicSteps: 2,
      steps: 1,
    });
    const path = join(folder, "hypernetwork.safetensors");
    await writeHypernetwork(path, hypernetwork);
    const read = await readHypernetwork(path);
    expect(read).toEqual(hypernetwork);

    const out = join(folder, "out");
    const [source, target] = [join(folder, "source"), join(folder, "target")];
    await transfer(source, target, zett(read, inline), { out });
    const moved = await readModelFiles(out);
    const { hiddenSize } = model.source.config;
    const row = (rows: Float32Array, id: number) =>
      rows.slice(id * hiddenSize, (id + 1) * hiddenSize);
    expect(row(moved.source.tables.embedding, 0)).toEqual(row(model.source.tables.embedding, 256));
    await using loaded = await loadModel(out, { threads: 1, inline: true });
    let count = 0;
    for await (const { id } of generate(loaded, "Tokens", { maxTokens: 3 })) if (id >= 0) count++;
    expect(count).toBeGreaterThan(0);

    const foreign = { ...read, config: { ...read.config, sourceSize: 99 } };
    await expect(
      transfer(source, target, zett(foreign), { out: join(folder, "refused") }),
    ).rejects.toMatchObject({ code: "zett-hypernetwork-foreign" });
    await expect(readHypernetwork(join(source, "model.safetensors"))).rejects.toMatchObject({
      code: "hypernetwork-invalid",
    });
  });
});
