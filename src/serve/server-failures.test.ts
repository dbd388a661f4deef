import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { APIError } from "openai";
import { describe, expect, test } from "vitest";
import { JetonError } from "../core/index.ts";
import type { Generate } from "../generate/types.ts";
import { createFakeModel, type FakeModel, until } from "./testing/fake-model.ts";
import {
  closeServersAfterEach,
  failureOf,
  model,
  openRaw,
  post,
  start,
} from "./testing/running-server.ts";

closeServersAfterEach();

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
    // A base URL without /v1, a misspelt path, a slash at the end, and the address alone.
    for (const [path, hint] of [
      ["/chat/completions", "did you mean /v1/chat/completions?"],
      ["/v1/completion", "did you mean /v1/completions?"],
      ["/v1/embeddings/", "did you mean /v1/embeddings?"],
      ["/", "there are /health, /metrics, /v1/models, "],
    ] as const) {
      expect((await failureOf(await post(`${url}${path}`, {}))).message).toContain(hint);
    }
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
    for (const corsOrigin of ["example.org", "https://example.org/", ["https://a.org", "all"]]) {
      await expect(start(fake, { corsOrigin })).rejects.toMatchObject({
        code: "serve-invalid-option",
        message: expect.stringContaining("an origin as https://example.org"),
      });
    }
    for (const corsOrigin of ["*", "null", ["http://localhost:5173", "chrome-extension://abc"]]) {
      await start(fake, { corsOrigin });
    }
    const { port } = await start(fake);
    await expect(start(fake, { port })).rejects.toMatchObject({
      code: "serve-address-unavailable",
      message: expect.stringContaining("port 0 chooses a free one"),
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
