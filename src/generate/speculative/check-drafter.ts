/** Checks of what a caller's own drafter gives. */
import { JetonError } from "../../core/index.ts";
import { checkTree } from "./check-tree.ts";
import type { Drafter, DraftRequest, DraftSequence, DraftTree } from "./drafter.ts";

const methods = ["propose", "observe", "end"] as const satisfies (keyof DraftSequence)[];

/**
 * The sequence that a drafter begins for a request; every tree that it proposes is checked before anything reads it.
 *
 * @param options `vocabSize`: tokens of the model
 * @throws JetonError `drafter-invalid` for a sequence that lacks a function; `propose` throws
 *   `drafter-proposal-invalid`
 */
export function beginDrafting(
  drafter: Drafter,
  request: DraftRequest,
  { vocabSize }: { readonly vocabSize: number },
): DraftSequence {
  const sequence = drafter.begin(request);
  checkSequence(drafter, sequence);
  return {
    propose(context) {
      const { maxNodes, maxDepth } = context;
      const check = (tree: DraftTree): DraftTree => {
        checkTree(tree, { maxNodes, maxDepth, vocabSize });
        return tree;
      };
      const proposed = sequence.propose(context);
      return proposed instanceof Promise ? proposed.then(check) : check(proposed);
    },
    observe: (outcome) => sequence.observe(outcome),
    end: () => sequence.end(),
  };
}

function checkSequence({ name }: Drafter, sequence: unknown): asserts sequence is DraftSequence {
  const given = (sequence ?? {}) as Partial<Record<keyof DraftSequence, unknown>>;
  const missing = methods.filter((method) => typeof given[method] !== "function");
  if (missing.length === 0) return;
  const expected = `an object with the functions ${methods.join(", ")}`;
  const found =
    sequence === undefined || sequence === null
      ? "gives nothing"
      : sequence instanceof Promise
        ? "gives a promise"
        : `lacks ${missing.join(", ")} in what it gives`;
  throw new JetonError(`begin() of the drafter ${name} ${found}, expected ${expected}`, {
    code: "drafter-invalid",
    details: { drafter: name, missing, expected },
  });
}
