/** A generation under a context policy. */
import { JetonError } from "../core/index.ts";
import type { ContextPolicy, LoadedModel } from "../model/index.ts";
import { underContextPolicy } from "../model/policy/policy-view.ts";
import { invalidOption } from "./sampling/check-options.ts";
import type { AttendedContext, GenerateOptions } from "./types.ts";

/**
 * The model as a request's context policy sees it, or as it is.
 *
 * @throws JetonError `context-policy-unavailable`, `context-policy-drafts`, `generate-option-invalid`
 */
export function modelUnderPolicy(model: LoadedModel, options: GenerateOptions): LoadedModel {
  const { contextPolicy: asked } = options;
  const view = asked ? underContextPolicy(model, asked) : model;
  // A view's policy knows its model.
  if (view.contextPolicy) checkPolicyOptions(view.contextPolicy, options);
  return view;
}

function checkPolicyOptions(
  policy: ContextPolicy,
  { drafter, promptEmbeddings, prefillChunk }: GenerateOptions,
): void {
  if (drafter && policy.drafting.kind === "excluded") {
    throw new JetonError(
      `${policy.name} cannot be combined with the drafter ${drafter.name}: ${policy.drafting.why}`,
      {
        code: "context-policy-drafts",
        details: { policy: policy.name, drafter: drafter.name, why: policy.drafting.why },
      },
    );
  }
  if (promptEmbeddings && (policy.choosePrompt || policy.inserts)) {
    const why = policy.inserts ? "inserts tokens" : "chooses tokens by id";
    throw invalidOption("promptEmbeddings", "given", `none: ${policy.name} ${why}`);
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

/**
 * Which tokens a step's last one attends to.
 *
 * @param marks `[layers, heads, capacity]` of `StepResult.attended`
 */
export function readAttended(
  marks: Float32Array,
  {
    layers,
    heads,
    tokens,
  }: { readonly layers: number; readonly heads: number; readonly tokens: number },
): AttendedContext {
  const capacity = marks.length / (layers * heads);
  const placesOf = (layer: number): number[] => {
    const places: number[] = [];
    for (let place = 0; place < tokens; place++) {
      for (let head = 0; head < heads; head++) {
        if (marks[(layer * heads + head) * capacity + place] === 0) continue;
        places.push(place);
        break;
      }
    }
    return places;
  };
  return { tokens, layers: Array.from({ length: layers }, (_, layer) => placesOf(layer)) };
}

/** Tokens of a prompt that a policy treats together. */
export function promptChunkOf(policy: ContextPolicy | undefined): number {
  return typeof policy?.reuse === "object" ? policy.reuse.chunk : 1;
}
