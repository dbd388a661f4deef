/** Files of the page that `jeton studio` shows, and of what it runs in the browser. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { JetonError } from "../../core/index.ts";
import type { ServeRequest } from "../context.ts";

/** The package's folder; the same relative path from `src` and `dist`. */
const packageFolder = fileURLToPath(new URL("../../../", import.meta.url));

/** Folders of a page by the beginning of the address, the longest first; `/` is the page's own. */
export type PageFolders = Readonly<Record<string, string>>;

/**
 * The folders of the built page: the page, the WebAssembly runtime, the bundled models.
 *
 * @throws JetonError `studio-page-missing` where the page is not built
 */
export function builtPage(): PageFolders {
  const page = join(packageFolder, "dist/studio");
  if (!existsSync(join(page, "index.html"))) {
    throw new JetonError(`${page} holds no page: run npm run build in the clone`, {
      code: "studio-page-missing",
      details: { path: page, expected: "index.html" },
    });
  }
  return {
    "/onnxruntime/": join(packageFolder, "dist/onnxruntime"),
    "/models/": join(packageFolder, "models"),
    ...findSolver(),
    "/": page,
  };
}

/** The solver of one demonstration, where the optional package `highs` is installed. */
function findSolver(): PageFolders {
  try {
    return { "/highs/": dirname(fileURLToPath(import.meta.resolve("highs"))) };
  } catch {
    return {};
  }
}

const contentTypes: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".jinja": "text/plain; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".xml": "application/atom+xml; charset=utf-8",
};

/** The page is isolated from other origins, so that WebAssembly may use threads; it loads nothing of others. */
const pageHeaders: Readonly<Record<string, string>> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/**
 * Answers a request for a file of the page.
 *
 * @returns undefined where there is no such file
 */
export async function answerPageFile(
  folders: PageFolders,
  request: ServeRequest,
): Promise<Response | undefined> {
  const path = findFile(folders, request.req.path);
  const status = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (path === undefined || !status?.isFile()) return undefined;
  const { origin } = new URL(request.req.url);
  const isFeed = feeds.has(basename(path));
  const version = [path, status.size, status.mtimeMs, isFeed ? origin : ""];
  const etag = `"${createHash("sha256").update(version.join("\0")).digest("hex").slice(0, 20)}"`;
  const headers = {
    ...pageHeaders,
    etag,
    "content-type": contentTypes[extname(path)] ?? "application/octet-stream",
    // Names of built scripts and styles hold a digest of their contents.
    "cache-control": /\/assets\/[^/]+$/.test(request.req.path)
      ? "public, max-age=31536000, immutable"
      : "no-cache",
  };
  if (request.req.header("if-none-match") === etag) return request.body(null, 304, headers);
  if (request.req.method === "HEAD" && !isFeed) {
    return request.body(null, 200, { ...headers, "content-length": String(status.size) });
  }
  const bytes = await readFile(path);
  if (isFeed) {
    return request.body(addressFeed(bytes.toString("utf8"), origin), 200, headers);
  }
  return request.body(new Uint8Array(bytes), 200, headers);
}

/** Feeds of the built page, whose addresses are relative. */
const feeds: ReadonlySet<string> = new Set(["feed.xml", "feed.json"]);

/** A feed with whole addresses, as readers want them: those of the server that was asked. */
export function addressFeed(feed: string, origin: string): string {
  return feed.replaceAll('"./', `"${origin}/`);
}

/** Path of the file that an address names; undefined for one that leads out of the folders. */
export function findFile(folders: PageFolders, address: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(address);
  } catch {
    return undefined;
  }
  const prefix = Object.keys(folders)
    .sort((a, b) => b.length - a.length)
    .find((beginning) => path.startsWith(beginning));
  if (prefix === undefined) return undefined;
  const parts = path.slice(prefix.length).split("/");
  if (parts.some((part) => part.startsWith(".") || /[\\\0:]/.test(part))) return undefined;
  if (parts.at(-1) === "") parts[parts.length - 1] = "index.html";
  return join(folders[prefix]!, ...parts);
}
