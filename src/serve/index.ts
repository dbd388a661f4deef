/**
 * The OpenAI-compatible HTTP server.
 *
 * @module serve
 */
import { generate, score } from "../generate/index.ts";
import { checkDecoder } from "../model/check-loaded.ts";
import type { LoadedModel } from "../model/index.ts";
import { type RunningServer, type StartServerOptions, startServerWith } from "./server.ts";

export type { CloseServerOptions, RunningServer, StartServerOptions } from "./server.ts";

/**
 * Serves a loaded model: `/v1/completions`, `/v1/chat/completions`, `/v1/responses`, `/v1/models`, `/tokenize`,
 * `/detokenize`, `/health`, `/metrics`; with an encoder also `/v1/embeddings` and `/v1/rerank`.
 *
 * @example
 * const server = await startServer(model, { port: 8080, host: "127.0.0.1" });
 *
 * @throws JetonError `model-not-loaded`, `serve-invalid-option`, `serve-address-unavailable`, `studio-page-missing`
 */
export async function startServer(
  model: LoadedModel,
  options: StartServerOptions,
): Promise<RunningServer> {
  checkDecoder(model);
  return startServerWith({ generate, score }, model, options);
}
