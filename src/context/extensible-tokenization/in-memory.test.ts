/** Compressors and their model from bytes, as a page has them. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { score } from "../../generate/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import { type OpenModelOptions, openModel } from "../../model/open-model.ts";
import { codeOf } from "../../testing/code-of.ts";
import {
  contextRows,
  identifyModel,
  openCompressor,
  promptWithContext,
  readCompressor,
  scoreBehind,
  writeCompressor,
} from "./index.ts";
import { openSmallModel, type SmallModel, someIds } from "./testing/small-model.ts";

const inline = { inline: true, threads: 1 } as const;
const folder = mkdtempSync(join(tmpdir(), "jeton-in-memory-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(["llama", "gemma"])("%s in memory", (family) => {
  let small: SmallModel;
  beforeAll(async () => {
    small = await openSmallModel(family);
  });
  afterAll(() => small[Symbol.asyncDispose]());

  const open = (options: Partial<OpenModelOptions> = {}): Promise<LoadedModel> => {
    const read = (name: string): unknown =>
      JSON.parse(readFileSync(join(small.model.folder, name), "utf8"));
    const data = readFileSync(join(small.model.folder, "model.safetensors"));
    return openModel({
      files: { config: read("config.json"), tokenizer: read("tokenizer.json") },
      weights: [{ name: "model.safetensors", data: new Uint8Array(data) }],
      ...{ format: "f32", threads: 1, onWarning: () => undefined },
      ...options,
    });
  };

  test("a compressor from bytes gives the embeddings and prompts that one from a file gives", async () => {
    const file = join(folder, `${family}.safetensors`);
    await writeCompressor(file, small.compressor);
    await using kept = await open({ keepWeights: true });
    expect(await identifyModel(kept)).toBe(await identifyModel(small.model.folder));
    await using fromFile = await openCompressor(small.model, file, inline);
    await using fromBytes = await openCompressor(kept, new Uint8Array(readFileSync(file)), inline);
    expect(fromBytes.digest).toBe(fromFile.digest);
    const ids = someIds(40);
    const packed = await fromFile.compress(ids);
    expect(await fromBytes.compress(ids)).toEqual(packed);
    const given = await promptWithContext(small.model, [packed], someIds(5, 2), { factor: 4 });
    expect(await promptWithContext(kept, [packed], someIds(5, 2), { factor: 4 })).toEqual(given);
    const damaged = new Uint8Array(readFileSync(join(small.model.folder, "model.safetensors")));
    expect(await codeOf(readCompressor(damaged, small.model.config))).toBe("compressor-invalid");
  });

  test("weights that were not kept are asked for, and other weights are refused", async () => {
    await using gone = await open();
    const opened = openCompressor(gone, small.compressor, inline);
    expect(await codeOf(opened)).toBe("model-weights-not-kept");
    const data = new Uint8Array(readFileSync(join(small.model.folder, "model.safetensors")));
    // The first number behind the header.
    data[8 + Number(new DataView(data.buffer).getBigUint64(0, true))]! ^= 1;
    const weights = [{ name: "model.safetensors", data }];
    await using other = await open({ keepWeights: true, weights });
    const foreign = openCompressor(other, small.compressor, inline);
    expect(await codeOf(foreign)).toBe("compressor-model-differs");
  });
});

test("a compressor in half precision is half as large, and the same but for the rounding", async () => {
  await using small = await openSmallModel("llama");
  const [whole, half] = [join(folder, "whole.safetensors"), join(folder, "half.safetensors")];
  await writeCompressor(whole, small.compressor);
  await writeCompressor(half, small.compressor, { dtype: "F16" });
  const share = readFileSync(half).length / readFileSync(whole).length;
  expect(share).toBeLessThan(0.6);
  const read = await readCompressor(half, small.model.config);
  expect(read.model).toBe(small.compressor.model);
  for (const [name, { data }] of small.compressor.parameters) {
    for (const [at, value] of read.parameters.get(name)!.data.entries()) {
      expect(Math.abs(value - data[at]!)).toBeLessThanOrEqual(Math.abs(data[at]!) / 1024 + 1e-7);
    }
  }
});

test("tokens are scored behind tokens as score does, and behind the same rows alike", async () => {
  await using small = await openSmallModel("llama");
  const { model } = small;
  const [before, ids] = [someIds(12), someIds(9, 2)];
  const wanted = await score(model, ids, { prefix: before });
  const behind = await scoreBehind(model, { ids: before }, ids);
  expect(behind).toHaveLength(ids.length - 1);
  for (const [at, { logProbability }] of wanted.tokens.slice(1).entries()) {
    expect(behind[at]).toBeCloseTo(logProbability, 5);
  }
  // Without layers, norm and matrix the embeddings are the model's own.
  await using plain = await openSmallModel("llama", { layers: 0, norm: "none", projection: false });
  await using compressor = await openCompressor(plain.model, plain.compressor, inline);
  const { embeddings } = contextRows(await compressor.compress(before), 1);
  const rows = await scoreBehind(plain.model, { embeddings }, ids);
  for (const [at, value] of rows.entries()) expect(value).toBeCloseTo(behind[at]!, 5);
  expect(await scoreBehind(model, {}, ids)).not.toEqual(behind);
});
