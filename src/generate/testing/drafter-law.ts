/**
 * The law of sampled text under a drafter, tested against the exact one by enumeration.
 */
import { describe, expect, test } from "vitest";
import type { LoadedModel } from "../../model/index.ts";
import type { Drafter } from "../drafter.ts";
import { complete } from "../generate.ts";
import { resolveSampling } from "../options.ts";
import type { SamplingOptions } from "../types.ts";
import { type GTestResult, gTest } from "./g-test.ts";
import { continuationLaw, createLawModel } from "./law-model.ts";

/** A drafter whose law is under test. */
export interface DrafterLawSubject {
  readonly name: string;
  /** A drafter for the model; `draft` has the same tokens and nearly the same laws. */
  open(model: LoadedModel, draft: LoadedModel): Drafter | Promise<Drafter>;
}

export interface DrafterLawOptions {
  /** Requests, each with a seed of its own. */
  runs: number;
  sampling: SamplingOptions;
  /** Tokens of each continuation. Default 4. */
  length?: number;
}

/** Counts continuations under a drafter and tests them against their exact law. */
export async function testDrafterLaw(
  subject: DrafterLawSubject,
  { runs, sampling, length = 4 }: DrafterLawOptions,
): Promise<GTestResult & { readonly tokensPerForward: number }> {
  const model = createLawModel();
  const draft = createLawModel({ mixed: { seed: 2, share: 0.4 } });
  const drafter = await subject.open(model, draft);
  // The model's own greedy text repeats itself, so that there is something to copy.
  const { ids } = await complete(model, [1, 2], { greedy: true, maxTokens: 16 });
  const prompt = [1, 2, ...ids];
  const law = await continuationLaw(
    model,
    prompt,
    length,
    resolveSampling(model, { ...sampling, seed: 0 }),
  );
  const counts = new Map<string, number>();
  let tokens = 0;
  let forwards = 0;
  for (let seed = 0; seed < runs; seed++) {
    const result = await complete(model, prompt, {
      ...sampling,
      seed,
      maxTokens: length,
      drafter,
      maximumDraft: 6,
    });
    const key = result.ids.join(" ");
    counts.set(key, (counts.get(key) ?? 0) + 1);
    tokens += result.drafting!.tokens;
    forwards += result.drafting!.forwards;
  }
  await drafter.close();
  return { ...gTest(counts, law), tokensPerForward: tokens / forwards };
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
