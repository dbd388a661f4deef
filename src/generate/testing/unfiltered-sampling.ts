import type { Sampling } from "../sampling/sampler.ts";

/** Greedy, with nothing cut off and nothing penalized: what tests begin from. */
export const unfilteredSampling: Sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  seed: 0,
  sequence: 0,
};
