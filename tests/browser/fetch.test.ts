/**
 * `fetchModel` against servers of every manner, without a browser: a function stands for the network.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type FetchModelOptions, fetchModel, JetonError, liveSessions } from "../../src/browser.ts";
import { createRandomCheckpoint } from "../../src/testing/random-checkpoint.ts";

const tokenizer = {
  added_tokens: [],
  pre_tokenizer: { type: "WhitespaceSplit" },
  model: {
    type: "WordLevel",
    vocab: Object.fromEntries(Array.from({ length: 512 }, (_, id) => [`w${id}`, id])),
    unk_token: "w0",
  },
};

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-fetch-"));
  const path = join(root, "tokenizer.json");
  writeFileSync(path, JSON.stringify(tokenizer));
  for (const [name, shards] of [
    ["single", 1],
    ["sharded", 3],
  ] as const) {
    createRandomCheckpoint(join(root, name), { family: "llama", seed: 4, shards, tokenizer: path });
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Answers of the network by the last part of the address; the files of a folder are the rest. */
type Answer = (init: RequestInit | undefined) => Response | Promise<Response>;

interface Network {
  fetch: typeof fetch;
  requested: string[];
}

function network(
  answers: Readonly<Record<string, Answer>> = {},
  headers: (size: number) => Record<string, string> = (size) => ({ "content-length": `${size}` }),
): Network {
  const requested: string[] = [];
  return {
    requested,
    async fetch(address, init) {
      init?.signal?.throwIfAborted();
      const { pathname } = new URL(String(address));
      requested.push(pathname);
      const answer = answers[pathname.split("/").at(-1)!];
      if (answer) return answer(init ?? undefined);
      try {
        const bytes = readFileSync(join(root, pathname));
        return new Response(bytes, { headers: headers(bytes.length) });
      } catch {
        return new Response("no such file", { status: 404 });
      }
    },
  };
}

async function codeOf(folder: string, options: FetchModelOptions): Promise<string> {
  const before = liveSessions();
  try {
    await (await fetchModel(`http://models.example/${folder}`, options)).close();
    return "none";
  } catch (error) {
    if (!JetonError.isInstance(error)) throw error;
    return error.code;
  } finally {
    expect(liveSessions()).toBe(before);
  }
}

const json =
  (value: unknown): Answer =>
  () =>
    new Response(JSON.stringify(value));

describe("fetchModel", () => {
  test.each([
    ["with", (size: number) => ({ "content-length": `${size}` })],
    ["without", () => ({})],
    ["with a wrong", () => ({ "content-length": "1000" })],
    ["with a compressed", () => ({ "content-length": "1000", "content-encoding": "identity" })],
  ])("fetches one file or shards %s length", async (_, headers) => {
    const logits: Float32Array[] = [];
    for (const folder of ["single", "sharded", "sharded/"]) {
      const net = network({}, headers as (size: number) => Record<string, string>);
      const progress: [number, number][] = [];
      await using model = await fetchModel(`http://models.example/${folder}`, {
        fetch: net.fetch,
        onProgress: ({ stage, done, total }) => {
          if (stage === "download") progress.push([done, total]);
        },
      });
      expect(model.name).toBe(folder.replace("/", ""));
      for (const [index, [done, total]] of progress.entries()) {
        expect(done).toBeLessThanOrEqual(total);
        expect(done).toBeGreaterThan(progress[index - 1]?.[0] ?? 0);
      }
      const [done, total] = progress.at(-1)!;
      expect(done).toBe(total);
      expect(net.requested.filter((path) => path.includes("//"))).toEqual([]);
      const sequence = await model.openSequence();
      logits.push((await sequence.step({ ids: [1, 2, 3], logits: true })).logits!);
      await sequence.release();
    }
    expect(logits[1]).toEqual(logits[0]);
    expect(logits[2]).toEqual(logits[0]);
  });

  test("the files beside the weights are used when they are there", async () => {
    const { fetch } = network({
      "tokenizer_config.json": json({ bos_token: "w1", eos_token: "w2" }),
      "generation_config.json": () => new Response('{"eos_token_id": [7, 8], "top_p": NaN}'),
      "chat_template.jinja": () => new Response("{{ messages[0].content }}"),
    });
    await using model = await fetchModel("http://models.example/single", { fetch });
    expect(model.tokenizer.bosTokenId).toBe(1);
    expect(model.eosTokenIds).toEqual(expect.arrayContaining([7, 8]));
    expect(model.checkpoint.generationConfig?.["top_p"]).toBeNaN();
  });

  test("what a server says wrong ends in a JetonError", async () => {
    const page: Answer = () =>
      new Response("<!doctype html>", { headers: { "content-type": "text/html; charset=utf-8" } });
    const cases: [string, Record<string, Answer>, string][] = [
      ["nothing", {}, "fetch-failed"],
      ["single", { "generation_config.json": page, "model.safetensors.index.json": page }, "none"],
      ["single", { "config.json": page }, "fetch-failed"],
      ["single", { "config.json": () => new Response("{") }, "config-invalid"],
      ["single", { "tokenizer.json": () => new Response("{") }, "tokenizer-not-json"],
      [
        "single",
        { "tokenizer_config.json": () => new Response("", { status: 500 }) },
        "fetch-failed",
      ],
      ["single", { "model.safetensors": () => new Response("", { status: 403 }) }, "fetch-failed"],
      ["single", { "model.safetensors": () => new Response("x") }, "safetensors-truncated"],
      [
        "single",
        {
          "model.safetensors": () =>
            new Response("x", { headers: { "content-length": "1000000000000000" } }),
        },
        "fetch-too-large",
      ],
      [
        "single",
        { "model.safetensors": () => Promise.reject(new TypeError("network")) },
        "fetch-failed",
      ],
      ["sharded", { "model.safetensors.index.json": json({}) }, "checkpoint-index-invalid"],
      [
        "sharded",
        { "model.safetensors.index.json": json({ weight_map: { a: "../x.safetensors" } }) },
        "checkpoint-shard-name-invalid",
      ],
      [
        "sharded",
        { "model.safetensors.index.json": json({ weight_map: { a: "gone.safetensors" } }) },
        "fetch-failed",
      ],
    ];
    for (const [folder, answers, code] of cases) {
      const label = `${folder} ${Object.keys(answers)} ${code}`;
      expect(await codeOf(folder, { fetch: network(answers).fetch }), label).toBe(code);
    }
  });

  test("an abort in the middle of the weights throws its reason, and stops the other shards", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const signals: AbortSignal[] = [];
    const endless: Answer = (init) => {
      const signal = init!.signal!;
      signals.push(signal);
      return new Response(
        new ReadableStream({
          async pull(stream) {
            if (signal.aborted) stream.error(signal.reason);
            else stream.enqueue(new Uint8Array(100));
            await new Promise((resolve) => setTimeout(resolve));
          },
        }),
      );
    };
    const names = [1, 2, 3].map((shard) => `model-0000${shard}-of-00003.safetensors`);
    const { fetch } = network(Object.fromEntries(names.map((name) => [name, endless])));
    await expect(
      fetchModel("http://models.example/sharded", {
        fetch,
        signal: controller.signal,
        onProgress: ({ done }) => {
          if (done > 1000) controller.abort(reason);
        },
      }),
    ).rejects.toBe(reason);
    expect(signals).toHaveLength(3);
    expect(signals.every((signal) => signal.aborted)).toBe(true);
  });

  test("one failing shard stops the others", async () => {
    const signals: AbortSignal[] = [];
    const silent: Answer = (init) => {
      signals.push(init!.signal!);
      return new Response(new ReadableStream({}));
    };
    const names = [1, 2, 3].map((shard) => `model-0000${shard}-of-00003.safetensors`);
    const { fetch } = network({
      [names[0]!]: () => new Response("", { status: 503 }),
      [names[1]!]: silent,
      [names[2]!]: silent,
    });
    expect(await codeOf("sharded", { fetch })).toBe("fetch-failed");
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true]);
  });
});
