import type { Sampling } from "../sampling/sampler.ts";

/** Greedy, with no filter and no penalty: the base that tests change. */
export const unfilteredSampling: Sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  seed: 0,
  sequence: 0,
};
