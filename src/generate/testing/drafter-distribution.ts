/**
 * Tests that sampled text keeps the model's distribution under a drafter.
 */
import { describe, expect, test } from "vitest";
import type { LoadedModel } from "../../model/index.ts";
import { complete } from "../generate.ts";
import { createDistributionModel } from "../measure/distribution-model.ts";
import {
  type DraftedDistributionOptions,
  type DraftedDistributionResult,
  testDraftedDistribution,
} from "../measure/drafted-distribution.ts";
import type { Drafter } from "../speculative/drafter.ts";
import type { SamplingOptions } from "../types.ts";

/** A drafter under test. */
export interface DrafterDistributionSubject {
  readonly name: string;
  /** A drafter for the model; `draft` has the same tokens and similar distributions. */
  open(model: LoadedModel, draft: LoadedModel): Drafter | Promise<Drafter>;
}

/** Counts continuations under a drafter and tests them against their exact distribution. */
export async function testDrafterDistribution(
  subject: DrafterDistributionSubject,
  options: Pick<DraftedDistributionOptions, "runs" | "sampling">,
): Promise<DraftedDistributionResult> {
  const model = createDistributionModel();
  const draft = createDistributionModel({ mixed: { seed: 2, share: 0.4 } });
  const drafter = await subject.open(model, draft);
  // The prompt ends in greedy text, which repeats itself: copying drafters find matches.
  const { ids } = await complete(model, [1, 2], { greedy: true, maxTokens: 16 });
  const result = await testDraftedDistribution(model, drafter, {
    ...options,
    prompt: [1, 2, ...ids],
  });
  await drafter.close();
  return result;
}

/** Declares the tests of one drafter: 20,000 continuations at two temperatures. */
export function describeDrafterDistribution(subject: DrafterDistributionSubject): void {
  describe(`distribution of text drafted by ${subject.name}`, () => {
    const samplings: SamplingOptions[] = [{ temperature: 1 }, { temperature: 0.6, topP: 0.95 }];
    test.each(samplings)("%o", { timeout: 300_000 }, async (sampling) => {
      const result = await testDrafterDistribution(subject, { runs: 20_000, sampling });
      console.log(
        `${subject.name} ${JSON.stringify(sampling)}: G ${result.statistic.toFixed(1)} on ` +
          `${result.degreesOfFreedom} degrees of freedom, p ${result.pValue.toFixed(4)}, ` +
          `${result.meanAcceptanceLength.toFixed(2)} tokens per forward pass`,
      );
      expect(result.pValue).toBeGreaterThan(0.001);
      // Without accepted draft tokens the test would prove nothing.
      expect(result.meanAcceptanceLength).toBeGreaterThan(1.1);
    });
  });
}
