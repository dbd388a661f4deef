/** LangChain's models for OpenAI's interface. */
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

describeClients("LangChain", () => {
  let nano: NanoServer;
  let langchain: Answer;
  let messages: Answer;
  let chat: Answer;
  beforeAll(async () => {
    ({ langchain, messages } = await loadClients());
    nano = await startClientServer();
    chat = chatOf(nano.server.url);
  });
  afterAll(() => nano?.[Symbol.asyncDispose]());

  const optionsOf = (url: string): object => ({
    model: "nano",
    apiKey,
    temperature: 0,
    maxTokens: 8,
    maxRetries: 0,
    configuration: { baseURL: `${url}/v1` },
  });
  const chatOf = (url: string): Answer => new langchain.ChatOpenAI(optionsOf(url));

  const expected = (text: string, special = false) => greedyText(nano, text, special);

  test("invoke and stream", async () => {
    const text = await expected("user: Who?\nassistant:");
    const answer = await chat.invoke("Who?");
    expect(answer.content).toBe(text);
    expect(answer.usage_metadata.output_tokens).toBe(8);
    const parts = await collect<Answer>(await chat.stream("Who?"));
    expect(parts.map(({ content }) => content).join("")).toBe(text);
  });

  test("several turns, with a tool's result among them", async () => {
    const { SystemMessage, HumanMessage, AIMessage, ToolMessage } = messages;
    const call = { name: "get", args: { city: "Paris" }, id: "1", type: "tool_call" };
    const turns = [
      new SystemMessage("Be brief."),
      new HumanMessage("w?"),
      new AIMessage({ content: "", tool_calls: [call] }),
      new ToolMessage({ content: "sunny", tool_call_id: "1" }),
    ];
    const before =
      'system: Be brief.\nuser: w?\nassistant: \nget({"city": "Paris"})\ntool: sunny\nassistant:';
    const answer = await chat.invoke(turns);
    expect(answer.content).toBe(await expected(before));
    const next = await chat.invoke([...turns, answer, new HumanMessage("Why?")]);
    expect(next.content).toBe(
      await expected(`${before} ${answer.content}\nuser: Why?\nassistant:`),
    );
  });

  test("the responses endpoint and completions", async () => {
    const responses = new langchain.ChatOpenAI({
      ...optionsOf(nano.server.url),
      useResponsesApi: true,
    });
    const text = await expected("user: Who?\nassistant:");
    expect((await responses.invoke("Who?")).text).toBe(text);
    const parts = await collect<Answer>(await responses.stream("Who?"));
    expect(parts.map((part) => part.text).join("")).toBe(text);
    const plain = new langchain.OpenAI(optionsOf(nano.server.url));
    expect(await plain.invoke("The emperor")).toBe(await expected("The emperor", true));
  });

  test("structured output ends in a clear 400", async () => {
    const schema = { title: "person", type: "object", properties: { name: { type: "string" } } };
    for (const method of ["jsonSchema", "jsonMode", "functionCalling"]) {
      const structured = chat.withStructuredOutput(schema, { method });
      const error = await failureOf(structured.invoke("Who? Answer in JSON."));
      expect(error.status).toBe(400);
      expect(error.message).toContain("constrained decoding is not available");
    }
  });

  test("a stream that breaks is an error, never a short text", async () => {
    const { url, close } = await startBreakingServer();
    const read = async (): Promise<unknown[]> => collect(await chatOf(url).stream("Who?"));
    expect((await failureOf(read())).message).toContain("error while processing");
    await close();
  });
});
