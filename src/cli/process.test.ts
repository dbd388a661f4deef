/** The command as a process of its own: signals, pipes, downloads that are broken off. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createByteCheckpoint } from "./testing/byte-checkpoint.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

let root = "";
let model = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "jeton-process-"));
  model = join(root, "model");
  createByteCheckpoint(model, { contextLength: 100_000, width: 128, layers: 4 });
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  /** Resolves with what standard output holds as soon as it matches. */
  waitFor(stream: "stdout" | "stderr", pattern: RegExp): Promise<string>;
  readonly ended: Promise<Ended>;
}

function start(args: readonly string[], environment: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, ["--import", "tsx", main, ...args], {
    env: { ...process.env, ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  const watchers: (() => void)[] = [];
  for (const name of ["stdout", "stderr"] as const) {
    child[name]!.setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      for (const watch of watchers) watch();
    });
  }
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (status, signal) => resolve({ status, signal, ...text }));
  });
  return {
    child,
    ended,
    waitFor: (name, pattern) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          if (pattern.test(text[name])) resolve(text[name]);
        };
        watchers.push(watch);
        watch();
        void ended.then((end) => reject(new Error(`ended early: ${JSON.stringify(end)}`)));
      }),
  };
}

describe("signals", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("%s ends a generation", async (signal) => {
    const args = ["run", "-m", model, "--ignore-eos", "-n", "90000", "abc"];
    const { child, waitFor, ended } = start(args);
    await waitFor("stdout", /./);
    child.kill(signal);
    const { status, stderr } = await ended;
    expect({ status, stderr }).toEqual({ status: signal === "SIGINT" ? 130 : 143, stderr: "" });
  });

  test("at any moment of a long prompt: clean, and nothing on standard output", async () => {
    const prompt = "abcd ".repeat(19_000);
    let handled = 0;
    for (let delay = 250; handled < 3 && delay < 20_000; delay *= 1.7) {
      const args = ["run", "-m", model, "--prefill-chunk", "32", "--json", "-"];
      const { child, ended } = start(args);
      child.stdin!.end(prompt);
      await sleep(delay);
      child.kill("SIGINT");
      const { status, signal, stdout, stderr } = await ended;
      // Before the command has loaded, Node itself ends by the signal.
      expect(status === 130 || (handled === 0 && signal === "SIGINT")).toBe(true);
      expect({ stdout, stderr }).toEqual({ stdout: "", stderr: "" });
      if (status === 130) handled++;
    }
    expect(handled).toBe(3);
  });

  test("while several sequences are generated", async () => {
    const args = ["run", "-m", model, "--ignore-eos", "-n", "90000", "--sequences", "4", "abc"];
    const { child, ended } = start([...args, "--json"]);
    await sleep(2000);
    child.kill("SIGINT");
    const { status, signal, stdout, stderr } = await ended;
    // On a machine so slow that nothing is loaded by then, Node itself ends by the signal.
    expect(status === 130 || signal === "SIGINT").toBe(true);
    expect({ stdout, stderr }).toEqual({ stdout: "", stderr: "" });
  });

  test("while lines of JSON are awaited", async () => {
    const { child, waitFor, ended } = start(["tokenize", model, "--jsonl"]);
    child.stdin!.write('"abc"\n');
    await waitFor("stdout", /\n/);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ status: 130, stderr: "" });
  });
});

test("ONNX Runtime reports nothing to its makers: no identifier, no log, no cache of events", async () => {
  const home = join(root, "home");
  await mkdir(home);
  // The library keeps quiet by itself where it believes to run in CI.
  const quiet = ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "ORT_DISABLE_TELEMETRY"];
  const kept = Object.entries(process.env).filter(([name]) => !quiet.includes(name));
  const cache = join(home, "cache");
  const places = { HOME: home, XDG_CACHE_HOME: cache, JETON_CACHE: cache, TMPDIR: home };
  const args = ["run", "-m", model, "--format", "int8", "-n", "5", "abc"];
  const child = spawn(process.execPath, ["--import", "tsx", main, ...args], {
    env: { ...Object.fromEntries(kept), ...places },
  });
  const status = await new Promise((resolve) => child.on("close", resolve));
  expect(status).toBe(0);
  const names = readdirSync(home, { recursive: true }).map(String);
  // What was packed shows that the folder is where such files would be.
  expect(names.some((name) => name.includes("packed"))).toBe(true);
  expect(names.filter((name) => /microsoft|mat-debug|onnxruntime/i.test(name))).toEqual([]);
}, 60_000);

describe("pipes", () => {
  test("a reader that goes away ends the command without a word", async () => {
    const { child, waitFor, ended } = start([
      "run",
      "-m",
      model,
      "--ignore-eos",
      "-n",
      "90000",
      "a",
    ]);
    await waitFor("stdout", /./);
    child.stdout!.destroy();
    expect(await ended).toMatchObject({ status: 0, stderr: "" });
  });

  test.skipIf(!existsSync("/dev/full"))(
    "a full disk behind standard output is an error of one line",
    async () => {
      const child = spawn(process.execPath, ["--import", "tsx", main, "systems"], {
        stdio: ["ignore", openSync("/dev/full", "w"), "pipe"],
      });
      let stderr = "";
      child.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
        stderr += chunk;
      });
      const status = await new Promise((resolve) => child.on("close", resolve));
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: expect.stringMatching(
          /^error: standard output cannot be written: ENOSPC[^\n]*\(output-failed\)\n$/,
        ),
      });
    },
  );

  test("a slow reader gets every line", async () => {
    const { child, ended } = start(["tokenize", model, "--jsonl"]);
    child.stdout!.pause();
    const lines = 20_000;
    child.stdin!.end('"abcdefghij"\n'.repeat(lines));
    await sleep(1500);
    child.stdout!.resume();
    const { status, stdout } = await ended;
    expect(status).toBe(0);
    expect(stdout.split("\n")).toHaveLength(lines + 1);
  });
});

describe("downloads", () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const files = new Map<string, Buffer>();
  let server: Server;
  /** Sends half of the weights and nothing more while true. */
  let stalls = true;
  beforeAll(async () => {
    for (const name of ["config.json", "tokenizer.json", "model.safetensors"]) {
      files.set(name, readFileSync(join(model, name)));
    }
    const checksum = (body: Buffer): string =>
      createHash("sha1").update(`blob ${body.length}\0`).update(body).digest("hex");
    server = createServer((request, response) => {
      const { pathname } = new URL(request.url!, "http://localhost");
      if (pathname.startsWith("/api/models/team/tiny/revision/")) {
        const siblings = [...files.keys()].map((rfilename) => ({ rfilename }));
        const info = { id: "team/tiny", sha: commit, siblings, private: false, gated: false };
        return response.end(JSON.stringify(info));
      }
      if (pathname.startsWith("/api/models/team/tiny/tree/")) {
        const entries = [...files].map(([path, body]) => ({
          type: "file",
          path,
          size: body.length,
          oid: checksum(body),
        }));
        return response.end(JSON.stringify(entries));
      }
      const name = pathname.replace(`/team/tiny/resolve/${commit}/`, "");
      const body = files.get(name);
      if (body === undefined) return response.writeHead(404).end();
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      response.setHeader("etag", `"${checksum(body)}"`);
      response.setHeader("content-length", body.length - from);
      if (from > 0) {
        response.setHeader("content-range", `bytes ${from}-${body.length - 1}/${body.length}`);
        response.statusCode = 206;
      }
      if (request.method === "HEAD") return response.end();
      if (!stalls || name !== "model.safetensors") return response.end(body.subarray(from));
      response.write(body.subarray(from, body.length >> 1));
      server.emit("half");
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });

  test("a broken-off download leaves nothing that looks whole, and goes on later", async () => {
    const home = join(root, "hub");
    const environment = {
      HF_HOME: home,
      HF_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      HF_HUB_CACHE: join(home, "hub"),
      HF_HUB_OFFLINE: "0",
    };
    const args = ["run", "-m", "team/tiny", "--greedy", "-n", "4", "--json", "abc"];
    const half = new Promise((resolve) => server.once("half", resolve));
    const first = start(args, environment);
    await half;
    await sleep(200);
    first.child.kill("SIGINT");
    expect(await first.ended).toMatchObject({ status: 130, stdout: "", stderr: "" });
    const snapshots = join(home, "hub", "models--team--tiny", "snapshots");
    const snapshot = join(snapshots, commit);
    const weights = join(snapshot, "model.safetensors");
    expect(existsSync(weights)).toBe(false);
    const blobs = readdirSync(join(home, "hub", "models--team--tiny", "blobs"));
    expect(blobs.some((name) => name.endsWith(".incomplete"))).toBe(true);

    stalls = false;
    const { status, stdout } = await start(args, environment).ended;
    expect(status).toBe(0);
    const local = await start(["run", "-m", model, "--greedy", "-n", "4", "--json", "abc"]).ended;
    expect((JSON.parse(stdout) as { ids: number[] }).ids).toEqual(
      (JSON.parse(local.stdout) as { ids: number[] }).ids,
    );
    expect(readFileSync(weights).equals(files.get("model.safetensors")!)).toBe(true);
  });
});
