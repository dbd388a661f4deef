/**
 * Log-probabilities in answers.
 */
import type { GeneratedToken } from "../../generate/types.ts";
import type { DescribeToken } from "../../tokenizer/token-text.ts";

/** What OpenAI writes for a probability of zero, whose logarithm JSON cannot hold. */
const impossible = -9999;

/** A log-probability as JSON can hold it. */
export function writeLogProbability(value: number): number {
  return Number.isFinite(value) ? value : impossible;
}

/** Log-probabilities as chat and responses write them: an entry a token, with its alternatives. */
export function writeTokenLogProbabilities(
  tokens: readonly GeneratedToken[],
  describeToken: DescribeToken,
): object[] {
  const describe = (id: number, logProbability: number): object => {
    const { text, bytes } = describeToken(id);
    return { token: text, logprob: writeLogProbability(logProbability), bytes };
  };
  return tokens.map((token) => ({
    ...describe(token.id, token.logProbability),
    top_logprobs: (token.topLogProbabilities ?? []).map(({ id, logProbability }) =>
      describe(id, logProbability),
    ),
  }));
}
