/** Vercel's AI SDK with its provider for OpenAI-compatible servers. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Answer, NanoServer } from "../../src/serve/testing/nano-server.ts";
import {
  apiKey,
  collect,
  describeClients,
  failureOf,
  greedyText,
  loadClients,
  startBreakingServer,
  startClientServer,
} from "./client-packages.ts";

describeClients("the AI SDK", () => {
  let nano: NanoServer;
  let ai: Answer;
  let compatible: Answer;
  let provider: Answer;
  beforeAll(async () => {
    ({ ai, compatible } = await loadClients());
    nano = await startClientServer();
    provider = providerOf(nano.server.url);
  });
  afterAll(() => nano?.[Symbol.asyncDispose]());

  const providerOf = (url: string): Answer =>
    compatible.createOpenAICompatible({
      name: "jeton",
      baseURL: `${url}/v1`,
      apiKey,
      includeUsage: true,
    });

  const expected = (text: string, special = false) => greedyText(nano, text, special);
  const limits = { temperature: 0, maxOutputTokens: 8, maxRetries: 0 };

  test("generateText", async () => {
    const request = { model: provider("nano"), prompt: "Who?", ...limits };
    const { text, finishReason, usage } = await ai.generateText(request);
    expect(text).toBe(await expected("user: Who?\nassistant:"));
    expect(finishReason).toBe("length");
    expect(usage.outputTokens).toBe(8);
    const completion = { ...request, model: provider.completionModel("nano") };
    expect((await ai.generateText(completion)).text).not.toBe("");
  });

  test("streamText, over several turns", async () => {
    const messages = [
      { role: "user", content: "Who?" },
      { role: "assistant", content: [{ type: "text", text: "He." }] },
      { role: "user", content: [{ type: "text", text: "Why?" }] },
    ];
    const result = ai.streamText({ model: provider("nano"), messages, ...limits });
    const text = (await collect<string>(result.textStream)).join("");
    expect(text).toBe(await expected("user: Who?\nassistant: He.\nuser: Why?\nassistant:"));
    expect((await result.usage).outputTokens).toBe(8);
    expect(await result.finishReason).toBe("length");
  });

  test("tools that the model does not call leave a text", async () => {
    const tools = { get: ai.tool({ inputSchema: ai.jsonSchema({ type: "object" }) }) };
    const request = { model: provider("nano"), prompt: "Who?", tools, ...limits };
    const { text, toolCalls } = await ai.generateText(request);
    expect([text, toolCalls]).toEqual([await expected("user: Who?\nassistant:"), []]);
  });

  test("generateObject ends in a clear 400", async () => {
    const schema = ai.jsonSchema({ type: "object", properties: { name: { type: "string" } } });
    const request = { model: provider("nano"), prompt: "Who?", ...limits };
    const attempts: (() => Promise<unknown>)[] = [
      () => ai.generateText({ ...request, output: ai.Output.object({ schema }) }),
      () => ai.generateObject({ ...request, schema }),
    ];
    for (const attempt of attempts) {
      const error = await failureOf(attempt());
      expect(error).toMatchObject({ name: "AI_APICallError", statusCode: 400 });
      expect(error.message).toContain("'response_format' of type 'json_object' is not supported");
    }
  });

  test("a stream that breaks ends in an error, never in a short text", async () => {
    const { url, close } = await startBreakingServer();
    const errors: unknown[] = [];
    const result = ai.streamText({
      model: providerOf(url)("nano"),
      prompt: "Who?",
      maxRetries: 0,
      onError: ({ error }: { error: unknown }) => errors.push(error),
    });
    const parts = await collect<Answer>(result.fullStream);
    expect(parts.map(({ type }) => type)).toContain("error");
    expect(errors).toHaveLength(1);
    await close();
  });
});
