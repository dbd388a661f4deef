/** A sparse decoder behind the server like any other model. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { complete, score } from "../generate/index.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { bundledModel } from "../testing/test-data.ts";
import { type RunningServer, startServer } from "./index.ts";

let root = "";
let model: LoadedModel;
let server: RunningServer;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-serve-experts-"));
  const tokenizer = join(bundledModel, "tokenizer.json");
  createRandomCheckpoint(root, {
    family: "olmoe",
    seed: 6,
    vocabulary: 4099,
    layers: 2,
    tokenizer,
  });
  model = await loadModel(root, {
    format: "int8",
    inline: true,
    threads: 1,
    slots: 4,
    onWarning() {},
  });
  server = await startServer(model, { port: 0, host: "127.0.0.1" });
});
afterAll(async () => {
  await server.close();
  await model.close();
  rmSync(root, { recursive: true, force: true });
});

const prompts = ["Once upon a time", "one two three one two three one", "The cat, élan", "x"];

async function post(path: string, body: object): Promise<Record<string, never>> {
  const response = await fetch(`${server.url}/v1/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: model.name, ...body }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as never;
}

test.each([undefined, "none", "auto", "prompt-lookup"])(
  "requests side by side have the texts of generation alone, drafter %s",
  async (drafter) => {
    const answers = await Promise.all(
      prompts.map((prompt) =>
        post("completions", {
          prompt,
          max_tokens: 16,
          temperature: 0,
          ...(drafter && { drafter }),
        }),
      ),
    );
    const texts = [];
    for (const [index, prompt] of prompts.entries()) {
      const own = await complete(model, prompt, { maxTokens: 16, greedy: true });
      texts.push(own.text);
      const [choice] = answers[index]!["choices"] as unknown as [{ text: string }];
      expect([prompt, choice.text]).toEqual([prompt, own.text]);
    }
    expect(new Set(texts).size).toBe(prompts.length);
  },
);

test("scores a prompt as the library does", async () => {
  const body = { prompt: prompts[0], max_tokens: 0, echo: true, logprobs: 1 };
  const [choice] = (await post("completions", body))["choices"] as unknown as [
    { logprobs: { token_logprobs: (number | null)[] } },
  ];
  const { tokens } = await score(model, prompts[0]!);
  expect(choice.logprobs.token_logprobs.slice(1)).toEqual(
    tokens.map(({ logProbability }) => expect.closeTo(logProbability, 4)),
  );
});
