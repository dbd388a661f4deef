import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { readJsonObject } from "./config.ts";
import { resolveModel } from "./hub/hub.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-foreign-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("formats that are not read", () => {
  const files = [
    ["model.gguf", "GGUF"],
    ["model.onnx", "ONNX"],
    ["pytorch_model.bin", "PyTorch"],
    ["consolidated.00.pth", "PyTorch"],
  ] as const;

  test.each(files)("%s, given as the model", async (name, format) => {
    const path = join(root, name);
    writeFileSync(path, "");
    await expect(resolveModel(path, { offline: true })).rejects.toMatchObject({
      code: "checkpoint-format-unsupported",
      message: expect.stringContaining(format),
    });
  });

  test.each(files)("a folder with %s, with and without a configuration", async (name, format) => {
    const folder = join(root, `folder of ${name}`);
    mkdirSync(folder);
    writeFileSync(join(folder, name), "");
    const expected = {
      code: "checkpoint-format-unsupported",
      message: expect.stringContaining(format),
    };
    await expect(openCheckpoint(folder)).rejects.toMatchObject(expected);
    writeFileSync(join(folder, "config.json"), '{"model_type":"llama"}');
    await expect(openCheckpoint(folder)).rejects.toMatchObject(expected);
  });

  test.each([
    ["gptq", "GPTQ"],
    ["awq", "AWQ"],
    ["fp8", "FP8"],
    ["unheard-of", "unheard-of"],
  ])("weights quantized with %s", async (method, name) => {
    const folder = join(root, method);
    createRandomCheckpoint(folder, { family: "llama", seed: 1 });
    const config = await readJsonObject(join(folder, "config.json"));
    const quantized = { ...config, quantization_config: { quant_method: method } };
    writeFileSync(join(folder, "config.json"), JSON.stringify(quantized));
    await expect(openCheckpoint(folder)).rejects.toMatchObject({
      code: "checkpoint-quantized",
      message: expect.stringContaining(name),
    });
  });
});

describe("names that look like paths are not looked up on the hub", () => {
  test("below a folder that exists, with the nearest name", async () => {
    mkdirSync(join(root, "checkpoints", "small"), { recursive: true });
    const before = process.cwd();
    process.chdir(root);
    try {
      // Port 9 refuses connections: a request would end in another error.
      const options = {
        endpoint: "http://127.0.0.1:9",
        attempts: 1,
        cacheFolder: join(root, "hub"),
      };
      await expect(resolveModel("checkpoints/smal", options)).rejects.toMatchObject({
        code: "model-not-found",
        message: expect.stringContaining("did you mean checkpoints/small?"),
      });
      await expect(resolveModel("model/tiny.gguf", options)).rejects.toMatchObject({
        code: "model-not-found",
      });
      await expect(resolveModel("checkpoints/smal@main", options)).rejects.toMatchObject({
        code: "hub-connection-failed",
      });
    } finally {
      process.chdir(before);
    }
  });
});
