/**
 * The page of both builds for tests: `jeton studio`'s server and the static site, in one headless Chromium.
 *
 * Chromium is that of the system; the environment variable CHROMIUM names another one.
 */
import { execFileSync } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { buildSite } from "../../scripts/build-site.mjs";
import { type LoadedModel, loadModel } from "../../src/index.ts";
import { type RunningServer, startServer } from "../../src/serve/index.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const executable = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** Folder of the built page. */
export const builtPage: string = join(root, "dist/studio");

/** Whether there is a browser; says so where there is none. */
export const hasBrowser: boolean = existsSync(executable);
if (!hasBrowser)
  console.log(`studio: skipped, no Chromium at ${executable} (CHROMIUM names another)`);

/** Both builds, open. */
export interface Studio {
  /** Address of the server's page, with a slash at its end. */
  readonly server: string;
  /** Address of the static site, in a folder of its server. */
  readonly site: string;
  readonly model: LoadedModel;
  readonly context: BrowserContext;
  /** A new tab; `problems` gathers its errors and requests to other hosts. */
  openTab(): Promise<{ page: Page; problems: string[] }>;
  /** Ends the server of the static site. */
  disconnectSite(): void;
  close(): Promise<void>;
}

const contentTypes: Readonly<Record<string, string>> = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".xml": "application/atom+xml",
};

/** A server of files, as any host of static sites is: no headers but type and length. */
function serveFolder(folder: string, prefix: string): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url!, "http://localhost");
    const name = pathname.startsWith(prefix) ? pathname.slice(prefix.length) : "none";
    const file = join(folder, name === "" ? "index.html" : name);
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      "content-type": contentTypes[extname(file)] ?? "application/octet-stream",
      "content-length": statSync(file).size,
    });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** Builds what has changed and opens both builds. */
export async function openStudio(): Promise<Studio> {
  execFileSync(process.execPath, [join(root, "scripts/build.mjs"), "--if-changed"]);
  const folder = mkdtempSync(join(tmpdir(), "jeton-studio-"));
  await buildSite(join(folder, "site"));
  const model = await loadModel(undefined, { format: "f32", threads: 1, slots: 4 });
  const server: RunningServer = await startServer(model, {
    port: 0,
    host: "127.0.0.1",
    studio: true,
  });
  const files = await serveFolder(join(folder, "site"), "/jeton/");
  const context = await chromium.launchPersistentContext(join(folder, "profile"), {
    executablePath: executable,
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    reducedMotion: "reduce",
  });
  const site = `http://127.0.0.1:${(files.address() as AddressInfo).port}/jeton/`;
  return {
    server: `${server.url}/`,
    site,
    model,
    context,
    async openTab() {
      const page = await context.newPage();
      page.setDefaultTimeout(90_000);
      const problems: string[] = [];
      page.on("pageerror", (error) => problems.push(error.message));
      page.on("console", (message) => {
        // A model's folder is asked for files that it need not have.
        if (message.type() !== "error" || /models\//.test(message.location().url)) return;
        problems.push(message.text());
      });
      page.on("request", (request) => {
        const { protocol, host } = new URL(request.url());
        const isOwn = [`${server.url}/`, site].some((address) => new URL(address).host === host);
        if (!isOwn && protocol.startsWith("http")) problems.push(`asked ${host}`);
      });
      return { page, problems };
    },
    disconnectSite() {
      files.close();
      files.closeAllConnections();
    },
    async close() {
      await context.close();
      files.close();
      files.closeAllConnections();
      await server.close({ graceMs: 0 });
      await model.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
