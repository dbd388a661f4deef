/** A prompt continued under a context policy, with what the policy kept of it. */
import type { EndEvent, LensToken } from "jeton/lens";
import type { Engine } from "../engine/engine.ts";

/** What is continued, and how. */
export interface ContinuedPrompt {
  readonly prompt: string;
  /** As on a command line. */
  readonly policy: string;
  readonly maxTokens: number;
}

/** One continuation. */
export interface Continuation {
  readonly policy: string;
  readonly prompt: readonly LensToken[];
  readonly text: string;
  readonly end: EndEvent;
}

/** Continues a prompt greedily. */
export async function continuePrompt(
  engine: Engine,
  { prompt, policy, maxTokens }: ContinuedPrompt,
  signal: AbortSignal,
): Promise<Continuation> {
  const asked = {
    kind: "generate",
    prompt,
    maxTokens,
    sampling: { greedy: true },
    contextPolicy: policy,
  } as const;
  let text = "";
  let tokens: readonly LensToken[] = [];
  for await (const event of engine.ask<"generate">(asked, signal)) {
    if (event.kind === "text") tokens = event.tokens;
    else if (event.kind === "token" && !event.token.special) text += event.token.text;
    else if (event.kind === "end") return { policy, prompt: tokens, text, end: event };
  }
  throw new Error("The model's answer broke off.");
}
