/**
 * Keeps the page for visits without a network: its own files at the first visit, the runtime and the model
 * when they are first used. It also isolates the page from other origins where the server of a static site
 * does not: then WebAssembly may use threads.
 */
const version = "VERSION";
const files = ["FILES"];
const pageCache = `jeton-page-${version}`;
const modelCache = "jeton-models";

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(pageCache)
      .then((cache) => cache.addAll(files.map((name) => new Request(name, { cache: "reload" }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) =>
        Promise.all(
          names
            .filter((name) => name.startsWith("jeton-page-") && name !== pageCache)
            .map((name) => caches.delete(name)),
        ),
      )
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  const path = url.pathname.slice(new URL("./", location.href).pathname.length);
  if (/^(v1|studio)\//.test(path) || ["health", "metrics"].includes(path)) return;
  if (/^(onnxruntime|models|highs)\//.test(path)) event.respondWith(keepLarge(request, path));
  else event.respondWith(answer(request));
});

/** The page's own files: as kept; a newer version comes with a newer service worker. */
async function answer(request) {
  const cache = await caches.open(pageCache);
  const wanted = request.mode === "navigate" ? "./" : request;
  const kept = await cache.match(wanted, { ignoreSearch: request.mode === "navigate" });
  return isolate(kept ?? (await fetch(request)));
}

/** The runtime and small files of models. Their weights keep themselves: `fetchModel` has a cache of its own. */
async function keepLarge(request, path) {
  if (/\/model[^/]*\.safetensors$/.test(path)) return isolate(await fetch(request));
  const cache = await caches.open(modelCache);
  try {
    const response = await fetch(request);
    // Also that a folder lacks a file: it need not have all of them.
    if (response.ok || response.status === 404) await cache.put(request, response.clone());
    return isolate(response);
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return isolate(kept);
    throw error;
  }
}

/** The response with the headers that isolate a page. */
function isolate(response) {
  if (response.status === 0 || response.status === 304) return response;
  const headers = new Headers(response.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  headers.set("cross-origin-resource-policy", "same-origin");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
