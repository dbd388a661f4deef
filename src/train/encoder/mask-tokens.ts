/** How tokens that an encoder has to tell are hidden from it (Devlin et al., 2019). */
import { JetonError, type Random } from "../../core/index.ts";
import { maskTokenOf } from "../../model/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";

/** Of the tokens that are asked for, how many are hidden and how many exchanged; the others stay as they are. */
const shares = { hidden: 0.8, exchanged: 0.1 } as const;

/** What `hideToken` puts in the place of tokens. */
export interface MaskVocabulary {
  /** Id of the mask token. */
  readonly mask: number;
  readonly vocabSize: number;
}

/** @throws JetonError `encoder-mask-missing` where the tokenizer has no mask token */
export function requireMask(tokenizer: Tokenizer): MaskVocabulary {
  const mask = maskTokenOf(tokenizer);
  if (mask) return { mask: mask.id, vocabSize: tokenizer.vocabSize };
  throw new JetonError("the tokenizer has no mask token, expected [MASK] or <mask>", {
    code: "encoder-mask-missing",
    details: { expected: "[MASK] or <mask>" },
  });
}

/** What stands in the place of a token that is asked for. */
export function hideToken(id: number, { mask, vocabSize }: MaskVocabulary, random: Random): number {
  const kind = random.uniform();
  if (kind < shares.hidden) return mask;
  return kind < shares.hidden + shares.exchanged ? random.integer(vocabSize) : id;
}
