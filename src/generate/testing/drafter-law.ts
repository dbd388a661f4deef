/**
 * Tests of the law of sampled text under a drafter.
 */
import { describe, expect, test } from "vitest";
import type { LoadedModel } from "../../model/index.ts";
import type { Drafter } from "../drafter.ts";
import { complete } from "../generate.ts";
import {
  type DraftedLawOptions,
  type DraftedLawResult,
  testDraftedLaw,
} from "../measure/drafted-law.ts";
import { createLawModel } from "../measure/law-model.ts";
import type { SamplingOptions } from "../types.ts";

/** A drafter whose law is under test. */
export interface DrafterLawSubject {
  readonly name: string;
  /** A drafter for the model; `draft` has the same tokens and nearly the same laws. */
  open(model: LoadedModel, draft: LoadedModel): Drafter | Promise<Drafter>;
}

/** Counts continuations under a drafter and tests them against their exact law. */
export async function testDrafterLaw(
  subject: DrafterLawSubject,
  options: Pick<DraftedLawOptions, "runs" | "sampling">,
): Promise<DraftedLawResult> {
  const model = createLawModel();
  const draft = createLawModel({ mixed: { seed: 2, share: 0.4 } });
  const drafter = await subject.open(model, draft);
  // The model's own greedy text repeats itself, so that there is something to copy.
  const { ids } = await complete(model, [1, 2], { greedy: true, maxTokens: 16 });
  const result = await testDraftedLaw(model, drafter, { ...options, prompt: [1, 2, ...ids] });
  await drafter.close();
  return result;
}

/** Declares the tests of one drafter's law: 20,000 continuations at two temperatures. */
export function describeDrafterLaw(subject: DrafterLawSubject): void {
  describe(`law of text drafted by ${subject.name}`, () => {
    const samplings: SamplingOptions[] = [{ temperature: 1 }, { temperature: 0.6, topP: 0.95 }];
    test.each(samplings)("%o", { timeout: 300_000 }, async (sampling) => {
      const result = await testDrafterLaw(subject, { runs: 20_000, sampling });
      console.log(
        `${subject.name} ${JSON.stringify(sampling)}: G ${result.statistic.toFixed(1)} on ` +
          `${result.degreesOfFreedom} degrees of freedom, p ${result.pValue.toFixed(4)}, ` +
          `${result.tokensPerForward.toFixed(2)} tokens a forward`,
      );
      expect(result.pValue).toBeGreaterThan(0.001);
      // A drafter whose guesses never come true would prove nothing.
      expect(result.tokensPerForward).toBeGreaterThan(1.1);
    });
  });
}
