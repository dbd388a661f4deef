/** A generation under a context policy. */
import { JetonError } from "../core/index.ts";
import type { ContextPolicy, LoadedModel } from "../model/index.ts";
import { invalidOption } from "./sampling/check-options.ts";
import type { GenerateOptions } from "./types.ts";

/**
 * The model as a request's context policy sees it, or as it is.
 *
 * @throws JetonError `context-policy-unavailable`, `context-policy-drafts`, `generate-option-invalid`
 */
export function modelUnderPolicy(model: LoadedModel, options: GenerateOptions): LoadedModel {
  const policy = options.contextPolicy ?? model.contextPolicy;
  if (!policy) return model;
  checkPolicyOptions(policy, options);
  if (options.contextPolicy === undefined) return model;
  const view = model.withContextPolicy?.(policy);
  if (view) return view;
  throw new JetonError(
    `${model.name} has no attention that the context policy ${policy.name} could change`,
    { code: "context-policy-unavailable", details: { model: model.name, policy: policy.name } },
  );
}

function checkPolicyOptions(
  policy: ContextPolicy,
  { drafter, promptEmbeddings, prefillChunk }: GenerateOptions,
): void {
  if (drafter && policy.drafting.kind === "refused") {
    throw new JetonError(
      `${policy.name} cannot be combined with the drafter ${drafter.name}: ${policy.drafting.why}`,
      {
        code: "context-policy-drafts",
        details: { policy: policy.name, drafter: drafter.name, why: policy.drafting.why },
      },
    );
  }
  if (promptEmbeddings && policy.choosePrompt) {
    throw invalidOption("promptEmbeddings", "given", `none: ${policy.name} chooses tokens by id`);
  }
  const chunk = promptChunkOf(policy);
  if (prefillChunk !== undefined && prefillChunk % chunk !== 0) {
    throw invalidOption(
      "prefillChunk",
      prefillChunk,
      `a multiple of ${chunk}, the tokens that share a choice under ${policy.name}`,
    );
  }
}

/** Tokens of a prompt that a policy treats together. */
export function promptChunkOf(policy: ContextPolicy | undefined): number {
  return typeof policy?.reuse === "object" ? policy.reuse.chunk : 1;
}
