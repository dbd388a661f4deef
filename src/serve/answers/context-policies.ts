/** Context policies of requests: those that the server was started with. */
import { parseContextPolicy } from "../../context/policies/named-policies.ts";
import type { ContextPolicy } from "../../model/policy/context-policy.ts";
import { longestUnderPolicy, underContextPolicy } from "../../model/policy/policy-view.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { ServeContext } from "../context.ts";
import { invalidValue, unsupportedParameter } from "../middleware/errors.ts";
import type { SamplingRequest } from "../requests/sampling-fields.ts";

/** A policy that requests may name, by the text that names it. */
export interface ServedPolicy {
  readonly text: string;
  readonly policy: ContextPolicy;
}

/**
 * Policies by the texts that name them, each tried once.
 *
 * @throws JetonError those of `parseContextPolicy`, `context-policy-unavailable`, `context-policy-rotation`
 */
export async function servePolicies(
  model: LoadedModel,
  texts: readonly string[] = [],
): Promise<ServedPolicy[]> {
  const served: ServedPolicy[] = [];
  for (const text of texts) {
    const policy = parseContextPolicy(text);
    const sequence = await underContextPolicy(model, policy).openSequence();
    await sequence.release();
    served.push({ text, policy });
  }
  return served;
}

/**
 * The policy that a request names. Each has a program of its own in memory, so that clients cannot make up others.
 *
 * @throws ApiError 400
 */
export function findPolicy(
  { contextPolicies }: Pick<ServeContext, "contextPolicies">,
  { context_policy: asked }: SamplingRequest,
): ContextPolicy | undefined {
  if (asked == null) return undefined;
  const found = contextPolicies.find(({ text }) => text === asked);
  if (found) return found.policy;
  const known = contextPolicies.map(({ text }) => `'${text}'`).join(", ");
  throw invalidValue(
    "context_policy",
    known === ""
      ? "'context_policy' needs a server that was started with --context-policy."
      : `'context_policy' is '${asked}', expected one of ${known}.`,
  );
}

/** Longest sequence of a request in tokens. */
export function contextLengthUnder(
  { model }: Pick<ServeContext, "model">,
  policy: ContextPolicy | undefined,
): number {
  return policy ? longestUnderPolicy(model.config) : model.contextLength;
}

/**
 * Checks what a policy cannot be combined with.
 *
 * @param scoresPrompt whether the prompt's own tokens get probabilities
 * @throws ApiError 400
 */
export function checkPolicy(
  policy: ContextPolicy | undefined,
  { drafter }: SamplingRequest,
  scoresPrompt: boolean,
): void {
  if (!policy) return;
  if (scoresPrompt) {
    const why = "'context_policy' is about generated tokens; the prompt's are not scored under it.";
    throw unsupportedParameter("context_policy", why);
  }
  if (policy.drafting.kind === "lossless" || drafter == null) return;
  if (drafter === "none" || drafter === "auto") return;
  throw unsupportedParameter(
    "drafter",
    `'drafter' cannot be combined with this 'context_policy': ${policy.drafting.why}.`,
  );
}
