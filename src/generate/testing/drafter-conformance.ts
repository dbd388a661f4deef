/**
 * The conformance suite of drafters: drafting changes no text, however much the drafter has learned, however
 * a request ends and whichever requests run beside it.
 *
 * Runs on tinystories-260k where `JETON_DATA` has it, otherwise on the bundled jeton-nano.
 */
import { afterAll, beforeAll, describe } from "vitest";
import { loadModel } from "../../model/index.ts";
import { testConcurrentRequests, testProposalsAndState } from "./drafter-interface-tests.ts";
import type { DrafterSubject, DrafterUnderTest } from "./drafter-subject.ts";
import { testDraftedEnds, testDraftedText, testQuantizedText } from "./drafter-text-tests.ts";
import { testModelFolder } from "./test-model.ts";

export type { DrafterSubject } from "./drafter-subject.ts";
export { expectConsistent } from "./expect-consistent.ts";

/** Declares the conformance tests of one drafter. */
export function describeDrafter(subject: DrafterSubject): void {
  describe(`drafter ${subject.name}`, () => {
    // The hooks below fill in model and drafter before the first test.
    const under = { ...subject } as DrafterUnderTest;
    beforeAll(async () => {
      under.model = await loadModel(testModelFolder, { format: "f32", threads: 1, slots: 8 });
      under.drafter = await subject.open(under.model);
    });
    afterAll(async () => {
      await under.drafter.close();
      await under.drafter.close();
      await under.model.close();
    });
    testDraftedText(under);
    testDraftedEnds(under);
    testQuantizedText(under);
    testConcurrentRequests(under);
    testProposalsAndState(under);
  });
}
