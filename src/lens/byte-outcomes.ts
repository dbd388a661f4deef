/** The next byte after a text that may end inside a token, beside what the text's own encoding predicts. */
import { openExactBytes, promptIds } from "../generate/index.ts";
import { topTokens } from "../generate/top-tokens.ts";
import { nameOfBytes } from "../tokenizer/token-text.ts";
import { describeAlternatives, type LensHost, plainToken, stepAfter } from "./lens-host.ts";
import type { BytesEvent, BytesRequest } from "./types.ts";

/**
 * Exact probabilities of the next byte.
 *
 * @throws JetonError `byte-tokens-unsupported` for vocabularies that are no byte-pair encoding
 */
export async function byteOutcomes(
  host: LensHost,
  { text, outcomes: count = 12 }: BytesRequest,
  signal?: AbortSignal,
): Promise<BytesEvent> {
  const given = signal ? { signal } : {};
  const bytes = await openExactBytes(host.model, { whole: true, ...given });
  try {
    await bytes.prefill(new TextEncoder().encode(text), given);
    const logs = await bytes.logProbabilities(given);
    const outcomes = Array.from(logs, (log, byte) => ({
      byte: byte === 256 ? -1 : byte,
      probability: Math.exp(log),
    }))
      .filter(({ probability }) => probability > 0)
      .sort((a, b) => b.probability - a.probability)
      .slice(0, count);
    return {
      kind: "bytes",
      outcomes,
      coverings: await describeCoverings(host, bytes, count),
      byTokens: await nextTokens(host, text, { count, signal }),
      passes: bytes.passes,
    };
  } finally {
    await bytes.close();
  }
}

async function describeCoverings(
  host: LensHost,
  bytes: Awaited<ReturnType<typeof openExactBytes>>,
  count: number,
): Promise<BytesEvent["coverings"]> {
  const coverings = await bytes.coverings();
  const largest = Math.max(...coverings.map(({ logProbability }) => logProbability));
  const total = coverings.reduce(
    (sum, { logProbability }) => sum + Math.exp(logProbability - largest),
    0,
  );
  return coverings
    .map(({ ids, rest, logProbability }) => ({
      tokens: ids.map((id) => plainToken(host, id).text),
      rest: describeBytes(rest),
      probability: Math.exp(logProbability - largest) / total,
    }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, count);
}

function describeBytes(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return nameOfBytes(bytes);
  }
}

/** What the model predicts after the text's own encoding. */
async function nextTokens(
  host: LensHost,
  text: string,
  { count, signal }: { readonly count: number; readonly signal: AbortSignal | undefined },
): Promise<BytesEvent["byTokens"]> {
  const row = await stepAfter(host, promptIds(host.model, text), { topK: count }, signal);
  return describeAlternatives(host, topTokens(row, 0));
}
