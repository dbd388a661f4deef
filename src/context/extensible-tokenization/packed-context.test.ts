import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeSafetensors } from "../../checkpoint/index.ts";
import { complete, openDrafter } from "../../generate/index.ts";
import { loadModel } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { openArchitecture } from "../../train/index.ts";
import { readWeights } from "../../train/run/first-values.ts";
import { fullAttention, gemFilter, sinksWindow } from "../index.ts";
import {
  chooseFactor,
  compressorDigest,
  compressorShapes,
  countKept,
  identifyModel,
  initializeCompressor,
  openCompressor,
  type PackedContext,
  promptWithContext,
  readCompressor,
  readPackedContext,
  thinContext,
  writeCompressor,
  writePackedContext,
} from "./index.ts";
import { openSmallModel, type SmallModel, smallForm, someIds } from "./testing/small-model.ts";

const inline = { inline: true, threads: 1 } as const;
const folder = mkdtempSync(join(tmpdir(), "jeton-packed-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("prompts behind compressed texts", () => {
  let small: SmallModel;
  let packed: PackedContext;
  beforeAll(async () => {
    small = await openSmallModel("llama");
    await using compressor = await openCompressor(small.model, small.compressor, inline);
    packed = await compressor.compress(someIds(100));
  });
  afterAll(() => small[Symbol.asyncDispose]());

  test("the factor is the smallest that fits, and all rows fit", async () => {
    const { model } = small;
    const room = model.contextLength;
    const prompt = someIds(9, 2);
    for (const free of [room - 60, room - 40, room - 25]) {
      const given = await promptWithContext(model, [packed], prompt, { maxTokens: free });
      const rows = given.promptEmbeddings.length / model.config.hiddenSize;
      expect(rows).toBe(given.contextRows + prompt.length);
      expect(rows + free).toBeLessThanOrEqual(room);
      const smaller = smallForm.factors.filter((factor) => factor < given.factor);
      for (const factor of smaller) {
        expect(countKept(100, { window: 16, factor }) + prompt.length + free).toBeGreaterThan(room);
      }
      expect(given.prompt).toEqual([...packed.ids, ...prompt]);
    }
    const tooLong = promptWithContext(model, [packed], prompt, { maxTokens: room - 15 });
    expect(await codeOf(tooLong)).toBe("packed-context-too-long");
  });

  test("several texts stand one after the other; those of other models and compressors are refused", async () => {
    const { model } = small;
    const prompt = [5, 6, 7];
    const both = await promptWithContext(model, [packed, packed], prompt, { factor: 8 });
    const one = await promptWithContext(model, [packed], prompt, { factor: 8 });
    expect(both.contextRows).toBe(2 * one.contextRows);
    const foreign = { ...packed, compressor: "other" };
    expect(await codeOf(promptWithContext(model, [packed, foreign], prompt))).toBe(
      "packed-contexts-disagree",
    );
    const other = { ...packed, model: "other" };
    expect(await codeOf(promptWithContext(model, [other], prompt))).toBe(
      "packed-context-model-differs",
    );
    expect(await codeOf(promptWithContext(model, [], prompt))).toBe("packed-context-empty");
  });

  test("a BOS token at the beginning of the prompt is left out", async () => {
    await using model = await loadModel(bundledModel, inline);
    const own = { ...packed, model: await identifyModel(bundledModel), width: 256 };
    const context = { ...own, outputs: new Float32Array(100 * 256) };
    const given = await promptWithContext(model, [context], "Hello", { factor: 4 });
    const ids = [...model.tokenizer.encodeIds("Hello")];
    expect(ids[0]).toBe(model.bosTokenId);
    expect(given.prompt).toEqual([...packed.ids, ...ids.slice(1)]);
  });

  test("held factors limit the choice", () => {
    expect(chooseFactor([packed], 50)).toBe(2);
    expect(chooseFactor([thinContext(packed, 4)], 50)).toBe(4);
    expect(chooseFactor([thinContext(packed, 3)], 50)).toBe(3);
    for (const factor of [0, 1.5, 17, 32]) {
      expect(() => thinContext(packed, factor)).toThrow(
        expect.objectContaining({ code: "option-invalid" }),
      );
    }
    expect(thinContext(packed, 16).outputs.length).toBe(7 * packed.width);
  });
});

describe("any drafter, policy and weight format", () => {
  test.each(["f32", "int8", "int4"] as const)("%s", async (format) => {
    await using model = await loadModel(bundledModel, { ...inline, format });
    const config = { ...smallForm, layers: 1, window: 64 };
    const shapes = compressorShapes(model.config, config);
    const values = await readWeights(bundledModel, openArchitecture(model.checkpoint.config));
    const identity = await identifyModel(bundledModel);
    const compressor = {
      config,
      model: identity,
      parameters: initializeCompressor(shapes, values),
    };
    await using open = await openCompressor(model, compressor, inline);
    const text = "one two three four five six seven eight ".repeat(6);
    const packed = await open.compress([...model.tokenizer.encodeIds(text)]);
    const given = await promptWithContext(model, [packed], "one two three", { factor: 4 });
    const options = { greedy: true, maxTokens: 12, promptEmbeddings: given.promptEmbeddings };
    const plain = await complete(model, given.prompt, options);
    expect(plain.promptTokens).toBe(given.promptEmbeddings.length / 256);
    for (const name of ["prompt-lookup", "token-recycling", "auto"] as const) {
      const drafter = await openDrafter(name, model);
      const drafted = await complete(model, given.prompt, { ...options, drafter });
      expect(drafted.ids, name).toEqual(plain.ids);
      await drafter.close();
    }
    const whole = await complete(model, given.prompt, {
      ...options,
      contextPolicy: fullAttention(),
    });
    expect(whole.ids).toEqual(plain.ids);
    const few = sinksWindow({ sinks: 4, window: 20 });
    const windowed = await complete(model, given.prompt, { ...options, contextPolicy: few });
    expect(windowed.promptTokens).toBe(plain.promptTokens);
    const chosen = complete(model, given.prompt, {
      ...options,
      contextPolicy: gemFilter({ k: 8 }),
    });
    expect(await codeOf(chosen)).toBe("generate-option-invalid");
  });
});

describe("files", () => {
  let small: SmallModel;
  let packed: PackedContext;
  beforeAll(async () => {
    small = await openSmallModel("llama");
    await using compressor = await openCompressor(small.model, small.compressor, inline);
    packed = await compressor.compress(someIds(50));
  });
  afterAll(() => small[Symbol.asyncDispose]());

  test("a compressor is read as it was written", async () => {
    const path = join(folder, "compressor.safetensors");
    await writeCompressor(path, small.compressor);
    const read = await readCompressor(path, small.model.config);
    expect(read).toEqual(small.compressor);
    expect(compressorDigest(read)).toBe(packed.compressor);
    const narrow = { ...small.model.config, hiddenSize: 32 };
    expect(await codeOf(readCompressor(path, narrow))).toBe("compressor-invalid");
    const shallow = { ...small.model.config, layers: small.model.config.layers.slice(0, 1) };
    expect(await codeOf(readCompressor(path, shallow))).toBe("compressor-invalid");
  });

  test("a compressor of another model is refused, unless it is asked for", async () => {
    await using other = await openSmallModel("llama", {}, 4);
    expect(await codeOf(openCompressor(other.model, small.compressor, inline))).toBe(
      "compressor-model-differs",
    );
    const accepted = { ...inline, acceptOtherModel: true };
    await using open = await openCompressor(other.model, small.compressor, accepted);
    const own = await open.compress(someIds(20));
    expect(own.model).toBe(await identifyModel(other.model.folder));
    expect(await codeOf(promptWithContext(small.model, [own], [5]))).toBe(
      "packed-context-model-differs",
    );
  });

  test.each(["F32", "F16", "BF16"] as const)(
    "a packed text in %s is read as it was written",
    async (dtype) => {
      for (const factor of [1, 4]) {
        const path = join(folder, `${dtype}-${factor}.safetensors`);
        const thin = thinContext(packed, factor);
        await writePackedContext(path, thin, { dtype });
        const { outputs, ...read } = await readPackedContext(path);
        const { outputs: given, ...form } = thin;
        expect(read).toEqual(form);
        const bound = { F32: 0, F16: 2 ** -11, BF16: 2 ** -8 }[dtype];
        expect(outputs.length).toBe(given.length);
        for (const [at, value] of outputs.entries()) {
          expect(Math.abs(value - given[at]!)).toBeLessThanOrEqual(
            bound * Math.abs(given[at]!) + 1e-7,
          );
        }
      }
    },
  );

  test("what is no packed text, is of another version, or was changed is refused", async () => {
    const path = join(folder, "wrong.safetensors");
    const write = (metadata: Record<string, string>): Promise<void> =>
      writeSafetensors(
        path,
        [
          { name: "ids", dtype: "I32", shape: [2], data: Int32Array.of(1, 2) },
          { name: "outputs", dtype: "F32", shape: [2, 3], data: new Float32Array(6) },
        ],
        { metadata },
      );
    const form = {
      model: "a",
      compressor: "b",
      factors: "2",
      window: "4",
      factor: "1",
      sha256: "c",
    };
    const whole = { kind: "jeton-packed-context", version: "1", ...form };
    await write(whole);
    expect(await codeOf(readPackedContext(path))).toBe("packed-context-damaged");
    const wrong = [
      { ...whole, kind: "other" },
      { ...whole, version: "2" },
      { ...whole, factors: "2,x" },
      { ...whole, window: "0" },
      { ...whole, factor: "2" },
    ];
    for (const metadata of wrong) {
      await write(metadata);
      expect(await codeOf(readPackedContext(path))).toBe("packed-context-invalid");
    }
    const large = { ...packed, outputs: packed.outputs.map(() => 70_000) };
    expect(await codeOf(writePackedContext(path, large))).toBe("packed-context-overflow");
  });
});
