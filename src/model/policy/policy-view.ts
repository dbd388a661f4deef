/** A loaded model under a context policy: the same model, whose sequences attend as the policy says. */
import { JetonError } from "../../core/index.ts";
import type { StepRequest } from "../decoder/step-outputs.ts";
import type { LoadedModel, OpenSequence } from "../types.ts";
import type { ContextPolicy, PolicyReference } from "./context-policy.ts";

/** Longest sequence under a policy in tokens: policies are for texts beyond the trained context. */
export const longestSequence: number = 2 ** 20;

/** Options of `LoadedModel.openSequence`. */
export type SequenceOptions = NonNullable<Parameters<LoadedModel["openSequence"]>[0]>;

/**
 * What the model's service is told of a policy.
 *
 * @param inline whether the service runs on the caller's thread
 */
export function policyReference(
  { name, module, options, reuse, createProgram }: ContextPolicy,
  inline: boolean,
): PolicyReference {
  return { name, module, options, reuse, ...(inline && { createProgram }) };
}

/** The view of `model` that `LoadedModel.withContextPolicy` gives. */
export function viewUnderPolicy(
  model: LoadedModel,
  policy: ContextPolicy,
  openSequence: (options: SequenceOptions) => Promise<OpenSequence>,
): LoadedModel {
  const { name, folder, checkpoint, tokenizer, config, format, threads } = model;
  return {
    ...{ name, folder, checkpoint, tokenizer, config, format, threads },
    exact: model.exact ?? false,
    rowTile: model.rowTile ?? 1,
    restartLength: model.restartLength,
    eosTokenIds: model.eosTokenIds,
    bosTokenId: model.bosTokenId,
    slots: model.slots,
    contextLength: longestSequence,
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
 * @throws JetonError `context-policy-output`
 */
export function checkPolicyRequest(step: StepRequest, policy: ContextPolicy | undefined): void {
  const fail = (asked: string, expected: string): never => {
    throw new JetonError(`"${asked}" is asked of a sequence ${policyOf(policy)}, ${expected}`, {
      code: "context-policy-output",
      details: { asked, policy: policy?.name, expected },
    });
  };
  if (step.attended && !policy?.showsAttended) fail("attended", "expected a policy that selects");
  if (step.promptScores && !policy?.choosePrompt) {
    fail("promptScores", "expected a policy that filters the prompt");
  }
  if (!policy?.choosePrompt) return;
  if (step.hiddenLayer !== undefined) fail("hiddenLayer", "whose later layers are optional");
  if (step.queryKeyLayer !== undefined) fail("queryKeyLayer", "whose later layers are optional");
}

function policyOf(policy: ContextPolicy | undefined): string {
  return policy ? `under ${policy.name}` : "without a context policy";
}
