/** Files of a checkpoint folder from a server, for `jeton/browser`. */
import {
  digestOfFiles,
  keepWhileReading,
  keptResponse,
  openWeightCache,
  type WeightCache,
} from "./browser-cache.ts";
import { isJsonObject, type JsonValue, parseJson } from "./checkpoint/json.ts";
import {
  type ModuleEntry,
  moduleListName,
  parseModuleList,
  staticModuleKind,
  transformerModule,
} from "./checkpoint/module-list.ts";
import { JetonError } from "./core/error.ts";
import type { ModelFiles, WeightsFile } from "./model/open-model.ts";

/** How a folder is fetched. */
export interface FetchFolderOptions {
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** Whether weights are kept in the browser's Cache API. Default true. */
  readonly cache?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** True: the checkpoint lies where the folder's `modules.json` says, if it has one. Default false. */
  readonly hasModules?: boolean;
  /** Told of bytes of weights. */
  readonly onProgress?:
    | ((progress: {
        readonly stage: "download";
        readonly done: number;
        readonly total: number;
      }) => void)
    | undefined;
}

/** A checkpoint folder of a server, fetched. */
export interface FetchedFolder {
  /** Last part of the address. */
  readonly name: string;
  /** The address, with a slash at its end. */
  readonly folder: string;
  readonly files: ModelFiles;
  readonly weights: readonly WeightsFile[];
  /** Fetches a further file of the folder; undefined where it is not there. */
  readonly readFile: (path: string) => Promise<Uint8Array | undefined>;
}

/**
 * Fetches the small files and all weights of a folder.
 *
 * @param baseUrl address of the folder, absolute or relative to the page
 * @throws JetonError `fetch-failed`, `fetch-truncated`, `fetch-too-large`, `config-invalid`,
 *   `tokenizer-not-json`, `checkpoint-index-invalid`, `checkpoint-shard-name-invalid`
 */
export async function fetchFolder(
  baseUrl: string | URL,
  {
    fetch: send = globalThis.fetch,
    cache: keeps = true,
    signal,
    hasModules = false,
    onProgress,
  }: FetchFolderOptions,
): Promise<FetchedFolder> {
  const base = new URL(baseUrl, globalThis.location?.href);
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  // The first failure stops the other downloads.
  const stop = new AbortController();
  const root: Source = {
    base,
    send,
    signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
  };
  try {
    const { source, module } = hasModules ? await checkpointSource(root) : { source: root };
    const { files, texts } = await fetchFiles(source, module);
    const cache = keeps ? await openWeightCache() : undefined;
    const kept = cache && { cache, digest: await digestOfFiles(texts), writes: [] };
    const weights = await fetchWeights({ ...source, ...(kept && { kept }) }, (done, total) =>
      onProgress?.({ stage: "download", done, total }),
    );
    await Promise.all(kept?.writes ?? []);
    return {
      name: base.pathname.split("/").at(-2) || base.host,
      folder: base.href,
      files,
      weights,
      readFile: (path) => optionalBytesOf(root, path),
    };
  } catch (error) {
    stop.abort(error);
    throw error;
  }
}

/** Where files come from, and how. */
interface Source {
  /** Address of the folder, with a slash at its end. */
  readonly base: URL;
  readonly send: typeof fetch;
  readonly signal: AbortSignal;
  readonly kept?: KeptWeights;
}

/** Weights of earlier visits, and of this one. */
interface KeptWeights {
  readonly cache: WeightCache;
  readonly digest: string;
  /** Copies that are being written. */
  readonly writes: Promise<void>[];
}

/** The source of a checkpoint that may lie below its model's folder, and the module that reads it. */
async function checkpointSource(
  root: Source,
): Promise<{ source: Source; module?: ModuleEntry | undefined }> {
  const text = await optionalTextOf(root, moduleListName);
  if (text === undefined) return { source: root };
  const module = transformerModule(parseModuleList(configOf(text, moduleListName)));
  if (module === undefined || module.path === "") return { source: root, module };
  return { source: { ...root, base: new URL(addressOf(root, `${module.path}/`)) }, module };
}

const addressOf = ({ base }: Source, name: string): string =>
  new URL(name.split("/").map(encodeURIComponent).join("/"), base).href;

async function keptWeights(source: Source, name: string): Promise<Response | undefined> {
  const { kept } = source;
  return kept && (await keptResponse(kept.cache, addressOf(source, name), kept.digest));
}

/** A file of weights, kept from an earlier visit or fetched and kept. */
async function requestWeights(source: Source, name: string): Promise<Response> {
  const { kept } = source;
  const known = await keptWeights(source, name);
  if (known) return known;
  const fetched = await request(source, name);
  if (kept === undefined || isMissing(fetched)) return fetched;
  const url = addressOf(source, name);
  const { response, kept: write } = keepWhileReading(kept.cache, url, kept.digest, fetched);
  kept.writes.push(write);
  return response;
}

async function request(source: Source, name: string): Promise<Response> {
  const { send, signal } = source;
  const url = addressOf(source, name);
  try {
    return await send(url, { signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw new JetonError(`${url} could not be fetched: ${(cause as Error).message}`, {
      code: "fetch-failed",
      cause,
      details: { url },
    });
  }
}

/** The small files of a folder, parsed, and their texts. */
async function fetchFiles(
  source: Source,
  module: ModuleEntry | undefined,
): Promise<{ files: ModelFiles; texts: (string | undefined)[] }> {
  const isStatic = module?.kind === staticModuleKind;
  const [config, tokenizer, generationConfig, tokenizerConfig, specialTokensMap, chatTemplate] =
    await Promise.all([
      isStatic ? optionalTextOf(source, "config.json") : textOf(source, "config.json"),
      textOf(source, "tokenizer.json"),
      optionalTextOf(source, "generation_config.json"),
      optionalTextOf(source, "tokenizer_config.json"),
      optionalTextOf(source, "special_tokens_map.json"),
      optionalTextOf(source, "chat_template.jinja"),
    ]);
  const files: ModelFiles = {
    config: config === undefined ? undefined : configOf(config, "config.json"),
    tokenizer: tokenizerFileOf(tokenizer, "tokenizer.json"),
    ...(generationConfig !== undefined && {
      generationConfig: configOf(generationConfig, "generation_config.json"),
    }),
    ...(tokenizerConfig !== undefined && {
      tokenizerConfig: tokenizerFileOf(tokenizerConfig, "tokenizer_config.json"),
    }),
    ...(specialTokensMap !== undefined && {
      specialTokensMap: tokenizerFileOf(specialTokensMap, "special_tokens_map.json"),
    }),
    ...(chatTemplate !== undefined && { chatTemplate }),
  };
  const texts = [config, tokenizer, generationConfig, tokenizerConfig, specialTokensMap];
  return { files, texts: [...texts, chatTemplate] };
}

/** Python writes `NaN` and `Infinity` into configurations. */
function configOf(text: string, source: string): JsonValue {
  return parseJson(text, { source, code: "config-invalid", allowNonFinite: true });
}

/** These may hold millions of values: the quick parser of the platform reads them. */
function tokenizerFileOf(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JetonError(`${path} is not JSON: ${(cause as Error).message}`, {
      code: "tokenizer-not-json",
      cause,
      details: { path },
    });
  }
}

async function textOf(source: Source, name: string, given?: Response): Promise<string> {
  const response = given ?? (await request(source, name));
  if (isMissing(response)) throw statusError(response, name);
  return new TextDecoder().decode(await bytesOf(source, response, name));
}

async function optionalTextOf(source: Source, name: string): Promise<string | undefined> {
  const bytes = await optionalBytesOf(source, name);
  return bytes && new TextDecoder().decode(bytes);
}

async function optionalBytesOf(source: Source, name: string): Promise<Uint8Array | undefined> {
  const response = await request(source, name);
  if (!isMissing(response)) return bytesOf(source, response, name);
  await response.body?.cancel();
  return undefined;
}

/** Servers of single-page applications answer with their page where there is no file. */
function isMissing(response: Response): boolean {
  if (response.status === 404 || response.status === 410) return true;
  return response.ok && /^text\/html\b/.test(response.headers.get("content-type") ?? "");
}

function statusError(response: Response, name: string): JetonError {
  const { status, url } = response;
  const type = response.headers.get("content-type") ?? "no content type";
  return new JetonError(`${url || name} was answered with status ${status} and ${type}`, {
    code: "fetch-failed",
    details: { url, name, status, type, expected: "the file, with status 200" },
  });
}

/** Bytes read so far, and all of them. */
type OnBytes = (done: number, total: number) => void;

/** `model.safetensors`, or the shards that `model.safetensors.index.json` names. */
async function fetchWeights(source: Source, onBytes: OnBytes): Promise<WeightsFile[]> {
  const single = "model.safetensors";
  const index = "model.safetensors.index.json";
  // A kept index says that there is no single file to ask for.
  let indexFile = await keptWeights(source, index);
  if (!indexFile) {
    const response = await requestWeights(source, single);
    if (!isMissing(response)) {
      return [{ name: single, data: await bytesOf(source, response, single, onBytes) }];
    }
    await response.body?.cancel();
    indexFile = await requestWeights(source, index);
  }
  const shards = shardNames(configOf(await textOf(source, index, indexFile), index), index);
  const responses = await Promise.all(shards.map((name) => requestWeights(source, name)));
  const totals = responses.map(contentLength);
  const done = shards.map(() => 0);
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  return Promise.all(
    shards.map(async (name, at) => ({
      name,
      data: await bytesOf(source, responses[at]!, name, (bytes, total) => {
        done[at] = bytes;
        totals[at] = total;
        onBytes(sum(done), sum(totals));
      }),
    })),
  );
}

function shardNames(index: JsonValue, source: string): string[] {
  const weightMap = isJsonObject(index) ? index["weight_map"] : undefined;
  if (!isJsonObject(weightMap)) {
    throw new JetonError(`${source} has no weight_map object`, {
      code: "checkpoint-index-invalid",
      details: { path: source, found: weightMap, expected: "{ tensor: shard }" },
    });
  }
  const names = new Set<string>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    // A plain file name beside the index: nothing that leads out of the folder.
    if (typeof shard !== "string" || !/^[^/\\:\0]+\.safetensors$/.test(shard)) {
      throw new JetonError(
        `${source} maps ${JSON.stringify(tensor)} to ${JSON.stringify(shard)?.slice(0, 200)}; ` +
          "expected the name of a .safetensors file in the same folder",
        { code: "checkpoint-shard-name-invalid", details: { path: source, tensor, found: shard } },
      );
    }
    names.add(shard);
  }
  return [...names].sort();
}

/** Bytes that a response announces; 0 where it does not, or where they count compressed ones. */
function contentLength({ headers }: Response): number {
  if (headers.has("content-encoding")) return 0;
  const length = Number(headers.get("content-length"));
  return Number.isSafeInteger(length) && length > 0 ? length : 0;
}

function allocate(bytes: number, name: string): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new JetonError(`${name}: ${bytes} bytes cannot be held in one array`, {
      code: "fetch-too-large",
      cause,
      details: { name, bytes },
    });
  }
}

/** The body of a response in one array, which grows where the response did not say how long it is. */
async function bytesOf(
  { signal }: Source,
  response: Response,
  name: string,
  onBytes?: OnBytes,
): Promise<Uint8Array> {
  if (!response.ok || !response.body) throw statusError(response, name);
  const announced = contentLength(response);
  let bytes = allocate(announced || 1 << 16, name);
  let length = 0;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (length + value.length > bytes.length) {
        const grown = allocate(Math.max(length + value.length, 2 * bytes.length), name);
        grown.set(bytes.subarray(0, length));
        bytes = grown;
      }
      bytes.set(value, length);
      length += value.length;
      onBytes?.(length, Math.max(announced, length));
    }
  } catch (cause) {
    signal.throwIfAborted();
    if (JetonError.isInstance(cause)) throw cause;
    throw new JetonError(`${response.url || name} broke off after ${length} bytes`, {
      code: "fetch-truncated",
      cause,
      details: { url: response.url, name, found: length, expected: announced || undefined },
    });
  }
  return bytes.subarray(0, length);
}
