/** SnapKV (Li et al., 2024): after the prompt each head keeps what the prompt's last tokens attended to. */
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
  window: {
    kind: "integer",
    default: 32,
    min: 1,
    help: "last prompt tokens, which are kept and count",
  },
  kernel: { kind: "integer", default: 5, min: 1, help: "attention is pooled over so many tokens" },
  pooling: {
    kind: "choice",
    default: "average",
    choices: ["average", "max"],
    help: "how it is pooled",
  },
} as const;

type Options = PolicyOptionValues<typeof options>;
/** Options of `snapKv`. */
export type SnapKvOptions = Partial<Options>;

/** The policy by its name. */
export const snapKvPolicy: NamedPolicy = definePolicy({
  name: "snapkv",
  summary: "keys that the prompt's end attended to, per head (the prompt is read in full)",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  check({ k, window, kernel }) {
    if (window > k) throw optionError("snapkv", "window", window, `at most k (${k})`);
    if (kernel % 2 === 0) throw optionError("snapkv", "kernel", kernel, "an odd integer");
  },
  reuse: () => "none",
});

/** Attention, once the prompt is read, to what its last tokens attended to. */
export function snapKv(given: SnapKvOptions = {}): ContextPolicy {
  return snapKvPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const { k, window, kernel, pooling } = given as Options;
  const everyStep = false;
  return {
    attention: keepAttended({ k, recent: window, observed: window, everyStep, kernel, pooling }),
  };
}
