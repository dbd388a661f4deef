/**
 * Whether drafted text has the model's law: continuations of a model that is a table, counted and
 * compared with their exact probabilities by enumeration.
 */
import type { LoadedModel } from "../../model/index.ts";
import type { Drafter } from "../drafter.ts";
import { complete } from "../generate.ts";
import { resolveSampling } from "../options.ts";
import type { SamplingOptions } from "../types.ts";
import { type GTestResult, gTest } from "./g-test.ts";
import { continuationLaw } from "./law-model.ts";

export interface DraftedLawOptions {
  /** Ids before the continuations. */
  readonly prompt: readonly number[];
  readonly sampling: SamplingOptions;
  /** Continuations to count, each with a seed of its own. */
  readonly runs: number;
  /** Tokens of each continuation. Default 4. */
  readonly length?: number;
  readonly signal?: AbortSignal;
}

export interface DraftedLawResult extends GTestResult {
  /** Without drafts that come true the test would prove nothing. */
  readonly tokensPerForward: number;
}

/** Counts continuations under a drafter and tests them against their exact law. */
export async function testDraftedLaw(
  model: LoadedModel,
  drafter: Drafter,
  { prompt, sampling, runs, length = 4, signal }: DraftedLawOptions,
): Promise<DraftedLawResult> {
  const resolved = resolveSampling(model, { ...sampling, seed: 0 });
  const law = await continuationLaw(model, prompt, length, resolved);
  const counts = new Map<string, number>();
  let tokens = 0;
  let forwards = 0;
  for (let seed = 0; seed < runs; seed++) {
    const { ids, drafting } = await complete(model, prompt, {
      ...sampling,
      seed,
      maxTokens: length,
      drafter,
      maximumDraft: 6,
      ...(signal && { signal }),
    });
    const key = ids.join(" ");
    counts.set(key, (counts.get(key) ?? 0) + 1);
    tokens += drafting!.tokens;
    forwards += drafting!.forwards;
  }
  return { ...gTest(counts, law), tokensPerForward: tokens / forwards };
}
