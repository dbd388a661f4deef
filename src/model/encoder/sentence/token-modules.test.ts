/** Modules of the states of tokens, and to how many tokens texts are cut, as a folder's files say. */
import { afterAll, describe, expect, test } from "vitest";
import { ReferenceWeights } from "../../../testing/reference-encoder/reference-encoder.ts";
import { embed } from "../tasks/embed.ts";
import {
  expectNear,
  meanOf,
  modules,
  openSentenceFolder as openFolder,
  removeSentenceFolders,
  statesOf,
  unit,
  width,
} from "../testing/sentence-test-folder.ts";
import type { LoadedEncoder } from "../types.ts";

afterAll(removeSentenceFolders);

// module_input_name of Dense and Normalize in sentence-transformers 6.0.
describe("modules of the states of tokens", () => {
  const ofTokens = { module_input_name: "token_embeddings" };
  const dense = (more: object) => ({
    in_features: width,
    out_features: 6,
    bias: false,
    activation_function: "torch.nn.modules.linear.Identity",
    ...more,
  });
  const matrix = new Map([["linear.weight", [6, width]]]);

  test("change what is pooled where they stand before the pooling", async () => {
    await using model = await openFolder({
      "modules.json": modules("Normalize", "Pooling"),
      "1_Normalize/config.json": ofTokens,
      "2_Pooling/config.json": { pooling_mode: "mean" },
    });
    const states = await statesOf(model, "a rose");
    const [vector] = await embed(model, ["a rose"]);
    expectNear(vector!, meanOf(states.map(unit)));
  });

  test("may make the states narrower, of which several poolings are joined", async () => {
    await using model = await openFolder({
      "modules.json": modules("Dense", "Pooling"),
      "1_Dense/config.json": dense(ofTokens),
      "1_Dense/model.safetensors": matrix,
      "2_Pooling/config.json": { pooling_mode: ["mean", "cls"] },
    });
    const weights = new ReferenceWeights(4);
    const stored = weights.get("linear.weight", 6, width);
    const states = await statesOf(model, "a rose");
    const narrow = states.map((state) =>
      Array.from({ length: 6 }, (_, row) =>
        state.reduce((sum, value, at) => sum + value * stored[row * width + at]!, 0),
      ),
    );
    const [vector] = await embed(model, ["a rose"]);
    expect(model.embeddingSize).toBe(12);
    expectNear(vector!, [...meanOf(narrow), ...narrow[0]!]);
  });

  test("change nothing behind the pooling", async () => {
    await using model = await openFolder({
      "modules.json": modules("Pooling", "Dense", "Normalize"),
      "1_Pooling/config.json": {},
      "2_Dense/config.json": dense(ofTokens),
      "2_Dense/model.safetensors": matrix,
      "3_Normalize/config.json": ofTokens,
    });
    const [vector] = await embed(model, ["a rose"]);
    expectNear(vector!, meanOf(await statesOf(model, "a rose")));
  });

  test("that read or write something else are refused", async () => {
    for (const names of [{ module_input_name: "other" }, { module_output_name: "other" }]) {
      const opened = openFolder({
        "modules.json": modules("Pooling", "Normalize"),
        "1_Pooling/config.json": {},
        "2_Normalize/config.json": names,
      });
      await expect(opened).rejects.toMatchObject({
        code: "encoder-module-invalid",
        message: expect.stringContaining(Object.keys(names)[0]!),
      });
    }
  });
});

// Transformer.__init__ and Transformer.preprocess of sentence-transformers 6.0.
describe("lengths", () => {
  const text = "a rose is a rose is a rose is a rose";
  const open = (settings: object) =>
    openFolder({
      "modules.json": modules("Pooling"),
      "1_Pooling/config.json": {},
      "sentence_bert_config.json": settings,
      "config_sentence_transformers.json": { prompts: { corpus: "king " } },
    });
  const cut = (model: LoadedEncoder, written: string, maxLength: number) =>
    embed(model, [written], { maxLength, prompt: "" });

  test("what the tokenizer is called with, and made with, goes before max_seq_length", async () => {
    for (const settings of [
      { max_seq_length: 5 },
      { max_seq_length: 9, processor_kwargs: { model_max_length: 5 } },
      { max_seq_length: 9, tokenizer_args: { model_max_length: 5 } },
      { processor_kwargs: { model_max_length: 9 }, processing_kwargs: { text: { max_length: 5 } } },
    ]) {
      await using model = await open(settings);
      expect(await embed(model, [text])).toEqual(await cut(model, text, 5));
      expect(await embed(model, [text])).not.toEqual(await cut(model, text.slice(0, 6), 5));
    }
    const special = { processing_kwargs: { text: { add_special_tokens: false } } };
    await expect(open(special)).rejects.toMatchObject({
      message: expect.stringContaining("add_special_tokens"),
    });
  });

  test("a role has its prompt and its length", async () => {
    await using model = await open({ query_length: 6, document_length: 4 });
    const [query] = await embed(model, [text], { role: "query" });
    const [document] = await embed(model, [text], { role: "document" });
    expect([query]).toEqual(await cut(model, text, 6));
    expect([document]).toEqual(await cut(model, `king ${text}`, 4));
    const [other] = await embed(model, [text], { role: "document", prompt: "" });
    expect([other]).toEqual(await cut(model, text, 4));
  });
});

test("a folder whose texts are read by no transformer is refused by the name of its first module", async () => {
  const type = "sentence_transformers.sentence_transformer.modules.word_embeddings.WordEmbeddings";
  const files = { "modules.json": [{ path: "", type }], "0_Other/config.json": {} };
  await expect(openFolder(files, new Map(), "checkpoint")).rejects.toMatchObject({
    code: "encoder-module-unknown",
    message: expect.stringContaining("WordEmbeddings"),
  });
});
