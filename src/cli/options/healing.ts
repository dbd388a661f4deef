/** Prompts that end inside a token, for the commands that continue them. */
import type { Healing } from "../../generate/index.ts";
import { defined } from "../command.ts";
import type { Generation } from "./generation.ts";
import { createStatusLine } from "./locate.ts";
import { refuseMisplaced } from "./misplaced.ts";

export const healingOptions = {
  heal: {
    kind: "text",
    value: "HOW",
    choices: ["exact", "token", "none"],
    help: "a prompt that ends inside a token: exact (default, where the vocabulary is of byte pairs and no context policy or packed context is given) draws one of its coverings, token takes its last token back, none leaves it",
  },
} as const;

/**
 * Throws `option-misplaced` where `--heal` would be ignored.
 *
 * @param why follows the option's name
 */
export function refuseHealing({ heal }: { readonly heal: string | undefined }, why: string): void {
  if (heal !== "none") refuseMisplaced({ heal }, ["heal"], why);
}

/**
 * Chooses the last tokens of a prompt of text anew, for each continuation of it. A rendered template ends at a
 * token, and a prompt behind packed texts is left alone.
 *
 * @param plain continuations of one prompt: all of `severalOf`, or one
 * @param healing Default: `defaultHealing`, and none where the model's prompts cannot be healed
 */
export async function heal(
  plain: readonly Generation[],
  healing: Healing | undefined,
): Promise<readonly Generation[]> {
  const { model, prompt, options, context } = plain[0]!;
  const isAsked = healing !== undefined;
  if (healing === "none" || typeof prompt !== "string" || options.promptEmbeddings) return plain;
  if (!isAsked && model.contextPolicy) return plain;
  const { defaultHealing, healPrompts, isHealingUnavailable, resolveSampling } = await import(
    "../../generate/index.ts"
  );
  const started = performance.now();
  const line = createStatusLine(context);
  const samplings = plain.map((one) => resolveSampling(model, one.options));
  try {
    const { prompts, reusedTokens } = await healPrompts(model, prompt, {
      healing: healing ?? defaultHealing,
      samplings,
      signal: context.signal,
      ...defined({ prefillChunk: options.prefillChunk }),
      onPrefill: ({ done, total }) => line.show(`reading the prompt: ${done} of ${total} tokens`),
    });
    const seconds = (performance.now() - started) / 1000;
    return prompts.map(({ ids, rest }, at) => {
      // The decoder of the generation completes a character that the last token leaves open.
      const begunText = new TextDecoder().decode(rest, { stream: true });
      const { seed } = samplings[at]!;
      const own = { ...plain[at]!.options, seed, ...(begunText !== "" && { begunText }) };
      return { ...plain[at]!, prompt: ids, options: own, healing: { seconds, reusedTokens } };
    });
  } catch (error) {
    if (!isAsked && isHealingUnavailable(error)) return plain;
    throw error;
  } finally {
    line.clear();
  }
}
