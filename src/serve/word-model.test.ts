/** Models whose tokens are bytes and word ends, behind the server like any other. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { complete, completeBytes, openByteDistribution, score } from "../generate/index.ts";
import { smallWordConfig, writeSmallWordModel } from "../model/byte/testing/small-word-model.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { type RunningServer, startServer } from "./index.ts";

let root = "";
let model: LoadedModel;
let server: RunningServer;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-serve-words-"));
  const folder = await writeSmallWordModel(root, smallWordConfig("hierarchical-transformer"), 3);
  model = await loadModel(folder, { inline: true, threads: 1 });
  server = await startServer(model, { port: 0, host: "127.0.0.1" });
});
afterAll(async () => {
  await server.close();
  await model.close();
  rmSync(root, { recursive: true, force: true });
});

async function post(body: object): Promise<{ status: number; document: Record<string, never> }> {
  const response = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: model.name, ...body }),
  });
  return { status: response.status, document: (await response.json()) as never };
}

test("completes, several requests at a time, as generation does", async () => {
  const options = { max_tokens: 12, temperature: 0 };
  const answers = await Promise.all(
    ["Once upon", "The cat, élan"].map((prompt) => post({ prompt, ...options })),
  );
  for (const [index, prompt] of ["Once upon", "The cat, élan"].entries()) {
    const { status, document } = answers[index]!;
    expect(status).toBe(200);
    const own = await complete(model, prompt, { maxTokens: 12, greedy: true });
    const [choice] = document["choices"] as unknown as [{ text: string }];
    expect(choice.text).toBe(own.text);
    expect(document["usage"]).toMatchObject({ prompt_tokens: own.promptTokens });
  }
});

test("the field bytes: the most probable bytes, however the prompt ends", async () => {
  for (const prompt of ["Once upon", "The cat, él", "x "]) {
    const answer = await post({ prompt, bytes: true, max_tokens: 8, temperature: 0 });
    expect(answer.status).toBe(200);
    const bytes = await openByteDistribution(model);
    const own = await completeBytes(bytes, prompt, { greedy: true, maxBytes: 8 });
    await bytes.close();
    const [choice] = answer.document["choices"] as unknown as [{ text: string }];
    expect([prompt, choice.text]).toEqual([prompt, own.text]);
  }
});

test("scores a prompt with its word ends", async () => {
  const body = { prompt: "Hi, you", max_tokens: 0, echo: true, logprobs: 1 };
  const { status, document } = await post(body);
  expect(status).toBe(200);
  const [choice] = document["choices"] as unknown as [
    { text: string; logprobs: { token_logprobs: (number | null)[] } },
  ];
  expect(choice.text).toBe("Hi, you");
  const { tokens } = await score(model, "Hi, you");
  expect(choice.logprobs.token_logprobs.slice(1)).toEqual(
    tokens.map(({ logProbability }) => expect.closeTo(logProbability, 4)),
  );
});
