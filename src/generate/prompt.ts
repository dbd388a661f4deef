/** Prompts as token ids. */
import { JetonError } from "../core/index.ts";
import { describeValue } from "../core/option-rules.ts";
import type { LoadedModel } from "../model/index.ts";
import { renderChat } from "../tokenizer/chat-template.ts";
import { invalidOption } from "./sampling/check-options.ts";
import type { Conversation, GenerateOptions, Prompt } from "./types.ts";

/** Parts of a model that a prompt is read with. */
type PromptModel = Pick<LoadedModel, "tokenizer" | "config" | "bosTokenId" | "eosTokenIds">;

/**
 * The ids of a prompt: text, ids or chat messages. The empty text is the BOS token alone.
 *
 * @throws JetonError `generate-prompt-invalid`, `generate-prompt-empty`, and those of `renderChat`
 */
export function promptIds(model: PromptModel, prompt: Prompt | Conversation): number[] {
  const ids = encodePrompt(model, prompt);
  checkIds(model, ids);
  if (ids.length > 0) return ids;
  const start = model.bosTokenId ?? model.eosTokenIds[0];
  if (start === undefined || typeof prompt !== "string") {
    throw new JetonError("the prompt is empty and the model has no BOS token", {
      code: "generate-prompt-empty",
    });
  }
  return [start];
}

/** Throws `generate-prompt-invalid` for an id that the model does not have. */
export function checkIds(
  { config }: Pick<LoadedModel, "config">,
  ids: readonly number[] | Int32Array,
): void {
  const vocabulary = config.vocabSize;
  const at = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0 || id >= vocabulary);
  if (at < 0) return;
  const id: unknown = ids[at];
  throw new JetonError(
    `the prompt holds ${describeValue(id)}, expected ids: the model has ${vocabulary} tokens`,
    { code: "generate-prompt-invalid", details: { id, vocabulary } },
  );
}

/** Whether a value is a text or a list that may be of ids. */
export function isPrompt(value: unknown): value is Prompt {
  return typeof value === "string" || value instanceof Int32Array || Array.isArray(value);
}

function encodePrompt(model: PromptModel, prompt: Prompt | Conversation): number[] {
  const { tokenizer } = model;
  if (typeof prompt === "string") {
    const ids = [...tokenizer.encodeIds(prompt, { applyLimits: false })];
    // A rendered chat template brings its BOS token; the tokenizer put another before it.
    const { bosTokenId } = model;
    const isDoubled = bosTokenId !== undefined && ids[0] === bosTokenId && ids[1] === bosTokenId;
    if (isDoubled && prompt.startsWith(tokenizer.idToToken(bosTokenId) ?? "\0")) ids.shift();
    return ids;
  }
  if (isMessages(prompt)) {
    // The rendered text holds its special tokens.
    const text = renderChat(tokenizer, prompt);
    return [...tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false })];
  }
  if (prompt instanceof Int32Array || Array.isArray(prompt)) return Array.from(prompt);
  throw new JetonError("the prompt is neither text, token ids nor chat messages", {
    code: "generate-prompt-invalid",
    details: { found: typeof prompt, expected: "a string, ids, or { role, content } messages" },
  });
}

function isMessages(prompt: Prompt | Conversation): prompt is Conversation {
  return (
    Array.isArray(prompt) &&
    prompt.length > 0 &&
    prompt.every((item) => typeof item === "object" && item !== null && "role" in item)
  );
}

/**
 * Rows that are read in place of the prompt's embeddings, if any were given.
 *
 * @throws JetonError `generate-option-invalid`
 */
export function promptEmbeddings(
  model: Pick<LoadedModel, "config">,
  { promptEmbeddings: rows }: GenerateOptions,
): Float32Array | undefined {
  const { hiddenSize } = model.config;
  if (rows && (rows.length === 0 || rows.length % hiddenSize !== 0)) {
    throw invalidOption(
      "promptEmbeddings",
      rows.length,
      `a multiple of the model's hidden size, ${hiddenSize} numbers`,
    );
  }
  return rows;
}
