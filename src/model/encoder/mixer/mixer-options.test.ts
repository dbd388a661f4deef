/** Switches of Monarch Mixer encoders in other combinations, against the float64 program; and what is refused. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { writeShardedSafetensors } from "../../../checkpoint/index.ts";
import { createRandom } from "../../../core/index.ts";
import { codeOf } from "../../../testing/code-of.ts";
import { ReferenceWeights } from "../../../testing/reference-encoder/reference-encoder.ts";
import {
  encodeMixerReference,
  type ReferenceMixerConfig,
} from "../../../testing/reference-encoder/reference-mixer.ts";
import { saveTokenizer, trainTokenizer } from "../../../tokenizer/index.ts";
import type { WeightFormat } from "../../types.ts";
import { encoderConfig } from "../config.ts";
import { loadEncoder } from "../load-encoder.ts";
import { embedTokens } from "../tasks/embed.ts";

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

const base: ReferenceMixerConfig = {
  vocab_size: 96,
  hidden_size: 20,
  num_hidden_layers: 2,
  intermediate_size: 36,
  // Neither a multiple of sixteen, to which passes are filled up.
  max_position_embeddings: 40,
  long_conv_l_max: 37,
  layer_norm_eps: 1e-6,
  hyena_w_mod: 1,
  hyena_emb_dim: 5,
  hyena_filter_order: 8,
  hyena_training_additions: false,
  bidirectional: true,
  residual_long_conv: true,
  use_glu_mlp: true,
  use_monarch_mlp: true,
  monarch_mlp_nblocks: 4,
  use_positional_encodings: true,
};

const variants: Readonly<Record<string, Partial<ReferenceMixerConfig>>> = {
  "as published": {},
  "one direction with a residual convolution": { bidirectional: false, hyena_emb_dim: 7 },
  "a plain feed-forward in three blocks that do not divide": {
    use_glu_mlp: false,
    monarch_mlp_nblocks: 3,
  },
  "one block, a norm before the mixer, no residual convolution": {
    monarch_mlp_nblocks: 1,
    hyena_training_additions: true,
    residual_long_conv: false,
    hyena_w_mod: 0.5,
  },
  "dense, without positions": { use_monarch_mlp: false, use_positional_encodings: false },
};

async function writeFolder(
  config: ReferenceMixerConfig,
  weights: ReferenceWeights,
  { rename = (name: string) => name, more = {} as Record<string, unknown> } = {},
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "jeton-mixer-"));
  made.push(folder);
  const tensors = [...weights.tensors].map(([name, { shape, data }]) => ({
    name: rename(name),
    dtype: "F32" as const,
    shape,
    data,
  }));
  await writeShardedSafetensors(folder, tensors);
  const file = { model_type: "bert", monarch_mixer_sequence_mixing: true, ...config, ...more };
  writeFileSync(join(folder, "config.json"), JSON.stringify(file));
  const tokenizer = await trainTokenizer({ kind: "wordpiece", texts: ["a b c"], vocabSize: 20 });
  await saveTokenizer(folder, tokenizer);
  return folder;
}

const texts = [9, 37, 2, 20].map((length) => {
  const random = createRandom(length, "text");
  return Array.from({ length }, () => 5 + random.integer(90));
});

function difference(found: ArrayLike<number>, expected: readonly Float64Array[]): number {
  const wanted = expected.flatMap((x) => [...x]);
  expect(found.length).toBe(wanted.length);
  return wanted.reduce((most, value, at) => Math.max(most, Math.abs(value - found[at]!)), 0);
}

/** Weights as large as a network of sines bears: two of its layers amplify single precision otherwise. */
function randomWeights(config: ReferenceMixerConfig, seed: number): ReferenceWeights {
  const weights = new ReferenceWeights(seed);
  encodeMixerReference(config, weights, texts[1]!);
  return weights;
}

describe.each(Object.entries(variants))("%s", (_, variant) => {
  const config = { ...base, ...variant };

  test("states equal those of the float64 program, alone and beside others", async () => {
    const weights = randomWeights(config, 7);
    const expected = texts.map((ids) => encodeMixerReference(config, weights, ids));
    const folder = await writeFolder(config, weights);
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const run = (ids: number[]) => model.run({ ids, outputs: ["states"] });
    const together = await Promise.all(texts.map(run));
    for (const [index, ids] of texts.entries()) {
      expect(difference(together[index]!.states!.data, expected[index]!)).toBeLessThan(1e-4);
      expect(await run(ids)).toEqual(together[index]);
    }
  });

  test.each<WeightFormat>(["int8", "int8-channel", "int4"])(
    "%s: neighbours change nothing",
    async (format) => {
      const folder = await writeFolder(config, randomWeights(config, 8));
      await using model = await loadEncoder(folder, { inline: true, threads: 1, format });
      const run = (ids: number[]) => model.run({ ids, outputs: ["states"] });
      const together = await Promise.all(texts.map(run));
      for (const [index, ids] of texts.entries()) expect(await run(ids)).toEqual(together[index]);
    },
  );
});

describe("what files may hold", () => {
  test("a prefix in front of all names, any of the six names of the frequencies, more rows", async () => {
    const weights = randomWeights(base, 9);
    const expected = encodeMixerReference(base, weights, texts[0]!);
    const folder = await writeFolder(base, weights, {
      rename: (name) =>
        `model.${name.replace("implicit_filter.1.freq", "implicit_filter_rev.5.freq")}`,
      // The table has 96 rows, the next multiple of eight.
      more: { model_type: "m2_bert", vocab_size: 91 },
    });
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const { states } = await model.run({ ids: texts[0]!, outputs: ["states"] });
    expect(difference(states!.data, expected)).toBeLessThan(1e-4);
    expect(model.config.vocabSize).toBe(96);
  });

  test("texts stay as they are where padding is masked", async () => {
    const folder = await writeFolder(base, randomWeights(base, 10), {
      more: { mask_padding: true },
    });
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const [bare] = await embedTokens(model, ["a b"]);
    const published = await writeFolder(base, randomWeights(base, 10));
    await using other = await loadEncoder(published, { inline: true, threads: 1, format: "f32" });
    const [filled] = await embedTokens(other, ["a b"]);
    // Padding takes part in the one and has no vectors in either.
    expect(filled!.ids).toEqual(bare!.ids);
    expect(filled!.vectors).not.toEqual(bare!.vectors);
  });
});

test("keys of the wrong kind are refused by name", async () => {
  const file = { model_type: "bert", monarch_mixer_sequence_mixing: true, ...base };
  const code = (more: Record<string, unknown>) =>
    codeOf(() => encoderConfig({ ...file, ...more } as never));
  expect(await code({})).toBe("accepted");
  expect(await code({ hyena_emb_dim: 4 })).toBe("model-config-invalid");
  expect(await code({ long_conv_l_max: 0 })).toBe("model-config-invalid");
  expect(await code({ hyena_w: "ten" })).toBe("model-config-invalid");
  expect(await code({ bidirectional: "yes" })).toBe("model-config-invalid");
  expect(await code({ hidden_act: "cube" })).toBe("model-config-invalid");
  expect(await code({ num_hidden_layers: 20_000 })).toBe("model-config-invalid");
  const attention = { model_type: "m2-bert", monarch_mixer_sequence_mixing: false };
  expect(await code(attention)).toBe("model-config-invalid");
});
