/**
 * The front door for browsers: opens checkpoints that a server holds as they lie on disk, and
 * generates.
 *
 * Bundlers need no setting. Vite and webpack carry the runtime's WebAssembly with the page; with esbuild, and
 * without a bundler, copy `ort-wasm-simd-threaded.wasm` and `.mjs` (exports of this package) beside the
 * page's script, or say with `locateWasm` where the server keeps them.
 *
 * @module browser
 */

import { fetchFolder } from "./browser-fetch.ts";
import { JetonError } from "./core/error.ts";
import { type NamedGeneration, withNamedDrafters } from "./generate/named-drafters.ts";
import { openTableDrafter } from "./generate/speculative/table-drafters.ts";
import { type OpenEncoderOptions, openEncoder } from "./model/encoder/open-encoder.ts";
import type { LoadedEncoder } from "./model/encoder/types.ts";
import { type OpenModelOptions, openModel } from "./model/open-model.ts";
import { type OpenSeq2SeqOptions, openSeq2Seq } from "./model/seq2seq/open-seq2seq.ts";
import type { LoadedSeq2Seq } from "./model/seq2seq/types.ts";
import type { LoadedModel } from "./model/types.ts";
import type { DeviceChoice } from "./tensor/device.ts";
import { watchWorker } from "./tensor/page-worker.ts";
import { locatedWasm } from "./tensor/runtime.ts";
import { whyNoWebGpu } from "./tensor/webgpu.ts";

export { cacheName } from "./browser-cache.ts";
export { JetonError } from "./core/error.ts";
export {
  completeFrom,
  type GenerateFromOptions,
  type GenerateFromResult,
  generateFrom,
} from "./generate/generate-from.ts";
export type { GenerateOptions } from "./generate/named-drafters.ts";
export { type ScoreOptions, score } from "./generate/score.ts";
export { createDraftModelDrafter } from "./generate/speculative/draft-model.ts";
export type {
  FinishReason,
  GeneratedToken,
  GenerateResult,
  Prompt,
  ScoredToken,
  ScoreResult,
} from "./generate/types.ts";
export { type OpenEncoderOptions, openEncoder } from "./model/encoder/open-encoder.ts";
export {
  type EmbedOptions,
  type EmbedTokensOptions,
  embed,
  embedTokens,
  type TokenVectors,
} from "./model/encoder/tasks/embed.ts";
export type { LoadedEncoder } from "./model/encoder/types.ts";
export {
  type ModelFiles,
  type OpenModelOptions,
  openModel,
  type WeightsFile,
} from "./model/open-model.ts";
export { type OpenSeq2SeqOptions, openSeq2Seq } from "./model/seq2seq/open-seq2seq.ts";
export type { LoadedSeq2Seq } from "./model/seq2seq/types.ts";
export type { LoadedModel, OpenSequence, WeightFormat } from "./model/types.ts";

export type { Device, DeviceChoice } from "./tensor/device.ts";
export { liveSessions, locateWasm } from "./tensor/runtime.ts";
export { findWebGpu, type WebGpuAdapter } from "./tensor/webgpu.ts";
export { type ChatMessage, renderChat } from "./tokenizer/chat-template.ts";
export { readTokenizerSettings } from "./tokenizer/formats/tokenizer-settings.ts";
export { createTokenizer } from "./tokenizer/tokenizer.ts";
export type { Tokenizer } from "./tokenizer/tokenizer-interface.ts";

const named: NamedGeneration = withNamedDrafters((name, model) => {
  const drafter = openTableDrafter(name, model);
  if (drafter) return drafter;
  throw new JetonError(
    `${name} needs a draft model: open one and give createDraftModelDrafter(…)`,
    {
      code: "draft-model-missing",
      details: { drafter: name },
    },
  );
});

/** Continues a prompt, or answers a conversation, token by token. Takes drafters by name too. */
export const generate: NamedGeneration["generate"] = named.generate;

/** Runs a generation to its end and returns its result. Takes drafters by name too. */
export const complete: NamedGeneration["complete"] = named.complete;

/** How a model is fetched and opened. Progress of `download` counts bytes of weights. */
export interface FetchModelOptions
  extends Omit<OpenModelOptions, "files" | "weights" | "name" | "folder"> {
  /** What the model is called. Default: the last part of the address. */
  name?: string;
  /** Sends the requests. Default: the global `fetch`; give one that adds headers, for example. */
  fetch?: typeof fetch;
  /**
   * Whether weights are kept in the browser's Cache API (`caches`, under `cacheName`): a later visit sends
   * no request for them, while the small files of the folder, which are always fetched, are the same.
   * Default true; without effect where a page has no such cache, as over plain HTTP.
   */
  cache?: boolean;
}

/**
 * Fetches a checkpoint folder from a server and opens it. All weights are held in memory at once.
 *
 * @param baseUrl address of the folder, absolute or relative to the page: a folder of one's own
 *   server, or `https://huggingface.co/<owner>/<name>/resolve/main`
 * @param options `device: "auto"` takes the graphics processor where there is one; docs/browser.md names the runtime's files
 *
 * @example
 * locateWasm("/onnxruntime/");
 * const model = await fetchModel("/models/tinystories-260k");
 * for await (const { text } of generate(model, "Once upon a time")) document.body.append(text);
 *
 * @throws JetonError `fetch-failed`, `fetch-truncated`, `fetch-too-large`, `config-invalid`,
 *   `tokenizer-not-json`, `checkpoint-index-invalid`, `checkpoint-shard-name-invalid`, and the codes
 *   of `openModel`
 */
export async function fetchModel(
  baseUrl: string | URL,
  options: FetchModelOptions = {},
): Promise<LoadedModel> {
  const { fetch: _, cache: _c, ...openOptions } = options;
  if (options.worker) watchWorker(options.worker);
  try {
    await checkWebGpu(options.device);
    const { name, folder, files, weights } = await fetchFolder(baseUrl, options);
    return await openModel({ name, ...openOptions, folder, files, weights });
  } catch (error) {
    options.worker?.terminate();
    throw error;
  }
}

/** How an encoder is fetched and opened. Progress of `download` counts bytes of weights. */
export interface FetchEncoderOptions
  extends Omit<OpenEncoderOptions, "files" | "weights" | "readFile" | "folder">,
    Pick<FetchModelOptions, "fetch" | "cache"> {}

/**
 * Fetches an encoder's folder from a server and opens it, with the modules of sentence-transformers: `embed` and
 * `embedTokens` then give vectors. It lives on the calling thread and blocks it during a forward pass.
 *
 * @param baseUrl as of `fetchModel`
 *
 * @throws JetonError those of `fetchModel` and of `openEncoder`
 */
export async function fetchEncoder(
  baseUrl: string | URL,
  options: FetchEncoderOptions = {},
): Promise<LoadedEncoder> {
  const { fetch: _, cache: _c, ...openOptions } = options;
  await checkWebGpu(options.device);
  const { name, ...fetched } = await fetchFolder(baseUrl, { ...options, hasModules: true });
  return openEncoder({ name, ...openOptions, ...fetched });
}

/** How an encoder-decoder is fetched and opened. Progress of `download` counts bytes of weights. */
export interface FetchSeq2SeqOptions
  extends Omit<OpenSeq2SeqOptions, "files" | "weights" | "folder">,
    Pick<FetchModelOptions, "fetch" | "cache"> {}

/**
 * Fetches an encoder-decoder's folder from a server and opens it: `generateFrom` then writes from a text. It lives on
 * the calling thread, in WebAssembly, and blocks it during a forward pass.
 *
 * @param baseUrl as of `fetchModel`
 *
 * @throws JetonError those of fetching with `fetchModel`, and of `openSeq2Seq`
 */
export async function fetchSeq2Seq(
  baseUrl: string | URL,
  options: FetchSeq2SeqOptions = {},
): Promise<LoadedSeq2Seq> {
  const { fetch: _, cache: _c, ...openOptions } = options;
  const { name, folder, files, weights } = await fetchFolder(baseUrl, options);
  return openSeq2Seq({ name, ...openOptions, folder, files, weights });
}

/** Says before the download where WebGPU is insisted on and is not there. */
async function checkWebGpu(device: DeviceChoice | undefined): Promise<void> {
  const reason = device === "webgpu" ? await whyNoWebGpu(locatedWasm()) : undefined;
  if (reason) throw reason;
}
