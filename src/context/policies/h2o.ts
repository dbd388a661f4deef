/** H2O (Zhang et al., 2023): each head keeps the latest keys and those that got most attention so far. */
import type { ContextPolicy, PolicyOptions, PolicyProgram } from "../../model/index.ts";
import {
  definePolicy,
  type NamedPolicy,
  optionError,
  type PolicyOptionValues,
} from "./define-policy.ts";
import { keepAttended } from "./kept-keys.ts";

const options = {
  k: { kind: "integer", default: 1024, min: 1, help: "keys that each head keeps" },
  recent: { kind: "integer", default: 32, min: 1, help: "latest keys among them" },
  evict: {
    kind: "choice",
    default: "everyStep",
    choices: ["everyStep", "afterPrompt"],
    help: "when keys are dropped",
  },
} as const;

type Options = PolicyOptionValues<typeof options>;
/** Options of `h2o`. */
export type H2oOptions = Partial<Options>;

/** The policy by its name. */
export const h2oPolicy: NamedPolicy = definePolicy({
  name: "h2o",
  summary: "keys that got most attention so far, per head (the prompt is read in full)",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  check({ k, recent }) {
    if (recent > k) throw optionError("h2o", "recent", recent, `at most k (${k})`);
  },
  drafting: ({ evict }) =>
    evict === "everyStep"
      ? { kind: "excluded", why: "every token changes which keys the next one sees" }
      : { kind: "lossless" },
  reuse: () => "none",
});

/** Attention to the keys that got most attention so far. */
export function h2o(given: H2oOptions = {}): ContextPolicy {
  return h2oPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const { k, recent, evict } = given as Options;
  return { attention: keepAttended({ k, recent, everyStep: evict === "everyStep" }) };
}
