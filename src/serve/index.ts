/**
 * The OpenAI-compatible HTTP server.
 *
 * @module serve
 */
import { generate, score } from "../generate/index.ts";
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
 * @throws JetonError `serve-invalid-option`, `serve-address-unavailable`, `studio-page-missing`
 */
export function startServer(
  model: LoadedModel,
  options: StartServerOptions,
): Promise<RunningServer> {
  return startServerWith({ generate, score }, model, options);
}
