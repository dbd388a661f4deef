/** Which experts each token of a text is sent to. */
import { promptIds } from "../generate/index.ts";
import { recordRouting } from "../model/index.ts";
import { type LensHost, plainToken } from "./lens-host.ts";
import type { RoutingEvent, RoutingRequest } from "./types.ts";

/**
 * Reads a text with a sparse model.
 *
 * @throws JetonError `model-experts-none` where the model has no experts
 */
export async function routeTokens(
  host: LensHost,
  { text }: RoutingRequest,
  signal?: AbortSignal,
): Promise<RoutingEvent> {
  const { model } = host;
  const ids = promptIds(model, text);
  const trace = await recordRouting(model, [{ text: ids }], signal ? { signal } : {});
  const { experts, perToken, layers: sparse } = trace;
  const numbers = [...model.config.layers.keys()].filter((at) => model.config.layers[at]!.sparse);
  const rowsOf = (values: ArrayLike<number>, layer: number): number[][] =>
    ids.map((_, token) => {
      const start = (token * sparse + layer) * perToken;
      return Array.from({ length: perToken }, (_, choice) => values[start + choice]!);
    });
  return {
    kind: "routing",
    experts,
    tokens: ids.map((id) => plainToken(host, id)),
    layers: numbers.map((layer, at) => ({
      layer,
      choices: rowsOf(trace.choices, at),
      weights: rowsOf(trace.weights, at),
    })),
  };
}
