import { existsSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete } from "../generate/index.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { type RunningServer, startServer } from "./index.ts";

const data = process.env["JETON_DATA"];
const folder = data ? join(data, "models/tinystories-260k") : "";
const available = data !== undefined && existsSync(folder);
if (!available) console.log("serve load: skipped, JETON_DATA lacks models/tinystories-260k");

describe.skipIf(!available)("the published client against a real model", () => {
  let model: LoadedModel;
  let server: RunningServer;
  let client: OpenAI;
  beforeAll(async () => {
    model = await loadModel(folder, { format: "f32", threads: 2, slots: 8 });
    server = await startServer(model, {
      port: 0,
      host: "127.0.0.1",
      maxQueue: 64,
      modelName: "tiny",
    });
    client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "none", maxRetries: 0 });
  });
  afterAll(async () => {
    await server?.close();
    await model?.close();
  });

  const requestOf = (index: number) => ({
    model: "tiny",
    prompt: ["Once upon a time", "The dog", "Lily saw", "One day"][index % 4]!,
    max_tokens: 60,
    temperature: 0.9,
    seed: index,
  });

  async function stream(index: number, leaveAfter = Infinity): Promise<string> {
    const chunks = await client.completions.create({ ...requestOf(index), stream: true });
    let text = "";
    let seen = 0;
    for await (const chunk of chunks) {
      text += chunk.choices[0]?.text ?? "";
      if (++seen >= leaveAfter) {
        chunks.controller.abort();
        break;
      }
    }
    return text;
  }

  test("64 streams at once: every one complete and none garbled, twice; ten that leave free their places", async () => {
    const alone: string[] = [];
    for (let index = 0; index < 64; index++) {
      const { prompt, max_tokens, temperature, seed } = requestOf(index);
      const options = { maxTokens: max_tokens, temperature, seed };
      alone.push((await complete(model, prompt, options)).text);
    }
    expect(new Set(alone).size).toBe(64);
    const first = await Promise.all(Array.from({ length: 64 }, (_, index) => stream(index)));
    expect(first).toEqual(alone);
    expect(model.openSequences).toBe(0);
    const after = (await model.memory()).cache;

    const second = await Promise.all(
      Array.from({ length: 64 }, (_, index) => stream(index, index % 6 === 5 ? 5 : Infinity)),
    );
    for (const [index, text] of second.entries()) {
      if (index % 6 !== 5) expect(text).toBe(first[index]);
      else expect(first[index]!.startsWith(text)).toBe(true);
    }
    await expect.poll(() => model.openSequences).toBe(0);
    expect((await model.memory()).cache).toBe(after);
    const health = (await (await fetch(`${server.url}/health`)).json()) as { running: number };
    expect(health.running).toBe(0);
  });

  test("usage, log-probabilities and stop strings are those of the model", async () => {
    const answer = await client.completions.create({
      model: "tiny",
      prompt: "Once upon a time",
      max_tokens: 20,
      temperature: 0,
      logprobs: 2,
    });
    const plain = await complete(model, "Once upon a time", { maxTokens: 20, greedy: true });
    expect(answer.choices[0]!.text).toBe(plain.text);
    expect(answer.choices[0]!.finish_reason).toBe("length");
    expect(answer.usage).toMatchObject({
      completion_tokens: 20,
      prompt_tokens: plain.promptTokens,
    });
    expect(answer.choices[0]!.logprobs!.token_logprobs).toHaveLength(20);
    const stop = plain.text.slice(10, 14);
    const cut = await client.completions.create({
      model: "tiny",
      prompt: "Once upon a time",
      max_tokens: 20,
      temperature: 0,
      stop: [stop],
    });
    expect(cut.choices[0]!.text).toBe(plain.text.slice(0, plain.text.indexOf(stop)));
    expect(cut.choices[0]!.finish_reason).toBe("stop");
  });

  test("a prompt beyond the context is the client's error", async () => {
    await expect(
      client.completions.create({ model: "tiny", prompt: "word ".repeat(600), max_tokens: 5 }),
    ).rejects.toMatchObject({ status: 400, code: "context_length_exceeded" });
  });
});
