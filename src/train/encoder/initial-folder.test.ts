/** What a training takes from the folder that it begins with, besides the weights. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embed, loadEncoder } from "../../model/index.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import type { TrainEncoderOptions } from "./encoder-options.ts";
import { trainEncoder } from "./train-encoder.ts";

const sentences = ["the cat sees a tree", "the dog sees a hill", "a moon sees the sun"];
let root = "";
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-encoder-folder-"));
  const texts = sentences.map((text) => text.repeat(3));
  const trained = await trainTokenizer({ kind: "wordpiece", texts, vocabSize: 80 });
  await saveTokenizer(join(root, "tokenizer"), trained);
  const lines = sentences.map((document) =>
    JSON.stringify({ query: document.slice(4, 7), document }),
  );
  writeFileSync(join(root, "pairs.jsonl"), lines.join("\n"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const optionsFor = (
  name: string,
  more: Partial<TrainEncoderOptions> = {},
): TrainEncoderOptions => ({
  ...{ folder: join(root, name), objective: { kind: "contrastive" }, steps: 1, batch: 3 },
  config: {
    ...{ model_type: "bert", hidden_size: 32, intermediate_size: 64, num_hidden_layers: 1 },
    ...{ num_attention_heads: 2, max_position_embeddings: 64 },
  },
  ...{ tokenizer: join(root, "tokenizer"), examples: [join(root, "pairs.jsonl")], threads: 1 },
  dtype: "F32",
  ...more,
});

const open = (folder: string) => loadEncoder(folder, { inline: true, threads: 1, format: "f32" });

describe("weights of a sentence-transformers folder", () => {
  test("lie where modules.json says, and its pooling goes on; what is left out is a warning", async () => {
    const { modelFolder } = await trainEncoder(optionsFor("pooled", { pooling: "lasttoken" }));
    // The layout of older versions, with a module that trainings do not know.
    const folder = join(root, "older");
    cpSync(modelFolder, join(folder, "0_Transformer"), { recursive: true });
    cpSync(join(modelFolder, "1_Pooling"), join(folder, "1_Pooling"), { recursive: true });
    rmSync(join(folder, "0_Transformer", "modules.json"));
    const line = (path: string, name: string) => ({
      path,
      type: `sentence_transformers.models.${name}`,
    });
    const modules = [line("0_Transformer", "Transformer"), line("1_Pooling", "Pooling")];
    const write = (list: readonly object[]) =>
      writeFileSync(join(folder, "modules.json"), JSON.stringify(list));
    write(modules);
    const warnings: string[] = [];
    const {
      config: _,
      tokenizer: __,
      ...options
    } = optionsFor("goes-on", {
      initialWeights: folder,
      schedule: { kind: "constant", peak: 0 },
      onWarning: ({ code, message }) => warnings.push(`${code}: ${message}`),
    });
    const trained = await trainEncoder(options);
    const pooled = readFileSync(join(trained.modelFolder, "1_Pooling/config.json"), "utf8");
    expect(JSON.parse(pooled)).toMatchObject({ pooling_mode_lasttoken: true });
    expect(warnings).toEqual([]);
    await using before = await open(modelFolder);
    await using after = await open(trained.modelFolder);
    const [one] = await embed(before, ["the cat sees a tree"]);
    const [other] = await embed(after, ["the cat sees a tree"]);
    expect([...other!]).toEqual([...one!]);
    write([...modules, line("2_Dense", "Dense")]);
    await trainEncoder({ ...options, folder: join(root, "warned"), pooling: "mean" });
    expect(warnings.join()).toMatch(
      /train-modules-left: .*a Dense module in 2_Dense.*pools by mean/,
    );
  });
});
