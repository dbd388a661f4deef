/** Answers the requests of a lens. */
import { promptIds } from "../generate/index.ts";
import { byteOutcomes } from "./byte-outcomes.ts";
import { checkLensRequest } from "./check-request.ts";
import { type LensHost, plainToken } from "./lens-host.ts";
import { readText } from "./read-text.ts";
import { routeTokens } from "./route-tokens.ts";
import { samplingStages } from "./sampling-stages.ts";
import type { LensAnswers, LensEvent, LensRequest, ModelEvent, TextEvent } from "./types.ts";
import { watchGeneration } from "./watch-generation.ts";

/**
 * Answers a request with events, one after another. Leaving the loop early or aborting the signal ends what
 * runs.
 *
 * @example
 * const host = createLensHost({ model, drafters: ["none"], drafter: async () => undefined });
 * for await (const event of runLens(host, { kind: "generate", prompt: "The emperor", alternatives: 5 })) {
 *   if (event.kind === "token") console.log(event.token.text, event.token.alternatives);
 * }
 *
 * @throws JetonError `lens-request-invalid` for a field that is wrong or that its kind does not have, and those of
 *   `generate`
 */
export function runLens<K extends LensRequest["kind"]>(
  host: LensHost,
  request: Extract<LensRequest, { readonly kind: K }>,
  signal?: AbortSignal,
): AsyncGenerator<LensAnswers[K], void, void> {
  return answer(host, request, signal) as AsyncGenerator<LensAnswers[K], void, void>;
}

async function* answer(
  host: LensHost,
  request: LensRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<LensEvent, void, void> {
  checkLensRequest(request);
  switch (request.kind) {
    case "describe":
      yield describeModel(host);
      return;
    case "generate":
      yield* watchGeneration(host, request, signal);
      return;
    case "read":
      yield* readText(host, request, signal);
      return;
    case "stages":
      yield await samplingStages(host, request, signal);
      return;
    case "bytes":
      yield await byteOutcomes(host, request, signal);
      return;
    case "tokenize":
      yield tokenize(host, request.text);
      return;
    case "routing":
      yield await routeTokens(host, request, signal);
  }
}

function describeModel({ model, drafters }: LensHost): ModelEvent {
  const { name, format, device, threads, contextLength, config } = model;
  const { experts, landmark } = config;
  return {
    kind: "model",
    name,
    format,
    ...(device && { device }),
    threads,
    contextLength,
    vocabSize: config.vocabSize,
    layers: config.layers.length,
    hiddenSize: config.hiddenSize,
    drafters,
    ...(experts && { experts: { count: experts.count, perToken: experts.perToken } }),
    ...(landmark && { landmark: { block: landmark.block, trainLength: landmark.trainLength } }),
  };
}

function tokenize(host: LensHost, text: string): TextEvent {
  return { kind: "text", tokens: promptIds(host.model, text).map((id) => plainToken(host, id)) };
}
