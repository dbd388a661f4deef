/**
 * The decoder in a browser: the page of `page.ts`, bundled for it, in headless Chromium, with
 * checkpoints as they lie on disk behind a server that only serves files.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type BrowserContext, chromium, type Page as Tab } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheName } from "../../src/browser-cache.ts";
import { complete, loadModel } from "../../src/index.ts";
import { createRandomCheckpoint } from "../../src/testing/random-checkpoint.ts";
import { bundledModel, testData } from "../../src/testing/test-data.ts";
import type { FailureOptions, Page, PageRequest } from "./page.ts";
import {
  browserSwitches,
  bundleScript,
  executable,
  hasBrowser,
  originOf,
  runtimeFolder,
  startServer,
} from "./serve-page.ts";

const bundled = dirname(bundledModel);
const tinyData = testData("models/tinystories-260k");
const models = dirname(tinyData.folder);
interface Expected {
  prompts: {
    text: string;
    promptIds: number[];
    greedyIds: number[];
    logitsAfterPrompt: number[];
  }[];
}

/** Checkpoints that tests write. */
let written = "";

const readJson = <T>(...path: string[]): T =>
  JSON.parse(readFileSync(join(models, ...path), "utf8")) as T;

const maxDifference = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, index) => Math.abs(value - b[index]!)));

describe.skipIf(!hasBrowser)("in headless Chromium", { timeout: 120_000 }, () => {
  let bundle: string;
  const requested: string[] = [];
  const texts: Record<string, string> = {};
  let server: Server;
  let origin: string;
  let profile: string;
  let browser: BrowserContext;
  const complaints: string[] = [];

  beforeAll(async () => {
    bundle = await bundleScript("./page.ts");
    const worker = await bundleScript("../../src/browser-worker.ts");
    Object.assign(texts, { "/page.js": bundle, "/worker.js": worker });
    written = mkdtempSync(join(tmpdir(), "jeton-browser-"));
    const folders = { onnxruntime: runtimeFolder, models, written };
    server = await startServer({
      texts,
      folders: { ...folders, bundled, broken: bundled, visited: bundled },
      requested,
    });
    origin = originOf(server);
    profile = mkdtempSync(join(tmpdir(), "jeton-chromium-"));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: executable,
      headless: true,
      args: [...browserSwitches, "--disable-gpu"],
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
      // The browser itself reports requests that fail and adapters that are missing, which some tests want.
      tab.on("console", (message) => {
        if (message.location().url.endsWith("/page.js")) complaints.push(message.text());
        else if (!/^Failed to load resource|^No available adapters/.test(message.text())) {
          complaints.push(message.text());
        }
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
  const prompt = "The emperors of the East";
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
    const config = readFileSync(join(bundled, "jeton-nano/config.json"), "utf8");
    texts["/visited/jeton-nano/config.json"] = `${config}\n`;
    await run(request as PageRequest);
    expect(weights()).toBe(1);
  });

  test("a second visit to a sharded checkpoint asks for no shard that was kept, nor for its index", async () => {
    const tokenizer = join(bundledModel, "tokenizer.json");
    const options = { family: "llama", seed: 4, vocabulary: 4099, shards: 3, tokenizer };
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

  test("without an adapter WebGPU is refused before the download, and auto says why it stays in WebAssembly", async () => {
    const failure = (options: FailureOptions): Promise<string> =>
      withPage("", (tab) =>
        tab.evaluate(([f, o]) => (globalThis as unknown as { page: Page }).page.failure(f, o), [
          nano,
          options,
        ] as const),
      );
    requested.length = 0;
    expect(await failure({ device: "webgpu", format: "f32" })).toBe("webgpu-missing");
    expect(requested.filter((path) => path.startsWith(nano))).toEqual([]);
    expect(await failure({ device: "gpu" as never })).toBe("model-option-invalid");
    const request = { folder: nano, format: "f32", prompts: [prompt], maxTokens: 48 } as const;
    const result = await run({ ...request, prompts: [prompt], device: "auto" });
    expect(result.device).toBe("wasm");
    expect(result.warnings).toEqual([expect.stringMatching(/^jeton-nano .*no WebGPU adapter/)]);
    expect(result.ids[0]).toEqual(expected.ids);
  });

  test("no page met an error that it did not expect", () => {
    expect(complaints).toEqual([]);
  });
});
