/**
 * Pages that bundlers make of the built package, in headless Chromium: the programs of `examples/`, and the
 * same with the model in a worker. webpack is installed apart: `npm ci --prefix tests/bundlers/webpack`.
 */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build as buildWithEsbuild } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { build as buildWithVite } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, loadModel } from "../../src/index.ts";
import { bundledModel } from "../../src/testing/test-data.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const executable = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const webpackPackage = join(root, "tests/bundlers/webpack/node_modules/webpack");
const hasBrowser = existsSync(executable);
if (!hasBrowser) console.log(`bundlers: skipped, no Chromium at ${executable}`);
if (!existsSync(webpackPackage)) {
  console.log("bundlers: webpack skipped: npm ci --prefix tests/bundlers/webpack");
}

/** A page whose model lives in a worker. */
const workerPage = `
import { fetchModel, generate } from "jeton/browser";

const worker = new Worker(new URL("./model-worker.js", import.meta.url), { type: "module" });
const model = await fetchModel("/model/", { worker });
for await (const { text } of generate(model, "The emperor", { greedy: true, maxTokens: 24 })) {
  document.body.append(text);
}
await model.close();
document.body.dataset["state"] = "done";
`;
const workerScript = 'import "jeton/browser-worker";\n';
const document = `<!doctype html><html lang="en"><head><meta charset="utf-8" /><title>jeton</title>
<script type="module" src="./main.js"></script></head><body></body></html>`;

let folder: string;
let expected: string;
let browser: Browser;
beforeAll(async () => {
  if (!hasBrowser) return;
  execFileSync(process.execPath, [join(root, "scripts/build.mjs"), "--if-changed"]);
  folder = mkdtempSync(join(tmpdir(), "jeton-bundlers-"));
  const installed = join(folder, "node_modules/jeton");
  for (const name of ["dist", "package.json"]) {
    cpSync(join(root, name), join(installed, name), { recursive: true });
  }
  symlinkSync(bundledModel, join(folder, "model"));
  await using model = await loadModel(bundledModel);
  ({ text: expected } = await complete(model, "The emperor", { greedy: true, maxTokens: 24 }));
  browser = await chromium.launch({
    executablePath: executable,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
}, 300_000);
afterAll(async () => {
  await browser?.close();
  if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A project with the example of a bundler, or with a worker. */
function makeProject(name: string, worker: boolean): string {
  const project = join(folder, `${name}${worker ? "-worker" : ""}`);
  mkdirSync(project);
  writeFileSync(join(project, "index.html"), document);
  if (worker) {
    writeFileSync(join(project, "main.js"), workerPage);
    writeFileSync(join(project, "model-worker.js"), workerScript);
  } else copyFileSync(join(root, "examples/browser-esbuild/main.ts"), join(project, "main.js"));
  return project;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

function serve(site: string): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, "http://localhost");
    const path = pathname.startsWith("/model/") ? join(folder, pathname) : join(site, pathname);
    if (!existsSync(path) || path.includes("..")) {
      response.writeHead(404).end();
      return;
    }
    const type = types[extname(path)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type });
    createReadStream(path).pipe(response);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** Opens the page of a site and returns what it wrote, and what it complained of. */
async function visit(site: string): Promise<{ text: string; complaints: string[] }> {
  const server = await serve(site);
  const context = await browser.newContext();
  try {
    const tab = await context.newPage();
    const complaints: string[] = [];
    tab.on("pageerror", (error) => complaints.push(error.message));
    tab.on("console", (message) => {
      // Files that a folder need not have.
      if (!/^Failed to load resource/.test(message.text())) complaints.push(message.text());
    });
    const { port } = server.address() as AddressInfo;
    await tab.goto(`http://127.0.0.1:${port}/index.html`);
    await tab.waitForFunction(() => document.body.dataset["state"] === "done" || undefined);
    return { text: (await tab.textContent("body")) ?? "", complaints };
  } finally {
    await context.close();
    server.closeAllConnections();
    server.close();
  }
}

type Bundler = (project: string, worker: boolean) => Promise<string>;

/** As documented: the runtime's two files lie beside the script. */
const esbuild: Bundler = async (project, worker) => {
  const site = join(project, "site");
  const entries = ["main", ...(worker ? ["model-worker"] : [])];
  const { warnings } = await buildWithEsbuild({
    entryPoints: entries.map((name) => join(project, `${name}.js`)),
    bundle: true,
    format: "esm",
    outdir: site,
    logLevel: "silent",
  });
  expect(warnings).toEqual([]);
  copyFileSync(join(project, "index.html"), join(site, "index.html"));
  const resolve = createRequire(join(project, "main.js")).resolve;
  for (const name of ["ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.mjs"]) {
    copyFileSync(resolve(`jeton/${name}`), join(site, name));
  }
  return site;
};

/** A slow machine is no fault of a bundle: without warnings of how long a build took. */
const untimed = { checks: { bundlerTimings: false } };

const vite: Bundler = async (project) => {
  const warnings: string[] = [];
  await buildWithVite({
    root: project,
    configFile: false,
    logLevel: "warn",
    customLogger: {
      ...{ info: () => {}, error: (text) => warnings.push(text), clearScreen: () => {} },
      ...{ warn: (text) => warnings.push(text), warnOnce: (text) => warnings.push(text) },
      ...{ hasErrorLogged: () => false, hasWarned: false },
    },
    build: {
      ...{ outDir: "site", target: "es2022", chunkSizeWarningLimit: 5_000 },
      rolldownOptions: untimed,
    },
    worker: { format: "es", rolldownOptions: untimed },
  });
  expect(warnings).toEqual([]);
  return join(project, "site");
};

interface Stats {
  toJson(): { errors: { message: string }[]; warnings: { message: string }[] };
}

const webpack: Bundler = async (project) => {
  const run = createRequire(import.meta.url)(webpackPackage) as (
    configuration: object,
    done: (error: Error | null, stats: Stats) => void,
  ) => void;
  const stats = await new Promise<Stats>((resolve, reject) => {
    const configuration = {
      mode: "production",
      context: project,
      entry: "./main.js",
      output: { path: join(project, "site"), filename: "main.js", publicPath: "auto" },
      performance: { hints: false },
    };
    run(configuration, (error, result) => (error ? reject(error) : resolve(result)));
  });
  const { errors, warnings } = stats.toJson();
  const told = [...errors, ...warnings].map(
    ({ message, moduleName }) => `${moduleName}: ${message}`,
  );
  expect(told).toEqual([]);
  copyFileSync(join(project, "index.html"), join(project, "site/index.html"));
  return join(project, "site");
};

describe.skipIf(!hasBrowser)("a page bundled as documented", { timeout: 300_000 }, () => {
  const bundlers = { esbuild, vite, ...(existsSync(webpackPackage) && { webpack }) };
  for (const [name, bundle] of Object.entries(bundlers)) {
    test.each([false, true])(
      `by ${name} writes what Node writes (in a worker: %s)`,
      async (worker) => {
        const site = await bundle(makeProject(name, worker), worker);
        expect(await visit(site)).toEqual({ text: expected, complaints: [] });
      },
    );
  }
});
