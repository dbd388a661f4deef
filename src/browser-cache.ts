/** Weights kept by the browser from one visit to the next: its Cache API. */

/** Where weights are kept: `caches.open` of a browser, or what has its two methods. */
export type WeightCache = Pick<Cache, "match" | "put">;

/** The name of jeton's cache: `caches.delete(cacheName)` frees it. */
export const cacheName = "jeton-weights";

/** Says which small files a checkpoint had when its weights were kept. */
const filesHeader = "x-jeton-files";

/** jeton's cache, where the page has a Cache API: over HTTPS, and on this machine. */
export async function openWeightCache(): Promise<WeightCache | undefined> {
  try {
    return await globalThis.caches?.open(cacheName);
  } catch {
    // A page that may not keep anything: private windows, opaque origins.
    return undefined;
  }
}

/** A digest of a checkpoint's small files: others, and the weights are others too. */
export async function digestOfFiles(files: readonly (string | undefined)[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(files.map((text) => text ?? null)));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What was kept of an address beside files of this digest. */
export async function keptResponse(
  cache: WeightCache,
  url: string,
  digest: string,
): Promise<Response | undefined> {
  const kept = await cache.match(url);
  return kept?.headers.get(filesHeader) === digest ? kept : undefined;
}

/**
 * Keeps a response while it is read.
 *
 * @returns the response to read, and a promise that is fulfilled once the other copy is kept, or could not
 *   be: where there is no space, the next visit fetches again
 */
export function keepWhileReading(
  cache: WeightCache,
  url: string,
  digest: string,
  response: Response,
): { response: Response; kept: Promise<void> } {
  if (!response.ok || !response.body) return { response, kept: Promise.resolve() };
  const [read, copy] = response.body.tee();
  const headers = new Headers({ [filesHeader]: digest });
  for (const name of ["content-length", "content-type", "content-encoding"]) {
    const value = response.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  const kept = cache.put(url, new Response(copy, { headers })).then(
    () => {},
    () => {},
  );
  return { response: new Response(read, response), kept };
}
