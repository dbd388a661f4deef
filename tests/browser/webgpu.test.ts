/**
 * Models on WebGPU in headless Chromium, whose adapter may be one of software: slow, and the same everywhere.
 */
import type { Server } from "node:http";
import { dirname } from "node:path";
import { type Browser, chromium, type Page as Tab } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundledModel } from "../../src/testing/test-data.ts";
import type { FailureOptions, Page, PageRequest } from "./page.ts";
import {
  bundleScript,
  executable,
  findAdapter,
  gpuSwitches,
  originOf,
  runtimeFolder,
  startServer,
} from "./serve-page.ts";

const hasAdapter = await findAdapter();

const nano = "/bundled/jeton-nano";

describe.skipIf(!hasAdapter)("on WebGPU", { timeout: 240_000 }, () => {
  const requested: string[] = [];
  const complaints: string[] = [];
  let server: Server;
  let browser: Browser;

  beforeAll(async () => {
    const texts = {
      "/page.js": await bundleScript("./page.ts"),
      "/worker.js": await bundleScript("../../src/browser-worker.ts"),
    };
    const folders = { onnxruntime: runtimeFolder, bundled: dirname(bundledModel) };
    server = await startServer({ texts, folders, requested });
    browser = await chromium.launch({ executablePath: executable, args: [...gpuSwitches] });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
  });

  async function withPage<T>(use: (tab: Tab) => Promise<T>): Promise<T> {
    const tab = await browser.newPage();
    try {
      tab.on("pageerror", (error) => complaints.push(error.message));
      tab.on("console", (message) => {
        if (!/^Failed to load resource/.test(message.text())) complaints.push(message.text());
      });
      await tab.goto(`${originOf(server)}/page.html`);
      await tab.waitForFunction(() => "page" in globalThis);
      return await use(tab);
    } finally {
      await tab.close();
    }
  }

  const run = (request: PageRequest): ReturnType<Page["run"]> =>
    withPage((tab) =>
      tab.evaluate((r) => (globalThis as unknown as { page: Page }).page.run(r), request),
    );
  const failure = (options: FailureOptions): Promise<string> =>
    withPage((tab) =>
      tab.evaluate(([f, o]) => (globalThis as unknown as { page: Page }).page.failure(f, o), [
        nano,
        options,
      ] as const),
    );

  const request: PageRequest = {
    folder: nano,
    format: "f32",
    prompts: ["The emperor"],
    maxTokens: 8,
    besides: [
      { greedy: true, drafter: "prompt-lookup" },
      { seed: 3, temperature: 1 },
    ],
  };

  test("jeton-nano writes what it writes in WebAssembly: greedy, drafted and sampled", async () => {
    const wasm = await run({ ...request, device: "wasm" });
    requested.length = 0;
    const gpu = await run({ ...request, device: "webgpu", worker: true });
    expect(gpu).toMatchObject({ device: "webgpu", exact: false, warnings: [] });
    expect(wasm).toMatchObject({ device: "wasm", exact: true, warnings: [] });
    // The two files that the guide names, and no other.
    expect([...new Set(requested.filter((path) => path.startsWith("/onnxruntime/")))]).toEqual([
      "/onnxruntime/ort.webgpu.bundle.min.mjs",
      "/onnxruntime/ort-wasm-simd-threaded.asyncify.wasm",
    ]);
    expect(gpu.texts).toEqual(wasm.texts);
    // Other kernels round otherwise: no bits are alike, and no token of this text is so close to another.
    expect(gpu.besides).toEqual(wasm.besides);
    expect(gpu.logits).not.toEqual(wasm.logits);
    for (const [at, value] of gpu.logits[0]!.entries()) {
      expect(Math.abs(value - wasm.logits[0]![at]!)).toBeLessThan(1e-3);
    }
  });

  test("opening a model asks for the adapter once, and the runtime twice more", async () => {
    const short = { ...request, device: "webgpu" as const, maxTokens: 1, besides: [] };
    const asked = await withPage((tab) =>
      tab.evaluate(async (own) => {
        const { gpu } = navigator as unknown as { gpu: { requestAdapter(): Promise<unknown> } };
        const ask = gpu.requestAdapter.bind(gpu);
        let times = 0;
        gpu.requestAdapter = (...options) => {
          times++;
          return ask(...options);
        };
        await (globalThis as unknown as { page: Page }).page.run(own);
        return times;
      }, short),
    );
    expect(asked).toBe(1 + 2);
  });

  test.each(["int8", "int4"] as const)("%s begins as in WebAssembly", async (format) => {
    const short = { ...request, format, maxTokens: 2, besides: [] };
    const wasm = await run({ ...short, device: "wasm" });
    const gpu = await run({ ...short, device: "webgpu" });
    expect(gpu).toMatchObject({ format, device: "webgpu", stages: ["download", "pack", "load"] });
    expect(gpu.ids).toEqual(wasm.ids);
    // Activations are rounded to 8 bits, or not, as each device's kernels do.
    for (const [at, value] of gpu.logits[0]!.entries()) {
      expect(Math.abs(value - wasm.logits[0]![at]!)).toBeLessThan(1);
    }
  });

  test("jeton-embed gives the vectors of WebAssembly, and its sessions end", async () => {
    const texts = ["the soldiers crossed the river", "wine and bread", ""];
    const vectors = (device: "wasm" | "webgpu"): Promise<number[][]> =>
      withPage((tab) =>
        tab.evaluate(
          ([d, t]) =>
            (globalThis as unknown as { page: Page }).page.vectors("/bundled/jeton-embed", d, t),
          [device, texts] as const,
        ),
      );
    const [wasm, gpu] = [await vectors("wasm"), await vectors("webgpu")];
    expect(gpu).toHaveLength(texts.length);
    for (const [at, vector] of gpu.entries()) {
      for (const [axis, value] of vector.entries()) {
        expect(Math.abs(value - wasm[at]![axis]!)).toBeLessThan(1e-4);
      }
    }
  });

  test.each([
    [{ device: "webgpu", format: "int8-channel" }, "webgpu-format"],
    [{ device: "webgpu", format: "f32", exact: true }, "model-exact-unsupported"],
    [{ device: "webgpu", format: "f32", runtime: "/nowhere/" }, "webgpu-runtime-missing"],
  ] as const)("%j ends in %s", async (options, code) => {
    expect(await failure(options)).toBe(code);
  });

  test("auto takes no adapter of software, and says so", async () => {
    const adapter = await withPage((tab) =>
      tab.evaluate(() => (globalThis as unknown as { page: Page }).page.findWebGpu()),
    );
    expect(adapter).toBe("software");
    const result = await run({ ...request, besides: [], device: "auto" });
    expect(result).toMatchObject({ device: "wasm", exact: true });
    expect(result.warnings).toEqual([expect.stringContaining("software")]);
  });

  test("no page met an error that it did not expect", () => {
    expect(complaints).toEqual([]);
  });
});
