import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bundledModelFolder } from "../../checkpoint/index.ts";
import { completeFrom } from "../../generate/index.ts";
import { errorOf } from "../../testing/code-of.ts";
import { loadSeq2Seq } from "./load-seq2seq.ts";
import { openSeq2Seq } from "./open-seq2seq.ts";

const folder = bundledModelFolder("jeton-mrt5");
const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), "utf8"));
const files = {
  config: json("config.json"),
  generationConfig: json("generation_config.json"),
  tokenizer: json("tokenizer.json"),
  tokenizerConfig: json("tokenizer_config.json"),
};
const name = "model.safetensors";
const weights = () => [{ name, data: new Uint8Array(readFileSync(join(folder, name))) }];

test("from memory an encoder-decoder is the same as from its folder, in every format", async () => {
  const text = "The ships of the Goths";
  for (const format of ["f32", "int8"] as const) {
    await using opened = await openSeq2Seq({ files, weights: weights(), format });
    await using loaded = await loadSeq2Seq(folder, { inline: true, threads: 1, format });
    expect(opened.eosTokenIds).toEqual(loaded.eosTokenIds);
    expect(await opened.encode([text])).toEqual(await loaded.encode([text]));
    expect((await opened.memory()).weights).toBe((await loaded.memory()).weights);
    const options = { greedy: true, maxTokens: 40 } as const;
    const written = await completeFrom(opened, text, options);
    expect(written.ids).toEqual((await completeFrom(loaded, text, options)).ids);
    // The task that it was trained on.
    if (format === "f32") expect(written.text).toBe("Th shps f th Gths");
    expect(written.sourceLength).toBeLessThan(0.8 * written.sourceTokens);
  }
});

test("what is no encoder-decoder, or lacks a tensor, is refused", async () => {
  const codeOf = async (options: Parameters<typeof openSeq2Seq>[0]) =>
    (await errorOf(openSeq2Seq(options))).code;
  const config = { ...(files.config as object), model_type: "llama" };
  expect(await codeOf({ files: { ...files, config }, weights: weights() })).toBe(
    "model-family-unknown",
  );
  expect(await codeOf({ files: { ...files, config: [] }, weights: weights() })).toBe(
    "config-invalid",
  );
  expect(await codeOf({ files, weights: [] })).toBe("checkpoint-weights-missing");
  const deeper = { ...(files.config as object), num_decoder_layers: 3 };
  expect(await codeOf({ files: { ...files, config: deeper }, weights: weights() })).toBe(
    "model-weights-missing",
  );
});
