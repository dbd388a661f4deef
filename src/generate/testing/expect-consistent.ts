import { expect } from "vitest";
import type { GenerateResult } from "../types.ts";

/** Expects that the counts of a drafted generation agree with each other. */
export function expectConsistent(result: GenerateResult): void {
  const { drafting } = result;
  if (!drafting) throw new Error("a drafted generation must report its statistics");
  expect(drafting.tokens).toBeGreaterThanOrEqual(drafting.forwardPasses);
  expect(drafting.accepted).toBeLessThanOrEqual(drafting.drafted);
  // Each forward pass emits one token of the model's own, unless an accepted token ended the text.
  expect(drafting.tokens - drafting.forwardPasses - drafting.accepted).toBeLessThanOrEqual(0);
  expect(drafting.tokens - drafting.forwardPasses - drafting.accepted).toBeGreaterThanOrEqual(-1);
  expect(drafting.meanAcceptanceLength).toBeCloseTo(
    drafting.forwardPasses === 0 ? 0 : drafting.tokens / drafting.forwardPasses,
    10,
  );
  const sums = { forwardPasses: 0, drafted: 0, accepted: 0 };
  for (const share of drafting.byDrafter) {
    sums.forwardPasses += share.forwardPasses;
    sums.drafted += share.drafted;
    sums.accepted += share.accepted;
  }
  const { forwardPasses, drafted, accepted } = drafting;
  expect(sums).toEqual({ forwardPasses, drafted, accepted });
  expect(drafting.byDepth.reduce((sum, entry) => sum + entry.accepted, 0)).toBe(accepted);
  let before = Infinity;
  for (const [index, entry] of drafting.byDepth.entries()) {
    expect(entry.depth).toBe(index + 1);
    expect(entry.accepted).toBeLessThanOrEqual(entry.tried);
    expect(entry.tried).toBeLessThanOrEqual(before);
    before = entry.accepted;
  }
}
