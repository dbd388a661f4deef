/** A server of files for pages that are isolated from other origins, and so may use threads. */
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";

const contentTypes = {
  ".css": "text/css",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/**
 * @param {Record<string, string>} folders by the beginning of the address, with slashes at its ends
 * @param {Record<string, string>} documents contents by address
 * @returns {Promise<{ url: string, close(): void }>}
 */
export async function serveFolders(folders, documents = {}) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const headersOf = (name) => ({
      "content-type": contentTypes[extname(name)] ?? "application/octet-stream",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    if (documents[pathname] !== undefined) {
      response.writeHead(200, headersOf(pathname)).end(documents[pathname]);
      return;
    }
    const prefix = Object.keys(folders)
      .sort((a, b) => b.length - a.length)
      .find((beginning) => pathname.startsWith(beginning));
    const name = prefix && decodeURIComponent(pathname.slice(prefix.length));
    const file = prefix && !name.includes("..") && join(folders[prefix], name || "index.html");
    if (!file || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404, { "content-type": "text/plain" }).end("not found");
      return;
    }
    response.writeHead(200, { ...headersOf(file), "content-length": statSync(file).size });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
