/**
 * Tests whether drafted text has the model's distribution: continuations of a tabular model are counted and
 * compared with their exact probabilities.
 */
import type { LoadedModel } from "../../model/index.ts";
import { complete } from "../generate.ts";
import { resolveSampling } from "../sampling/options.ts";
import type { Drafter } from "../speculative/drafter.ts";
import type { SamplingOptions } from "../types.ts";
import { continuationDistribution } from "./distribution-model.ts";
import { type GTestResult, gTest } from "./g-test.ts";

export interface DraftedDistributionOptions {
  /** Ids before the continuations. */
  readonly prompt: readonly number[];
  readonly sampling: SamplingOptions;
  /** Number of continuations, each with its own seed. */
  readonly runs: number;
  /** Tokens of each continuation. Default 4. */
  readonly length?: number;
  readonly signal?: AbortSignal;
}

export interface DraftedDistributionResult extends GTestResult {
  /** Above 1 where draft tokens were accepted; otherwise the test proves nothing. */
  readonly meanAcceptanceLength: number;
}

/** Counts continuations under a drafter and tests them against their exact distribution. */
export async function testDraftedDistribution(
  model: LoadedModel,
  drafter: Drafter,
  { prompt, sampling, runs, length = 4, signal }: DraftedDistributionOptions,
): Promise<DraftedDistributionResult> {
  const resolved = resolveSampling(model, { ...sampling, seed: 0 });
  const distribution = await continuationDistribution(model, prompt, length, resolved);
  const counts = new Map<string, number>();
  let tokens = 0;
  let forwardPasses = 0;
  for (let seed = 0; seed < runs; seed++) {
    const { ids, drafting } = await complete(model, prompt, {
      ...sampling,
      seed,
      maxTokens: length,
      drafter,
      maxDraft: 6,
      ...(signal && { signal }),
    });
    const key = ids.join(" ");
    counts.set(key, (counts.get(key) ?? 0) + 1);
    tokens += drafting!.tokens;
    forwardPasses += drafting!.forwardPasses;
  }
  return { ...gTest(counts, distribution), meanAcceptanceLength: tokens / forwardPasses };
}
