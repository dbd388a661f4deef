/**
 * The tokenizer of ByT5 (Xue et al., 2022), which has no vocabulary file: three special tokens, then one
 * id for each byte (byte + 3), then the extra ids; `</s>` ends every text.
 */
import { byteToCharacter } from "../decoders/byte-alphabet.ts";
import { classNameOf } from "./tokenizer-class.ts";
import { createEnding } from "./tokenizer-file.ts";

/** Ids before those of the bytes. */
const special = ["<pad>", "</s>", "<unk>"] as const;

/** Where `tokenizer_config.json` names no other number. */
const defaultExtraIds = 125;

/** Files of a folder that may name this tokenizer, the first one that names any class going before the other. */
export const classFileNames: readonly string[] = ["tokenizer_config.json", "config.json"];

/** Whether a `tokenizer_config.json`, or a model's `config.json`, describes this tokenizer. */
export function isByT5Config(config: unknown): boolean {
  return classNameOf(config) === "ByT5Tokenizer";
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same tokenizer as a `tokenizer.json`: byte-pair encoding over bytes without a single merge. */
export function byT5Json(config: unknown): Record<string, unknown> {
  const given = isObject(config) ? config["extra_ids"] : undefined;
  const extra =
    typeof given === "number" && Number.isSafeInteger(given) && given >= 0 && given <= 1e5
      ? given
      : defaultExtraIds;
  const vocabulary: Record<string, number> = {};
  for (const [id, token] of special.entries()) vocabulary[token] = id;
  for (const [byte, letter] of byteToCharacter.entries())
    vocabulary[letter] = special.length + byte;
  const first = special.length + 256;
  const added = [
    ...special.map((content, id) => ({ id, content })),
    ...Array.from({ length: extra }, (_, index) => ({
      id: first + index,
      content: `<extra_id_${index}>`,
    })),
  ];
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added.map((token) => ({ ...token, ...flags, special: true })),
    normalizer: null,
    pre_tokenizer: {
      type: "ByteLevel",
      add_prefix_space: false,
      trim_offsets: false,
      use_regex: true,
    },
    post_processor: createEnding(special[1], 1),
    decoder: { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: "<unk>",
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: vocabulary,
      merges: [],
    },
  };
}

/** The files of ByT5's tokenizer, as other tools read them: `tokenizer.json` and `tokenizer_config.json`. */
export function byT5TokenizerFiles(): {
  readonly tokenizer: Record<string, unknown>;
  readonly config: Record<string, unknown>;
} {
  const [pad, end, unknown] = special;
  const config = {
    tokenizer_class: "ByT5Tokenizer",
    ...{ pad_token: pad, eos_token: end, unk_token: unknown },
    extra_ids: defaultExtraIds,
  };
  return { tokenizer: byT5Json(config), config };
}
