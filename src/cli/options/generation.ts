/** Generation for a command: renders messages, generates, and hands over the tokens. */
import type {
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
  Prompt,
} from "../../generate/types.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { ChatMessage } from "../../tokenizer/index.ts";
import { defined } from "../command.ts";
import type { CommandContext } from "../context.ts";

/** One generation of a command. */
export interface Generation {
  readonly context: CommandContext;
  readonly model: LoadedModel;
  readonly prompt: Prompt;
  readonly options: GenerateOptions;
  /** Whether the prompt stands behind an opening of prose that was not asked for. Default false. */
  readonly isOpened?: boolean;
  /** What it took to choose the prompt's last tokens: part of the prompt's time. */
  readonly healing?: { readonly seconds: number; readonly reusedTokens: number };
}

/** The ids of a conversation rendered with the chat template; the template writes the special tokens. */
export async function encodeMessages(
  { tokenizer }: LoadedModel,
  messages: readonly ChatMessage[],
): Promise<Int32Array> {
  const { renderChat } = await import("../../tokenizer/index.ts");
  return tokenizer.encodeIds(renderChat(tokenizer, messages), {
    addSpecialTokens: false,
    applyLimits: false,
  });
}

/** A generation as often as asked: continuations share one seed, and differ by the number of the sequence. */
export function severalOf(run: Generation, count: number): readonly Generation[] {
  if (count === 1) return [run];
  const seed = run.options.seed ?? Math.floor(Math.random() * 2 ** 32);
  return Array.from({ length: count }, (_, sequence) => ({
    ...run,
    options: { ...run.options, seed, sequence },
  }));
}

/** Generates to the end and calls `onToken` for each token as it arrives. */
export async function generateText(
  { context, model, prompt, options, healing }: Generation,
  handlers: {
    onToken: (token: GeneratedToken) => Promise<void> | void;
    onPrefill?: NonNullable<GenerateOptions["onPrefill"]>;
  },
): Promise<GenerateResult> {
  const { generate } = await import("../../generate/index.ts");
  const tokens = generate(model, prompt, {
    signal: context.signal,
    ...options,
    ...defined({ onPrefill: handlers.onPrefill }),
  });
  for (;;) {
    const next = await tokens.next();
    if (next.done === true) {
      const result = next.value;
      if (!healing) return result;
      // Healing has read the prompt into the cache from which the generation took it.
      const prefillSeconds = result.prefillSeconds + healing.seconds;
      return { ...result, prefillSeconds, reusedTokens: healing.reusedTokens };
    }
    await handlers.onToken(next.value);
  }
}
