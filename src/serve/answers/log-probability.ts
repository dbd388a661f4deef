/**
 * Log-probabilities in answers.
 */
import type { GeneratedToken, GenerateResult } from "../../generate/types.ts";
import type { DescribeToken } from "../../tokenizer/token-text.ts";

/** What OpenAI writes for a probability of zero, whose logarithm JSON cannot hold. */
const impossible = -9999;

/** A log-probability as JSON can hold it. */
export function writeLogProbability(value: number): number {
  return Number.isFinite(value) ? value : impossible;
}

/** What an entry of log-probabilities is made of. */
export type ReportedToken = Pick<GeneratedToken, "id" | "logProbability" | "topLogProbabilities">;

/**
 * The tokens of an answer that have an entry, on every endpoint as in vLLM: those of the text, and the token
 * that ended it. So the entries add up to the log-probability of the whole answer, its end included, and
 * lm-evaluation-harness finds an entry beyond the prompt where the model would end the text at once.
 */
export function reportedTokens(
  tokens: readonly ReportedToken[],
  { endToken }: GenerateResult,
): readonly ReportedToken[] {
  return endToken === undefined ? tokens : [...tokens, endToken];
}

/** Log-probabilities as chat and responses write them: an entry a token, with its alternatives. */
export function writeTokenLogProbabilities(
  tokens: readonly ReportedToken[],
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
