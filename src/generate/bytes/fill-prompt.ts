/**
 * Prompts of models that were trained to fill a gap between two texts.
 */
import type { Tokenizer } from "../../tokenizer/index.ts";

/**
 * Spellings of the three special tokens: before the prefix, before the suffix, before the middle. In
 * each of these families the prompt is PREFIX prefix SUFFIX suffix MIDDLE.
 */
const spellings: readonly (readonly [prefix: string, suffix: string, middle: string])[] = [
  // Qwen2.5-Coder, CodeGemma
  ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"],
  // StarCoder, Granite code models
  ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
  // SantaCoder
  ["<fim-prefix>", "<fim-suffix>", "<fim-middle>"],
  // DeepSeek-Coder
  ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
];

/** Makes the ids of a prompt with a gap. */
export type FillPrompt = (prefix: string, suffix: string) => Int32Array;

/** How this tokenizer's model is asked to fill a gap; undefined where it has no tokens for it. */
export function findFillPrompt(tokenizer: Tokenizer): FillPrompt | undefined {
  for (const spelling of spellings) {
    const ids = spelling.map((text) => tokenizer.tokenToId(text));
    if (ids.some((id) => id === undefined)) continue;
    const [prefixId, suffixId, middleId] = ids as [number, number, number];
    const encode = (text: string): Int32Array =>
      tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false });
    const start = beginningOf(tokenizer);
    return (prefix, suffix) =>
      Int32Array.of(...start, prefixId, ...encode(prefix), suffixId, ...encode(suffix), middleId);
  }
  return undefined;
}

/** The BOS token where the tokenizer puts one before a text. */
function beginningOf(tokenizer: Tokenizer): number[] {
  const [first] = tokenizer.encodeIds("", { applyLimits: false });
  return first !== undefined && first === tokenizer.bosTokenId ? [first] : [];
}
