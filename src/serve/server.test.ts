import type OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { createFakeModel, until } from "./testing/fake-model.ts";
import {
  chatTemplate,
  closeServersAfterEach,
  failureOf,
  model,
  post,
  start,
} from "./testing/running-server.ts";

closeServersAfterEach();

describe("plain requests", () => {
  test("health, models and one model by its name, escaped or not", async () => {
    const { url, client } = await start();
    const health = await fetch(`${url}/health`);
    expect(await health.json()).toEqual({
      status: "ok",
      model,
      open_sequences: 0,
      running: 0,
      queued: 0,
    });
    expect((await client.models.list()).data.map((one) => one.id)).toEqual([model]);
    expect((await client.models.retrieve(model)).object).toBe("model");
    expect((await fetch(`${url}/v1/models/${model}`)).status).toBe(200);
    expect(await failureOf(await fetch(`${url}/v1/models/other`))).toMatchObject({
      status: 404,
      code: "model_not_found",
    });
  });

  test("tokenize and detokenize are each other's inverse", async () => {
    const { url } = await start();
    const text = "hello wörld 🙂";
    const encoded = (await (await post(`${url}/tokenize`, { text })).json()) as {
      ids: number[];
      tokens: string[];
      offsets: [number, number][];
      count: number;
    };
    expect(encoded.count).toBe(encoded.ids.length);
    expect(encoded.tokens[0]).toBe("hello");
    expect(encoded.offsets[0]).toEqual([0, 5]);
    const decoded = await post(`${url}/detokenize`, { ids: encoded.ids });
    expect(await decoded.json()).toEqual({ text });
    // As other servers name the fields.
    const prompted = await post(`${url}/tokenize`, { prompt: text });
    expect(await prompted.json()).toEqual(encoded);
    const again = await post(`${url}/detokenize`, { tokens: encoded.ids });
    expect(await again.json()).toEqual({ text });
    const wrong = await post(`${url}/detokenize`, { ids: [...encoded.ids, 999_999] });
    expect(await failureOf(wrong)).toMatchObject({ status: 400, param: `ids[${encoded.count}]` });
  });

  test("every answer bears a request id: the client's own or a new one", async () => {
    const { url } = await start();
    const own = await fetch(`${url}/health`, { headers: { "x-request-id": "mine-1" } });
    expect(own.headers.get("x-request-id")).toBe("mine-1");
    const odd = await fetch(`${url}/nowhere`, { headers: { "x-request-id": "no spaces" } });
    expect(odd.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
  });
});

describe("completions", () => {
  test("a stream says the same as one document, with usage at its end", async () => {
    const { client, fake } = await start();
    const body = { model, prompt: "hello", max_tokens: 12, seed: 5, n: 3 };
    const whole = await client.completions.create(body);
    expect(whole.choices.map((choice) => choice.index)).toEqual([0, 1, 2]);
    expect(new Set(whole.choices.map((choice) => choice.text)).size).toBe(3);
    expect(whole.system_fingerprint).toMatch(/^jeton-[\w.]+-f32-(in)?exact-[0-9a-f]{10}$/);
    expect(whole.usage).toEqual({
      prompt_tokens: 1,
      completion_tokens: 36,
      total_tokens: 37,
      prompt_tokens_details: { cached_tokens: 1 },
    });
    const texts = ["", "", ""];
    const reasons: (string | null)[] = [null, null, null];
    let usage: unknown;
    const stream = await client.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      for (const choice of chunk.choices) {
        expect(reasons[choice.index]).toBeNull();
        texts[choice.index] += choice.text;
        reasons[choice.index] = choice.finish_reason;
      }
      usage = chunk.usage ?? usage;
      expect(chunk.system_fingerprint).toBe(whole.system_fingerprint);
    }
    expect(texts).toEqual(whole.choices.map((choice) => choice.text));
    expect(reasons).toEqual(["length", "length", "length"]);
    expect(usage).toEqual(whole.usage);
    expect(fake.model.openSequences).toBe(0);
  });

  test("a prompt gets the same text in company as alone, in each of its forms", async () => {
    const { client, url } = await start();
    const { ids } = (await (await post(`${url}/tokenize`, { text: "hello" })).json()) as {
      ids: number[];
    };
    const alone = await client.completions.create({ model, prompt: "hello", seed: 9 });
    for (const prompt of [
      ["x", "hello"],
      [[3, 4], ids],
    ] as (string[] | number[][])[]) {
      const both = await client.completions.create({ model, prompt, seed: 9 });
      expect(both.choices[1]!.text).toBe(alone.choices[0]!.text);
    }
    const echo = await client.completions.create({ model, prompt: ids, seed: 9, echo: true });
    expect(echo.choices[0]!.text).toBe(`hello${alone.choices[0]!.text}`);
  });

  test("log-probabilities: one entry a token, offsets into the text, the chosen among the top", async () => {
    const { client } = await start();
    const body = { model, prompt: "hello", max_tokens: 6, seed: 1, logprobs: 2 };
    const { choices } = await client.completions.create(body);
    const { text, logprobs } = choices[0]!;
    expect(logprobs!.tokens!.join("")).toBe(text);
    expect(logprobs!.text_offset).toEqual([0, 1, 2, 3, 4, 5]);
    for (const [i, top] of logprobs!.top_logprobs!.entries()) {
      expect(top[logprobs!.tokens![i]!]).toBe(logprobs!.token_logprobs![i]);
      expect(Object.keys(top).length).toBeGreaterThanOrEqual(2);
    }
    const offsets: number[] = [];
    for await (const chunk of await client.completions.create({ ...body, stream: true })) {
      offsets.push(...(chunk.choices[0]?.logprobs?.text_offset ?? []));
    }
    expect(offsets).toEqual(logprobs!.text_offset);
  });

  test("the wire format of a stream, to the byte", async () => {
    const { url } = await start();
    const answer = await post(`${url}/v1/completions`, {
      prompt: "a",
      max_tokens: 2,
      seed: 1,
      stream: true,
    });
    expect(answer.headers.get("content-type")).toMatch(/^text\/event-stream/);
    const events = (await answer.text()).split("\n\n");
    expect(events.pop()).toBe("");
    expect(events.pop()).toBe("data: [DONE]");
    expect(events).toHaveLength(3);
    for (const [i, event] of events.entries()) {
      expect(event).toMatch(/^data: \{[^\n]*\}$/);
      expect(JSON.parse(event.slice(6))).toEqual({
        id: expect.stringMatching(/^cmpl-[0-9a-f]{32}$/),
        object: "text_completion",
        created: expect.any(Number),
        model,
        system_fingerprint: expect.stringMatching(/^jeton-[\w.]+-f32-/),
        choices: [
          {
            index: 0,
            text: expect.any(String),
            logprobs: null,
            finish_reason: i === 2 ? "length" : null,
          },
        ],
      });
    }
  });
});

describe("chat", () => {
  const messages = [
    { role: "system" as const, content: "be brief" },
    { role: "user" as const, content: [{ type: "text" as const, text: "hello" }] },
  ];

  test("the conversation is written by the template, special tokens are not added again", async () => {
    const { client, url } = await start(createFakeModel({ chatTemplate }));
    const answer = await client.chat.completions.create({
      model,
      messages,
      max_tokens: 5,
      seed: 3,
    });
    const text = "[system]be brief[user]hello[assistant]";
    const { count } = (await (await post(`${url}/tokenize`, { text })).json()) as { count: number };
    expect(answer.usage?.prompt_tokens).toBe(count);
    expect(answer.choices[0]!.message).toEqual({
      role: "assistant",
      content: expect.stringMatching(/^[a-z]{5}$/),
      refusal: null,
    });
  });

  test("a stream: first the role, last the reason, deltas join to the whole", async () => {
    const { client } = await start(createFakeModel({ chatTemplate }));
    const body = { model, messages, max_completion_tokens: 7, seed: 3 };
    const whole = await client.chat.completions.create(body);
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
      chunks.push(chunk);
    }
    expect(chunks[0]!.choices[0]!.delta).toEqual({ role: "assistant", content: "" });
    expect(chunks.at(-1)!.choices[0]).toMatchObject({ delta: {}, finish_reason: "length" });
    expect(chunks.map((chunk) => chunk.choices[0]!.delta.content ?? "").join("")).toBe(
      whole.choices[0]!.message.content,
    );
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1);
  });

  test("log-probabilities come with bytes and as many alternatives as asked for", async () => {
    const { client } = await start(createFakeModel({ chatTemplate }));
    const { choices } = await client.chat.completions.create({
      model,
      messages,
      max_tokens: 4,
      logprobs: true,
      top_logprobs: 3,
    });
    const content = choices[0]!.logprobs!.content!;
    expect(content.map((one) => one.token).join("")).toBe(choices[0]!.message.content);
    for (const one of content) {
      expect(Buffer.from(one.bytes!).toString()).toBe(one.token);
      expect(one.top_logprobs).toHaveLength(3);
    }
  });

  test("without a template it is a clear refusal", async () => {
    const { url } = await start();
    const answer = await post(`${url}/v1/chat/completions`, { messages });
    expect(await failureOf(answer)).toMatchObject({ status: 400, code: "chat_template_missing" });
  });

  test("a template that refuses the messages is the client's error", async () => {
    const template = "{{ raise_exception('roles must alternate') }}";
    const { url } = await start(createFakeModel({ chatTemplate: template }));
    const error = await failureOf(await post(`${url}/v1/chat/completions`, { messages }));
    expect(error).toMatchObject({ status: 400, code: "chat_template_failed" });
    expect(error.message).toContain("roles must alternate");
  });
});

test("metrics count requests, tokens and times", async () => {
  const { url, client } = await start();
  await client.completions.create({ model, prompt: "hello", max_tokens: 5, n: 2 });
  await fetch(`${url}/made/up`);
  await until(async () =>
    (await (await fetch(`${url}/metrics`)).text()).includes('route="other",status="404"} 1'),
  );
  const answer = await fetch(`${url}/metrics`);
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await answer.text();
  expect(text).toContain('jeton_requests_total{route="/v1/completions",status="200"} 1\n');
  expect(text).toContain("jeton_generated_tokens_total 10\n");
  expect(text).toContain("jeton_time_to_first_token_seconds_count 1\n");
  expect(text).toContain("jeton_aborted_requests_total 0\n");
  expect(text).not.toContain("made");
});
