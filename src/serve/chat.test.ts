/** Chat over a checkpoint folder: its own template, tokenizer and weights. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createByteCheckpoint } from "../cli/testing/byte-checkpoint.ts";
import { complete } from "../generate/index.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { type RunningServer, startServer } from "./index.ts";

const chatTemplate =
  "{{ bos_token }}{% for m in messages %}" +
  "{% if m.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('no such role') }}{% endif %}" +
  "[{{ m.role }}] {{ m.content }}\n{% endfor %}" +
  "{% if add_generation_prompt %}[assistant]{% endif %}";

let folder = "";
let model: LoadedModel;
let server: RunningServer;
let client: OpenAI;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-chat-"));
  createByteCheckpoint(folder);
  const settings = { bos_token: "<bound>", eos_token: "<bound>", chat_template: chatTemplate };
  await writeFile(join(folder, "tokenizer_config.json"), JSON.stringify(settings));
  model = await loadModel(folder, { threads: 1, slots: 4 });
  server = await startServer(model, { port: 0, host: "127.0.0.1", modelName: "tiny" });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(async () => {
  await server?.close();
  await model?.close();
  await rm(folder, { recursive: true, force: true });
});

type Message = { role: "system" | "user" | "assistant" | "developer"; content: string };

/** The same conversation without server and template. */
async function answerDirectly(prompt: string, maxTokens: number): Promise<string> {
  const ids = model.tokenizer.encodeIds(prompt, { addSpecialTokens: false });
  return (await complete(model, ids, { maxTokens, greedy: true })).text;
}

const messages: Message[] = [
  { role: "developer", content: "be brief" },
  { role: "user", content: "grüß dich 🙂" },
];
const prompt = "<bound>[system] be brief\n[user] grüß dich 🙂\n[assistant]";

test("the answer is what the model says to the conversation as its template writes it", async () => {
  const answer = await client.chat.completions.create({
    model: "tiny",
    messages,
    max_tokens: 24,
    temperature: 0,
  });
  const expected = await answerDirectly(prompt, 24);
  expect(answer.choices[0]!.message.content).toBe(expected);
  const { length } = model.tokenizer.encodeIds(prompt, { addSpecialTokens: false });
  expect(answer.usage).toMatchObject({ prompt_tokens: length, completion_tokens: 24 });

  let streamed = "";
  const stream = await client.chat.completions.create({
    model: "tiny",
    messages,
    max_tokens: 24,
    temperature: 0,
    stream: true,
  });
  for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? "";
  expect(streamed).toBe(expected);
});

test("the next turn goes on from what the cache holds", async () => {
  const first = await client.chat.completions.create({
    model: "tiny",
    messages,
    max_tokens: 8,
    temperature: 0,
  });
  const said = first.choices[0]!.message.content!;
  const next = await client.chat.completions.create({
    model: "tiny",
    messages: [
      ...messages,
      { role: "assistant", content: said },
      { role: "user", content: "more" },
    ],
    max_tokens: 8,
    temperature: 0,
  });
  const longer = `${prompt} ${said}\n[user] more\n[assistant]`;
  expect(next.choices[0]!.message.content).toBe(await answerDirectly(longer, 8));
  const cached = next.usage!.prompt_tokens_details!.cached_tokens!;
  expect(cached).toBeGreaterThan(20);
  expect(cached).toBeLessThan(next.usage!.prompt_tokens);
});

test("several answers at once are those of the seed, sequence by sequence", async () => {
  const answer = await client.chat.completions.create({
    model: "tiny",
    messages,
    max_tokens: 12,
    temperature: 1,
    seed: 4,
    n: 3,
  });
  const ids = model.tokenizer.encodeIds(prompt, { addSpecialTokens: false });
  for (const { index, message } of answer.choices) {
    const alone = { maxTokens: 12, temperature: 1, seed: 4, sequence: index };
    expect(message.content).toBe((await complete(model, ids, alone)).text);
  }
});

test("a role that the template refuses is the client's error", async () => {
  const refused = client.chat.completions.create({
    model: "tiny",
    messages: [{ role: "tool", content: "x", tool_call_id: "1" }],
  });
  await expect(refused).rejects.toMatchObject({ status: 400, code: "chat_template_failed" });
});
