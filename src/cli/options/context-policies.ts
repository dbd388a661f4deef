/** Context policies for the commands that generate: the option, and which tokens were kept. */

import type { GeneratedContext } from "../../generate/types.ts";
import type { ContextPolicy } from "../../model/policy/context-policy.ts";
import type { LoadedModel } from "../../model/types.ts";
import { UsageError } from "../command.ts";
import { refuseMisplaced } from "./misplaced.ts";

export const contextPolicyOptions = {
  contextPolicy: {
    kind: "text",
    value: "POLICY",
    help: "which tokens each layer attends to, NAME or NAME:option=value,…, e.g. token-select:k=512,cache=0.9 (jeton context policies lists them); texts may then be longer than the trained context",
  },
} as const;

/** The policy that the option names. Throws `UsageError` `option-value-invalid`. */
export async function readContextPolicy(
  text: string | undefined,
  option = "--context-policy",
): Promise<ContextPolicy | undefined> {
  if (text === undefined) return undefined;
  const { parseContextPolicy } = await import("../../context/index.ts");
  return readPolicy(option, text, parseContextPolicy);
}

/**
 * What a reader of policies makes of an option's or an argument's value.
 *
 * @throws UsageError `option-value-invalid` for what the reader refuses
 */
export function readPolicy<T>(option: string, found: string, read: (text: string) => T): T {
  try {
    return read(found);
  } catch (error) {
    const { message } = error as Error;
    throw new UsageError("option-value-invalid", `${option}: ${message}`, { option, found });
  }
}

/** Throws `option-misplaced` where `--show-context` or `--context-layers` would be ignored. */
export function checkContextOptions(
  values: {
    readonly showContext: boolean;
    readonly contextLayers: boolean;
    readonly contextPolicy: string | undefined;
  },
  policy: ContextPolicy | undefined,
): void {
  if (!values.showContext) {
    refuseMisplaced(values, ["contextLayers"], "belongs to --show-context");
  }
  if (values.contextPolicy === undefined) {
    refuseMisplaced(values, ["showContext"], "needs --context-policy");
  }
  if (policy && !policy.showsAttended) {
    const why = `needs a policy under which layers choose, which ${policy.name} is not`;
    refuseMisplaced(values, ["contextLayers"], why);
  }
}

/** The model as the policy sees it. */
export async function viewUnder(
  model: LoadedModel,
  policy: ContextPolicy | undefined,
): Promise<LoadedModel> {
  if (!policy) return model;
  const { underContextPolicy } = await import("../../model/policy/policy-view.ts");
  return underContextPolicy(model, policy);
}

/** What a context is described by. */
export interface ContextText {
  readonly context: GeneratedContext;
  /** Ids of the prompt and of the first generated token. */
  readonly ids: readonly number[];
  readonly model: Pick<LoadedModel, "tokenizer">;
  /** Each layer by itself. */
  readonly perLayer: boolean;
}

/**
 * Which tokens were kept, as text with the gaps marked. What any layer attends to is shown as one text, or each
 * layer by itself.
 */
export function describeKept({ context, ids, model, perLayer }: ContextText): string {
  const { policy, chosen, attended } = context;
  if (chosen) {
    const text = textWithGaps(chosen, ids.slice(0, ids.length - 1), model);
    return `${policy}: ${chosen.length} of the prompt's ${ids.length - 1} tokens are read\n${text}`;
  }
  if (!attended) return `${policy}: every token attends to all before it`;
  const { layers, tokens } = attended;
  const shown = ids.slice(0, tokens);
  if (perLayer) {
    return layers
      .map((places, layer) => {
        const text = textWithGaps(places, shown, model);
        return `${policy}, layer ${layer}: ${places.length} of ${tokens} tokens\n${text}`;
      })
      .join("\n\n");
  }
  const union = [...new Set(layers.flat())].sort((a, b) => a - b);
  const text = textWithGaps(union, shown, model);
  return `${policy}: the layers attend to ${union.length} of ${tokens} tokens\n${text}`;
}

function textWithGaps(
  places: readonly number[],
  ids: readonly number[],
  { tokenizer }: Pick<LoadedModel, "tokenizer">,
): string {
  const parts: string[] = [];
  const gap = (from: number, to: number): void => {
    if (to > from) parts.push(` [… ${to - from} …] `);
  };
  let end = 0;
  for (let at = 0; at < places.length; ) {
    const from = places[at]!;
    let to = from;
    while (at < places.length && places[at] === to) {
      at++;
      to++;
    }
    gap(end, from);
    parts.push(tokenizer.decode(ids.slice(from, to), { skipSpecialTokens: true }));
    end = to;
  }
  gap(end, ids.length);
  return parts.join("").trim();
}
