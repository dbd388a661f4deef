/** A control: the same number of tokens as token-select keeps, chosen without a look at them. */
import {
  attendChosen,
  type ChosenRows,
  type ContextPolicy,
  largestPlaces,
  type PolicyInput,
  type PolicyOptions,
  type PolicyProgram,
} from "../../model/index.ts";
import {
  add,
  broadcastTo,
  cast,
  floor,
  multiply,
  range,
  reshape,
  sine,
  subtract,
  type Tensor,
} from "../../tensor/index.ts";
import { definePolicy, type PolicyOptionValues } from "./define-policy.ts";
import { addAlways, chunkOf, groupAttention, isBetween } from "./group-query.ts";

const options = {
  init: { kind: "integer", default: 128, min: 0, help: "first tokens" },
  local: { kind: "integer", default: 512, min: 1, help: "latest tokens" },
  k: { kind: "integer", default: 2048, min: 1, help: "random tokens between them" },
  chunk: { kind: "integer", default: 0, min: 0, help: "prompt tokens of one pass" },
} as const;
type Options = PolicyOptionValues<typeof options>;

const randomTokensPolicy = definePolicy({
  name: "random-tokens",
  summary: "random tokens, the same for all heads of a layer",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  reuse: (given) => ({ chunk: chunkOf(given) }),
});

/** Attention to the first tokens, the latest ones, and random ones between them. */
export function randomTokens(given: Partial<Options>): ContextPolicy {
  return randomTokensPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const settings = given as Options;
  return {
    attention: {
      ...groupAttention("random-tokens", settings, { chosen: settings.k }),
      sizes: { chosen: settings.k },
      attend: (input) => attendChosen(input, chooseRandom(input, settings)),
    },
  };
}

/** The first tokens, the latest ones, and `chosen` random ones between them, of each group. */
export function chooseRandom(
  input: Pick<PolicyInput, "pass" | "layer">,
  settings: Pick<Options, "init" | "local">,
): ChosenRows {
  const { capacity, groups } = input.pass;
  const at = reshape(range(capacity), [1, capacity]);
  const candidates = isBetween(input.pass, settings);
  // Places of one layer in a random order.
  const angle = add(multiply(cast(at, "float32"), 12.9898), 78.233 * (input.layer + 1));
  const votes = broadcastTo(scatterAngles(angle), [groups, capacity]);
  return addAlways(input.pass, largestPlaces(votes, candidates, "chosen"), settings);
}

/** Numbers from 0 to 1 that look random beside each other: the usual hash of shaders. */
export function scatterAngles(angles: Tensor): Tensor {
  const wide = multiply(sine(angles), 43_758.547);
  return subtract(wide, floor(wide));
}
