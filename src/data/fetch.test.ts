/**
 * Against a server on this machine: 1. whole downloads, 2. interrupted ones, 3. faulty servers.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type FetchDataOptions, fetchData } from "./fetch.ts";

// The registry of these tests: two files and one that cannot be downloaded.
vi.mock("./table.ts", async () => {
  const { createHash } = await import("node:crypto");
  const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
  return {
    dataTable: [
      "# github.com/team/texts 0123456789abcdef0123456789abcdef01234567 | MIT",
      `${digest("abc".repeat(100_000))} text/long.txt path/long.txt`,
      `${digest("short")} text/short.txt path/short.txt`,
      "# github.com/team/trees 0123456789abcdef0123456789abcdef01234567 | MIT | its sentences",
      `${digest("made")} trees/made.txt`,
    ].join("\n"),
  };
});

const long = "abc".repeat(100_000);
const path = "/team/texts/0123456789abcdef0123456789abcdef01234567/path";

let server: Server;
let root = "";
let folder = "";
let requests: { url: string; range: string | undefined }[] = [];
/** Answers instead of the server where it returns true. */
let fault: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-fetch-"));
  const contents = new Map([
    [`${path}/long.txt`, Buffer.from(long)],
    [`${path}/short.txt`, Buffer.from("short")],
  ]);
  server = createServer((request, response) => {
    const { range } = request.headers;
    requests.push({ url: request.url!, range });
    if (fault(request, response)) return;
    const body = contents.get(request.url!);
    if (body === undefined) return void response.writeHead(404).end();
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? Number.NaN);
    if (Number.isNaN(start)) return void response.end(body);
    if (start >= body.length) return void response.writeHead(416).end();
    response.writeHead(206, {
      "content-range": `bytes ${start}-${body.length - 1}/${body.length}`,
    });
    response.end(body.subarray(start));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  folder = mkdtempSync(join(root, "data-"));
  requests = [];
  fault = () => false;
});
afterEach(() => {
  // Neither locks nor parts stay behind, except where a test expects a part.
  const left = readdirSync(folder, { recursive: true, encoding: "utf8" });
  expect(left.filter((name) => name.endsWith(".lock"))).toEqual([]);
});

const fetchFiles = (names: readonly string[], options: FetchDataOptions = {}) =>
  fetchData(names, {
    folder,
    environment: {
      JETON_DATA_MIRROR: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    },
    retryDelay: 1,
    ...options,
  });
const read = (name: string): string => readFileSync(join(folder, name), "utf8");
const leave = (name: string, content: string): void => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
};

describe("whole downloads", () => {
  test("a file, then nothing to do", async () => {
    const progress: number[] = [];
    const [file] = await fetchFiles(["text/long.txt"], {
      onProgress: ({ bytes, totalBytes }) => {
        expect(totalBytes).toBe(long.length);
        progress.push(bytes);
      },
    });
    expect(file).toMatchObject({ state: "downloaded", bytes: long.length });
    expect(read("text/long.txt")).toBe(long);
    expect(progress.at(-1)).toBe(long.length);
    expect(readdirSync(join(folder, "text"))).toEqual(["long.txt"]);
    requests = [];
    expect(await fetchFiles(["text/long.txt"])).toMatchObject([{ state: "present" }]);
    expect(requests).toEqual([]);
  });

  test("a folder, or everything; a derived file is named and not requested", async () => {
    const inText = await fetchFiles(["text"]);
    expect(inText.map(({ name, state }) => [name, state])).toEqual([
      ["text/long.txt", "downloaded"],
      ["text/short.txt", "downloaded"],
    ]);
    const all = await fetchFiles([]);
    expect(all.map(({ state }) => state)).toEqual(["present", "present", "derived"]);
    expect(all[2]).toMatchObject({ address: "github.com/team/trees", derived: "its sentences" });
    expect(requests).toHaveLength(2);
  });

  test("a damaged file is replaced", async () => {
    leave("text/short.txt", "shorn");
    expect(await fetchFiles(["text/short.txt"])).toMatchObject([{ state: "downloaded" }]);
    expect(read("text/short.txt")).toBe("short");
  });

  test("an unknown name", async () => {
    await expect(fetchFiles(["text/other.txt"])).rejects.toMatchObject({ code: "data-unknown" });
    expect(requests).toEqual([]);
  });
});

describe("interrupted downloads", () => {
  test("a connection that breaks is continued where it broke", async () => {
    fault = (request, response) => {
      if (request.headers.range !== undefined) return false;
      response.writeHead(200, { "content-length": long.length });
      response.write(long.slice(0, 100_000), () => response.destroy());
      return true;
    };
    expect(await fetchFiles(["text/long.txt"])).toMatchObject([{ state: "downloaded" }]);
    expect(read("text/long.txt")).toBe(long);
    expect(requests.length).toBeGreaterThan(1);
    expect(requests[1]!.range).toMatch(/^bytes=\d+-$/);
  });

  test("an abort keeps the part, and the next call continues it", async () => {
    const controller = new AbortController();
    fault = (_, response) => {
      response.writeHead(200, { "content-length": long.length });
      response.write(long.slice(0, 100_000));
      return true;
    };
    const aborted = fetchFiles(["text/long.txt"], {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(aborted).rejects.toThrow("enough");
    const part = read("text/long.txt.incomplete");
    expect(part.length).toBeGreaterThan(0);
    expect(existsSync(join(folder, "text/long.txt"))).toBe(false);
    fault = () => false;
    requests = [];
    expect(await fetchFiles(["text/long.txt"])).toMatchObject([{ state: "downloaded" }]);
    expect(requests).toEqual([{ url: `${path}/long.txt`, range: `bytes=${part.length}-` }]);
    expect(read("text/long.txt")).toBe(long);
  });

  test("a complete part is renamed, a damaged one is downloaded again", async () => {
    leave("text/long.txt.incomplete", long);
    expect(await fetchFiles(["text/long.txt"])).toMatchObject([{ state: "downloaded" }]);
    leave("text/short.txt.incomplete", "xx");
    expect(await fetchFiles(["text/short.txt"])).toMatchObject([{ state: "downloaded" }]);
    expect(read("text/short.txt")).toBe("short");
  });

  test("a server without range requests", async () => {
    leave("text/short.txt.incomplete", "sh");
    fault = (_, response) => {
      response.end("short");
      return true;
    };
    expect(await fetchFiles(["text/short.txt"])).toMatchObject([{ state: "downloaded" }]);
    expect(read("text/short.txt")).toBe("short");
  });
});

describe("faulty servers", () => {
  test("another content is discarded", async () => {
    fault = (_, response) => {
      response.end("other");
      return true;
    };
    const [file] = await fetchFiles(["text/short.txt"]);
    expect(file).toMatchObject({ state: "failed", error: { code: "data-checksum-mismatch" } });
    const found = createHash("sha256").update("other").digest("hex");
    expect(file!.error!.message).toContain(found);
    expect(readdirSync(join(folder, "text"))).toEqual([]);
  });

  test("one failure does not stop the other files", async () => {
    fault = (request, response) => {
      if (!request.url!.endsWith("short.txt")) return false;
      response.writeHead(404).end();
      return true;
    };
    const files = await fetchFiles(["text"]);
    expect(files.map(({ state }) => state)).toEqual(["downloaded", "failed"]);
    expect(files[1]!.error!.code).toBe("data-download-failed");
  });

  test("a server that fails for a while, and one that fails for good", async () => {
    let failures = 2;
    fault = (_, response) => {
      if (failures-- <= 0) return false;
      response.writeHead(503).end();
      return true;
    };
    expect(await fetchFiles(["text/short.txt"])).toMatchObject([{ state: "downloaded" }]);
    failures = Number.POSITIVE_INFINITY;
    const [file] = await fetchFiles(["text/long.txt"], { attempts: 2 });
    expect(file).toMatchObject({ state: "failed", error: { code: "data-download-failed" } });
  });
});
