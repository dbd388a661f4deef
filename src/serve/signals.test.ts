/** Signals to a server under load, as a process of its own: `jeton serve`. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createByteCheckpoint } from "../cli/testing/byte-checkpoint.ts";

const main = fileURLToPath(new URL("../cli/main.ts", import.meta.url));
const clients = 40;
const slots = 8;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-signals-"));
  createByteCheckpoint(folder, { contextLength: 60_000, width: 128, layers: 4 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let child: ChildProcess | undefined;
afterEach(() => {
  if (child?.exitCode === null) child.kill("SIGKILL");
});

interface Serving {
  readonly url: string;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Resolves once standard error holds this. */
  readonly says: (text: string) => Promise<void>;
  readonly ended: Promise<{ status: number | null; signal: string | null; stderr: string }>;
}

async function serve(...args: string[]): Promise<Serving> {
  const options = ["--port", "0", "--json", "--quiet", "--slots", String(slots), ...args];
  const started = spawn(
    process.execPath,
    ["--import", "tsx", main, "serve", "-m", folder, ...options],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  child = started;
  let stderr = "";
  started.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = once(started, "close").then(([status, signal]) => ({ status, signal, stderr }));
  const [line] = (await Promise.race([
    once(started.stdout, "data"),
    ended.then((end) => Promise.reject(new Error(JSON.stringify(end)))),
  ])) as [Buffer];
  return {
    url: (JSON.parse(line.toString()) as { url: string }).url,
    kill: (signal) => void started.kill(signal),
    says: async (text) => {
      while (!stderr.includes(text)) await once(started.stderr, "data");
    },
    ended,
  };
}

interface Stream {
  readonly status: number;
  /** Resolves with the whole body, or with what came of it before the connection broke. */
  readonly text: Promise<string>;
}

/** A streaming request; resolves at its first event, or at a refusal. */
async function stream(url: string, body: Record<string, unknown>): Promise<Stream> {
  const answer = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ temperature: 1, seed: 1, stream: true, ...body }),
  });
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value ?? "";
  const rest = async (): Promise<string> => {
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return text;
        text += value;
      }
    } catch {
      return text;
    }
  };
  return { status: answer.status, text: rest() };
}

/** As many clients as run and wait; resolves when all places run. `answers` come with the clients' ends. */
async function load(
  { url }: Serving,
  body: Record<string, unknown>,
): Promise<{
  answers: Promise<{ status: number; text: string }[]>;
  /** Resolves once every place has sent its first event. */
  begun: Promise<void>;
}> {
  let events = 0;
  let allBegan = (): void => {};
  const begun = new Promise<void>((resolve) => {
    allBegan = resolve;
  });
  const requests = Array.from({ length: clients }, async () => {
    const { status, text } = await stream(url, { prompt: "abc", ...body });
    if (++events === slots) allBegan();
    return { status, text: await text };
  });
  for (;;) {
    const health = await fetch(`${url}/health`);
    const { running, queued } = (await health.json()) as { running: number; queued: number };
    if (running === slots && queued === clients - slots) break;
  }
  return { answers: Promise.all(requests), begun };
}

/** What the clients got, by kind. */
function count(answers: readonly { status: number; text: string }[]): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const { status, text } of answers) {
    const last = text.trimEnd().split("\n\n").at(-1) ?? "";
    let kind = `a broken end: ${last}`;
    if (status === 503 && text.includes("server_shutting_down")) kind = "refused";
    else if (last === "data: [DONE]") kind = "whole";
    else if (last.includes("server_shutting_down")) kind = "ended early, with a reason";
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

describe("a server under load", () => {
  test.each(["SIGINT", "SIGTERM"] as const)(
    "%s: running streams finish, waiting requests are refused, status 0",
    async (signal) => {
      const server = await serve("--grace", "3600");
      const { answers } = await load(server, { max_tokens: 1500 });
      server.kill(signal);
      expect(count(await answers)).toEqual({ whole: slots, refused: clients - slots });
      const { stderr, ...end } = await server.ended;
      expect(end).toEqual({ status: 0, signal: null });
      expect(stderr).toMatch(/^\S+ answers at \S+ .*\nending; .*\n$/);
    },
  );

  test("a second signal ends running streams with a reason; nothing aborts", async () => {
    const server = await serve();
    // Hours of work: only the signal can end it.
    const { answers, begun } = await load(server, { max_tokens: 50_000 });
    await begun;
    server.kill("SIGINT");
    await server.says("running requests may finish");
    const began = performance.now();
    server.kill("SIGINT");
    expect(count(await answers)).toEqual({
      "ended early, with a reason": slots,
      refused: clients - slots,
    });
    const { stderr, ...end } = await server.ended;
    console.log(`ended ${Math.round(performance.now() - began)} ms after the second signal`);
    expect(end).toEqual({ status: 130, signal: null });
    expect(stderr).toMatch(/^\S+ answers at \S+ .*\nending; .*\n$/);
  });

  test("the end of the grace does the same", async () => {
    const server = await serve("--grace", "0.05");
    const { answers, begun } = await load(server, { max_tokens: 50_000 });
    await begun;
    server.kill("SIGTERM");
    expect(count(await answers)).toEqual({
      "ended early, with a reason": slots,
      refused: clients - slots,
    });
    expect(await server.ended).toMatchObject({ status: 0, signal: null });
  });

  test("signals in the middle of long prompts", async () => {
    const server = await serve();
    const { answers } = await load(server, { prompt: "abcd ".repeat(9000), max_tokens: 10_000 });
    server.kill("SIGINT");
    await server.says("running requests may finish");
    const began = performance.now();
    server.kill("SIGTERM");
    // Not a token had come, so the refusal is a proper answer for all of them.
    expect(count(await answers)).toEqual({ refused: clients });
    const { stderr, ...end } = await server.ended;
    console.log(`ended ${Math.round(performance.now() - began)} ms after the second signal`);
    expect(end).toEqual({ status: 143, signal: null });
    expect(stderr).toMatch(/^\S+ answers at \S+ .*\nending; .*\n$/);
  });
});
