/** The pages of `examples/browser-*`, bundled in a project that has installed the package, in headless Chromium. */
import { cpSync, createReadStream, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, loadModel } from "../../src/index.ts";
import {
  createPackedProject,
  type PackedProject,
  repository,
} from "../documents/packed-project.ts";
import { runProgram } from "../documents/run-block.ts";

const executable = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const hasBrowser = existsSync(executable);
if (!hasBrowser)
  console.log(`browser examples: skipped, no Chromium at ${executable} (CHROMIUM names another)`);

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** Serves the files of a folder. */
function serveFolder(folder: string): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, "http://localhost");
    const file = join(folder, pathname === "/" ? "index.html" : pathname);
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    const type = contentTypes[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-length": statSync(file).size });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

describe.skipIf(!hasBrowser)("browser examples", { timeout: 120_000 }, () => {
  let project: PackedProject;
  let profile: string;
  let browser: BrowserContext;
  let expected: string;
  beforeAll(async () => {
    project = createPackedProject();
    profile = mkdtempSync(join(tmpdir(), "jeton-chromium-"));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: executable,
      headless: true,
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    });
    await using model = await loadModel(undefined, { format: "f32" });
    const options = { greedy: true, maxTokens: 24 };
    expected = (await complete(model, "The emperor", options)).text;
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    if (profile) rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    project?.remove();
  });

  test.each([
    ["browser-esbuild", ["build.mjs"]],
    ["browser-vite", [join(repository, "node_modules/vite/bin/vite.js"), "build"]],
  ])("%s writes the text that Node writes", async (name, args) => {
    const folder = join(project.folder, name);
    cpSync(join(repository, "examples", name), folder, { recursive: true });
    const { status, stderr } = await runProgram(process.execPath, args, project, folder);
    expect(status, stderr).toBe(0);
    const server = await serveFolder(join(folder, "dist"));
    const errors: string[] = [];
    try {
      const page = await browser.newPage();
      page.on("pageerror", (error) => errors.push(error.message));
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
      const isDone = (): boolean => document.body.dataset["state"] === "done";
      await page.waitForFunction(isDone, undefined, { timeout: 60_000 }).catch((error: Error) => {
        errors.push(error.message);
      });
      expect(errors).toEqual([]);
      expect(await page.evaluate(() => document.body.textContent)).toContain(expected);
      await page.close();
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
