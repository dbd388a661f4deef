import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, lstat, mkdir, readFile, rm, stat, symlink, unlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../testing/code-of.ts";
import { openCheckpoint } from "../checkpoint.ts";
import { commit } from "./testing/fake-hub.ts";
import {
  cache,
  environment,
  home,
  hub,
  isWeights,
  remains,
  resolveTiny,
  sha256,
  useFakeHub,
  weights,
} from "./testing/hub-fixture.ts";

useFakeHub();

describe("offline", () => {
  test("uses the cache and never the network; what is absent is an error", async () => {
    environment["HF_HUB_OFFLINE"] = "1";
    expect(await codeOf(resolveTiny())).toBe("hub-offline");
    delete environment["HF_HUB_OFFLINE"];
    const folder = await resolveTiny();
    environment["HF_HUB_OFFLINE"] = "TRUE";
    hub.requests = [];
    expect(await resolveTiny({ update: true })).toBe(folder);
    await unlink(cache("blobs", sha256(weights.get("model.safetensors")!)));
    expect(await codeOf(resolveTiny())).toBe("hub-offline");
    expect(await resolveTiny({ weights: false })).toBe(folder);
    expect(hub.requests).toEqual([]);
  });

  test("a hub that cannot be reached: the cache if it will do, else an error", async () => {
    const folder = await resolveTiny();
    await hub.stop();
    expect(await resolveTiny({ update: true })).toBe(folder);
    expect(await codeOf(resolveTiny({ attempts: 2 }, "team/other"))).toBe("hub-connection-failed");
    await hub.start(); // on another port, for afterEach
  });
});

describe("stopping and sharing", () => {
  /** Sends the weights at 100 kB every 20 ms. */
  const slowly = (): void => {
    hub.faults.onContent = (request, response, content) => {
      if (!isWeights(request)) return false;
      const start = Number(request.headers.range?.match(/\d+/)?.[0] ?? 0);
      response.writeHead(start > 0 ? 206 : 200, {
        "content-length": content.length - start,
        ...(start > 0 && {
          "content-range": `bytes ${start}-${content.length - 1}/${content.length}`,
        }),
      });
      let at = start;
      const timer = setInterval(() => {
        response.write(content.subarray(at, at + 100_000));
        at += 100_000;
        if (at >= content.length || response.destroyed) {
          clearInterval(timer);
          response.end();
        }
      }, 20);
      return true;
    };
  };

  test("an AbortSignal ends it with its reason and leaves a part that can be resumed", async () => {
    slowly();
    const controller = new AbortController();
    const reason = new Error("enough");
    const promise = resolveTiny({
      signal: controller.signal,
      onProgress: ({ file, bytes }) => {
        if (file === "model.safetensors" && bytes > 200_000) controller.abort(reason);
      },
    });
    await expect(promise).rejects.toBe(reason);
    const left = await remains();
    expect(left).toEqual([`${sha256(weights.get("model.safetensors")!)}.jeton.incomplete`]);
    expect(existsSync(cache("refs", "main"))).toBe(false);
    const { size } = await stat(cache("blobs", left[0]!));
    expect(size).toBeGreaterThan(0);
    hub.faults = {};
    hub.requests = [];
    await resolveTiny();
    expect(hub.contentRequests("model.safetensors").map(({ range }) => range)).toEqual([
      `bytes=${size}-`,
    ]);
    await expect(resolveTiny({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test("several at once in one process fetch each file once", async () => {
    slowly();
    const folders = await Promise.all([resolveTiny(), resolveTiny(), resolveTiny()]);
    expect(new Set(folders).size).toBe(1);
    expect(hub.contentRequests("model.safetensors")).toHaveLength(1);
    expect(await remains()).toEqual([]);
  });

  const run = (): { exit: Promise<{ code: number | null; output: string }>; kill: () => void } => {
    const source = `import { resolveModel } from ${JSON.stringify(new URL("./hub.ts", import.meta.url).href)};
      console.log("started");
      console.log(await resolveModel("team/tiny", { retryDelay: 5 }));`;
    const child = spawn(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "-e", source],
      {
        cwd: fileURLToPath(new URL("../../..", import.meta.url)),
        env: { ...process.env, ...environment },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    const exit = new Promise<{ code: number | null; output: string }>((done) =>
      child.on("exit", (code) => done({ code, output })),
    );
    return { exit, kill: () => child.kill("SIGKILL") };
  };

  test("two processes at once end with one whole file", async () => {
    slowly();
    const results = await Promise.all([run().exit, run().exit, resolveTiny()]);
    expect(results[0]).toEqual({ code: 0, output: `started\n${cache("snapshots", commit)}\n` });
    expect(results[1]).toEqual(results[0]);
    const body = await readFile(join(cache("snapshots", commit), "model.safetensors"));
    expect(body.equals(weights.get("model.safetensors")!)).toBe(true);
    expect(hub.contentRequests("model.safetensors")).toHaveLength(1);
    expect(await remains()).toEqual([]);
  });

  test("a process that is killed leaves a part and a lock; the next takes both over", async () => {
    slowly();
    const killed = run();
    const partial = cache("blobs", `${sha256(weights.get("model.safetensors")!)}.jeton.incomplete`);
    for (;;) {
      const size = await stat(partial).then(
        (found) => found.size,
        () => 0,
      );
      if (size > 200_000) break;
      await sleep(5);
    }
    killed.kill();
    await killed.exit;
    expect(await remains()).toHaveLength(2);
    const { size } = await stat(partial);
    hub.faults = {};
    hub.requests = [];
    const folder = await resolveTiny();
    expect(hub.contentRequests("model.safetensors").map(({ range }) => range)).toEqual([
      `bytes=${size}-`,
    ]);
    expect(
      (await readFile(join(folder, "model.safetensors"))).equals(weights.get("model.safetensors")!),
    ).toBe(true);
    expect(await remains()).toEqual([]);
  });

  test("a cache that was moved, or is reached through a link, still works", async () => {
    await mkdir(join(home, "real"), { recursive: true });
    await symlink("real", join(home, "hub"));
    const folder = await resolveTiny();
    await cp(join(home, "real"), join(home, "copy"), { recursive: true, verbatimSymlinks: true });
    await rm(join(home, "real"), { recursive: true });
    const copied = folder.replace("/hub/", "/copy/");
    expect((await lstat(join(copied, "model.safetensors"))).isSymbolicLink()).toBe(true);
    await using checkpoint = await openCheckpoint(copied);
    expect(checkpoint.tensors.size).toBe(1);
    expect(await resolveTiny({ cacheFolder: join(home, "copy"), offline: true })).toBe(copied);
  });
});
