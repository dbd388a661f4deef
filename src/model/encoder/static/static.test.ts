/** Static models: folders of both layouts, beside means that the test computes itself from the numbers it wrote. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fetchEncoder } from "../../../browser.ts";
import { narrowToFloat16 } from "../../../checkpoint/index.ts";
import { createRandom, nextTask } from "../../../core/index.ts";
import { createTokenizer, type Tokenizer } from "../../../tokenizer/index.ts";
import { loadModel } from "../../load-model.ts";
import { openModel } from "../../open-folder.ts";
import { openEncoder } from "../open-encoder.ts";
import { embedSparse } from "../sentence/embed-sparse.ts";
import { classify } from "../tasks/classify.ts";
import { embed, embedCounted, embedTokens } from "../tasks/embed.ts";
import { rerank } from "../tasks/rerank.ts";
import {
  expectNear,
  line,
  meanOf,
  model2vec,
  open,
  plainIds,
  randomRows,
  type StaticTensor,
  table,
  trainStaticTokenizer,
  unit,
  width,
  writeStaticFolder,
} from "../testing/static-folders.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-static-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let trained: Awaited<ReturnType<typeof trainStaticTokenizer>>;
let tokenizer: Tokenizer;
let unknown: number;
beforeAll(async () => {
  trained = await trainStaticTokenizer();
  tokenizer = createTokenizer(trained.json);
  unknown = tokenizer.unkTokenId!;
});
const idsOf = (text: string): number[] => plainIds(tokenizer, text);
const writeFolder = (
  tensors: readonly StaticTensor[],
  files: Readonly<Record<string, unknown>>,
  below?: string,
): Promise<string> => writeStaticFolder(root, trained, tensors, files, below);
const plain = { "modules.json": [line("StaticEmbedding", "")] };

const long = "where is the king ? ".repeat(300);
const texts = ["Where is the King?", "", "a rose ☃ Ωmega", long];

describe("StaticEmbedding of sentence-transformers", () => {
  test("means of all tokens, without special ones and without an end", async () => {
    const rows = randomRows(tokenizer.vocabSize);
    await using model = await open(await writeFolder([table("embedding.weight", rows)], plain));
    expect(idsOf(long).length).toBeGreaterThan(1000);
    expect(idsOf("a rose ☃ Ωmega")).toContain(unknown);
    const { vectors, tokens } = await embedCounted(model, texts);
    for (const [at, text] of texts.entries()) expectNear(vectors[at], meanOf(rows, idsOf(text)));
    expect(tokens).toBe(texts.reduce((sum, text) => sum + idsOf(text).length, 0));
    expect(model.embeddingSize).toBe(width);
  });

  test("below the folder, with Normalize, a prompt, and truncate_dim behind the length", async () => {
    const rows = randomRows(tokenizer.vocabSize);
    const type = "sentence_transformers.sentence_transformer.modules.StaticEmbedding";
    const files = {
      "modules.json": [{ path: "0_StaticEmbedding", type }, line("Normalize", "1_Normalize")],
      "config_sentence_transformers.json": { truncate_dim: 8, prompts: { query: "king " } },
      // Beside a transformer it would say how long texts are.
      "sentence_bert_config.json": { max_seq_length: 3 },
    };
    const tensors = [table("embedding.weight", rows)];
    await using model = await open(await writeFolder(tensors, files, "0_StaticEmbedding"));
    const whole = unit(meanOf(rows, idsOf("king where is the rose")));
    const [vector] = await embed(model, ["where is the rose"], { promptName: "query" });
    expectNear(vector, whole.slice(0, 8));
    const options = { promptName: "query", dimensions: width };
    expectNear((await embed(model, ["where is the rose"], options))[0], whole);
    expect([...(await embed(model, [""]))[0]!]).toEqual(Array<number>(8).fill(0));
  });

  test("a tokenizer's own truncation holds, and its padding does not", async () => {
    const rows = randomRows(tokenizer.vocabSize);
    const folder = await writeFolder([table("embedding.weight", rows)], plain);
    const path = join(folder, "tokenizer.json");
    const json = JSON.parse(readFileSync(path, "utf8")) as object;
    const truncation = { max_length: 5, strategy: "LongestFirst", stride: 0, direction: "Left" };
    const padding = {
      ...{ strategy: { Fixed: 9 }, direction: "Right", pad_to_multiple_of: null },
      ...{ pad_id: 0, pad_type_id: 0, pad_token: "[PAD]" },
    };
    writeFileSync(path, JSON.stringify({ ...json, truncation, padding }));
    await using model = await open(folder);
    const [short, cut] = await embed(model, ["a rose", long]);
    expectNear(short, meanOf(rows, idsOf("a rose")));
    expectNear(cut, meanOf(rows, idsOf(long).slice(-5)));
  });

  test.each([
    ["Pooling", "encoder-module-unknown"],
    ["WordWeights", "encoder-module-unknown"],
  ])("%s behind it is refused", async (kind, code) => {
    const files = { "modules.json": [line("StaticEmbedding", ""), line(kind, `1_${kind}`)] };
    const tensors = [table("embedding.weight", randomRows(tokenizer.vocabSize))];
    await expect(open(await writeFolder(tensors, files))).rejects.toMatchObject({ code });
  });
});

describe("model2vec", () => {
  test("unknown tokens are left out, and texts are cut to 512 tokens", async () => {
    const rows = randomRows(tokenizer.vocabSize);
    const config = { ...model2vec["config.json"], normalize: true };
    const files = { "config.json": config };
    const folder = await writeFolder([table("embeddings", rows)], files);
    await using model = await open(folder);
    const known = (text: string): number[] => idsOf(text).filter((id) => id !== unknown);
    const vectors = await embed(model, texts);
    for (const [at, text] of texts.entries()) {
      expectNear(vectors[at], unit(meanOf(rows, known(text).slice(0, 512))));
    }
    await using longer = await open(folder, { contextLength: 700 });
    expect([model.contextLength, longer.contextLength]).toEqual([512, 700]);
    expectNear((await embed(longer, [long]))[0], unit(meanOf(rows, known(long).slice(0, 700))));
    const options = { maxLength: 4 };
    expectNear(
      (await embed(longer, [long], options))[0],
      unit(meanOf(rows, known(long).slice(0, 4))),
    );
  });

  test("characters are cut before tokens: as many for each as half of the tokens have", async () => {
    const rows = randomRows(tokenizer.vocabSize);
    await using model = await open(await writeFolder([table("embeddings", rows)], model2vec));
    const { charactersPerToken } = model.config.static!;
    const text = `${" ".repeat(4 * charactersPerToken! - 4)}kingqueen`;
    expectNear((await embed(model, [text], { maxLength: 4 }))[0], meanOf(rows, idsOf("king")));
    expect(idsOf("king")).not.toEqual(idsOf("kingqueen"));
  });

  test("weights multiply rows, and a mapping says which one", async () => {
    const rows = randomRows(9);
    const count = tokenizer.vocabSize;
    const weights = Float32Array.from({ length: count }, (_, id) => (id % 8) / 4);
    const mapping = BigInt64Array.from({ length: count }, (_, id) => BigInt((5 * id) % 9));
    const tensors: StaticTensor[] = [
      table("embeddings", rows),
      { name: "weights", dtype: "F32", shape: [count], data: weights },
      { name: "mapping", dtype: "I64", shape: [count], data: mapping },
    ];
    // As model2vec writes it, and without the family, as it writes what it trained.
    const files = { ...plain, "config.json": { normalize: false } };
    await using model = await open(await writeFolder(tensors, files));
    expect(model.config.family).toBe("model2vec");
    const ids = idsOf("where is the king");
    const expected = Array.from({ length: width }, (_, column) => {
      const sum = ids.reduce(
        (total, id) => total + weights[id]! * rows[Number(mapping[id]) * width + column]!,
        0,
      );
      return sum / ids.length;
    });
    expectNear((await embed(model, ["where is the king"]))[0], expected);

    tensors[2] = { ...tensors[2]!, data: mapping.with(3, 9n) };
    const wrong = open(await writeFolder(tensors, files));
    await expect(wrong).rejects.toMatchObject({ code: "model-weights-invalid" });
    const stray = open(await writeFolder(tensors, plain));
    await expect(stray).rejects.toMatchObject({ code: "model-weights-shape" });
  });

  test.each([
    [true, [], true],
    [false, ["Normalize"], false],
    [undefined, ["Normalize"], true],
    [undefined, [], false],
  ])("normalize %s beside the modules %j", async (normalize, kinds, isUnit) => {
    const config = { ...model2vec["config.json"], ...(normalize !== undefined && { normalize }) };
    const modules = [line("StaticEmbedding", "."), ...kinds.map((kind) => line(kind, "1"))];
    const files = { "modules.json": modules, "config.json": config };
    const rows = randomRows(tokenizer.vocabSize);
    await using model = await open(await writeFolder([table("embeddings", rows)], files));
    const mean = meanOf(rows, idsOf("a rose"));
    expectNear((await embed(model, ["a rose"]))[0], isUnit ? unit(mean) : mean);
  });
});

describe("formats and types", () => {
  test("int8 stays near, also of a row's last block, and F16 is exact", async () => {
    const rows = randomRows(tokenizer.vocabSize);
    const halves = new Uint16Array(rows.length);
    narrowToFloat16(rows, halves);
    const tensor = table("embedding.weight", rows);
    const half: StaticTensor = { ...tensor, dtype: "F16", data: halves };
    const folder = await writeFolder([half], plain);
    const expected = meanOf(rows, idsOf("where is the king"));
    await using exact = await open(folder);
    expectNear((await embed(exact, ["where is the king"]))[0], expected);
    await using packed = await open(folder, { format: "int8" });
    expect(packed.format).toBe("int8");
    const [vector] = await embed(packed, ["where is the king"]);
    const errors = expected.map((value, at) => Math.abs(value - vector![at]!));
    // Half a step of blocks whose largest number is below 4.
    expect(Math.max(...errors)).toBeLessThan(4 / 127 / 2);
    expect(Math.max(...errors)).toBeGreaterThan(0);
  });

  test("bytes that are stored as such are held as they are", async () => {
    const random = createRandom(2, "bytes");
    const data = Int8Array.from({ length: tokenizer.vocabSize * width }, () =>
      Math.round(40 * random.normal()),
    );
    const shape = [tokenizer.vocabSize, width];
    const tensor: StaticTensor = { name: "embeddings", dtype: "I8", shape, data };
    const folder = await writeFolder([tensor], model2vec);
    const expected = meanOf(Float32Array.from(data), idsOf("a rose is a rose"));
    for (const format of ["f32", "int8"] as const) {
      await using model = await open(folder, { format });
      expectNear((await embed(model, ["a rose is a rose"]))[0], expected);
    }
  });

  test.each(["int4", "int8-channel"] as const)("%s is refused", async (format) => {
    const tensors = [table("embedding.weight", randomRows(tokenizer.vocabSize))];
    const opened = open(await writeFolder(tensors, plain), { format });
    await expect(opened).rejects.toMatchObject({ code: "model-option-invalid" });
  });

  test("a folder without the table says so", async () => {
    const tensors = [table("other", randomRows(3))];
    const opened = open(await writeFolder(tensors, plain));
    await expect(opened).rejects.toMatchObject({ code: "model-weights-missing" });
  });
});

describe("as any encoder", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await writeFolder([table("embedding.weight", randomRows(tokenizer.vocabSize))], plain);
  });

  test("openModel says what it is, and loadModel what opens it", async () => {
    const opened = await openModel(folder);
    expect(opened.kind).toBe("encoder");
    await opened.model.close();
    await expect(loadModel(folder)).rejects.toMatchObject({
      code: "model-family-unknown",
      message: expect.stringContaining("loadEncoder") as string,
    });
  });

  test("a browser gives the same vectors, in both layouts", async () => {
    const rows = table("embeddings", randomRows(tokenizer.vocabSize));
    const files = { "modules.json": [line("StaticEmbedding", "0_StaticEmbedding")] };
    const below = await writeFolder(
      [{ ...rows, name: "embedding.weight" }],
      files,
      "0_StaticEmbedding",
    );
    const own = await writeFolder([rows], { ...model2vec, ...plain });
    const send: typeof fetch = async (address) => {
      try {
        return new Response(readFileSync(new URL(String(address)).pathname));
      } catch {
        return new Response("no such file", { status: 404 });
      }
    };
    for (const one of [folder, below, own]) {
      await using loaded = await open(one);
      const options = { fetch: send, format: "f32" } as const;
      await using fetched = await fetchEncoder(`http://models.example${one}`, options);
      expect(fetched.sentence).toEqual(loaded.sentence);
      expect(await embed(fetched, texts)).toEqual(await embed(loaded, texts));
    }
  });

  test("bytes in memory need no config.json, and no graphics processor", async () => {
    const read = (path: string): Uint8Array => readFileSync(join(folder, path));
    const options = {
      files: { config: undefined, tokenizer: trained.json },
      weights: [{ name: "model.safetensors", data: read("model.safetensors") }],
      readFile: async (path: string) => (path === "modules.json" ? read(path) : undefined),
    };
    await using model = await openEncoder(options);
    await using loaded = await open(folder);
    expect(await embed(model, texts)).toEqual(await embed(loaded, texts));
    const refused = openEncoder({ ...options, device: "webgpu" });
    await expect(refused).rejects.toMatchObject({ code: "model-option-invalid" });
  });

  test("what it does not give is refused by name", async () => {
    await using model = await open(folder);
    const missing = { code: "encoder-head-missing" };
    await expect(embedTokens(model, ["a rose"])).rejects.toMatchObject(missing);
    await expect(embedSparse(model, ["a rose"])).rejects.toMatchObject(missing);
    await expect(classify(model, ["a rose"])).rejects.toMatchObject(missing);
    await expect(rerank(model, "a", ["rose"])).rejects.toMatchObject(missing);
    const pooled = embed(model, ["a rose"], { pooling: "max" });
    await expect(pooled).rejects.toMatchObject({ code: "encoder-pooling-unknown" });
    const outputs = ["embedding"] as const;
    const ids = [1, 2];
    for (const [request, code] of [
      [{ ids: [tokenizer.vocabSize], outputs }, "model-token-unknown"],
      [{ ids, attended: [1, 0], outputs }, "encoder-input-invalid"],
      [{ ids, types: [0], outputs }, "encoder-input-invalid"],
      [{ ids, skipped: 3, outputs }, "encoder-input-invalid"],
    ] as const) {
      await expect(model.run(request)).rejects.toMatchObject({ code });
    }
    await using short = await open(folder, { contextLength: 1 });
    await expect(short.run({ ids, outputs })).rejects.toMatchObject({
      code: "model-context-exceeded",
    });
  });

  test("progress and abort come in between texts, and a closed model says so", async () => {
    const model = await open(folder);
    const many = Array.from({ length: 400 }, () => long);
    const controller = new AbortController();
    let last = 0;
    void nextTask().then(() => controller.abort(new Error("enough")));
    const onProgress = (done: number, total: number): void => {
      expect([done, total]).toEqual([last + 1, many.length]);
      last = done;
    };
    const running = embed(model, many, { signal: controller.signal, onProgress });
    await expect(running).rejects.toThrow("enough");
    expect(last).toBeGreaterThan(0);
    expect(last).toBeLessThan(many.length);
    let isTold = false;
    model.onClose(() => {
      isTold = true;
    });
    await model.close();
    expect(isTold).toBe(true);
    await expect(embed(model, ["a"])).rejects.toMatchObject({ code: "model-closed" });
  });
});
