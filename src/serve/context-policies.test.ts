import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createByteCheckpoint } from "../cli/testing/byte-checkpoint.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { type RunningServer, startServer } from "./index.ts";

const kept = "sinks-window:sinks=2,window=14";
const cached = "token-select:init=2,local=8,k=8,cache=0.5";
let folder = "";
let model: LoadedModel;
let server: RunningServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-serve-policies-"));
  createByteCheckpoint(folder, { contextLength: 64 });
  model = await loadModel(folder, { threads: 1, slots: 4, inline: true });
  const where = { port: 0, host: "127.0.0.1" };
  const contextPolicies = [kept, cached];
  server = await startServer(model, { ...where, drafter: "prompt-lookup", contextPolicies });
});
afterAll(async () => {
  await server.close({ graceMs: 0 });
  await model.close();
  await rm(folder, { recursive: true, force: true });
});

async function post(body: object): Promise<{ status: number; document: Record<string, never> }> {
  const response = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ max_tokens: 8, temperature: 0, ...body }),
  });
  return { status: response.status, document: (await response.json()) as never };
}

const long = "abcdefgh".repeat(20);
const textOf = ({ document }: Awaited<ReturnType<typeof post>>): string =>
  (document["choices"] as unknown as { text: string }[])[0]!.text;

describe("the context policy of a request", () => {
  test("lets it be longer than the trained context, and is used", async () => {
    expect((await post({ prompt: long })).status).toBe(400);
    const found = await post({ prompt: long, context_policy: kept });
    expect(found.status).toBe(200);
    // What lies between the sinks and the window changes nothing.
    const other = `${long.slice(0, 80)}zzzz${long.slice(84)}`;
    expect(textOf(await post({ prompt: other, context_policy: kept }))).toBe(textOf(found));
  });

  test("that cannot be combined with drafting gets no default drafter, and none that is asked for", async () => {
    expect((await post({ prompt: long, context_policy: cached })).status).toBe(200);
    const asked = { prompt: long, context_policy: cached, drafter: "lookahead" };
    const { status, document } = await post(asked);
    expect(status).toBe(400);
    expect(document["error"]).toMatchObject({ param: "drafter" });
  });

  test("is one of those that the server was started with", async () => {
    for (const context_policy of ["sinks-window", "anything", ""]) {
      const { status, document } = await post({ prompt: "ab", context_policy });
      expect(status).toBe(400);
      expect(document["error"]).toMatchObject({ param: "context_policy" });
    }
    const scored = await post({ prompt: "ab", context_policy: kept, prompt_logprobs: 1 });
    expect(scored.status).toBe(400);
  });

  test("that does not exist stops the start", async () => {
    const where = { port: 0, host: "127.0.0.1", contextPolicies: ["sink-window"] };
    await expect(startServer(model, where)).rejects.toMatchObject({
      code: "context-policy-unknown",
    });
  });
});
