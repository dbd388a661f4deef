/** Sentence encoders over decoders, against the float64 program of `testing/reference-encoder/reference-backbone.ts`. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { createRandom } from "../../../core/index.ts";
import { randomReferenceTensors } from "../../../testing/random-weights.ts";
import { activate } from "../../../testing/reference-activation.ts";
import { multiply } from "../../../testing/reference-arithmetic.ts";
import { roundToDtype, writeReferenceCheckpoint } from "../../../testing/reference-checkpoint.ts";
import { readReference, type Sees } from "../../../testing/reference-encoder/reference-backbone.ts";
import {
  gemma2,
  gemma3,
  llama,
  mistral,
  qwen2,
  qwen3,
  type ReferenceConfigBuilder,
} from "../../../testing/tiny-configs.ts";
import { saveTokenizer, trainTokenizer } from "../../../tokenizer/index.ts";
import { loadModel } from "../../load-model.ts";
import { openModel } from "../../open-folder.ts";
import { loadEncoder } from "../load-encoder.ts";
import { openEncoder } from "../open-encoder.ts";
import { embed } from "../tasks/embed.ts";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

const sizes = { vocabulary: 96, width: 32, layers: 4, heads: 4, kvHeads: 2, headDim: 16 };
const configOf = (build: ReferenceConfigBuilder, more: Record<string, unknown> = {}) => ({
  ...build({ ...sizes, feedForward: 40 }),
  ...more,
});

const texts = [9, 40, 2].map((length) => {
  const random = createRandom(length, "text");
  return Array.from({ length }, () => 5 + random.integer(90));
});

/** `create_causal_mask` and its like: without and with a window. */
const causal: Sees = (distance, window) => distance >= 0 && (window === null || distance < window);
/** `is_causal: false`: `sliding_window_bidirectional_overlay` counts the last position in. */
const both: Sees = (distance, window) => window === null || Math.abs(distance) <= window;
/** `Gemma3TextConfig.__post_init__` halves the window, and adds one for a bound that is left out. */
const halved: Sees = (distance, window) =>
  window === null || Math.abs(distance) < Math.floor(window / 2) + 1;

const modules = (...kinds: string[]) =>
  ["Transformer", ...kinds].map((kind, at) => ({
    path: at === 0 ? "" : `${at}_${kind}`,
    type: `sentence_transformers.models.${kind}`,
  }));

async function writeFolder(
  config: Record<string, unknown>,
  files: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, number[]>> = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "jeton-backbone-"));
  made.push(folder);
  const tensors = new Map(
    [...randomReferenceTensors(config, 5)].map(([name, { shape, data }]) => [
      name,
      { shape, data: roundToDtype(data, "F32") },
    ]),
  );
  for (const [name, shape] of Object.entries(more)) {
    const random = createRandom(9, name);
    const length = shape.reduce((a, b) => a * b, 1);
    const data = Float64Array.from({ length }, () => Math.fround(random.normal() / 4));
    tensors.set(name, { shape, data });
  }
  writeReferenceCheckpoint(folder, { config, tensors }, { dtype: "F32", shards: 1 });
  const words = ["a rose is a rose. king queen [ ] !"];
  await saveTokenizer(
    folder,
    await trainTokenizer({ kind: "wordpiece", texts: words, vocabSize: 60 }),
  );
  const all = {
    "modules.json": modules("Pooling", "Normalize"),
    "1_Pooling/config.json": { pooling_mode_lasttoken: true },
    ...files,
  };
  for (const [path, value] of Object.entries(all)) {
    if (value === undefined) continue;
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), JSON.stringify(value));
  }
  return { folder, tensors };
}

const options = { inline: true, threads: 1, format: "f32" } as const;

function difference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length);
  return Array.from(expected).reduce(
    (most, value, at) => Math.max(most, Math.abs(value - found[at]!)),
    0,
  );
}

const cosine = (a: Float32Array, b: Float32Array): number => {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, v, at) => sum + v * y[at]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};

const dynamicRope = {
  max_position_embeddings: 20,
  rope_scaling: { rope_type: "dynamic", factor: 2 },
};
const longRope = {
  max_position_embeddings: 64,
  rope_scaling: {
    rope_type: "longrope",
    ...{ original_max_position_embeddings: 20, factor: 3.2 },
    short_factor: [1, 1.1, 1.2, 1.3],
    long_factor: [1.5, 2, 2.5, 3],
  },
};
const cases: readonly (readonly [string, Record<string, unknown>, Sees])[] = [
  ["qwen3, as Qwen3-Embedding", configOf(qwen3), causal],
  [
    "qwen3 with a window",
    configOf(qwen3, { use_sliding_window: true, sliding_window: 7, max_window_layers: 1 }),
    causal,
  ],
  ["mistral, as e5-mistral", configOf(mistral), causal],
  ["qwen2, as gte-Qwen2", configOf(qwen2, { is_causal: false }), both],
  ["mistral from both sides, with a window", configOf(mistral, { is_causal: false }), both],
  [
    "llama from both sides, with biases",
    configOf(llama, { is_causal: false, attention_bias: true, mlp_bias: true }),
    both,
  ],
  ["gemma3, as EmbeddingGemma", configOf(gemma3, { use_bidirectional_attention: true }), halved],
  [
    "gemma3 with an odd window",
    configOf(gemma3, { use_bidirectional_attention: true, sliding_window: 7 }),
    halved,
  ],
  ["gemma3, causal", configOf(gemma3), causal],
  // The library turns all texts of a batch as the longest one: here each is as it is alone there.
  ["llama, dynamic: two of the texts are short", configOf(llama, dynamicRope), causal],
  ["qwen2 from both sides, dynamic", configOf(qwen2, { ...dynamicRope, is_causal: false }), both],
  ["mistral, longrope", configOf(mistral, longRope), causal],
  ["gemma3, is_causal", configOf(gemma3, { is_causal: false }), both],
];

describe.each(cases)("%s", (_, config, sees) => {
  test("states equal those of the float64 program, alone and beside others", async () => {
    const { folder, tensors } = await writeFolder(config);
    await using model = await loadEncoder(folder, options);
    const run = (ids: number[]) => model.run({ ids, outputs: ["states"] });
    const together = await Promise.all(texts.map(run));
    for (const [index, ids] of texts.entries()) {
      const wanted = readReference(config, tensors, ids, sees).flatMap((x) => [...x]);
      expect(difference(together[index]!.states!.data, wanted)).toBeLessThan(1e-4);
      expect(await run(ids)).toEqual(together[index]);
    }
  });

  test("int8: vectors stay within a cosine of 0.99, and neighbours change nothing", async () => {
    const { folder } = await writeFolder(config);
    await using exact = await loadEncoder(folder, options);
    await using model = await loadEncoder(folder, { ...options, format: "int8" });
    const run = (of: typeof model) => (ids: number[]) => of.run({ ids, outputs: ["embedding"] });
    const together = await Promise.all(texts.map(run(model)));
    for (const [index, ids] of texts.entries()) {
      const { embedding } = await run(exact)(ids);
      expect(cosine(together[index]!.embedding!.data, embedding!.data)).toBeGreaterThan(0.99);
      expect(await run(model)(ids)).toEqual(together[index]);
    }
  });
});

// `modeling_eurobert.py` of transformers 5.18.0.
describe("EuroBERT", () => {
  const file = configOf(llama, { attention_bias: true });
  const own = { ...file, model_type: "eurobert", pad_token_id: 1 };
  const noModules = { "modules.json": undefined, "1_Pooling/config.json": undefined };
  const [ids] = texts as [number[]];
  type Opened = Awaited<ReturnType<typeof writeFolder>>;
  const statesOf = ({ tensors }: Opened) =>
    readReference(file, tensors, ids, both).map((x) => [...x]);
  const product = ({ tensors }: Opened, name: string, x: readonly number[]): number[] => {
    const bias = tensors.get(`${name}.bias`)?.data ?? null;
    return [...multiply(tensors.get(`${name}.weight`)!.data, Float64Array.from(x), bias)];
  };
  const mean = (rows: readonly (readonly number[])[]): number[] =>
    rows[0]!.map((_, at) => rows.reduce((sum, row) => sum + row[at]!, 0) / rows.length);

  test("states equal those of the float64 program", async () => {
    const opened = await writeFolder(file, { ...noModules, "config.json": own });
    await using model = await loadEncoder(opened.folder, options);
    const { states } = await model.run({ ids, outputs: ["states"] });
    expect(difference(states!.data, statesOf(opened).flat())).toBeLessThan(1e-4);
    expect(model.heads).toEqual([]);
    expect((await openModel(opened.folder, options).then(closed)).kind).toBe("encoder");
  });

  const closed = async (opened: Awaited<ReturnType<typeof openModel>>) => {
    await opened.model.close();
    return opened;
  };

  test.each([false, true])("masked tokens, tied %s", async (tied) => {
    const architectures = ["EuroBertForMaskedLM"];
    const config = { ...own, architectures, tie_word_embeddings: tied };
    const opened = await writeFolder(
      { ...file, tie_word_embeddings: tied },
      { ...noModules, "config.json": config },
      { "lm_head.bias": [sizes.vocabulary] },
    );
    const table = tied ? "model.embed_tokens" : "lm_head";
    opened.tensors.set(`${table}.bias`, opened.tensors.get("lm_head.bias")!);
    await using model = await loadEncoder(opened.folder, options);
    const { masked } = await model.run({ ids, outputs: ["masked"], rows: [3] });
    const expected = product(opened, table, statesOf(opened)[3]!);
    expect(difference(masked!.data, expected)).toBeLessThan(5e-4);
  });

  test.each([
    [{ clf_pooling: "bos" }, "bos"],
    [{ classifier_pooling: "mean", clf_pooling: "bos" }, "mean"],
    [{ classifier_pooling: "late" }, "late"],
    [{}, "late"],
  ])("classes of texts: %j", async (stated, pooling) => {
    const id2label = { 0: "a", 1: "b", 2: "c" };
    const architectures = ["EuroBertForSequenceClassification"];
    const opened = await writeFolder(
      file,
      { ...noModules, "config.json": { ...own, ...stated, architectures, id2label } },
      {
        "dense.weight": [sizes.width, sizes.width],
        "dense.bias": [sizes.width],
        "classifier.weight": [3, sizes.width],
        "classifier.bias": [3],
      },
    );
    await using model = await loadEncoder(opened.folder, options);
    const { sequence } = await model.run({ ids, outputs: ["sequence"] });
    const states = statesOf(opened);
    const classes = (x: readonly number[]): number[] => {
      const active = product(opened, "dense", x).map((value) => activate(value, "gelu"));
      return product(opened, "classifier", active);
    };
    const expected = {
      bos: () => classes(states[0]!),
      mean: () => classes(mean(states)),
      late: () => mean(states.map(classes)),
    }[pooling]!();
    expect(difference(sequence!.data, expected)).toBeLessThan(5e-4);
  });

  test("a pooling of classes that it does not have", async () => {
    const config = { ...own, classifier_pooling: "cls" };
    const { folder } = await writeFolder(file, { ...noModules, "config.json": config });
    await expect(loadEncoder(folder, options)).rejects.toMatchObject({
      code: "model-config-invalid",
      message: expect.stringContaining("bos or mean or late"),
    });
  });
});

describe("folders", () => {
  test("the state of the last token, behind a prompt, of length 1", async () => {
    const prompts = { query: "king queen ", document: "" };
    const { folder } = await writeFolder(configOf(qwen3), {
      "config_sentence_transformers.json": { prompts, similarity_fn_name: "cosine" },
    });
    await using model = await loadEncoder(folder, options);
    const [query] = await embed(model, ["a rose"], { promptName: "query" });
    const { ids } = model.tokenizer.encode("king queen a rose", { applyLimits: false });
    const { states } = await model.run({ ids, outputs: ["states"] });
    const last = states!.data.subarray((ids.length - 1) * sizes.width);
    const length = Math.hypot(...last);
    expect(
      difference(
        query!,
        Float32Array.from(last, (value) => value / length),
      ),
    ).toBeLessThan(1e-6);
    const [document] = await embed(model, ["a rose"], { role: "document" });
    expect(cosine(query!, document!)).toBeLessThan(0.999);
    expect(model.sentence.similarity).toBe("cosine");
  });

  test("a folder in memory gives the same, and openModel says what it is", async () => {
    const { folder } = await writeFolder(configOf(qwen3));
    const read = (path: string): Buffer | undefined => {
      try {
        return readFileSync(join(folder, path));
      } catch {
        return undefined;
      }
    };
    const json = (path: string): unknown => JSON.parse(read(path)!.toString());
    const asked: string[] = [];
    await using own = await openEncoder({
      files: { config: json("config.json"), tokenizer: json("tokenizer.json") },
      weights: [{ name: "model.safetensors", data: read("model.safetensors")! }],
      readFile: async (path) => {
        asked.push(path);
        return read(path);
      },
      format: "f32",
    });
    expect(asked).toContain("modules.json");
    // In a browser each reading is a request.
    expect(asked).toEqual([...new Set(asked)]);
    const opened = await openModel(folder, options);
    expect(opened.kind).toBe("encoder");
    await using model = opened.model as typeof own;
    expect(await embed(own, ["a rose"])).toEqual(await embed(model, ["a rose"]));
  });

  test("without modules a decoder is none, and one seen from both sides is", async () => {
    const files = { "modules.json": undefined, "1_Pooling/config.json": undefined };
    const plain = await writeFolder(configOf(qwen3), files);
    await expect(loadEncoder(plain.folder, options)).rejects.toMatchObject({
      code: "model-family-unknown",
      message: expect.stringContaining("modules.json"),
    });
    const { folder } = await writeFolder(configOf(qwen2, { is_causal: false }), files);
    await using model = await loadEncoder(folder, options);
    expect(model.sentence.poolings).toEqual(["mean"]);
    await expect(loadModel(folder, options)).rejects.toMatchObject({
      code: "model-family-unknown",
      message: expect.stringContaining("loadEncoder"),
    });
  });

  test.each([
    // Gemma2Attention reads the key, and its mask does not: what it computes depends on padding.
    [configOf(gemma2, { use_bidirectional_attention: true }), "use_bidirectional_attention"],
    [configOf(qwen2, { is_causal: "no" }), "is_causal"],
    [
      configOf(mistral, { rope_scaling: { ...longRope.rope_scaling, long_factor: [1, 2] } }),
      "long_factor must list 4",
    ],
  ])("%#: what a config.json may not say", async (config, key) => {
    const { folder } = await writeFolder(config);
    await expect(loadEncoder(folder, options)).rejects.toMatchObject({
      code: "model-config-invalid",
      message: expect.stringContaining(key),
    });
  });

  test.each([
    [{ modality_config: { text: {}, message: {} } }, "modality_config"],
    [{ modality_config: { image: {} } }, "modality_config"],
    [{ config_kwargs: { is_causal: false } }, "config_kwargs.is_causal"],
    [{ config_args: { rope_theta: 5 } }, "config_args.rope_theta"],
  ])("settings that are refused: %j", async (settings, key) => {
    const { folder } = await writeFolder(configOf(qwen3), {
      "sentence_bert_config.json": settings,
    });
    await expect(loadEncoder(folder, options)).rejects.toMatchObject({
      code: "encoder-module-invalid",
      message: expect.stringContaining(key),
    });
  });

  test("settings that say nothing new", async () => {
    const { folder } = await writeFolder(configOf(qwen3), {
      "sentence_bert_config.json": {
        modality_config: { text: { method: "forward" } },
        config_args: { rope_theta: 1_000_000, trust_remote_code: true },
        max_seq_length: 6,
      },
    });
    await using model = await loadEncoder(folder, options);
    expect(model.sentence.maxLength).toBe(6);
  });
});
