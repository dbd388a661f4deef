/**
 * BERT's `vocab.txt`: one token of WordPiece a line, its id the number of the line. What the class of tokenizers does
 * besides (lower case, special tokens) stands in the settings beside it.
 *
 * Source: transformers 5.18.0, `tokenization_bert.py` and the classes that are the same.
 */
import { asObject, invalidField, type JsonObject } from "./json-reader.ts";
import { readableClass } from "./tokenizer-class.ts";
import { createBertParts } from "./tokenizer-file.ts";

/** Name of the file. */
export const bertVocabularyName = "vocab.txt";

/** Classes that read such a file as BERT's does. */
const classes: ReadonlySet<string> = new Set(
  ["Bert", "ConvBert", "DistilBert", "Electra", "MobileBert", "SqueezeBert"].map(
    (name) => `${name}Tokenizer`,
  ),
);

/** The class where no file names one. */
export const bertClass = "BertTokenizer";

/** Special tokens by their keys in the settings, and what they are where these name none. */
const specialTokens: Readonly<Record<string, string>> = {
  unk_token: "[UNK]",
  sep_token: "[SEP]",
  pad_token: "[PAD]",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
};

/** What the files beside a vocabulary say, parsed; undefined where there is none. */
export interface BertVocabularyFiles {
  readonly tokenizerConfig: unknown;
  readonly specialTokensMap: unknown;
  /** The model's own `config.json`. */
  readonly modelConfig: unknown;
}

/**
 * The same tokenizer as a `tokenizer.json`.
 *
 * @param text contents of the `vocab.txt`
 * @param path where it comes from, for errors
 * @throws JetonError `tokenizer-class-unsupported` for classes that read the file in another way;
 *   `tokenizer-json-invalid` where it has no line for a token that every text needs, or a setting has another type
 */
export function bertJson(text: string, files: BertVocabularyFiles, path: string): JsonObject {
  const config = asObject(files.tokenizerConfig ?? {}, "tokenizer_config");
  const map = asObject(files.specialTokensMap ?? {}, "special_tokens_map");
  readableClass(files, (name) => classes.has(name), bertClass, path);
  const vocabulary = readVocabulary(text);
  const tokenOf = (key: string): string =>
    contentOf(config[key]) ?? contentOf(map[key]) ?? specialTokens[key]!;
  const names = Object.keys(specialTokens).map(tokenOf);
  const [unknown, separator, , first] = names as [string, string, string, string, string];
  for (const token of [unknown, separator, first]) {
    if (!vocabulary.has(token)) throw invalidField(path, undefined, `a line ${token}`);
  }
  const switchOf = (key: string): boolean | undefined => {
    const value = config[key] ?? undefined;
    if (typeof value === "boolean" || value === undefined) return value;
    throw invalidField(`tokenizer_config.${key}`, value, "true or false");
  };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const { normalizer, preTokenizer, decoder } = createBertParts({
    lowercase: switchOf("do_lower_case") ?? true,
    stripAccents: switchOf("strip_accents") ?? null,
    chineseCharacters: switchOf("tokenize_chinese_chars") ?? true,
  });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [...new Set(names)]
      .filter((content) => vocabulary.has(content))
      .map((content) => ({ id: vocabulary.get(content)!, content, ...flags, special: true })),
    normalizer,
    pre_tokenizer: preTokenizer,
    post_processor: {
      type: "BertProcessing",
      sep: [separator, vocabulary.get(separator)!],
      cls: [first, vocabulary.get(first)!],
    },
    decoder,
    model: {
      type: "WordPiece",
      unk_token: unknown,
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocabulary),
    },
  };
}

/** Ids by token: of two equal lines the later one counts. */
function readVocabulary(text: string): Map<string, number> {
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  return new Map(lines.map((token, id) => [token, id]));
}

/** A token as settings name it: by a string, or by an object with its content. */
function contentOf(value: unknown): string | undefined {
  const isObject = typeof value === "object" && value !== null;
  const content: unknown = isObject ? Reflect.get(value, "content") : value;
  return typeof content === "string" ? content : undefined;
}
