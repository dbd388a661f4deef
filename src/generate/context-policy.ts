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
      `a multiple of ${chunk}, the prompt tokens that ${policy.name} reads together`,
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

/** Tokens of a prompt that a policy reads together. */
export function promptChunkOf(policy: ContextPolicy | undefined): number {
  return policy?.promptChunk ?? (typeof policy?.reuse === "object" ? policy.reuse.chunk : 1);
}

/**
 * Throws under a policy that chooses among a prompt's tokens, where what is read is no prompt of a generation.
 *
 * @param what what is asked of the model, e.g. `"scores of a text"`
 * @throws JetonError `context-policy-unavailable`
 */
export function refuseChosenPrompt(model: LoadedModel, what: string): void {
  if (!model.contextPolicy?.choosePrompt) return;
  throw policyUnavailable(model, what, "it chooses among the prompt's tokens");
}

/** What several continuations of one beginning are called in errors. */
export const severalRows = "rows of several continuations";

/**
 * Throws under a policy under which several continuations of one beginning cannot be read beside each other.
 *
 * @throws JetonError `context-policy-unavailable`
 */
export function refuseDependent(model: LoadedModel): void {
  const drafting = model.contextPolicy?.drafting;
  if (drafting?.kind === "excluded") throw policyUnavailable(model, severalRows, drafting.why);
  refuseChosenPrompt(model, severalRows);
}

/** The error of something that a model gives under no such policy. */
export function policyUnavailable(
  { name, contextPolicy }: LoadedModel,
  what: string,
  why: string,
): JetonError {
  const policy = contextPolicy?.name;
  return new JetonError(
    `${name} under ${policy} gives no ${what} (${why}), expected a policy that does, or none`,
    { code: "context-policy-unavailable", details: { policy, why } },
  );
}
