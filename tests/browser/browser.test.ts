/**
 * The decoder in a browser: the page of `page.ts`, bundled for it, in headless Chromium, with
 * checkpoints as they lie on disk behind a server that only serves files.
 *
 * Chromium is that of the system; the environment variable CHROMIUM names another one.
 */
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type BrowserContext, chromium, type Page as Tab } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheName } from "../../src/browser-cache.ts";
import { complete, loadModel } from "../../src/index.ts";
import { createRandomCheckpoint } from "../../src/testing/random-checkpoint.ts";
import { bundledModel, testData } from "../../src/testing/test-data.ts";
import type { Page, PageRequest } from "./page.ts";

const bundled = dirname(bundledModel);
const tinyData = testData("models/tinystories-260k");
const models = dirname(tinyData.folder);
const executable = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const hasBrowser = existsSync(executable);
if (!hasBrowser)
  console.log(`browser: skipped, no Chromium at ${executable} (CHROMIUM names another)`);

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/**
 * Serves the page, the runtime's files and the models. A page with the query `?isolated` is isolated
 * from other origins, and so may use threads; scripts of threads need the embedder policy as well.
 */
function startServer(
  scripts: Readonly<Record<string, string>>,
  requested: string[],
): Promise<Server> {
  const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));
  const document =
    '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>';
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url!, "http://localhost");
    const path = decodeURIComponent(pathname);
    requested.push(path);
    const headers = {
      "content-type": contentTypes[extname(path)] ?? "application/octet-stream",
      "cross-origin-embedder-policy": "require-corp",
    };
    if (path === "/page.html") {
      response.writeHead(200, {
        ...headers,
        ...(search === "?isolated" && { "cross-origin-opener-policy": "same-origin" }),
      });
      response.end(document);
      return;
    }
    if (scripts[path] !== undefined) {
      response.writeHead(200, headers);
      response.end(scripts[path]);
      return;
    }
    // A page of an application that knows no files answers every address with itself.
    if (path.startsWith("/application/")) {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      response.end(document);
      return;
    }
    // Promises more than it sends.
    if (path.startsWith("/broken/") && path.endsWith(".safetensors")) {
      response.writeHead(200, { ...headers, "content-length": 1_000_000 });
      response.write(new Uint8Array(1000), () => response.destroy());
      return;
    }
    const [, root, ...rest] = path.split("/");
    const folders = { onnxruntime: runtime, models, bundled, broken: bundled, visited: bundled };
    const folder = { ...folders, written }[root!];
    const file = folder && !rest.includes("..") ? join(folder, ...rest) : undefined;
    if (changed && path === "/visited/jeton-nano/config.json") {
      response.writeHead(200, headers);
      response.end(`${readFileSync(file!, "utf8")}\n`);
      return;
    }
    if (!file || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404, { "content-type": "text/plain" });
      response.end("not found");
      return;
    }
    response.writeHead(200, { ...headers, "content-length": statSync(file).size });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

/** As documented: no plugin, nothing left out by hand. */
async function bundleScript(source: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(source, import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    logLevel: "error",
  });
  return outputFiles[0]!.text;
}

interface Expected {
  prompts: {
    text: string;
    promptIds: number[];
    greedyIds: number[];
    logitsAfterPrompt: number[];
  }[];
}

/** Whether a folder's files are others than at the first visit. */
let changed = false;
/** Checkpoints that tests write. */
let written = "";

const readJson = <T>(...path: string[]): T =>
  JSON.parse(readFileSync(join(models, ...path), "utf8")) as T;

const maxDifference = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, index) => Math.abs(value - b[index]!)));

describe.skipIf(!hasBrowser)("in headless Chromium", { timeout: 120_000 }, () => {
  let bundle: string;
  const requested: string[] = [];
  let server: Server;
  let origin: string;
  let profile: string;
  let browser: BrowserContext;
  const complaints: string[] = [];

  beforeAll(async () => {
    bundle = await bundleScript("./page.ts");
    const worker = await bundleScript("../../src/browser-worker.ts");
    server = await startServer({ "/page.js": bundle, "/worker.js": worker }, requested);
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    profile = mkdtempSync(join(tmpdir(), "jeton-chromium-"));
    written = mkdtempSync(join(tmpdir(), "jeton-browser-"));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: executable,
      headless: true,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
    if (profile) rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    if (written) rmSync(written, { recursive: true, force: true });
  });

  async function withPage<T>(query: string, use: (tab: Tab) => Promise<T>): Promise<T> {
    const tab = await browser.newPage();
    try {
      tab.on("pageerror", (error) => complaints.push(error.message));
      // The browser itself reports requests that fail, which some tests want.
      tab.on("console", (message) => {
        if (message.location().url.endsWith("/page.js")) complaints.push(message.text());
        else if (!/^Failed to load resource/.test(message.text())) complaints.push(message.text());
      });
      await tab.goto(`${origin}/page.html${query}`);
      await tab.waitForFunction(() => "page" in globalThis);
      return await use(tab);
    } finally {
      await tab.close();
    }
  }

  const run = (request: PageRequest, query = ""): ReturnType<Page["run"]> =>
    withPage(query, (tab) =>
      tab.evaluate((r) => (globalThis as unknown as { page: Page }).page.run(r), request),
    );

  const nano = "/bundled/jeton-nano";
  const prompt = "The emperor";
  let expected: { promptIds: number[]; ids: readonly number[]; text: string };
  beforeAll(async () => {
    await using model = await loadModel(bundledModel, { format: "f32", slots: 1 });
    const promptIds = [...model.tokenizer.encodeIds(prompt)];
    const { ids, text } = await complete(model, prompt, {
      greedy: true,
      maxTokens: 48,
      ignoreEos: true,
    });
    expected = { promptIds, ids, text };
  }, 120_000);

  test("the bundle imports nothing at its start", () => {
    expect(bundle).not.toMatch(/^import\b/m);
    expect(bundle).not.toContain('from "node:');
  });

  test("jeton-nano writes what it writes in Node", async () => {
    const result = await run({ folder: nano, format: "f32", prompts: [prompt], maxTokens: 48 });
    expect(result.ids[0]).toEqual(expected.ids);
    expect(result.texts[0]).toBe(expected.text);
    expect(result.name).toBe("jeton-nano");
    expect(result.folder).toBe(`${origin}${nano}/`);
    expect(result.stages).toEqual(["download", "load"]);
    expect(result.sessions).toEqual([1, 0]);
  });

  test("four sequences at once give what each gives alone", async () => {
    const ids = [...expected.promptIds, ...expected.ids];
    const lengths = [2, 10, 20, 30].map((more) => expected.promptIds.length + more);
    const prompts = lengths.map((length) => ids.slice(0, length));
    const result = await run({ folder: nano, format: "f32", prompts, maxTokens: 12 });
    expect(result.ids).toEqual(lengths.map((length) => ids.slice(length, length + 12)));
  });

  test("two threads on an isolated page give the same", async () => {
    const result = await run(
      { folder: nano, format: "f32", prompts: [prompt], maxTokens: 48, threads: 2 },
      "?isolated",
    );
    expect(result.isolated).toBe(true);
    expect(result.ids[0]).toEqual(expected.ids);
  });

  test.each(["int8", "int8-channel", "int4"] as const)("%s is packed in memory", async (format) => {
    const result = await run({ folder: nano, format, prompts: [prompt], maxTokens: 48 });
    expect(result.stages).toEqual(["download", "pack", "load"]);
    expect(result.ids[0]).toHaveLength(48);
    // Rounded weights: the text begins as in f32 and may stray.
    const alike = format === "int4" ? 2 : 6;
    expect(result.ids[0]!.slice(0, alike)).toEqual(expected.ids.slice(0, alike));
  });

  test.each(["f32", "int4"] as const)(
    "in a worker, %s gives what it gives on the page, whose thread stays free meanwhile",
    async (format) => {
      const request = { folder: nano, format, prompts: [prompt, prompt], maxTokens: 48 };
      const page = await run(request);
      const worker = await run({ ...request, worker: true });
      expect(worker.ids).toEqual(page.ids);
      expect(worker.logits).toEqual(page.logits);
      expect(worker.weightBytes).toBe(page.weightBytes);
      expect(worker.sessions).toEqual([0, 0]);
      // A session that is made on the page's thread keeps it for hundreds of turns.
      expect(worker.turns).toBeGreaterThan(500);
    },
  );

  test("a second visit asks for no weights, until the checkpoint's small files are others", async () => {
    const weights = () => requested.filter((path) => path.endsWith(".safetensors")).length;
    const request = {
      folder: "/visited/jeton-nano",
      format: "f32",
      prompts: [prompt],
      maxTokens: 8,
    };
    const first = await run(request as PageRequest);
    expect(weights()).toBeGreaterThan(0);
    requested.length = 0;
    const second = await run({ ...request, worker: true } as PageRequest);
    expect(second.ids).toEqual(first.ids);
    expect(second.stages).toEqual(first.stages);
    expect(requested).toContain("/visited/jeton-nano/config.json");
    expect(weights()).toBe(0);
    changed = true;
    await run(request as PageRequest);
    expect(weights()).toBe(1);
  });

  test("a second visit to a sharded checkpoint asks for no shard that was kept, nor for its index", async () => {
    const tokenizer = join(bundledModel, "tokenizer.json");
    const options = { family: "llama", seed: 4, vocabulary: 4096, shards: 3, tokenizer };
    createRandomCheckpoint(join(written, "sharded"), options);
    // The special tokens of the tokenizer, so that nothing is warned of.
    const configFile = join(written, "sharded", "config.json");
    const config = JSON.parse(readFileSync(configFile, "utf8")) as object;
    const special = { bos_token_id: 0, eos_token_id: 1 };
    writeFileSync(configFile, JSON.stringify({ ...config, ...special }));
    writeFileSync(join(written, "sharded", "generation_config.json"), JSON.stringify(special));
    await using model = await loadModel(join(written, "sharded"), { format: "f32", slots: 1 });
    const asked = { greedy: true, maxTokens: 8, ignoreEos: true };
    const { ids } = await complete(model, prompt, asked);
    const folder = "/written/sharded";
    const visit = async (worker: boolean): Promise<string[]> => {
      requested.length = 0;
      const request = { folder, format: "f32", prompts: [prompt], maxTokens: 8, worker } as const;
      expect((await run(request)).ids).toEqual([[...ids]]);
      const weights = requested.filter((path) => path.includes("model"));
      return weights.map((path) => path.slice(folder.length + 1)).sort();
    };
    const shards = [1, 2, 3].map((shard) => `model-0000${shard}-of-00003.safetensors`);
    const index = "model.safetensors.index.json";
    expect(await visit(false)).toEqual([...shards, "model.safetensors", index].sort());
    expect(await visit(true)).toEqual([]);
    // What the browser gave up meanwhile is fetched alone.
    await withPage("", (tab) =>
      tab.evaluate(async ([name, url]) => (await caches.open(name)).delete(url), [
        cacheName,
        `${origin}${folder}/${shards[1]}`,
      ] as const),
    );
    expect(await visit(false)).toEqual([shards[1]]);
  });

  test("a text is scored, and a tokenizer stands alone", async () => {
    const [perplexity, ids] = await withPage("", (tab) =>
      tab.evaluate(
        async ([folder, tokens, text]) => {
          const { page } = globalThis as unknown as { page: Page };
          return [
            await page.perplexity(folder, tokens),
            await page.tokenize(folder, text),
          ] as const;
        },
        [nano, [...expected.promptIds, ...expected.ids], prompt] as const,
      ),
    );
    expect(perplexity).toBeGreaterThan(1);
    expect(perplexity).toBeLessThan(30);
    expect(ids).toEqual(expected.promptIds);
  });

  const architectures = ["gemma2", "llama3-rope", "qwen2", "mistral-window"].filter((name) =>
    existsSync(join(models, "architectures", name)),
  );
  test.each(architectures)("%s gives its expected ids and logits", async (name) => {
    const { prompts } = readJson<Expected>("architectures", name, "expected.json");
    const result = await run({
      folder: `/models/architectures/${name}/`,
      format: "f32",
      prompts: prompts.map(({ promptIds }) => promptIds),
      maxTokens: prompts[0]!.greedyIds.length,
    });
    for (const [index, prompt] of prompts.entries()) {
      expect(result.ids[index]).toEqual(prompt.greedyIds);
      const difference = maxDifference(prompt.logitsAfterPrompt, result.logits[index]!);
      expect(difference).toBeLessThan(1e-3);
    }
  });

  test.skipIf(tinyData.skip)("the reference's 200 greedy tokens, and its logits", async () => {
    const { greedy_ids: greedyIds, logits_after_bos: logitsAfterBos } = readJson<{
      greedy_ids: number[];
      logits_after_bos: number[];
    }>("tinystories-260k/reference.json");
    const folder = "/models/tinystories-260k";
    const result = await run({ folder, format: "f32", prompts: [""], maxTokens: 200 });
    expect(result.ids[0]).toEqual(greedyIds.slice(1));
    expect(maxDifference(logitsAfterBos, result.logits[0]!)).toBeLessThan(1e-4);
    expect(result.texts[0]).toMatch(/^Once upon a time/);
  });

  test.each([
    ["/bundled/nothing-here", "fetch-failed"],
    ["/application/model", "fetch-failed"],
    ["/broken/jeton-nano", "fetch-truncated"],
    ["http://127.0.0.1:1/model", "fetch-failed"],
  ])("%s ends in %s", async (folder, code) => {
    const found = await withPage("", (tab) =>
      tab.evaluate((f) => (globalThis as unknown as { page: Page }).page.failure(f), folder),
    );
    expect(found).toBe(code);
  });

  test.each([
    [{ worker: "/worker.js" }, "none"],
    [{ worker: "/no-worker.js" }, "worker-failed"],
    [{ worker: "/worker.js", abort: "download" }, "aborted"],
    [{ worker: "/worker.js", abort: "pack" }, "aborted"],
    [{ abort: "pack" }, "aborted"],
  ])("%j ends in %s", async (options, code) => {
    const found = await withPage("", (tab) =>
      tab.evaluate(([f, o]) => (globalThis as unknown as { page: Page }).page.failure(f, o), [
        nano,
        options,
      ] as const),
    );
    expect(found).toBe(code);
  });

  test("no page met an error that it did not expect", () => {
    expect(complaints).toEqual([]);
  });
});
