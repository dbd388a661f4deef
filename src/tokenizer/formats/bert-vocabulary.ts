/**
 * BERT's `vocab.txt`: one token of WordPiece a line, its id the number of the line. What the class of tokenizers does
 * besides (lower case, special tokens) stands in the settings beside it.
 *
 * Source: transformers 5.18.0, `tokenization_bert.py` and the classes that are the same.
 */
import { JetonError } from "../../core/error.ts";
import { asObject, invalidField, type JsonObject } from "./json-reader.ts";

/** Name of the file. */
export const bertVocabularyName = "vocab.txt";

/** Classes that read such a file as BERT's does. */
const classes: ReadonlySet<string> = new Set(
  ["Bert", "ConvBert", "DistilBert", "Electra", "MobileBert", "SqueezeBert"].map(
    (name) => `${name}Tokenizer`,
  ),
);

/** Models whose class that is, where the settings name none. */
const models: ReadonlySet<string> = new Set([
  "bert",
  "convbert",
  "distilbert",
  "electra",
  "mobilebert",
  "nomic_bert",
  "squeezebert",
]);

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
  const model = asObject(files.modelConfig ?? {}, "config");
  checkClass(config["tokenizer_class"], model["model_type"], path);
  const vocabulary = readVocabulary(text);
  const tokenOf = (key: string): string =>
    contentOf(config[key]) ?? contentOf(map[key]) ?? specialTokens[key]!;
  const names = Object.keys(specialTokens).map(tokenOf);
  const [unknown, separator, , first] = names as [string, string, string, string, string];
  for (const token of [unknown, separator, first]) {
    if (!vocabulary.has(token)) throw invalidField(path, undefined, `a line ${token}`);
  }
  const switchOf = <Missing extends boolean | null>(key: string, missing: Missing) => {
    const value = config[key] ?? missing;
    if (typeof value === "boolean" || value === null) return value;
    throw invalidField(`tokenizer_config.${key}`, value, "true or false");
  };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const piece = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
  const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
  const single = [piece(first, 0), sequence("A", 0), piece(separator, 0)];
  const templateToken = (id: string) => ({ id, ids: [vocabulary.get(id)!], tokens: [id] });
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [...new Set(names)]
      .filter((content) => vocabulary.has(content))
      .map((content) => ({ id: vocabulary.get(content)!, content, ...flags, special: true })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: switchOf("tokenize_chinese_chars", true),
      strip_accents: switchOf("strip_accents", null),
      lowercase: switchOf("do_lower_case", true),
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair: [...single, sequence("B", 1), piece(separator, 1)],
      special_tokens: {
        [first]: templateToken(first),
        [separator]: templateToken(separator),
      },
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
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

function checkClass(named: unknown, modelType: unknown, path: string): void {
  const isKnown =
    typeof named === "string"
      ? classes.has(named.replace(/Fast$/, ""))
      : modelType === undefined || models.has(String(modelType));
  if (isKnown) return;
  const found = typeof named === "string" ? named : `the tokenizer of ${String(modelType)}`;
  throw new JetonError(
    `${path} is read in another way by ${found}; expected tokenizer.json, which transformers writes: AutoTokenizer.from_pretrained(…).save_pretrained(…)`,
    { code: "tokenizer-class-unsupported", details: { path, found } },
  );
}

/** A token as settings name it: by a string, or by an object with its content. */
function contentOf(value: unknown): string | undefined {
  const isObject = typeof value === "object" && value !== null;
  const content: unknown = isObject ? Reflect.get(value, "content") : value;
  return typeof content === "string" ? content : undefined;
}
