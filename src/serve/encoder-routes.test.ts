import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embed, type LoadedEncoder, loadEncoder, rerank } from "../model/index.ts";
import { testData } from "../testing/test-data.ts";
import { closeServersAfterEach, failureOf, post, start } from "./testing/running-server.ts";

closeServersAfterEach();

const { folder, skip } = testData("models/families/st-mean");

describe.skipIf(skip)("with an encoder", () => {
  let encoder: LoadedEncoder;
  beforeAll(async () => {
    encoder = await loadEncoder(folder, { inline: true, threads: 1 });
  });
  afterAll(() => encoder.close());

  test("embeddings in OpenAI's form: floats, base64, dimensions, ids and usage", async () => {
    const { url, client } = await start(undefined, { encoder, encoderName: "small" });
    const input = ["the king is dead", "long live the king"];
    const expected = await embed(encoder, input, { normalize: true });
    // The client asks for base64 and decodes it.
    const found = await client.embeddings.create({ model: "small", input });
    expect(found.data.map(({ embedding }) => embedding)).toEqual(expected.map((row) => [...row]));
    const tokens = input.reduce((sum, text) => sum + encoder.tokenizer.countTokens(text), 0);
    expect(found.usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens });
    const plain = await (
      await post(`${url}/v1/embeddings`, { input: input[0], encoding_format: "float" })
    ).json();
    expect(plain.data[0].embedding).toEqual([...expected[0]!]);
    const ids = [...encoder.tokenizer.encodeIds(input[0]!)];
    const short = await (await post(`${url}/v1/embeddings`, { input: ids, dimensions: 4 })).json();
    const head = [...expected[0]!.slice(0, 4)];
    for (const [at, value] of head.entries()) {
      expect(short.data[0].embedding[at]).toBeCloseTo(value / Math.hypot(...head), 5);
    }
  });

  test("is listed beside the model that writes", async () => {
    const { url, client } = await start(undefined, { encoder, encoderName: "small" });
    const ids = (await client.models.list()).data.map(({ id }) => id);
    expect(ids).toHaveLength(2);
    expect(ids[1]).toBe("small");
    const found = await (await fetch(`${url}/v1/models/small`)).json();
    expect(found).toMatchObject({ id: "small", embedding_length: encoder.embeddingSize });
  });

  test("ids are read as they are: without special tokens, which texts get", async () => {
    const { url } = await start(undefined, { encoder, encoderName: "small" });
    const ask = async (input: unknown) =>
      (await (await post(`${url}/v1/embeddings`, { input })).json()).data[0].embedding;
    const bare = [...encoder.tokenizer.encodeIds("the king", { addSpecialTokens: false })];
    const whole = [...encoder.tokenizer.encodeIds("the king")];
    expect(whole.length).toBe(bare.length + 2);
    const text: number[] = await ask("the king");
    const far = (other: number[]): number =>
      Math.max(...text.map((value, at) => Math.abs(value - other[at]!)));
    expect(far(await ask(whole))).toBeLessThan(1e-6);
    expect(far(await ask(bare))).toBeGreaterThan(1e-3);
  });

  test("says what it cannot do", async () => {
    const { url } = await start(undefined, { encoder, encoderName: "small" });
    const failures = [
      [{ input: "a", dimensions: 33 }, 400, "invalid_value"],
      [{ input: [] }, 400, "invalid_value"],
      [{ input: ["a", 5] }, 400, "invalid_value"],
      [{ input: Array.from({ length: 2000 }, () => 5) }, 400, undefined],
      [{ input: "a", model: "large" }, 404, "model_not_found"],
    ] as const;
    for (const [body, status, code] of failures) {
      const failure = await failureOf(await post(`${url}/v1/embeddings`, body));
      expect(failure).toMatchObject({ status, ...(code && { code }) });
    }
    const mixed = await failureOf(await post(`${url}/v1/embeddings`, { input: [5, 6.5] }));
    expect(mixed.message).toContain("expected a text, token ids, or a list of at least one");
    const rerank = await post(`${url}/v1/rerank`, { query: "king", documents: ["a"] });
    expect(await failureOf(rerank)).toMatchObject({ status: 400, code: "model_not_supported" });
  });
});

const late = testData("models/families/colbert");

test.skipIf(late.skip)(
  "reranks: best first, top_n, documents as texts and as objects",
  async () => {
    await using encoder = await loadEncoder(late.folder, { inline: true, threads: 1 });
    const { url } = await start(undefined, { encoder, encoderName: "late" });
    const query = "Where is the king?";
    const documents = ["A river of stones.", "The king is in his castle.", "On Tuesday."];
    const expected = await rerank(encoder, query, documents);
    const ask = async (more: object) =>
      (await post(`${url}/v1/rerank`, { query, documents, ...more })).json();
    const all = await ask({});
    expect(all).toMatchObject({ object: "list", model: "late" });
    expect(all.results).toEqual(
      expected.map(({ index, score }) => ({ index, relevance_score: score })),
    );
    expect(all.results[0].relevance_score).toBeGreaterThan(all.results[2].relevance_score);
    const best = await ask({
      documents: documents.map((text) => ({ text })),
      top_n: 1,
      return_documents: true,
    });
    const { index } = expected[0]!;
    expect(best.results).toEqual([{ ...all.results[0], document: { text: documents[index] } }]);

    // A title is no part of what is read: the answer says so, once for a field.
    const titled = await ask({ documents: ["a", { text: "b", title: "t" }] });
    expect(titled.warnings).toMatchObject([
      { code: "unknown_parameter", param: "documents[1].title" },
    ]);

    expect(all.usage.total_tokens).toBe(all.usage.prompt_tokens);
    const twice = await ask({ documents: [...documents, ...documents] });
    const [first, second, third] = await Promise.all(
      documents.map(async (text) => (await ask({ documents: [text] })).usage.prompt_tokens),
    );
    // The query is read once in each request.
    const queryTokens = first + second + third - all.usage.prompt_tokens;
    expect(queryTokens / 2).toBeGreaterThanOrEqual(encoder.tokenizer.countTokens(query));
    expect(twice.usage.prompt_tokens).toBe(2 * all.usage.prompt_tokens - queryTokens / 2);

    // The form of text-embeddings-inference, at its path and at ours.
    const askTei = async (more: object, path = "/rerank") =>
      post(`${url}${path}`, { query, texts: documents, ...more });
    const plain = await (await askTei({})).json();
    expect(plain).toEqual(expected.map(({ index, score }) => ({ index, score })));
    const raw = await askTei(
      { raw_scores: true, return_text: true, truncate: true, truncation_direction: "Right" },
      "/v1/rerank",
    );
    expect(await raw.json()).toEqual(
      expected.map(({ index, logit }) => ({ index, score: logit, text: documents[index] })),
    );
    expect(await (await post(`${url}/rerank`, { query, documents })).json()).toEqual(all);
    const wrong = [
      [{ truncate: false }, "truncate", "always cut"],
      [{ truncation_direction: "Left" }, "truncation_direction", "at their end"],
      [{ return_documents: true }, "return_documents", "not a parameter"],
      [{ texts: [] }, "texts", "texts"],
    ] as const;
    for (const [more, param, words] of wrong) {
      const failure = await failureOf(await askTei(more));
      expect(failure).toMatchObject({ status: 400, param });
      expect(failure.message).toContain(words);
    }
  },
);

test("without an encoder there are no vectors", async () => {
  const { url } = await start();
  const failure = await failureOf(await post(`${url}/v1/embeddings`, { input: "a" }));
  expect(failure).toMatchObject({ status: 404, code: "model_not_found" });
});
