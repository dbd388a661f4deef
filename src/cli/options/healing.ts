/** Prompts that end inside a token, for the commands that continue them. */
import type { Healing } from "../../generate/index.ts";
import { defined, UsageError } from "../command.ts";
import type { Generation } from "./generation.ts";
import { createStatusLine } from "./locate.ts";

export const healingOptions = {
  heal: {
    kind: "text",
    value: "HOW",
    choices: ["exact", "token", "none"],
    help: "a prompt that ends inside a token: exact (default, where the vocabulary is of byte pairs and no context policy or packed context is given) draws one of its coverings, token takes its last token back, none leaves it",
  },
} as const;

/** Throws `option-misplaced` where `--heal` would be ignored. */
export function checkHealing({ heal }: { heal: string | undefined }, isChat: boolean): void {
  if (heal === undefined || heal === "none" || !isChat) return;
  throw new UsageError("option-misplaced", "--heal and a chat exclude each other", {
    option: "--heal",
  });
}

/**
 * Chooses the last tokens of a prompt of text anew, for each of several continuations. A rendered template ends
 * at a token.
 *
 * @param healing Default: `defaultHealing`, and none where the model's prompts cannot be healed
 */
export async function heal(
  run: Generation,
  healing: Healing | undefined,
  count = 1,
): Promise<readonly Generation[]> {
  const { model, prompt, options, context } = run;
  const { seed } = options;
  // Continuations share one seed; their random numbers differ by the number of the sequence.
  const shared = count > 1 ? { seed: seed ?? Math.floor(Math.random() * 2 ** 32) } : {};
  const plain = Array.from({ length: count }, (_, sequence) =>
    count > 1 ? { ...run, options: { ...options, ...shared, sequence } } : run,
  );
  const isAsked = healing !== undefined;
  if (healing === "none") return plain;
  if (isAsked && options.promptEmbeddings) {
    throw new UsageError("option-misplaced", "--heal means nothing behind --packed-context", {
      option: "--heal",
    });
  }
  if (typeof prompt !== "string" || options.promptEmbeddings) return plain;
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
      return { ...run, prompt: ids, options: own, healing: { seconds, reusedTokens } };
    });
  } catch (error) {
    if (!isAsked && isHealingUnavailable(error)) return plain;
    throw error;
  } finally {
    line.clear();
  }
}
