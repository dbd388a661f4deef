import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import {
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { JetonError } from "../../core/index.ts";
import { openCheckpoint } from "../checkpoint.ts";
import { writeSafetensors, writeShardedSafetensors } from "../safetensors/write-safetensors.ts";
import { type ResolveModelOptions, resolveModel } from "./hub.ts";
import { parseHubName } from "./hub-name.ts";
import type { DownloadProgress } from "./hub-progress.ts";
import { readHubSettings } from "./hub-settings.ts";

const commit = "0123456789abcdef0123456789abcdef01234567";
const token = "hf_secretOfTheTests";

/** What the fake hub does wrong, changed by each test. */
interface Faults {
  /** Called with every request for content; true when it has answered (wrongly) itself. */
  onContent?: (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean;
  /** As `onContent`, for every request of the hub's API. */
  onApi?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** A hub that serves one repository as huggingface.co does, and a store on another port. */
class FakeHub {
  files = new Map<string, Buffer>();
  faults: Faults = {};
  /** Whether files are listed with sizes and checksums; some mirrors have no such listing. */
  hasTree = true;
  head = commit;
  requests: {
    method: string;
    url: string;
    range: string | undefined;
    authorization: string | undefined;
    server: string;
  }[] = [];
  readonly #hub: Server = createServer((request, response) => this.#answerHub(request, response));
  readonly #store: Server = createServer((request, response) =>
    this.#answerStore(request, response),
  );

  async start(): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    }
  }
  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  }
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }
  get #storeAddress(): string {
    return `http://127.0.0.1:${(this.#store.address() as AddressInfo).port}`;
  }
  /** Requests for the content of a path that reached the hub or its store. */
  contentRequests(path: string): typeof this.requests {
    return this.requests.filter(
      ({ url, method }) =>
        method === "GET" && url.endsWith(`/${path}`) && !url.includes("/resolve/"),
    );
  }

  #record(request: IncomingMessage, server: string): void {
    this.requests.push({
      method: request.method!,
      url: request.url!,
      range: request.headers.range,
      authorization: request.headers.authorization,
      server,
    });
  }
  static #checksum(path: string, body: Buffer): { etag: string; lfs: boolean } {
    const lfs = path.endsWith(".safetensors");
    const hash = lfs ? createHash("sha256") : createHash("sha1").update(`blob ${body.length}\0`);
    return { etag: hash.update(body).digest("hex"), lfs };
  }
  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    this.#record(request, "hub");
    const { pathname } = new URL(request.url!, this.endpoint);
    const fail = (status: number, code: string): void => {
      response.writeHead(status, { "x-error-code": code, "content-type": "application/json" });
      response.end(JSON.stringify({ error: code }));
    };
    if (pathname.startsWith("/api/")) {
      if (this.faults.onApi?.(request, response)) return;
      const revision = pathname.match(
        /^\/api\/models\/team\/tiny\/(?:revision|tree)\/([^/]+)$/,
      )?.[1];
      if (!revision) {
        fail(404, "RepoNotFound");
        return;
      }
      if (!["main", "HEAD", "v1.0", this.head].includes(revision)) {
        fail(404, "RevisionNotFound");
        return;
      }
      response.setHeader("content-type", "application/json");
      if (pathname.includes("/revision/")) {
        const siblings = [...this.files.keys()].map((rfilename) => ({ rfilename }));
        response.end(
          JSON.stringify({
            id: "team/tiny",
            sha: this.head,
            siblings,
            private: false,
            gated: false,
          }),
        );
      } else if (this.hasTree) {
        const entries = [...this.files].map(([path, body]) => {
          const { etag, lfs } = FakeHub.#checksum(path, body);
          const size = body.length;
          return lfs
            ? {
                type: "file",
                path,
                size,
                oid: "a".repeat(40),
                lfs: { oid: etag, size, pointerSize: 130 },
              }
            : { type: "file", path, size, oid: etag };
        });
        // Two pages, as of a large repository.
        const page = new URL(request.url!, this.endpoint).searchParams.get("cursor");
        if (!page) {
          response.setHeader(
            "link",
            `<${this.endpoint}${pathname}?recursive=true&cursor=2>; rel="next"`,
          );
          response.end(
            JSON.stringify([
              { type: "directory", path: "onnx", size: 0, oid: "b".repeat(40) },
              ...entries.slice(0, 2),
            ]),
          );
        } else response.end(JSON.stringify(entries.slice(2)));
      } else fail(404, "");
      return;
    }
    const path = decodeURIComponent(
      pathname.match(new RegExp(`^/team/tiny/resolve/${this.head}/(.+)$`))?.[1] ?? "",
    );
    const body = this.files.get(path);
    if (!body) {
      fail(404, "EntryNotFound");
      return;
    }
    const { etag, lfs } = FakeHub.#checksum(path, body);
    if (lfs) {
      response.writeHead(302, {
        location: `${this.#storeAddress}/store/${path}`,
        "x-linked-etag": `"${etag}"`,
        "x-linked-size": String(body.length),
        "x-repo-commit": this.head,
      });
      response.end();
      return;
    }
    response.setHeader("etag", `"${etag}"`);
    this.#sendContent(request, response, body);
  }
  #answerStore(request: IncomingMessage, response: ServerResponse): void {
    this.#record(request, "store");
    const body = this.files.get(request.url!.replace("/store/", ""))!;
    response.setHeader("etag", `"${createHash("md5").update(body).digest("hex")}"`);
    this.#sendContent(request, response, body);
  }
  #sendContent(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    if (this.faults.onContent?.(request, response, body)) return;
    const start = Number(request.headers.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
    if (start > 0 && start >= body.length) {
      response.writeHead(416, { "content-range": `bytes */${body.length}` });
      response.end();
      return;
    }
    const headers = { "content-length": body.length - start, "accept-ranges": "bytes" };
    if (start > 0) {
      response.writeHead(206, {
        ...headers,
        "content-range": `bytes ${start}-${body.length - 1}/${body.length}`,
      });
    } else response.writeHead(200, headers);
    response.end(request.method === "HEAD" ? undefined : body.subarray(start));
  }
}

let root: string;
let weights: Map<string, Buffer>;
let sharded: Map<string, Buffer>;
const describing = {
  "config.json": '{"model_type":"llama"}',
  "tokenizer.json": '{"model":{}}',
  "chat_template.jinja": "{{ messages }}",
};
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "jeton-hub-")));
  const data = new Float32Array(300_000).map((_, i) => Math.sin(i));
  const folder = join(root, "source");
  await mkdir(folder);
  await writeSafetensors(join(folder, "model.safetensors"), [
    { name: "w", dtype: "F32", shape: [300, 1000], data },
  ]);
  const others = {
    "README.md": "# tiny",
    "pytorch_model.bin": "pickled",
    "onnx/model.onnx": "graph",
    "tiny.gguf": "gguf",
    "original/consolidated.safetensors": "twice",
  };
  const small = Object.entries({ ...describing, ...others }).map(
    ([name, text]): [string, Buffer] => [name, Buffer.from(text)],
  );
  weights = new Map([
    ...small,
    ["model.safetensors", await readFile(join(folder, "model.safetensors"))],
  ]);
  await unlink(join(folder, "model.safetensors"));
  await writeShardedSafetensors(
    folder,
    ["a", "b", "c"].map((name, i) => ({
      name,
      dtype: "F32",
      shape: [100_000],
      data: data.subarray(i * 100_000, (i + 1) * 100_000),
    })),
    { maxShardBytes: 400_000 },
  );
  sharded = new Map(small);
  for (const name of await readdir(folder)) sharded.set(name, await readFile(join(folder, name)));
  sharded.set("consolidated.safetensors", Buffer.from("the same weights in another form"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

let hub: FakeHub;
let home: string;
let homes = 0;
let environment: Record<string, string>;
beforeEach(async () => {
  hub = new FakeHub();
  hub.files = weights;
  await hub.start();
  home = join(root, `home-${homes++}`);
  environment = { HF_HOME: home, HF_ENDPOINT: hub.endpoint };
});
afterEach(() => hub.stop());

const resolveTiny = (options: ResolveModelOptions = {}, name = "team/tiny"): Promise<string> =>
  resolveModel(name, { environment, retryDelay: 5, ...options });
const cache = (...parts: string[]): string => join(home, "hub", "models--team--tiny", ...parts);
const errorOf = async (action: Promise<unknown>): Promise<JetonError> => {
  try {
    await action;
  } catch (error) {
    if (JetonError.isInstance(error)) return error;
    throw error;
  }
  throw new Error("expected a JetonError");
};
const codeOf = async (action: Promise<unknown>): Promise<string> => (await errorOf(action)).code;
/** Names of what is left of broken downloads, and of locks. */
async function remains(): Promise<string[]> {
  const blobs = await readdir(cache("blobs")).catch(() => []);
  const locks = await readdir(join(home, "hub", ".locks", "models--team--tiny")).catch(() => []);
  return [...blobs.filter((name) => !/^[0-9a-f]+$/.test(name)), ...locks];
}
const sha256 = (body: Buffer): string => createHash("sha256").update(body).digest("hex");
/** Sends the first `count` bytes of what was asked for, then cuts the connection. */
const cutAfter = (
  count: number,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): void => {
  const start = Number(request.headers.range?.match(/\d+/)?.[0] ?? 0);
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": body.length - start,
    ...(start > 0 && { "content-range": `bytes ${start}-${body.length - 1}/${body.length}` }),
  });
  response.write(body.subarray(start, start + count), () =>
    setTimeout(() => response.destroy(), 20),
  );
};
const isWeights = (request: IncomingMessage): boolean => request.url!.endsWith(".safetensors");

describe("a download", () => {
  test("fills the cache as Python does, with what a checkpoint needs, and opens", async () => {
    const reports: DownloadProgress[] = [];
    const folder = await resolveTiny({ onProgress: (progress) => reports.push(progress) });
    expect(folder).toBe(cache("snapshots", commit));
    expect((await readdir(folder)).sort()).toEqual(
      [...Object.keys(describing), "model.safetensors"].sort(),
    );
    const body = weights.get("model.safetensors")!;
    expect(await readlink(join(folder, "model.safetensors"))).toBe(`../../blobs/${sha256(body)}`);
    expect((await readFile(join(folder, "model.safetensors"))).equals(body)).toBe(true);
    expect(await readFile(cache("refs", "main"), "utf8")).toBe(commit);
    expect(await remains()).toEqual([]);
    await using checkpoint = await openCheckpoint(folder);
    expect(checkpoint.tensors.get("w")?.file).toBe(cache("blobs", sha256(body)));

    const last = reports.at(-1)!;
    expect(last.bytes).toBe(last.totalBytes);
    expect(last.totalBytes).toBe(body.length + Object.values(describing).join("").length);
    expect(last).toMatchObject({ files: 4, filesDone: 4 });
    for (const [i, report] of reports.slice(1).entries()) {
      expect(report.bytes).toBeGreaterThanOrEqual(reports[i]!.bytes);
    }
  });

  test("happens once: the cache answers without the hub, and through a moved branch only on request", async () => {
    const folder = await resolveTiny();
    hub.requests = [];
    expect(await resolveTiny()).toBe(folder);
    expect(await resolveTiny({ revision: commit })).toBe(folder);
    expect(hub.requests).toEqual([]);
    hub.head = "f".repeat(40);
    hub.files = new Map([...weights, ["config.json", Buffer.from('{"model_type":"gemma"}')]]);
    expect(await resolveTiny()).toBe(folder);
    const moved = await resolveTiny({ update: true });
    expect(moved).toBe(cache("snapshots", "f".repeat(40)));
    expect(await readFile(join(moved, "config.json"), "utf8")).toContain("gemma");
    expect(hub.contentRequests("model.safetensors")).toEqual([]); // the same content is not sent twice
    expect(await resolveTiny()).toBe(moved);
  });

  test("sharded: the shards that the index names and no others, with empty and nested files on request", async () => {
    hub.files = new Map([...sharded, ["empty.txt", Buffer.alloc(0)]]);
    const folder = await resolveTiny();
    expect((await readdir(folder)).filter((name) => name.includes("safetensors")).sort()).toEqual([
      "model-00001-of-00003.safetensors",
      "model-00002-of-00003.safetensors",
      "model-00003-of-00003.safetensors",
      "model.safetensors.index.json",
    ]);
    await using checkpoint = await openCheckpoint(folder);
    expect((await checkpoint.readFloat32("c"))[99_999]).toBeCloseTo(Math.sin(299_999), 6);
    await resolveTiny({ files: ["onnx/model.onnx", "empty.txt"] });
    expect(await readFile(join(folder, "onnx", "model.onnx"), "utf8")).toBe("graph");
    expect(await readlink(join(folder, "onnx", "model.onnx"))).toMatch(
      /^\.\.\/\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/,
    );
    expect((await stat(join(folder, "empty.txt"))).size).toBe(0);
    expect(await codeOf(resolveTiny({ files: ["absent.txt"] }))).toBe("hub-file-not-found");
  });

  test("without weights: configuration and tokenizer alone; the weights come later", async () => {
    const folder = await resolveTiny({ weights: false });
    expect((await readdir(folder)).sort()).toEqual(Object.keys(describing).sort());
    hub.requests = [];
    expect(await resolveTiny({ weights: false })).toBe(folder);
    expect(hub.requests).toEqual([]);
    await resolveTiny();
    expect(existsSync(join(folder, "model.safetensors"))).toBe(true);
    expect(hub.contentRequests("config.json")).toEqual([]);
  });

  test("sends the token to the hub and not to its store", async () => {
    environment["HF_TOKEN"] = ` ${token}\n`;
    await resolveTiny();
    const servers = new Set(
      hub.requests.map(({ server, authorization }) => `${server} ${authorization}`),
    );
    expect(servers).toEqual(new Set([`hub Bearer ${token}`, "store undefined"]));
  });

  test("takes what Python has fetched, and offline is content with it", async () => {
    // As huggingface_hub leaves it: no list of ours, and no tokenizer yet.
    await resolveTiny();
    await rm(cache(".jeton"), { recursive: true });
    await unlink(join(cache("snapshots", commit), "tokenizer.json"));
    expect(await resolveTiny({ offline: true })).toBe(cache("snapshots", commit));
    hub.requests = [];
    await resolveTiny();
    expect(existsSync(join(cache("snapshots", commit), "tokenizer.json"))).toBe(true);
    expect(hub.contentRequests("model.safetensors")).toEqual([]);
  });

  test("a tag or branch after the name; a mirror that lists names only", async () => {
    hub.hasTree = false;
    expect(await resolveTiny({}, "team/tiny@v1.0")).toBe(cache("snapshots", commit));
    expect(await readFile(cache("refs", "v1.0"), "utf8")).toBe(commit);
    expect(
      (await readFile(join(cache("snapshots", commit), "model.safetensors"))).equals(
        weights.get("model.safetensors")!,
      ),
    ).toBe(true);
    expect(await codeOf(resolveTiny({}, "team/tiny@absent"))).toBe("hub-revision-not-found");
    expect(await codeOf(resolveTiny({ revision: "main" }, "team/tiny@v1.0"))).toBe(
      "model-name-invalid",
    );
  });
});

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

describe("names", () => {
  test("a folder is itself; what looks like a path and is none is an error", async () => {
    expect(await resolveModel(root)).toBe(root);
    await writeFile(join(root, "a-file"), "");
    for (const name of [
      join(root, "absent"),
      join(root, "a-file"),
      "./absent/folder",
      "../absent",
      "~/absent",
      "a\\b",
      "/",
      "..",
    ]) {
      if (existsSync(name) && name !== join(root, "a-file")) continue;
      expect(await codeOf(resolveModel(name, { environment }))).toBe("model-not-found");
    }
  });

  test.each([
    "",
    "tiny",
    "a/b/c",
    "a//b",
    "/b",
    "a/",
    "a/..",
    "../b",
    "a/.b",
    "-a/b",
    "a/b.",
    "a--b/c",
    "a/b.git",
    "a b/c",
    "a/b@",
    "a/b@x@y",
    "a/b@../x",
    "a/b@x/../y",
    "a/b@-x",
    "a/b@x.lock",
    "a/b@x//y",
    "a/b\0",
    "é/b",
    `${"x".repeat(97)}/b`,
  ])("%j is no name", (name) => {
    expect(() => parseHubName(name)).toThrow(JetonError);
  });

  test("no accepted name leads out of the cache", () => {
    const letters = fc.constantFrom(
      "a",
      "B",
      "0",
      "_",
      "-",
      ".",
      "/",
      "@",
      "\\",
      "..",
      "~",
      "\0",
      ":",
      "%2e",
      "\n",
    );
    fc.assert(
      fc.property(
        fc.array(letters, { maxLength: 8 }).map((parts) => parts.join("")),
        (text) => {
          let parsed: ReturnType<typeof parseHubName>;
          try {
            parsed = parseHubName(text);
          } catch (error) {
            if (!JetonError.isInstance(error)) throw error;
            return;
          }
          const { owner, name, revision = "main" } = parsed;
          expect(join("/cache", `models--${owner}--${name}`, "refs", revision)).toBe(
            `/cache/models--${owner}--${name}/refs/${revision}`,
          );
          expect(`${owner}${name}`).not.toMatch(/[/\\:%\n\0]/);
          expect(revision).not.toMatch(/[\\:%\n\0]/);
        },
      ),
      { numRuns: 5000 },
    );
    expect(parseHubName("Qwen/Qwen2.5-0.5B@refs/pr/7")).toEqual({
      owner: "Qwen",
      name: "Qwen2.5-0.5B",
      revision: "refs/pr/7",
    });
  });
});

describe("settings", () => {
  test("the environment's precedence is that of Python", async () => {
    const folder = join(root, "token-home");
    await mkdir(folder);
    await writeFile(join(folder, "token"), "hf_fromFile\n");
    await writeFile(join(folder, "other"), "hf_fromPath");
    const read = (variables: Record<string, string>) =>
      readHubSettings({ environment: { HF_HOME: folder, ...variables } });
    expect(await read({})).toEqual({
      endpoint: "https://huggingface.co",
      cacheFolder: join(folder, "hub"),
      token: "hf_fromFile",
      offline: false,
    });
    expect((await read({ HF_HUB_CACHE: "/x/y", HUGGINGFACE_HUB_CACHE: "/z" })).cacheFolder).toBe(
      "/x/y",
    );
    expect((await read({ HF_TOKEN: "hf_named" })).token).toBe("hf_named");
    expect((await read({ HF_TOKEN_PATH: join(folder, "other") })).token).toBe("hf_fromPath");
    expect((await read({ HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" })).token).toBeUndefined();
    expect((await read({ HF_ENDPOINT: "http://mirror.example/hf/" })).endpoint).toBe(
      "http://mirror.example/hf",
    );
    for (const value of ["1", "true", "YES", "on"])
      expect((await read({ HF_HUB_OFFLINE: value })).offline).toBe(true);
    for (const value of ["", "0", "false"])
      expect((await read({ HF_HUB_OFFLINE: value })).offline).toBe(false);
    expect((await readHubSettings({ environment: { XDG_CACHE_HOME: "/c" } })).cacheFolder).toBe(
      "/c/huggingface/hub",
    );
    expect(await codeOf(read({ HF_ENDPOINT: "ftp://x" }))).toBe("hub-endpoint-invalid");
    const spoilt = await errorOf(read({ HF_TOKEN: "hf_a\nInjected: header" }));
    expect(spoilt.code).toBe("hub-token-invalid");
    expect(spoilt.message).not.toContain("hf_a");
  });
});

test("a large file passes through at a good pace and whole", async () => {
  const body = randomBytes(16 * 1024 * 1024);
  hub.files = new Map([
    ["config.json", Buffer.from("{}")],
    ["model.safetensors", body],
  ]);
  const folder = await resolveTiny();
  expect((await readFile(join(folder, "model.safetensors"))).equals(body)).toBe(true);
});
