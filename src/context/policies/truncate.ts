/** The prompt cut to its last tokens: what everything else that reads few tokens is compared with. */
import type { ContextPolicy, PolicyOptions, PolicyProgram } from "../../model/index.ts";
import { definePolicy, type NamedPolicy, type PolicyOptionValues } from "./define-policy.ts";

const options = {
  k: { kind: "integer", default: 1024, min: 1, help: "last prompt tokens that are read" },
} as const;

type Options = PolicyOptionValues<typeof options>;
/** Options of `truncate`. */
export type TruncateOptions = Partial<Options>;

/** The policy by its name. */
export const truncatePolicy: NamedPolicy = definePolicy({
  name: "truncate",
  summary: "the last tokens of the prompt alone",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  showsAttended: false,
  choosePrompt:
    ({ k }) =>
    async (_model, ids) => {
      const start = Math.max(0, ids.length - k);
      return Array.from({ length: ids.length - start }, (_, at) => start + at);
    },
});

/** Reads the last `k` tokens of a prompt (default 1,024). */
export function truncate(given: TruncateOptions = {}): ContextPolicy {
  return truncatePolicy.create(given as PolicyOptions);
}

/** The policy's program: the model's own. */
export function createPolicy(): PolicyProgram {
  return {};
}
