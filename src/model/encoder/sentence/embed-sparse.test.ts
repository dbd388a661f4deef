/** SPLADE: weights of the vocabulary from the logits of a head for masked tokens. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeShardedSafetensors } from "../../../checkpoint/index.ts";
import {
  encodeReference,
  ReferenceWeights,
} from "../../../testing/reference-encoder/reference-encoder.ts";
import { referenceEncoders } from "../../../testing/reference-encoder/reference-encoder-families.ts";
import { saveTokenizer, trainTokenizer } from "../../../tokenizer/index.ts";
import { loadEncoder } from "../load-encoder.ts";
import { embed } from "../tasks/embed.ts";
import type { LoadedEncoder } from "../types.ts";
import { embedSparse } from "./embed-sparse.ts";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

const current = "sentence_transformers.sparse_encoder.modules.splade_pooling.SpladePooling";

/** A small RoBERTa with its head, as sentence-transformers saves a SPLADE model. */
async function openSparse(
  pooling: object,
  {
    first = "sentence_transformers.base.modules.transformer.Transformer",
    second = current,
    architecture = "RobertaForMaskedLM",
  } = {},
): Promise<LoadedEncoder> {
  const folder = mkdtempSync(join(tmpdir(), "jeton-sparse-"));
  made.push(folder);
  const { config, plan } = referenceEncoders["roberta"]!();
  const weights = new ReferenceWeights(21);
  encodeReference(plan, weights, [5]);
  weights.get("lm_head.dense.weight", 32, 32);
  for (const name of ["dense.bias", "layer_norm.weight", "layer_norm.bias"]) {
    weights.get(`lm_head.${name}`, 32);
  }
  weights.get("lm_head.bias", 96);
  const tensors = [...weights.tensors].map(([name, tensor]) => ({ name, dtype: "F32", ...tensor }));
  await writeShardedSafetensors(folder, tensors as never);
  const texts = ["a rose is a rose. king queen [ ] !"];
  await saveTokenizer(folder, await trainTokenizer({ kind: "wordpiece", texts, vocabSize: 60 }));
  const files = {
    "config.json": { ...config, architectures: [architecture] },
    "modules.json": [
      { path: "", type: first },
      { path: "1_SpladePooling", type: second },
    ],
    "1_SpladePooling/config.json": pooling,
    "config_sentence_transformers.json": { prompts: { query: "king " } },
  };
  for (const [path, value] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), JSON.stringify(value));
  }
  return loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
}

/** Logits of every position. */
async function logitsOf(model: LoadedEncoder, text: string): Promise<number[][]> {
  const { ids } = model.tokenizer.encode(text, { applyLimits: false });
  const { masked } = await model.run({ ids, outputs: ["masked"], rows: [...ids.keys()] });
  return Array.from(ids, (_, at) => [...masked!.data.subarray(at * 96, (at + 1) * 96)]);
}

const once = (x: number): number => Math.log1p(Math.max(0, x));
const total = (values: number[]): number => values.reduce((a, b) => a + b, 0);

test.each([
  [{ pooling_strategy: "max" }, once, (x: number[]) => Math.max(...x)],
  [{ pooling_strategy: "sum", activation_function: "relu" }, once, total],
  [{ activation_function: "log1p_relu" }, (x: number) => Math.log1p(once(x)), Math.max],
] as const)("%j", async (config, activate, pool) => {
  await using model = await openSparse(config);
  const texts = ["a rose", "king queen is a rose!"];
  // Together, so that the shorter one has padding.
  const found = await embedSparse(model, texts);
  for (const [at, text] of texts.entries()) {
    const rows = await logitsOf(model, text);
    const weights = rows[0]!.map((_, id) => {
      const column = rows.map((row) => activate(row[id]!));
      return pool === Math.max ? Math.max(...column) : (pool as (x: number[]) => number)(column);
    });
    const ids = [...weights.keys()].filter((id) => weights[id]! > 0);
    expect([...found[at]!.ids]).toEqual(ids);
    for (const [place, id] of ids.entries()) {
      expect(found[at]!.weights[place]).toBeCloseTo(weights[id]!, 4);
    }
  }
});

test("of older versions, with the largest weights alone and a query's prompt", async () => {
  await using model = await openSparse(
    { pooling_strategy: "max", word_embedding_dimension: null },
    {
      first: "sentence_transformers.sparse_encoder.models.MLMTransformer",
      second: "sentence_transformers.sparse_encoder.models.SpladePooling",
    },
  );
  const [query] = await embedSparse(model, ["a rose"], { role: "query" });
  expect([query]).toEqual(await embedSparse(model, ["king a rose"]));
  const [short] = await embedSparse(model, ["king a rose"], { terms: 3 });
  const largest = [...query!.weights].sort((a, b) => b - a).slice(0, 3);
  expect([...short!.weights].sort((a, b) => b - a)).toEqual(largest);
});

test("embed says that there are no vectors, unless a pooling is named", async () => {
  await using model = await openSparse({});
  await expect(embed(model, ["a rose"])).rejects.toMatchObject({
    code: "encoder-head-missing",
    message: expect.stringContaining("embedSparse"),
  });
  expect(await embed(model, ["a rose"], { pooling: "mean" })).toHaveLength(1);
  await expect(embedSparse(model, ["a"], { terms: 0 })).rejects.toMatchObject({
    code: "encoder-option-invalid",
  });
});

test("what is not read is refused", async () => {
  for (const config of [{ pooling_strategy: "mean" }, { activation_function: "gelu" }]) {
    await expect(openSparse(config)).rejects.toMatchObject({ code: "encoder-module-invalid" });
  }
  const opened = openSparse({}, { architecture: "RobertaModel" });
  await expect(opened).rejects.toMatchObject({ code: "encoder-head-missing" });
});
