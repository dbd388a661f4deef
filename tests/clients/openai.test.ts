/** OpenAI's own client. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { complete, score } from "../../src/generate/index.ts";
import type { Answer, NanoServer } from "../../src/serve/testing/nano-server.ts";
import {
  apiKey,
  collect,
  describeClients,
  failureOf,
  loadClients,
  startBreakingServer,
  startClientServer,
} from "./client-packages.ts";

const model = "nano";
const greedy = { model, temperature: 0 };
const prompt = "The emperor";

describeClients("OpenAI's client", () => {
  let nano: NanoServer;
  let openai: Answer;
  let client: Answer;
  const clientOf = (url: string, key = apiKey): Answer =>
    new openai.OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
  beforeAll(async () => {
    ({ openai } = await loadClients());
    nano = await startClientServer();
    client = clientOf(nano.server.url);
  });
  afterAll(() => nano?.[Symbol.asyncDispose]());

  /** What the library says to a text. */
  async function expected(text: string, maxTokens: number, special = false): Promise<string> {
    const ids = nano.model.tokenizer.encodeIds(text, { addSpecialTokens: special });
    return (await complete(nano.model, ids, { greedy: true, maxTokens })).text;
  }

  test("models", async () => {
    expect((await collect(client.models.list())).map(({ id }: Answer) => id)).toEqual([model]);
    expect((await client.models.retrieve(model)).id).toBe(model);
  });

  test("completions, whole and as a stream", async () => {
    const request = { ...greedy, prompt, max_tokens: 8 };
    const text = await expected(prompt, 8, true);
    const whole = await client.completions.create(request);
    expect(whole.choices[0].text).toBe(text);
    expect(whole.usage.completion_tokens).toBe(8);
    const stream = await client.completions.create({ ...request, stream: true });
    const parts = await collect<Answer>(stream);
    expect(parts.map(({ choices }) => choices[0].text).join("")).toBe(text);
    expect(parts.at(-1).choices[0].finish_reason).toBe("length");
  });

  test("log-probabilities of a prompt", async () => {
    const request = { ...greedy, prompt, max_tokens: 0, echo: true, logprobs: 1 };
    const { choices } = await client.completions.create(request);
    const ids = nano.model.tokenizer.encodeIds(prompt);
    const scored = await score(nano.model, ids.subarray(1), { prefix: ids.subarray(0, 1) });
    expect(choices[0].logprobs.token_logprobs).toEqual([
      null,
      ...scored.tokens.map(({ logProbability }) => logProbability),
    ]);
  });

  test("chat, whole, as chunks and as the client's own stream", async () => {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: "Who?" },
    ];
    const request = { ...greedy, messages, max_completion_tokens: 8 };
    const text = await expected("system: Be brief.\nuser: Who?\nassistant:", 8);
    const whole = await client.chat.completions.create(request);
    expect(whole.choices[0].message).toMatchObject({ role: "assistant", content: text });
    const chunks = await collect<Answer>(
      await client.chat.completions.create({
        ...request,
        stream: true,
        stream_options: { include_usage: true },
      }),
    );
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("")).toBe(text);
    expect(chunks.at(-1).usage).toEqual(whole.usage);
    const stream = client.chat.completions.stream({ ...request, logprobs: true, top_logprobs: 2 });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0].message.content).toBe(text);
    expect(final.choices[0].logprobs.content).toHaveLength(8);
  });

  test("responses, whole and as a stream, with the next turn", async () => {
    const request = { ...greedy, instructions: "Be brief.", input: "Who?", max_output_tokens: 8 };
    const text = await expected("system: Be brief.\nuser: Who?\nassistant:", 8);
    const whole = await client.responses.create(request);
    expect([whole.output_text, whole.status]).toEqual([text, "incomplete"]);
    const events = await collect<Answer>(
      await client.responses.create({ ...request, stream: true }),
    );
    const deltas = events.filter(({ type }) => type === "response.output_text.delta");
    expect(deltas.map(({ delta }) => delta).join("")).toBe(text);
    expect(events.map(({ sequence_number: number }) => number)).toEqual([...events.keys()]);
    const final = await client.responses.stream(request).finalResponse();
    expect(final.output_text).toBe(text);
    const input = [
      { role: "user", content: "Who?" },
      ...whole.output,
      { role: "user", content: "?" },
    ];
    const next = await client.responses.create({ ...greedy, input, max_output_tokens: 8 });
    expect(next.output_text).toBe(
      await expected(`user: Who?\nassistant: ${text}\nuser: ?\nassistant:`, 8),
    );
  });

  test("a tool loop's second turn; a call cannot be demanded", async () => {
    const tools = [{ type: "function", function: { name: "get", parameters: {} } }];
    const calls = [{ id: "1", type: "function", function: { name: "get", arguments: '{"a":1}' } }];
    const messages = [
      { role: "user", content: "w?" },
      { role: "assistant", content: null, tool_calls: calls },
      { role: "tool", tool_call_id: "1", content: "sunny" },
    ];
    const request = { ...greedy, messages, tools, max_tokens: 4 };
    const { choices } = await client.chat.completions.create(request);
    const text = 'user: w?\nassistant: \nget({"a": 1})\ntool: sunny\nassistant:';
    expect(choices[0].message.content).toBe(await expected(text, 4));
    const error = await failureOf(
      client.chat.completions.create({ ...request, tool_choice: "required" }),
    );
    expect(error).toBeInstanceOf(openai.BadRequestError);
    expect(error.param).toBe("tool_choice");
  });

  test("errors are those of the client's classes", async () => {
    const chat = { model, messages: [{ role: "user", content: "hi" }] };
    const json = { type: "json_schema", json_schema: { name: "x", schema: {} } };
    const failures: [() => Promise<unknown>, string, object][] = [
      [
        () => client.chat.completions.parse({ ...chat, response_format: json }),
        "BadRequestError",
        { status: 400, param: "response_format", code: "unsupported_parameter" },
      ],
      [
        () => clientOf(nano.server.url, "wrong").chat.completions.create(chat),
        "AuthenticationError",
        { status: 401, code: "invalid_api_key" },
      ],
      [
        () => client.chat.completions.create({ ...chat, model: "other" }),
        "NotFoundError",
        { status: 404, code: "model_not_found" },
      ],
      [
        () => client.completions.create({ model, prompt: "a", n: 128, max_tokens: 1 }),
        "BadRequestError",
        { status: 400 },
      ],
      [() => client.embeddings.create({ model, input: "a" }), "NotFoundError", { status: 404 }],
    ];
    for (const [attempt, name, fields] of failures) {
      const error = await failureOf(attempt());
      expect(error).toBeInstanceOf(openai[name]);
      expect(error).toMatchObject(fields);
    }
  });

  test("a stream that breaks is an error in every format, never a short text", async () => {
    const { url, close } = await startBreakingServer();
    const broken = clientOf(url);
    const chat = { model, messages: [{ role: "user", content: "hi" }], stream: true };
    const requests: (() => Promise<AsyncIterable<unknown>>)[] = [
      () => broken.completions.create({ model, prompt: "a", stream: true }),
      () => broken.chat.completions.create(chat),
      () => broken.responses.create({ model, input: "a", stream: true }),
    ];
    for (const request of requests) {
      const read = async (): Promise<unknown[]> => collect(await request());
      expect(await failureOf(read())).toBeInstanceOf(openai.APIError);
    }
    await close();
  });
});
