/** The probability of each token of a given text. */
import { promptIds } from "../generate/index.ts";
import { topTokens } from "../generate/top-tokens.ts";
import type { StepResult } from "../model/index.ts";
import { describeAlternatives, entropyOf, type LensHost, plainToken } from "./lens-host.ts";
import type { LensToken, ReadRequest, TextEvent } from "./types.ts";

/** Most numbers of logits that one forward pass returns. */
const maxLogits = 1_000_000;
/** Rows of a pass where logits need not be returned. */
const rowsOfPass = 64;

/**
 * Reads a text, part by part: the tokens of each part in one event.
 *
 * @throws JetonError `generate-prompt-invalid`, `model-context-exceeded`
 */
export async function* readText(
  host: LensHost,
  request: ReadRequest,
  signal?: AbortSignal,
): AsyncGenerator<TextEvent, void, void> {
  const { model } = host;
  const { alternatives = 0, entropy = false } = request;
  const ids = promptIds(model, request.prompt);
  const size = entropy
    ? Math.max(1, Math.min(rowsOfPass, Math.floor(maxLogits / model.config.vocabSize)))
    : rowsOfPass;
  const sequence = await model.openSequence({
    promptLength: ids.length,
    ...(signal && { signal }),
  });
  try {
    yield { kind: "text", tokens: ids.slice(0, 1).map((id) => plainToken(host, id)) };
    // The last token is read by no other: its row is not needed.
    for (let from = 0; from < ids.length - 1; from += size) {
      const to = Math.min(ids.length - 1, from + size);
      const result = await sequence.step(
        {
          ids: ids.slice(from, to),
          results: "all",
          topK: Math.max(1, alternatives),
          logits: entropy,
          targets: ids.slice(from + 1, to + 1),
        },
        signal ? { signal } : {},
      );
      const tokens = ids
        .slice(from + 1, to + 1)
        .map((id, row) => describeRow(host, id, { result, row, alternatives }));
      yield { kind: "text", tokens };
    }
  } finally {
    await sequence.release();
  }
}

/** A token with what the row before it says. */
function describeRow(
  host: LensHost,
  id: number,
  {
    result,
    row,
    alternatives,
  }: { readonly result: StepResult; readonly row: number; readonly alternatives: number },
): LensToken {
  const { logits, logSumExp, targetLogProbabilities } = result;
  const vocabulary = logits ? logits.length / logSumExp.length : 0;
  return {
    ...plainToken(host, id),
    logProbability: targetLogProbabilities![row]!,
    ...(logits && { entropy: entropyOf(logits, row * vocabulary, (row + 1) * vocabulary) }),
    ...(alternatives > 0 && {
      alternatives: describeAlternatives(host, topTokens(result, row)),
    }),
  };
}
