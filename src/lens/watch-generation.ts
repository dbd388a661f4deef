/** A generation as events: the prompt's tokens, each generated token, the end. */
import { drafterUnder, generate, type LogitsProcessor, promptIds } from "../generate/index.ts";
import {
  describeAlternatives,
  entropyOf,
  type LensHost,
  plainToken,
  policyOf,
} from "./lens-host.ts";
import type { EndEvent, GenerateRequest, TextEvent, TokenEvent } from "./types.ts";

/**
 * Generates and tells of each token. The text is that of `generate` with the same options.
 *
 * @throws JetonError those of `generate` and of opening the drafter
 */
export async function* watchGeneration(
  host: LensHost,
  request: GenerateRequest,
  signal?: AbortSignal,
): AsyncGenerator<TextEvent | TokenEvent | EndEvent, void, void> {
  const { model } = host;
  const { prompt, sampling = {}, maxTokens = 64, alternatives = 0, ignoreEos = false } = request;
  const policy = policyOf(host, request.contextPolicy);
  const drafter = await host.drafter(drafterUnder(policy, request.drafter ?? "none"));
  const ids = promptIds(model, prompt);
  yield { kind: "text", tokens: ids.map((id) => plainToken(host, id)) };
  const entropies: number[] = [];
  // Called once for each emitted token, in order; it changes nothing.
  const observe: LogitsProcessor = ({ logits }) => void entropies.push(entropyOf(logits));
  const tokens = generate(model, ids, {
    ...sampling,
    maxTokens,
    ignoreEos,
    ...(alternatives > 0 && { topLogProbabilities: alternatives }),
    ...(request.entropy && { logitsProcessors: [observe] }),
    ...(drafter && { drafter }),
    ...(policy && { contextPolicy: policy, reportContext: true }),
    ...(signal && { signal }),
  });
  let count = 0;
  let step = await tokens.next();
  try {
    for (; !step.done; step = await tokens.next()) {
      const { id, logProbability, topLogProbabilities, origin } = step.value;
      const entropy = entropies[count++];
      yield {
        kind: "token",
        token: {
          ...plainToken(host, id),
          logProbability,
          origin,
          ...(entropy !== undefined && { entropy }),
          ...(topLogProbabilities && {
            alternatives: describeAlternatives(host, topLogProbabilities),
          }),
        },
      };
    }
  } finally {
    // A reader that leaves must not leave the sequence open.
    if (!step.done) await tokens.return(undefined as never);
  }
  const {
    finishReason,
    seed,
    promptTokens,
    reusedTokens,
    prefillSeconds,
    decodeSeconds,
    drafting,
    context,
  } = step.value;
  yield {
    kind: "end",
    finishReason,
    seed,
    promptTokens,
    reusedTokens,
    prefillSeconds,
    decodeSeconds,
    tokens: count,
    ...(drafting && { drafting }),
    ...(context && { context }),
  };
}
