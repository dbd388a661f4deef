import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import OpenAI, { APIError } from "openai";
import { afterEach, describe, expect, test, vi } from "vitest";
import { JetonError } from "../core/index.ts";
import type { Generate } from "../generate/types.ts";
import { type RunningServer, type StartServerOptions, startServerWith } from "./server.ts";
import { createFakeModel, createGate, type FakeModel, until } from "./testing/fake-model.ts";

const chatTemplate =
  "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}" +
  "{% if add_generation_prompt %}[assistant]{% endif %}";

const servers: RunningServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close({ graceMs: 0 })));
});

async function start(
  fake: FakeModel = createFakeModel(),
  options: Partial<StartServerOptions> = {},
  generate: Generate = fake.generate,
): Promise<RunningServer & { client: OpenAI; fake: FakeModel }> {
  const server = await startServerWith({ generate, score: fake.score }, fake.model, {
    port: 0,
    host: "127.0.0.1",
    ...options,
  });
  servers.push(server);
  const client = new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey: options.apiKey ?? "none",
    maxRetries: 0,
  });
  return { ...server, client, fake };
}

function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

interface Failure {
  error: { message: string; type: string; param: string | null; code: string | null };
}

async function failureOf(response: Response): Promise<Failure["error"] & { status: number }> {
  const { error } = (await response.json()) as Failure;
  return { ...error, status: response.status };
}

/** A request on a connection of its own, whose answer is read only when the test says so. */
async function openRaw(port: number, body: object, path = "/v1/completions"): Promise<Socket> {
  const text = JSON.stringify(body);
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return socket;
}

const model = "fake/letters";

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

describe("refusals", () => {
  test("the status and code of every kind", async () => {
    const { url } = await start(createFakeModel({ contextLength: 20 }), { maxBodyBytes: 2000 });
    const completions = `${url}/v1/completions`;
    const cases: [Promise<Response>, number, string][] = [
      [post(completions, "{nonsense"), 400, "invalid_json"],
      [post(completions, { max_tokens: 1 }), 400, "missing_required_parameter"],
      [post(completions, { prompt: "a", model: "gpt" }), 404, "model_not_found"],
      [post(completions, { prompt: [9999] }), 400, "invalid_value"],
      [post(completions, { prompt: "abc ".repeat(9) }), 400, "context_length_exceeded"],
      [post(completions, { prompt: "x".repeat(3000) }), 413, "request_too_large"],
      [
        post(completions, { prompt: "a" }, { "content-type": "text/plain" }),
        415,
        "unsupported_media_type",
      ],
      [post(completions, { prompt: "a", n: 100 }), 400, "too_many_sequences"],
      [fetch(completions), 405, "method_not_allowed"],
      [fetch(`${url}/v2`), 404, "not_found"],
    ];
    for (const [answer, status, code] of cases) {
      expect(await failureOf(await answer)).toMatchObject({ status, code });
    }
    expect((await fetch(completions)).headers.get("allow")).toBe("POST");
    // A body without a stated length is cut off as well.
    const chunked = httpRequest(completions, {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    chunked.on("error", () => {});
    for (let i = 0; i < 30; i++) chunked.write("x".repeat(70_000));
    chunked.end();
    const [response] = await once(chunked, "response");
    expect(response.statusCode).toBe(413);
    response.resume();
  });

  test("a body in chunks is read like any other", async () => {
    const { url } = await start();
    const chunked = httpRequest(`${url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
    });
    chunked.write('{"prompt":');
    chunked.write('"hello"}');
    chunked.end();
    const [response] = await once(chunked, "response");
    expect(response.statusCode).toBe(200);
    response.resume();
  });

  test("the API key opens everything but health, which needs none", async () => {
    const { url, client } = await start(createFakeModel(), { apiKey: "secret key" });
    expect((await fetch(`${url}/health`)).status).toBe(200);
    for (const authorization of [
      "Bearer wrong",
      "Bearer secret key2",
      "secret key",
      "",
      "Bearer ",
    ]) {
      const answer = await fetch(`${url}/v1/models`, { headers: { authorization } });
      expect(await failureOf(answer)).toMatchObject({ status: 401, code: "invalid_api_key" });
    }
    expect((await client.models.list()).data).toHaveLength(1);
  });

  test("a local server does not answer to the names of web pages", async () => {
    const { port } = await start();
    const ask = async (host: string): Promise<number> => {
      const request = httpRequest({ port, host: "127.0.0.1", path: "/health", headers: { host } });
      request.end();
      const [response] = await once(request, "response");
      response.resume();
      return response.statusCode;
    };
    expect(await ask("evil.example")).toBe(403);
    expect(await ask(`evil.example:${port}`)).toBe(403);
    expect(await ask(`localhost:${port}`)).toBe(200);
    expect(await ask("[::1]:80")).toBe(200);
    const open = await start(createFakeModel(), { allowedHosts: ["proxy.example"] });
    const request = httpRequest({
      port: open.port,
      path: "/health",
      headers: { host: "proxy.example" },
    });
    request.end();
    const [response] = await once(request, "response");
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  test("web pages get CORS headers only where the server allows their origin", async () => {
    const origin = "https://page.example";
    const closed = await start();
    const plain = await fetch(`${closed.url}/health`, { headers: { origin } });
    expect(plain.headers.get("access-control-allow-origin")).toBeNull();
    const open = await start(createFakeModel(), { corsOrigin: origin, apiKey: "k" });
    const preflight = await fetch(`${open.url}/v1/completions`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe(origin);
  });

  test("options that make no sense, and a port that is taken", async () => {
    const fake = createFakeModel();
    await expect(start(fake, { port: -1 })).rejects.toMatchObject({ code: "serve-invalid-option" });
    await expect(start(fake, { maxQueue: 1.5 })).rejects.toMatchObject({
      code: "serve-invalid-option",
    });
    const { port } = await start(fake);
    await expect(start(fake, { port })).rejects.toMatchObject({
      code: "serve-address-unavailable",
    });
  });
});

describe("failures of the generator", () => {
  const failing = (fake: FakeModel, error: unknown, after: number): Generate =>
    async function* (loaded, prompt, options) {
      const tokens = fake.generate(loaded, prompt, options);
      for (let i = 0; i < after; i++) yield (await tokens.next()).value as never;
      await tokens.return(undefined as never);
      throw error;
    };

  test("what the client did not cause is a bare 500 and a line in the log", async () => {
    const lines: string[] = [];
    const fake = createFakeModel();
    const secret = new Error("/home/someone/secret is broken");
    const { url } = await start(
      fake,
      { onLog: (line) => lines.push(line) },
      failing(fake, secret, 2),
    );
    const answer = await post(`${url}/v1/completions`, { prompt: "a" });
    const error = await failureOf(answer);
    expect(error).toMatchObject({ status: 500, code: "internal_error", type: "server_error" });
    expect(JSON.stringify(error)).not.toContain("secret");
    const id = answer.headers.get("x-request-id")!;
    expect(lines.some((line) => line.includes("secret") && line.includes(id))).toBe(true);
  });

  test("a JetonError about an option is a 400 in its own words", async () => {
    const fake = createFakeModel();
    const error = new JetonError("topP is 2", { code: "generate-option-invalid" });
    const { url } = await start(fake, {}, failing(fake, error, 0));
    const answer = await post(`${url}/v1/completions`, { prompt: "a", stream: true });
    expect(await failureOf(answer)).toMatchObject({
      status: 400,
      code: "generate_option_invalid",
      message: "topP is 2",
    });
  });

  test("in the middle of a stream it is an event, which the client throws", async () => {
    const fake = createFakeModel();
    const lines: string[] = [];
    const { client } = await start(
      fake,
      { onLog: (line) => lines.push(line) },
      failing(fake, new Error("broken"), 2),
    );
    const stream = await client.completions.create({ model, prompt: "a", n: 2, stream: true });
    const read = async (): Promise<void> => {
      for await (const chunk of stream) expect(chunk.choices).toHaveLength(1);
    };
    await expect(read()).rejects.toThrow(APIError);
    await until(() => fake.model.openSequences === 0);
    await until(() => lines.length === 2);
    expect(lines[0]).toMatch(/^req_\w+ failed: Error: broken\n +at /);
    expect(lines[1]).toMatch(/^POST \/v1\/completions 200 \d+ ms/);
  });

  test("a client that leaves in the middle of a stream is no failure", async () => {
    const lines: string[] = [];
    const fake = createFakeModel({
      pace: (_sequence, position) => (position < 2 ? Promise.resolve() : new Promise(() => {})),
    });
    const { port } = await start(fake, { onLog: (line) => lines.push(line) });
    const socket = await openRaw(port, { prompt: "a", max_tokens: 9, n: 2, stream: true });
    await once(socket, "data");
    socket.destroy();
    await until(() => fake.model.openSequences === 0 && lines.length > 0);
    expect(lines).toEqual([
      expect.stringMatching(/^POST \/v1\/completions 200 aborted \d+ ms req_\w+$/),
    ]);
  });

  test("only what the client caused is told to the client", async () => {
    const statusOf = async (code: string): Promise<[number, string | null]> => {
      const fake = createFakeModel();
      const error = new JetonError("it says why", { code });
      const { url } = await start(fake, {}, failing(fake, error, 0));
      const answer = await failureOf(await post(`${url}/v1/completions`, { prompt: "a" }));
      expect(answer.message === "it says why").toBe(answer.status === 400);
      return [answer.status, answer.code];
    };
    expect(await statusOf("generate-context-exceeded")).toEqual([400, "context_length_exceeded"]);
    expect(await statusOf("model-context-exceeded")).toEqual([400, "context_length_exceeded"]);
    expect(await statusOf("generate-prompt-empty")).toEqual([400, "generate_prompt_empty"]);
    expect(await statusOf("model-closed")).toEqual([503, "model_closed"]);
    // Internal faults, though their codes hold the words of client faults.
    expect(await statusOf("context-policy-broken")).toEqual([500, "internal_error"]);
    expect(await statusOf("generate-logits-not-finite")).toEqual([500, "internal_error"]);
    expect(await statusOf("chat-template-invalid")).toEqual([500, "internal_error"]);
  });
});

describe("many at once", () => {
  test("at most `slots` run, the line is bounded, and beyond it a client is told when to return", async () => {
    const gate = createGate();
    const fake = createFakeModel({ slots: 2, pace: gate.wait });
    const { url } = await start(fake, { maxQueue: 3 });
    const ask = (n: number): Promise<Response> =>
      post(`${url}/v1/completions`, { prompt: "a", n, max_tokens: 3 });
    const accepted = [ask(1), ask(4)];
    const health = async (): Promise<{ running: number; queued: number }> =>
      (await fetch(`${url}/health`)).json() as Promise<{ running: number; queued: number }>;
    await until(async () => (await health()).queued === 3);
    expect(fake.model.openSequences).toBe(2);
    const refused = await ask(1);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await failureOf(refused)).toMatchObject({
      status: 429,
      code: "queue_full",
      type: "rate_limit_error",
    });
    gate.open();
    for (const answer of await Promise.all(accepted)) expect(answer.status).toBe(200);
    expect(await health()).toMatchObject({ running: 0, queued: 0 });
    expect(fake.model.openSequences).toBe(0);
  });

  test("a client that leaves frees its sequence, running or waiting", async () => {
    const gate = createGate();
    const fake = createFakeModel({
      slots: 1,
      pace: (_sequence, position) => (position < 2 ? Promise.resolve() : gate.wait()),
    });
    const { url, port } = await start(fake);
    const body = { prompt: "a", max_tokens: 50, stream: true };
    const running = await openRaw(port, body);
    await once(running, "data");
    const waiting = await openRaw(port, { ...body, stream: false });
    const health = async (): Promise<{ running: number; queued: number }> =>
      (await fetch(`${url}/health`)).json() as Promise<{ running: number; queued: number }>;
    await until(async () => (await health()).queued === 1);
    waiting.destroy();
    await until(async () => (await health()).queued === 0);
    expect(fake.model.openSequences).toBe(1);
    running.destroy();
    await until(() => fake.model.openSequences === 0);
    await until(async () => (await health()).running === 0);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain("jeton_aborted_requests_total 2\n");
    expect(metrics).toContain('jeton_requests_total{route="/v1/completions",status="499"} 1\n');
    gate.open();
  });

  test("a reader that does not read holds the generation back, and is cut in the end, quietly", async () => {
    const fake = createFakeModel({ contextLength: 100_000, tokenText: "x".repeat(50_000) });
    const lines: string[] = [];
    const printed = [vi.spyOn(console, "error"), vi.spyOn(console, "info")];
    const { port } = await start(fake, { stallMs: 400, onLog: (line) => lines.push(line) });
    const socket = await openRaw(port, { prompt: "a", max_tokens: 20_000, stream: true });
    socket.pause();
    let last = -1;
    await until(async () => {
      const before = last;
      last = fake.generated();
      await new Promise((resolve) => setTimeout(resolve, 50));
      return before === last && last > 0;
    });
    // A gigabyte was asked for; what the sockets hold is a few megabytes.
    expect(last).toBeLessThan(1000);
    await until(() => fake.model.openSequences === 0);
    await until(() => lines.length === 2);
    expect(lines[0]).toMatch(/^req_\w+ is cut: nothing was read for 0\.4 s$/);
    expect(lines[1]).toMatch(/^POST \/v1\/completions 200 aborted/);
    for (const spy of printed) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
    socket.destroy();
  });
});

describe("closing", () => {
  test("running streams finish, other requests are turned away, and a second call waits as well", async () => {
    const gate = createGate();
    const fake = createFakeModel({
      slots: 1,
      pace: (_sequence, position) => (position < 2 ? Promise.resolve() : gate.wait()),
    });
    const { url, client, close } = await start(fake);
    const stream = await client.completions.create({
      model,
      prompt: "a",
      max_tokens: 9,
      stream: true,
    });
    const queued = post(`${url}/v1/completions`, { prompt: "a" });
    await until(async () => {
      const body = (await (await fetch(`${url}/health`)).json()) as { queued: number };
      return body.queued === 1;
    });
    const closed = close();
    expect(await failureOf(await queued)).toMatchObject({
      status: 503,
      code: "server_shutting_down",
    });
    const health = await fetch(`${url}/health`);
    expect([health.status, health.headers.get("connection")]).toEqual([503, "close"]);
    expect((await post(`${url}/v1/completions`, { prompt: "a" })).status).toBe(503);
    gate.open();
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.text ?? "";
    expect(text).toHaveLength(9);
    await Promise.all([closed, close()]);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
    expect(fake.model.openSequences).toBe(0);
  });

  test("what outlasts the grace is ended with an error, and the sequences are free", async () => {
    const fake = createFakeModel({
      pace: (_sequence, position) => (position < 2 ? Promise.resolve() : new Promise(() => {})),
    });
    const { url, client, close } = await start(fake);
    const stream = await client.completions.create({
      model,
      prompt: "a",
      max_tokens: 9,
      stream: true,
    });
    const whole = post(`${url}/v1/completions`, { prompt: "a" });
    await until(() => fake.model.openSequences === 2);
    const read = async (): Promise<void> => {
      for await (const chunk of stream) expect(chunk.object).toBe("text_completion");
    };
    const reading = expect(read()).rejects.toThrow(/shutting down/);
    void close();
    await close({ graceMs: 20 });
    await reading;
    expect((await whole).status).toBe(503);
    expect(fake.model.openSequences).toBe(0);
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
