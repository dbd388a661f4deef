/**
 * Bytes as a vocabulary: ids 0 to 255 are byte values. Special symbols have values that occur in no valid
 * UTF-8 text, so the table has no further rows and no text can spell one.
 */
import { byteToCharacter } from "../../tokenizer/decoders/byte-alphabet.ts";

/** Number of ids: one for each byte value. */
export const byteVocabSize = 256;

/** Ends a word; the place at which an encoder reads a word's vector. */
export const wordEndId = 0xc0;

/** Begins and ends a document. */
export const documentId = 0xc1;

/** How special ids are written. */
export const specialSpellings: Readonly<Record<number, string>> = {
  [wordEndId]: "<|word|>",
  [documentId]: "<|document|>",
};

/** Files of a byte tokenizer, as any tool of the ecosystem reads them. */
export interface ByteTokenizerFiles {
  /** `tokenizer.json`: byte-level BPE without merges. */
  readonly tokenizer: Record<string, unknown>;
  /** `tokenizer_config.json`. */
  readonly config: Record<string, unknown>;
}

/**
 * The byte vocabulary as the files of a tokenizer: the id of a byte is its value, `<|document|>` begins and
 * ends a text.
 */
export function byteTokenizerFiles(): ByteTokenizerFiles {
  const vocab: Record<string, number> = {};
  for (let byte = 0; byte < byteVocabSize; byte++) {
    vocab[specialSpellings[byte] ?? byteToCharacter[byte]!] = byte;
  }
  const added = Object.entries(specialSpellings).map(([id, content]) => ({
    ...{ id: Number(id), content, special: true },
    ...{ single_word: false, lstrip: false, rstrip: false, normalized: false },
  }));
  const document = specialSpellings[documentId]!;
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false };
  const begin = { SpecialToken: { id: document, type_id: 0 } };
  const sequence = (id: "A" | "B", type_id: number) => ({ Sequence: { id, type_id } });
  return {
    tokenizer: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: { ...byteLevel, use_regex: true },
      post_processor: {
        type: "TemplateProcessing",
        single: [begin, sequence("A", 0)],
        pair: [begin, sequence("A", 0), begin, sequence("B", 1)],
        special_tokens: { [document]: { id: document, ids: [documentId], tokens: [document] } },
      },
      decoder: { ...byteLevel, use_regex: true },
      model: {
        ...{ type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null },
        ...{ end_of_word_suffix: null, fuse_unk: false, byte_fallback: false },
        vocab,
        merges: [],
      },
    },
    config: {
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: document,
      eos_token: document,
      clean_up_tokenization_spaces: false,
    },
  };
}
