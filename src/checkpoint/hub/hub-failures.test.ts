import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { codeOf, errorOf } from "../../testing/code-of.ts";
import { token } from "./testing/fake-hub.ts";
import {
  cache,
  cutAfter,
  environment,
  hub,
  isWeights,
  remains,
  resolveTiny,
  sha256,
  sharded,
  useFakeHub,
  weights,
} from "./testing/hub-fixture.ts";

useFakeHub();

describe("a download that goes wrong", () => {
  test("dropped connections: goes on by range from where each broke off", async () => {
    const body = weights.get("model.safetensors")!;
    let cuts = 0;
    hub.faults.onContent = (request, response, content) => {
      if (!isWeights(request) || cuts === 8) return false;
      cuts++;
      cutAfter(100_000, request, response, content);
      return true;
    };
    const folder = await resolveTiny(); // 8 cuts, and 5 tries: those that bring bytes do not count
    expect((await readFile(join(folder, "model.safetensors"))).equals(body)).toBe(true);
    const ranges = hub
      .contentRequests("model.safetensors")
      .map(({ range }) => Number(range?.match(/\d+/)?.[0] ?? 0));
    expect(ranges).toHaveLength(9);
    expect(ranges[0]).toBe(0);
    for (let i = 1; i < ranges.length; i++) {
      expect(ranges[i]).toBeGreaterThan(ranges[i - 1]!);
      expect(ranges[i]).toBeLessThanOrEqual(i * 100_000);
    }
    expect(await remains()).toEqual([]);
  });

  test("a connection that never brings anything: an error, what was there is kept and resumed later", async () => {
    let drops = 0;
    hub.faults.onContent = (request, response, content) => {
      if (!isWeights(request)) return false;
      if (drops++ === 0) cutAfter(300_000, request, response, content);
      else response.destroy();
      return true;
    };
    expect(await codeOf(resolveTiny({ attempts: 3 }))).toBe("hub-connection-failed");
    expect(drops).toBe(4 - 1);
    const [partial, ...rest] = await remains();
    expect(partial).toMatch(/^[0-9a-f]{64}\.jeton\.incomplete$/);
    expect(rest).toEqual([]);
    const { size } = await stat(cache("blobs", partial!));
    expect(size).toBeGreaterThan(0);
    expect(existsSync(cache("refs", "main"))).toBe(false);
    hub.faults = {};
    hub.requests = [];
    await resolveTiny();
    expect(hub.contentRequests("model.safetensors").map(({ range }) => range)).toEqual([
      `bytes=${size}-`,
    ]);
    expect(await remains()).toEqual([]);
  });

  test("a wrong checksum: an error, the file is discarded, the next download is whole", async () => {
    const wrong = (path: RegExp): void => {
      hub.faults.onContent = (request, response, content) => {
        if (!path.test(request.url!)) return false;
        const spoilt = Buffer.from(content);
        spoilt[spoilt.length >> 1]! ^= 1;
        response.end(spoilt);
        return true;
      };
    };
    for (const path of [/\/config\.json$/, /model\.safetensors$/]) {
      wrong(path);
      const error = await errorOf(resolveTiny());
      expect(error.code).toBe("hub-checksum-mismatch");
      const { expected } = error.details as { expected: string };
      expect((await readdir(cache("blobs"))).filter((name) => name.startsWith(expected))).toEqual(
        [],
      );
      expect(existsSync(cache("refs", "main"))).toBe(false);
      // Files that came whole before the bad one was noticed stay: the next round has to fetch its own.
      await rm(cache("blobs"), { recursive: true, force: true });
    }
    hub.faults = {};
    await resolveTiny();
  });

  test("a spoilt part of an earlier download is noticed, and all is fetched anew", async () => {
    const body = weights.get("model.safetensors")!;
    await mkdir(cache("blobs"), { recursive: true });
    await writeFile(cache("blobs", `${sha256(body)}.jeton.incomplete`), Buffer.alloc(500_000, 7));
    const folder = await resolveTiny();
    expect((await readFile(join(folder, "model.safetensors"))).equals(body)).toBe(true);
    expect(hub.contentRequests("model.safetensors").map(({ range }) => range)).toEqual([
      "bytes=500000-",
      undefined,
    ]);
  });

  test.each([
    ["longer than the file", 2_000_000],
    ["as long as the file, but wrong", 0],
  ])("a part that is %s", async (_, extra) => {
    const body = weights.get("model.safetensors")!;
    await mkdir(cache("blobs"), { recursive: true });
    await writeFile(
      cache("blobs", `${sha256(body)}.jeton.incomplete`),
      Buffer.alloc(body.length + extra, 7),
    );
    const folder = await resolveTiny();
    expect((await readFile(join(folder, "model.safetensors"))).equals(body)).toBe(true);
  });

  test("a server that ignores ranges sends all of it again", async () => {
    let cuts = 0;
    hub.faults.onContent = (request, response, content) => {
      if (!isWeights(request)) return false;
      if (cuts++ === 0) cutAfter(200_000, request, response, content);
      else response.writeHead(200, { "content-length": content.length }).end(content);
      return true;
    };
    const folder = await resolveTiny();
    expect(
      (await readFile(join(folder, "model.safetensors"))).equals(weights.get("model.safetensors")!),
    ).toBe(true);
  });

  test("an answer that is too long or ends too early without an error", async () => {
    hub.faults.onContent = (request, response, content) => {
      if (!isWeights(request)) return false;
      response.end(Buffer.concat([content, Buffer.from("more")]));
      return true;
    };
    expect(await codeOf(resolveTiny())).toBe("hub-answer-invalid");
    hub.faults.onContent = (request, response, content) => {
      if (!isWeights(request) || request.headers.range) return false;
      response.end(content.subarray(0, 1000));
      return true;
    };
    const folder = await resolveTiny();
    expect(
      (await readFile(join(folder, "model.safetensors"))).equals(weights.get("model.safetensors")!),
    ).toBe(true);
  });

  test("a connection over which nothing comes counts as dropped", async () => {
    let silent = true;
    hub.faults.onContent = (request, response, content) => {
      if (!isWeights(request) || !silent) return false;
      silent = false;
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 1000));
      return true;
    };
    await resolveTiny({ stallTimeout: 200 });
    expect(hub.contentRequests("model.safetensors").map(({ range }) => range)).toEqual([
      undefined,
      "bytes=1000-",
    ]);
  });

  test("a hub that is busy is asked again, by its own clock", async () => {
    let refusals = 0;
    hub.faults.onApi = (_, response) => {
      if (refusals === 3) return false;
      response.writeHead([503, 429, 500][refusals++]!, { "retry-after": "0" }).end();
      return true;
    };
    await resolveTiny();
    expect(refusals).toBe(3);
  });

  test.each([
    [401, "RepoNotFound", "hub-unauthorized"],
    [401, "GatedRepo", "hub-gated"],
    [403, "GatedRepo", "hub-gated"],
    [403, "", "hub-gated"],
    [404, "RepoNotFound", "hub-model-not-found"],
    [404, "RevisionNotFound", "hub-revision-not-found"],
    [418, "", "hub-request-failed"],
  ])("the answer %i %s: %s, at once", async (status, kind, code) => {
    environment["HF_TOKEN"] = token;
    hub.faults.onApi = (_, response) => {
      response.writeHead(status, kind ? { "x-error-code": kind } : {}).end();
      return true;
    };
    const error = await errorOf(resolveTiny());
    expect(error.code).toBe(code);
    expect(JSON.stringify([error.message, error.details])).not.toContain(token);
    expect(hub.requests).toHaveLength(1);
  });

  test("access that is refused for the files alone, as for gated models", async () => {
    hub.faults.onContent = (_, response) => {
      response
        .writeHead(403, { "x-error-code": "GatedRepo", "x-error-message": "Ask first." })
        .end();
      return true;
    };
    const error = await errorOf(resolveTiny());
    expect(error.code).toBe("hub-gated");
    expect(error.message).toContain("Ask first.");
    expect(error.message).toContain("team/tiny");
  });

  test("a repository without weights that can be read", async () => {
    hub.files = new Map([...weights].filter(([name]) => !name.startsWith("model.safetensors")));
    expect(await codeOf(resolveTiny())).toBe("hub-weights-missing");
    hub.files = new Map(
      [...sharded].filter(([name]) => name !== "model-00002-of-00003.safetensors"),
    );
    expect(await codeOf(resolveTiny())).toBe("hub-file-not-found");
  });

  test("a full disk: an error that says so", async () => {
    if (!existsSync("/dev/full")) {
      console.info("skipped: there is no /dev/full here");
      return;
    }
    const body = weights.get("model.safetensors")!;
    await mkdir(cache("blobs"), { recursive: true });
    await symlink("/dev/full", cache("blobs", `${sha256(body)}.jeton.incomplete`));
    expect(await codeOf(resolveTiny())).toBe("disk-full");
  });

  test.each([
    ["../../evil", "a".repeat(40), 4],
    ["/etc/evil", "a".repeat(40), 4],
    ["a/../../evil", "a".repeat(40), 4],
    ["C:\\evil", "a".repeat(40), 4],
    ["config.json", "../../../evil", 4],
    ["config.json", "", 4],
    ["config.json", "a".repeat(40), -1],
    ["config.json", "a".repeat(40), 1.5],
  ])("a hostile list of files: %s %s %s", async (path, oid, size) => {
    hub.faults.onApi = (request, response) => {
      if (!request.url!.includes("/tree/")) return false;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify([{ type: "file", path, oid, size }]));
      return true;
    };
    expect(await codeOf(resolveTiny())).toBe("hub-answer-invalid");
    expect(existsSync(cache("snapshots"))).toBe(false);
  });

  test("a commit that is none, a listing that is no JSON, a redirect without end", async () => {
    const answer = (body: string, headers = {}, status = 200): void => {
      hub.faults.onApi = (_, response) => {
        response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
        return true;
      };
    };
    answer('{"sha":"../../evil"}');
    expect(await codeOf(resolveTiny())).toBe("hub-answer-invalid");
    answer("<html>");
    expect(await codeOf(resolveTiny())).toBe("hub-answer-invalid");
    answer("", { location: "/api/models/team/tiny/revision/main" }, 307);
    expect(await codeOf(resolveTiny())).toBe("hub-answer-invalid");
    answer("", { location: "file:///etc/passwd" }, 302);
    expect(await codeOf(resolveTiny())).toBe("hub-answer-invalid");
  });
});
