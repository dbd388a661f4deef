/** Folders of sentence encoders: what each layout makes of the states of one small model. */
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ReferenceWeights } from "../../../testing/reference-encoder/reference-encoder.ts";
import { embed, embedTokens } from "../tasks/embed.ts";
import {
  expectNear,
  lengthOf,
  meanOf,
  modules,
  openSentenceFolder as openFolder,
  removeSentenceFolders,
  statesOf,
  unit,
  width,
} from "../testing/sentence-test-folder.ts";

afterAll(removeSentenceFolders);

describe("poolings", () => {
  test("a list keeps its order, flags have a fixed one", async () => {
    for (const pooling of [
      { pooling_mode: ["mean", "cls"] },
      { pooling_mode_mean_tokens: true, pooling_mode_cls_token: true },
    ]) {
      await using model = await openFolder({
        "modules.json": modules("Pooling"),
        "1_Pooling/config.json": pooling,
      });
      const states = await statesOf(model, "a rose");
      const parts = [meanOf(states), states[0]!];
      const [vector] = await embed(model, ["a rose"]);
      const isList = "pooling_mode" in pooling;
      expectNear(vector!, (isList ? parts : parts.toReversed()).flat());
    }
  });

  test("the first token behind a prompt that is not pooled", async () => {
    await using model = await openFolder({
      "modules.json": modules("Pooling"),
      "1_Pooling/config.json": { pooling_mode_cls_token: true, include_prompt: false },
      "config_sentence_transformers.json": { prompts: { query: "king " } },
    });
    const states = await statesOf(model, "king a rose");
    const prompt = model.tokenizer.encode("king ", { applyLimits: false }).ids.length - 1;
    const [vector] = await embed(model, ["a rose"], { promptName: "query" });
    expectNear(vector!, states[prompt]!);
  });

  test("a module before the pooling is refused", async () => {
    const opened = openFolder({
      "modules.json": modules("Normalize", "Pooling"),
      "2_Pooling/config.json": {},
    });
    await expect(opened).rejects.toMatchObject({ code: "encoder-module-invalid" });
  });
});

describe("settings", () => {
  test.each(["sentence_roberta_config.json", "sentence_xlm-roberta_config.json"])(
    "%s of old versions",
    async (name) => {
      await using model = await openFolder({
        "modules.json": modules("Pooling"),
        "1_Pooling/config.json": {},
        [name]: { max_seq_length: 7 },
      });
      expect(model.sentence.maxLength).toBe(7);
    },
  );

  test.each([
    ["0_Transformer", "Transformer", "sentence_bert_config.json", 7],
    ["0_BERT", "BERT", "sentence_bert_config.json", 9],
    ["0_RoBERTa", "RoBERTa", "sentence_roberta_config.json", 10],
    ["parts/first/", "Transformer", "sentence_albert_config.json", 7],
  ])("a transformer in %s", async (path, kind, name, longest) => {
    const type = `sentence_transformers.models.${kind}`;
    const files = (front: string) => ({
      "modules.json": [{ path: front, type }, ...modules("Pooling").slice(1)],
      "1_Pooling/config.json": { pooling_mode_cls_token: true },
      [join(front, name)]: { max_seq_length: 7, do_lower_case: true },
    });
    // Older versions kept one of their own beside the list.
    const own = { "config.json": { __version__: "0.2.0" } };
    await using below = await openFolder({ ...own, ...files(path) }, new Map(), path);
    await using model = await openFolder(files(""));
    expect(below.sentence).toEqual(model.sentence);
    expect(below.sentence).toMatchObject({ maxLength: longest, doLowerCase: true });
    expect(below.sentence.poolings).toEqual(["cls"]);
    const text = "A Rose is a rose. A rose is a rose.";
    expect(await embed(below, [text])).toEqual(await embed(model, [text]));
  });

  test("truncate_dim cuts vectors unless the caller says otherwise", async () => {
    await using model = await openFolder({
      "modules.json": modules("Pooling"),
      "1_Pooling/config.json": {},
      "config_sentence_transformers.json": { truncate_dim: 8 },
    });
    const mean = meanOf(await statesOf(model, "a rose"));
    expect(model.embeddingSize).toBe(8);
    expectNear((await embed(model, ["a rose"]))[0]!, mean.slice(0, 8));
    expectNear((await embed(model, ["a rose"], { dimensions: width }))[0]!, mean);
  });
});

test.each([width, 6])("a dense module of width %i with a residual sum", async (outputs) => {
  const shapes = new Map([["linear.weight", [outputs, width]]]);
  if (outputs !== width) shapes.set("residual.weight", [outputs, width]);
  await using model = await openFolder({
    "modules.json": modules("Pooling", "Dense"),
    "1_Pooling/config.json": {},
    "2_Dense/config.json": {
      in_features: width,
      out_features: outputs,
      bias: false,
      activation_function: "torch.nn.modules.activation.Sigmoid",
      use_residual: true,
    },
    "2_Dense/model.safetensors": shapes,
  });
  const own = new ReferenceWeights(4);
  const mean = meanOf(await statesOf(model, "a rose"));
  const product = (name: string): number[] => {
    const matrix = own.get(name, outputs, width);
    return Array.from({ length: outputs }, (_, row) =>
      mean.reduce((sum, value, at) => sum + matrix[row * width + at]! * value, 0),
    );
  };
  const added = outputs === width ? mean : product("residual.weight");
  const expected = product("linear.weight").map((x, at) => 1 / (1 + Math.exp(-x)) + added[at]!);
  expectNear((await embed(model, ["a rose"]))[0]!, expected);
});

describe("late interaction", () => {
  const dense = {
    "1_Dense/config.json": {
      in_features: width,
      out_features: 6,
      bias: false,
      activation_function: "torch.nn.modules.linear.Identity",
      module_input_name: "token_embeddings",
    },
    "1_Dense/model.safetensors": new Map([["linear.weight", [6, width]]]),
  };

  test("PyLate's defaults: 32 and 180 tokens, punctuation gives no vectors", async () => {
    await using model = await openFolder({
      "modules.json": modules("Dense"),
      ...dense,
      "config_sentence_transformers.json": { model_type: "ColBERT", query_length: null },
    });
    const { lateInteraction: late } = model.sentence;
    expect(late).toMatchObject({ queryLength: 32, documentLength: 180, expansionLength: 32 });
    const ids = [".", "[", "]", "!"].map((word) => model.tokenizer.tokenToId(word));
    for (const id of ids) expect(late!.skippedIds).toContain(id);
  });

  test("sentence-transformers' own: prompts as text, the module of the mask, a fixed length", async () => {
    await using model = await openFolder({
      "modules.json": modules("Dense", "MultiVectorMask", "Normalize"),
      ...dense,
      "2_MultiVectorMask/config.json": { skiplist_words: ["."] },
      "config_sentence_transformers.json": { prompts: { query: "king ", document: "queen " } },
      "sentence_bert_config.json": {
        query_expansion: { strategy: "fixed", attend: false, length: 12, token: null },
        document_length: 20,
      },
    });
    const [query] = await embedTokens(model, ["a rose."], { role: "query" });
    const [document] = await embedTokens(model, ["a rose."], { role: "document" });
    const asked = model.tokenizer.encode("king a rose.").ids;
    const mask = model.tokenizer.tokenToId("[MASK]")!;
    expect([...query!.ids]).toEqual([...asked, ...Array(12 - asked.length).fill(mask)]);
    const dot = model.tokenizer.tokenToId(".");
    const read = model.tokenizer.encode("queen a rose.");
    expect([...document!.ids]).toEqual([...read.ids].filter((id) => id !== dot));
    const [, end] = document!.spans.findLast(([, last]) => last > 0)!;
    expect(end).toBe("a rose".length);
    const [first] = [0].map((at) => document!.vectors.subarray(at, at + 6));
    expect(Math.hypot(...first!)).toBeCloseTo(1, 5);
  });

  // MultiVectorMask and MultiVectorEncoder of sentence-transformers 6.0.
  test.each([
    [
      { skiplist_words: ["."], skiplist_tasks: "query" },
      [
        ["a", "rose"],
        ["a", "rose", "."],
      ],
    ],
    [
      { skiplist_words: ["."], skiplist_tasks: ["query", "document"] },
      [
        ["a", "rose"],
        ["a", "rose"],
      ],
    ],
    [{ keep_only_token_ids: "rose" }, [["a", "rose", "."], ["rose"]]],
    [
      { keep_only_token_ids: [] },
      [
        ["a", "rose", "."],
        ["a", "rose", "."],
      ],
    ],
  ] as const)("what the mask %j keeps of queries and documents", async (mask, kept) => {
    const { tokenizer } = await openFolder({});
    const id = (token: string): number => tokenizer.tokenToId(token)!;
    const ids = mask as { keep_only_token_ids?: string | [] };
    const isWord = typeof ids.keep_only_token_ids === "string";
    await using model = await openFolder({
      "modules.json": modules("Dense", "MultiVectorMask", "Normalize"),
      ...dense,
      "2_MultiVectorMask/config.json": isWord ? { keep_only_token_ids: [id("rose")] } : mask,
    });
    for (const [at, role] of (["query", "document"] as const).entries()) {
      const [found] = await embedTokens(model, ["a rose."], { role });
      const words = [...found!.ids].map((one) => tokenizer.idToToken(one)!);
      expect(words.filter((word) => !word.startsWith("["))).toEqual(kept[at]);
    }
    expect((await open("none")).message).toContain("keep_only_token_ids");
    async function open(value: string): Promise<Error> {
      const files = { "modules.json": modules("Dense", "MultiVectorMask"), ...dense };
      const own = { "2_MultiVectorMask/config.json": { keep_only_token_ids: value } };
      return openFolder({ ...files, ...own }).then(
        () => new Error("opened"),
        (error: Error) => error,
      );
    }
  });

  test("sentence-transformers' own has a module for the length, where it wants one", async () => {
    const opened = (...more: string[]) =>
      openFolder({
        "modules.json": modules("Dense", "MultiVectorMask", ...more),
        ...dense,
        ...files,
      });
    const files = { "2_MultiVectorMask/config.json": {} };
    await using plain = await opened();
    await using normed = await opened("Normalize");
    const [vectors, unitVectors] = await Promise.all(
      [plain, normed].map(async (model) => {
        const [{ vectors } = { vectors: new Float32Array() }] = await embedTokens(model, [
          "a rose",
        ]);
        return [...vectors.subarray(0, 6)];
      }),
    );
    expect(Math.abs(lengthOf(vectors!) - 1)).toBeGreaterThan(0.01);
    expectNear(unit(vectors!), unitVectors!);
  });

  test("the first ColBERT's: a projection beside the encoder and artifact.metadata", async () => {
    const files = {
      "artifact.metadata": {
        query_token_id: "k",
        doc_token_id: "q",
        query_maxlen: 10,
        doc_maxlen: 16,
        attend_to_mask_tokens: false,
        mask_punctuation: true,
      },
    };
    const shapes = new Map([["linear.weight", [6, width]]]);
    await using model = await openFolder(files, shapes);
    const [query] = await embedTokens(model, ["a rose."], { role: "query" });
    const [document] = await embedTokens(model, ["a rose."], { role: "document" });
    const [start, ...rest] = model.tokenizer.encode("a rose.").ids;
    const id = (token: string): number => model.tokenizer.tokenToId(token)!;
    const read = [start!, id("k"), ...rest];
    const filled = Array<number>(10 - read.length).fill(id("[MASK]"));
    expect([...query!.ids]).toEqual([...read, ...filled]);
    const kept = [start!, id("q"), ...rest].filter((one) => one !== id("."));
    expect([...document!.ids]).toEqual(kept);
    expect(document!.width).toBe(6);
  });
});
