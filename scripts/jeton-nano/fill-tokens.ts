/**
 * The tokens of the bundled model's fill-in-the-middle prompts, as Qwen2.5-Coder spells them: before the prefix, before the
 * suffix, before the middle. `fill-middle` knows this spelling among others (`src/generate/bytes/fill-prompt.ts`).
 */
export const fillTokens = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"] as const;
