/** What the files of T5 and its relatives say in the spellings of different versions of transformers. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { JetonError } from "../../core/index.ts";
import { completeFrom } from "../../generate/index.ts";
import { writeReferenceCheckpoint } from "../../testing/reference-checkpoint.ts";
import { byteTokenizerFiles } from "../byte/byte-vocabulary.ts";
import { seq2seqConfig } from "./config.ts";
import { loadSeq2Seq } from "./load-seq2seq.ts";
import { seq2seqParameterShapes } from "./parameter-shapes.ts";

const config = (fields: object) =>
  seq2seqConfig({ model_type: "t5", d_model: 64, ...fields } as never);

test("final states are scaled as scale_decoder_outputs says, else as tie_word_embeddings does", () => {
  const scale = (fields: object) => config(fields).outputScale;
  expect(scale({})).toBe(1 / 8);
  expect(scale({ tie_word_embeddings: true })).toBe(1 / 8);
  expect(scale({ tie_word_embeddings: false })).toBe(1);
  // Files of transformers 5 say "tied" of every T5.
  expect(scale({ tie_word_embeddings: true, scale_decoder_outputs: false })).toBe(1);
  expect(scale({ tie_word_embeddings: true, scale_decoder_outputs: true })).toBe(1 / 8);
  for (const tie_word_embeddings of [true, false, undefined]) {
    expect(scale({ model_type: "mt5", tie_word_embeddings })).toBe(1);
  }
});

test("umT5 does not scale where its file says false; every layer of it has a table of positions", () => {
  const umt5 = (fields: object) => config({ model_type: "umt5", ...fields });
  expect(umt5({}).outputScale).toBe(1 / 8);
  expect(umt5({ tie_word_embeddings: false }).outputScale).toBe(1);
  const layers = { num_layers: 2, num_decoder_layers: 3 };
  const tables = (fields: object) =>
    [...seq2seqParameterShapes(config(fields), false).keys()].filter((name) =>
      name.includes("relative_attention_bias"),
    );
  const tableOf = (stack: string, layer: number) =>
    `${stack}.block.${layer}.layer.0.SelfAttention.relative_attention_bias.weight`;
  expect(tables({ model_type: "umt5", ...layers }).sort()).toEqual([
    ...[0, 1, 2].map((layer) => tableOf("decoder", layer)),
    ...[0, 1].map((layer) => tableOf("encoder", layer)),
  ]);
  expect(tables({ model_type: "mt5", ...layers }).sort()).toEqual([
    tableOf("decoder", 0),
    tableOf("encoder", 0),
  ]);
});

test("buckets that leave none for far keys are refused", () => {
  const buckets = (relative_attention_num_buckets: number, relative_attention_max_distance = 128) =>
    config({ relative_attention_num_buckets, relative_attention_max_distance }).encoder
      .relativeBias;
  expect(buckets(32, 17)).toEqual({ buckets: 32, maxDistance: 17, everyLayer: false });
  expect(() => buckets(32, 16)).toThrow(/relative_attention_max_distance is 16, .*above 16/);
  expect(() => buckets(3)).toThrow(/relative_attention_num_buckets is 3, .*at least 4/);
});

test("keys that a file leaves out have the values of its own class", () => {
  const { encoder, decoderLayers } = config({ model_type: "mt5" });
  expect(encoder).toMatchObject({
    vocabSize: 250112,
    intermediateSize: 1024,
    numAttentionHeads: 6,
    activation: "gelu-tanh",
    gated: true,
  });
  expect(decoderLayers).toBe(8);
  expect(config({ model_type: "umt5" }).encoder).toMatchObject({ vocabSize: 250112, gated: true });
  expect(config({}).encoder).toMatchObject({ vocabSize: 32128, activation: "relu", gated: false });
});

test("dense_act_fn and is_gated_act go before feed_forward_proj", () => {
  const fed = (fields: object) => {
    const { activation, gated } = config(fields).encoder;
    return [activation, gated];
  };
  expect(fed({ feed_forward_proj: "gated-gelu" })).toEqual(["gelu-tanh", true]);
  expect(fed({ feed_forward_proj: "gated-gelu", dense_act_fn: "gelu" })).toEqual(["gelu", true]);
  expect(fed({ feed_forward_proj: "gated-silu", is_gated_act: false })).toEqual(["silu", false]);
  expect(() => config({ dense_act_fn: "nothing" })).toThrow(/dense_act_fn/);
});

test("generation_config.json: its start id and encoder keys are obeyed, beam search is named", async () => {
  const root = mkdtempSync(join(tmpdir(), "jeton-t5-generation-"));
  const file = {
    ...{ model_type: "t5", vocab_size: 64, d_model: 16, d_kv: 4, d_ff: 16, num_heads: 2 },
    ...{ num_layers: 1, num_decoder_layers: 1, decoder_start_token_id: 0, eos_token_id: 1 },
  };
  const shapes = seq2seqParameterShapes(seq2seqConfig(file as never), false);
  const random = (index: number) => Math.sin(12.9898 * (index + 1) ** 1.3);
  const tensors = new Map(
    Array.from(shapes, ([name, shape]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, { shape, data: Float64Array.from({ length: size }, (_, at) => random(at)) }];
    }),
  );
  const write = (generation: object) => {
    const text = JSON.stringify({ eos_token_id: 1, ...generation });
    writeFileSync(join(root, "generation_config.json"), text);
  };
  try {
    writeReferenceCheckpoint(root, { config: file, tensors }, { dtype: "F32" });
    writeFileSync(join(root, "tokenizer.json"), JSON.stringify(byteTokenizerFiles().tokenizer));
    const written = async (generation: object) => {
      write(generation);
      const warnings: JetonError[] = [];
      const options = { inline: true, threads: 1, onWarning: (w: JetonError) => warnings.push(w) };
      await using model = await loadSeq2Seq(root, options);
      await using decoder = await model.read([5, 6, 7]);
      const source = Array.from({ length: 60 }, (_, at) => at + 2);
      const asked = { greedy: true, maxTokens: 12, ignoreEos: true } as const;
      const { ids } = await completeFrom(model, source, asked);
      return { start: decoder.bosTokenId, ids, codes: warnings.map(({ code }) => code) };
    };
    const plain = await written({});
    expect(plain).toMatchObject({ start: 0, codes: [] });
    const other = await written({ decoder_start_token_id: 9, num_beams: 4 });
    expect(other.start).toBe(9);
    expect(other.codes).toEqual(["model-generation-config-unobeyed"]);
    // Of the text that was read, not of what the decoder begins with: no token of it may be written.
    expect(plain.ids.some((id) => id >= 2 && id < 62)).toBe(true);
    const apart = await written({ encoder_no_repeat_ngram_size: 1 });
    expect(apart.ids.filter((id) => id >= 2 && id < 62)).toEqual([]);
    const favoured = await written({ encoder_repetition_penalty: 50 });
    expect(favoured.ids).not.toEqual(plain.ids);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
