/** What the tests in a browser share: bundled scripts, and a server of files that isolates a page on request. */
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

/** Chromium is that of the system; the environment variable CHROMIUM names another one. */
export const executable: string = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
/** Whether there is a browser. */
export const hasBrowser: boolean = existsSync(executable);
if (!hasBrowser)
  console.log(`browser: skipped, no Chromium at ${executable} (CHROMIUM names another)`);

/** Switches of every browser that tests start. */
export const browserSwitches: readonly string[] = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Switches of a browser that computes WebGPU in software: the same everywhere, and slow. */
export const gpuSwitches: readonly string[] = [
  ...browserSwitches,
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
];

/** Folder of the runtime's files: its whole package, that for WebGPU too. */
export const runtimeFolder: string = dirname(
  createRequire(import.meta.url).resolve("onnxruntime-web/wasm"),
);

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** What a server has. */
export interface Served {
  /** Texts by their addresses, before all files; may grow. */
  readonly texts: Record<string, string>;
  /** Folders by the first part of the address. */
  readonly folders: Readonly<Record<string, string>>;
  /** Gathers the addresses that were asked for. */
  readonly requested: string[];
}

/**
 * Serves the page, the runtime's files and the models. A page with the query `?isolated` is isolated
 * from other origins, and so may use threads; scripts of threads need the embedder policy as well.
 */
export function startServer({ texts, folders, requested }: Served): Promise<Server> {
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
    if (texts[path] !== undefined) {
      response.writeHead(200, headers);
      response.end(texts[path]);
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
    const folder = folders[root!];
    const file = folder && !rest.includes("..") ? join(folder, ...rest) : undefined;
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

/** Address of a server, without a slash at its end. */
export const originOf = (server: Server): string =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** As documented: no plugin, nothing left out by hand. */
export async function bundleScript(source: string): Promise<string> {
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

/** Whether Chromium has a WebGPU adapter, in software at least: a page is asked, which tells where there is none. */
export async function findAdapter(): Promise<boolean> {
  if (!hasBrowser) return false;
  const server = await startServer({ texts: { "/page.js": "" }, folders: {}, requested: [] });
  const browser = await chromium.launch({ executablePath: executable, args: [...gpuSwitches] });
  try {
    const tab = await browser.newPage();
    await tab.goto(`${originOf(server)}/page.html`);
    const found = await tab.evaluate(async () => {
      const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<object | null> } };
      return !!(await gpu?.requestAdapter());
    });
    if (!found) console.log("webgpu: skipped, this Chromium has no adapter");
    return found;
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
}
