/** A loaded model under a context policy: the same model, whose sequences attend as the policy says. */
import { JetonError } from "../../core/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type { StepRequest } from "../decoder/step-outputs.ts";
import type { LoadedModel, OpenSequence, SequenceStep } from "../types.ts";
import type { ContextPolicy, InsertedToken, PolicyReference } from "./context-policy.ts";

/** Longest sequence under a policy in tokens: policies are for texts beyond the trained context. */
export const longestSequence: number = 2 ** 20;

/** Longest sequence of a model under a policy: one with learned positions has no others. */
export function longestUnderPolicy({
  learnedPositions,
}: Pick<DecoderConfig, "learnedPositions">): number {
  return Math.min(longestSequence, learnedPositions ?? longestSequence);
}

/** Options of `LoadedModel.openSequence`. */
export type SequenceOptions = NonNullable<Parameters<LoadedModel["openSequence"]>[0]>;

/**
 * What the model's service is told of a policy.
 *
 * @param inline whether the service runs on the caller's thread
 */
export function policyReference(
  { name, module, options, reuse, createProgram, inserts }: ContextPolicy,
  inline: boolean,
): PolicyReference {
  return {
    ...{ name, module, options, reuse },
    ...(inserts && { inserts }),
    ...(inline && { createProgram }),
  };
}

/** The view of `model` that `LoadedModel.withContextPolicy` gives. */
export function viewUnderPolicy(
  model: LoadedModel,
  policy: ContextPolicy,
  {
    contextLength,
    openSequence,
  }: {
    /** Longest sequence. */
    readonly contextLength: number;
    openSequence(options: SequenceOptions): Promise<OpenSequence>;
  },
): LoadedModel {
  const { name, folder, checkpoint, tokenizer, config, format, threads } = model;
  return {
    ...{ name, folder, checkpoint, tokenizer, config, format, threads },
    ...(model.device && { device: model.device }),
    ...(model.stored && { stored: model.stored }),
    exact: model.exact ?? false,
    rowTile: model.rowTile ?? 1,
    restartLength: model.restartLength,
    eosTokenIds: model.eosTokenIds,
    bosTokenId: model.bosTokenId,
    slots: model.slots,
    contextLength,
    contextPolicy: policy,
    openSequence: (options = {}) => openSequence(options),
    get openSequences() {
      return model.openSequences;
    },
    withContextPolicy: (other) => model.withContextPolicy!(other),
    memory: () => model.memory(),
    onClose: (run) => model.onClose?.(run),
    close: () => model.close(),
    [Symbol.asyncDispose]: () => model.close(),
  };
}

/**
 * The model under a policy.
 *
 * @throws JetonError `context-policy-unavailable` where a model has no attention that a policy could change
 */
export function underContextPolicy(model: LoadedModel, policy: ContextPolicy): LoadedModel {
  const view = model.withContextPolicy?.(policy);
  if (view) return view;
  throw new JetonError(
    `${model.name} has no attention that the context policy ${policy.name} could change`,
    { code: "context-policy-unavailable", details: { model: model.name, policy: policy.name } },
  );
}

/**
 * Checks what only sequences under some policies give.
 *
 * @throws JetonError `context-policy-output`, `context-policy-inserted`
 */
export function checkPolicyRequest(
  step: StepRequest & Pick<SequenceStep, "ids" | "embeddings">,
  policy: ContextPolicy | undefined,
): void {
  const fail = (asked: string, expected: string): never => {
    throw new JetonError(`"${asked}" is asked of a sequence ${policyOf(policy)}, ${expected}`, {
      code: "context-policy-output",
      details: { asked, policy: policy?.name, expected },
    });
  };
  if (policy?.inserts) checkInserted(step, policy.inserts, policy.name);
  if (step.attended && !policy?.showsAttended) fail("attended", "expected a policy that selects");
  if (step.promptScores && !policy?.choosePrompt) {
    fail("promptScores", "expected a policy that filters the prompt");
  }
  if (!step.promptScores) return;
  for (const asked of ["hiddenLayer", "queryKeyLayer", "routing"] as const) {
    if (step[asked] === undefined || step[asked] === false) continue;
    fail(asked, "but a step that asks for `promptScores` ends at the filter layer");
  }
}

/** A token that a policy inserts comes from nowhere else, and has no place between given embeddings. */
function checkInserted(
  { ids, embeddings }: Pick<SequenceStep, "ids" | "embeddings">,
  { id }: InsertedToken,
  policy: string,
): void {
  const isGiven = ids.includes(id);
  if (!isGiven && embeddings === undefined) return;
  throw new JetonError(
    isGiven
      ? `${policy} inserts token ${id} itself: a text cannot hold it`
      : `${policy} inserts tokens, which has no place between embeddings`,
    {
      code: "context-policy-inserted",
      details: { policy, id, found: isGiven ? id : "embeddings" },
    },
  );
}

function policyOf(policy: ContextPolicy | undefined): string {
  return policy ? `under ${policy.name}` : "without a context policy";
}
