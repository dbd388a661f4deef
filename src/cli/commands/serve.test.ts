/** `jeton serve` as a process: it answers, and a signal lets running answers end. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createByteCheckpoint } from "../testing/byte-checkpoint.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "jeton-serve-"));
  createByteCheckpoint(root, { contextLength: 20_000, width: 128, layers: 4 });
});
afterAll(() => rm(root, { recursive: true, force: true }));

let child: ChildProcess | undefined;
afterEach(() => {
  if (child?.exitCode === null) child.kill("SIGKILL");
});

interface Serving {
  readonly child: ChildProcess;
  readonly url: string;
  /** Resolves once standard error holds this. */
  says(text: string): Promise<void>;
  /** Status and standard error once the process has ended. */
  readonly ended: Promise<{ status: number | null; stderr: string }>;
}

async function serve(args: readonly string[], key?: string): Promise<Serving> {
  const started = spawn(
    process.execPath,
    [
      "--import",
      "tsx",
      main,
      "serve",
      "-m",
      root,
      "--port",
      "0",
      "--json",
      "--name",
      "tiny",
      ...args,
    ],
    {
      env: { ...process.env, ...(key !== undefined && { JETON_API_KEY: key }) },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  child = started;
  let stderr = "";
  started.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = once(started, "close").then(([status]) => ({
    status: status as number | null,
    stderr,
  }));
  const [line] = (await Promise.race([
    once(started.stdout, "data"),
    ended.then((end) => Promise.reject(new Error(JSON.stringify(end)))),
  ])) as [Buffer];
  const { url, model } = JSON.parse(line.toString()) as { url: string; model: string };
  expect(model).toBe("tiny");
  const says = async (text: string): Promise<void> => {
    while (!stderr.includes(text)) await once(started.stderr, "data");
  };
  return { child: started, url, says, ended };
}

function complete(url: string, body: Record<string, unknown>): Promise<Response> {
  return fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "tiny", prompt: "abc", temperature: 0, ...body }),
  });
}

describe("jeton serve", () => {
  test("answers, asks for the key of the environment, ends with status 0", async () => {
    const { child, url, ended } = await serve([], "secret");
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect((await fetch(`${url}/v1/models`)).status).toBe(401);
    const headers = { authorization: "Bearer secret" };
    const models = (await (await fetch(`${url}/v1/models`, { headers })).json()) as {
      data: { id: string }[];
    };
    expect(models.data.map(({ id }) => id)).toEqual(["tiny"]);
    child.kill("SIGTERM");
    expect((await ended).status).toBe(0);
  });

  test("one signal lets a running answer end", async () => {
    const { child, url, ended } = await serve(["--quiet"]);
    const answer = await complete(url, { max_tokens: 300, stream: true });
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = (await reader.read()).value ?? "";
    child.kill("SIGINT");
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
    }
    expect(text.trimEnd().endsWith("data: [DONE]")).toBe(true);
    expect(text).toMatch(/"finish_reason":"(length|stop)"/);
    expect((await ended).status).toBe(0);
  });

  test("a second signal ends it at once", async () => {
    const { child, url, says, ended } = await serve(["--quiet"]);
    const answer = await complete(url, { max_tokens: 19_000, stream: true });
    const reader = answer.body!.getReader();
    await reader.read();
    child.kill("SIGINT");
    await says("running requests may finish");
    child.kill("SIGINT");
    expect((await ended).status).toBe(130);
    await reader.cancel().catch(() => undefined);
  });
});
