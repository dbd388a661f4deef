/** Fine-tuning of decoders whose experts are stored as one tensor of a layer. */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openCheckpoint } from "../checkpoint/index.ts";
import { decoderConfig, decoderParameterShapes, loadModel } from "../model/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { optionsFor, readLog, root, tokenizer, useSmallCorpora } from "./testing/small-run.ts";
import { trainLanguageModel } from "./train-language-model.ts";

useSmallCorpora();

const small = { width: 32, layers: 2, heads: 2, kvHeads: 1, headDim: 16, feedForward: 32 };

/** A random checkpoint with the tokenizer of the corpora. */
function makeCheckpoint(family: string): string {
  const folder = join(root, `${family}-source`);
  createRandomCheckpoint(folder, { family, seed: 8, vocabulary: 300, ...small });
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    copyFileSync(join(tokenizer, name), join(folder, name));
  }
  for (const name of ["config.json", "generation_config.json"]) {
    const written = JSON.parse(readFileSync(join(folder, name), "utf8"));
    writeFileSync(
      join(folder, name),
      JSON.stringify({ ...written, bos_token_id: 0, eos_token_id: 0 }),
    );
  }
  return folder;
}

/** Log-probabilities of a text, by its ids. */
async function logitsOf(folder: string): Promise<Float32Array> {
  await using model = await loadModel(folder, { format: "f32", threads: 1, inline: true });
  const sequence = await model.openSequence();
  const { logits } = await sequence.step({
    ids: [0, 70, 71, 299, 12],
    results: "all",
    logits: true,
  });
  return logits!;
}

describe.each([
  ["granitemoe", "model.layers.1.block_sparse_moe.output_linear.weight"],
  ["gpt-oss", "model.layers.1.mlp.experts.gate_up_proj"],
  ["gpt-oss-mxfp4", "model.layers.0.mlp.experts.down_proj"],
])("%s", (family, learning) => {
  test("begins with the weights of the folder, and the experts that learn are exported as they were stored", async () => {
    const source = makeCheckpoint(family);
    const config = JSON.parse(readFileSync(join(source, "config.json"), "utf8"));
    const names = [...decoderParameterShapes(decoderConfig(config)).keys()];
    const more = {
      config,
      initialWeights: source,
      tokenizer: source,
      sequenceLength: 16,
      batch: 2,
    };
    // Codes are read as the numbers that they stand for: a step of length 0 leaves the same model.
    const isEncoded = family === "gpt-oss-mxfp4";
    const still = { ...more, steps: 1, schedule: { kind: "constant", peak: 0 } } as const;
    const begun = isEncoded
      ? (await trainLanguageModel(optionsFor(`${family}-still`, still))).modelFolder
      : source;
    const logits = await logitsOf(source);
    if (isEncoded) expect(await logitsOf(begun)).toEqual(logits);

    const tuned = await trainLanguageModel(
      optionsFor(`${family}-tuned`, {
        ...more,
        steps: 8,
        schedule: { kind: "constant", peak: 3e-2 },
        frozen: names.filter((name) => name !== learning),
      }),
    );
    const losses = readLog(`${family}-tuned`).map(({ loss }) => loss);
    expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.1);
    await using before = await openCheckpoint(begun);
    await using after = await openCheckpoint(tuned.modelFolder);
    expect([...after.tensors.keys()].sort()).toEqual([...names].sort());
    for (const name of names) {
      const [old, now] = [await before.readFloat32(name), await after.readFloat32(name)];
      if (name === learning) expect(now).not.toEqual(old);
      // The step of length 0 made zeros of negative ones.
      else expect([name, now.map((x) => x + 0)]).toEqual([name, old.map((x) => x + 0)]);
    }
    // Weights are no codes any more, and the folder runs.
    expect(after.config["quantization_config"]).toBeUndefined();
    expect(await logitsOf(tuned.modelFolder)).not.toEqual(logits);
  });
});
