/** From a text to the tokens whose rows a static model averages. */
import type { Tokenizer } from "../../../tokenizer/index.ts";
import type { TextInput } from "../sentence/encode-text.ts";
import type { StaticConfig } from "./static-config.ts";

/**
 * Ids of a text without special tokens, cut to `maxLength` by default as the tokenizer's file says, otherwise not at all.
 * Places in the text are not given: there are no vectors of tokens.
 *
 * Source: model2vec, `StaticModel.tokenize`: a text is cut to characters before unknown tokens are left out, and to tokens
 * behind it.
 */
export function encodeStaticText(
  tokenizer: Tokenizer,
  { skippedId, charactersPerToken }: StaticConfig,
  text: string,
  maxLength: number = Number.MAX_SAFE_INTEGER,
): TextInput {
  const characters = maxLength * (charactersPerToken ?? Number.MAX_SAFE_INTEGER);
  const all = tokenizer.encodeIds(firstCharacters(text, characters), {
    addSpecialTokens: false,
    applyLimits: "truncation",
  });
  const known = skippedId === undefined ? all : all.filter((id) => id !== skippedId);
  const ids = known.length > maxLength ? known.slice(0, maxLength) : known;
  return { ids, types: new Int32Array(ids.length), offsets: [], length: ids.length };
}

/** The first so many code points. */
function firstCharacters(text: string, count: number): string {
  if (text.length <= count) return text;
  let end = 0;
  for (let taken = 0; taken < count && end < text.length; taken++) {
    end += text.codePointAt(end)! > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}
