import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createByteCheckpoint } from "../cli/testing/byte-checkpoint.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { type RunningServer, startServer } from "./index.ts";

let folder = "";
let model: LoadedModel;
let server: RunningServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-serve-drafters-"));
  createByteCheckpoint(folder, { contextLength: 1024 });
  model = await loadModel(folder, { threads: 1, slots: 4, inline: true });
  server = await startServer(model, { port: 0, host: "127.0.0.1", drafter: "auto" });
});
afterAll(async () => {
  await server.close({ graceMs: 0 });
  await model.close();
  await rm(folder, { recursive: true, force: true });
});

const request = { prompt: "abcabcabcabc", max_tokens: 20, temperature: 0.8, seed: 5 };

async function post(body: object): Promise<{ status: number; document: Record<string, unknown> }> {
  const response = await fetch(`${server.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, document: (await response.json()) as Record<string, unknown> };
}

describe("the drafter of a request", () => {
  test("changes no text, and usage says what it brought", async () => {
    const plain = await post({ ...request, drafter: "none" });
    expect(plain.document["usage"]).not.toHaveProperty("drafting");
    for (const drafter of [undefined, null, "auto", "lookahead", "prompt-lookup"] as const) {
      const { status, document } = await post({ ...request, n: 2, drafter });
      expect(status).toBe(200);
      const [choice] = document["choices"] as { text: string }[];
      expect(choice!.text).toBe((plain.document["choices"] as { text: string }[])[0]!.text);
      const usage = document["usage"] as {
        completion_tokens: number;
        completion_tokens_details: Record<string, number>;
        drafting: Record<string, unknown>;
      };
      const { drafting, completion_tokens_details: details } = usage;
      expect(drafting["drafter"]).toBe(drafter ?? "auto");
      expect(drafting["accepted_tokens"]).toBe(details["accepted_prediction_tokens"]);
      expect(drafting["drafted_tokens"]).toBe(
        details["accepted_prediction_tokens"]! + details["rejected_prediction_tokens"]!,
      );
      expect(drafting["forward_passes"]).toBeLessThanOrEqual(usage.completion_tokens);
    }
  });

  test("that does not exist, or needs a draft model, is the client's error", async () => {
    const unknown = await post({ ...request, drafter: "crystal-ball" });
    expect(unknown.status).toBe(400);
    expect(unknown.document["error"]).toMatchObject({ param: "drafter" });
    const missing = await post({ ...request, drafter: "dyspec" });
    expect(missing.status).toBe(400);
    expect(missing.document["error"]).toMatchObject({
      param: "drafter",
      code: "drafter_unavailable",
    });
  });

  test("that no request could have stops the server from starting", async () => {
    const address = { port: 0, host: "127.0.0.1" };
    await expect(startServer(model, { ...address, drafter: "dyspec" })).rejects.toMatchObject({
      code: "draft-model-missing",
    });
    const draftModel = join(folder, "absent");
    await expect(startServer(model, { ...address, drafter: "auto", draftModel })).rejects.toThrow(
      "absent does not exist",
    );
  });
});
