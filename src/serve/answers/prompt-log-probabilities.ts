/**
 * vLLM's `prompt_logprobs`: for each token of a prompt the token and its alternatives, by id.
 */
import type { ScoredToken } from "../../generate/types.ts";
import type { DescribeToken } from "../../tokenizer/token-text.ts";
import { writeLogProbability } from "./log-probability.ts";

interface PromptEntry {
  readonly logprob: number;
  /** 1 for the most probable token; null beyond the alternatives asked for. */
  readonly rank: number | null;
  readonly decoded_token: string;
}

/** One entry a token; null for the first, which nothing precedes. */
export function writePromptLogProbabilities(
  scores: readonly ScoredToken[],
  describeToken: DescribeToken,
): (Record<string, PromptEntry> | null)[] {
  return [
    null,
    ...scores.map(({ id, logProbability, topLogProbabilities = [] }) => {
      const entries: Record<string, PromptEntry> = {};
      const add = (token: number, value: number, rank: number | null): void => {
        entries[token] = {
          logprob: writeLogProbability(value),
          rank,
          decoded_token: describeToken(token).text,
        };
      };
      add(id, logProbability, null);
      for (const [index, top] of topLogProbabilities.entries()) {
        add(top.id, top.logProbability, index + 1);
      }
      return entries;
    }),
  ];
}
