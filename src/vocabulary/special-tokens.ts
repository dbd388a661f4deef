/** Which special token of the old vocabulary stands for which of the new one. */
import type { Tokenizer } from "../tokenizer/index.ts";

/**
 * Source ids of the special tokens of a target tokenizer: the token with the same spelling, else the
 * one with the same role, else one with a related role. Tokens without a counterpart are left out.
 */
export function matchSpecialTokens(source: Tokenizer, target: Tokenizer): Map<number, number> {
  const matched = new Map<number, number>();
  for (const [content, id] of target.specialTokens) {
    const found =
      source.specialTokens.get(content) ??
      source.specialTokens.get(related[content] ?? "") ??
      sameRole(source, target, id);
    if (found !== undefined) matched.set(id, found);
  }
  return matched;
}

/** Tokens that begin and end texts under another name. */
const related: Readonly<Record<string, string>> = {
  "[CLS]": "<s>",
  "[SEP]": "</s>",
  "<s>": "[CLS]",
  "</s>": "[SEP]",
  "[UNK]": "<unk>",
  "<unk>": "[UNK]",
  "[PAD]": "<pad>",
  "<pad>": "[PAD]",
};

function sameRole(source: Tokenizer, target: Tokenizer, id: number): number | undefined {
  // The end first: where one token both begins and ends texts, models have seen it at the end.
  if (id === target.eosTokenId) return source.eosTokenId;
  if (id === target.bosTokenId) return source.bosTokenId ?? source.eosTokenId;
  if (id === target.padTokenId) return source.padTokenId ?? source.unkTokenId ?? source.eosTokenId;
  if (id === target.unkTokenId) return source.unkTokenId ?? source.padTokenId ?? source.eosTokenId;
  return undefined;
}
