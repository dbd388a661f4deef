/**
 * The opening of prose that goes before a short prompt of the bundled model. Its training data holds
 * generated recall tasks, which short prompts resemble: of 64 continuations (8 prompts such as "hi", 8
 * seeds each) 32 were such tasks without the opening, and 1 with it.
 */
import { realpathSync } from "node:fs";
import { bundledModelFolder } from "../../checkpoint/bundled-models.ts";
import type { LoadedModel } from "../../model/types.ts";

/** Prompts with more tokens get no opening. */
const maxPromptTokens = 16;

const opening =
  "The history of that age has been related by more than one writer, and the reader may judge of " +
  "their merit.\n\n";

/** The text that the model reads for a prompt: with the opening if the bundled model needs it. */
export function openPrompt(model: LoadedModel, prompt: string): string {
  if (prompt.trim() === "" || !isBundled(model.folder)) return prompt;
  const tokens = model.tokenizer.encodeIds(prompt, { addSpecialTokens: false }).length;
  return tokens > maxPromptTokens ? prompt : opening + prompt;
}

/** Whether `openPrompt` put the opening before a prompt. */
export function isOpened(prompt: unknown): boolean {
  return typeof prompt === "string" && prompt.startsWith(opening);
}

function isBundled(folder: string): boolean {
  try {
    return realpathSync(folder) === realpathSync(bundledModelFolder("jeton-nano"));
  } catch {
    return false;
  }
}
