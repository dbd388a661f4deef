/** A byte-level tokenizer without merges, for tests: each byte of a text is a token. */
import { byteToCharacter } from "../../tokenizer/decoders/byte-alphabet.ts";
import { specialToken } from "../../tokenizer/formats/tokenizer-file.ts";

/** The special token that begins every text (by the template) and ends every answer. */
export const boundaryToken: { readonly id: number; readonly content: string } = {
  id: 256,
  content: "<bound>",
};

/** The contents of its `tokenizer.json`; ids 0 to 255 are the bytes. */
export function byteTokenizerJson(): string {
  const vocabulary = Object.fromEntries(
    byteToCharacter.map((character, byte) => [character, byte]),
  );
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: false,
  };
  const { id, content } = boundaryToken;
  return JSON.stringify({
    version: "1.0",
    added_tokens: [specialToken(id, content)],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: {
      type: "TemplateProcessing",
      single: [
        { SpecialToken: { id: content, type_id: 0 } },
        { Sequence: { id: "A", type_id: 0 } },
      ],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 0 } }],
      special_tokens: { [content]: { id: content, ids: [id], tokens: [content] } },
    },
    decoder: byteLevel,
    model: { type: "BPE", vocab: vocabulary, merges: [] },
  });
}
