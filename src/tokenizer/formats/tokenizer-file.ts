/** The parts of a tokenizer's files that every kind of training writes alike, and its refusals. */
import { JetonError } from "../../core/error.ts";
import type { OptionRule } from "../../core/option-rules.ts";

/** The special tokens, each once, in the order of their ids. */
export function chooseSpecials(
  wanted: readonly string[] | undefined,
  usual: readonly string[],
): string[] {
  const chosen = wanted ?? usual;
  for (const token of chosen) {
    if (typeof token !== "string" || token === "") {
      throw optionError("specialTokens", JSON.stringify(token), "strings that are not empty");
    }
  }
  if (new Set(chosen).size !== chosen.length) {
    throw optionError("specialTokens", chosen.join(" "), "each token once");
  }
  return [...chosen];
}

/** A stream or list of texts. */
export const textsRule: OptionRule = {
  test: (value) =>
    typeof value === "object" &&
    value !== null &&
    (Symbol.iterator in value || Symbol.asyncIterator in value),
  expected: "a list or stream of texts",
};

/** A token that an option names, or the usual one where it is among the special tokens. */
export function chooseNamed(
  option: string,
  named: string | null | undefined,
  usual: string,
  specials: readonly string[],
): string | undefined {
  if (named === null) return undefined;
  const token = named ?? usual;
  if (specials.includes(token)) return token;
  if (named === undefined) return undefined;
  throw optionError(option, named, `one of the special tokens (${specials.join(" ")})`);
}

/** An entry of `added_tokens` for a special token. */
export function specialToken(id: number, content: string): Record<string, unknown> {
  return {
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  };
}

/** `tokenizer.json` of special tokens with ids from 0 and the parts that differ. */
export function createJson(
  specials: readonly string[],
  parts: Readonly<
    Record<"normalizer" | "pre_tokenizer" | "post_processor" | "decoder" | "model", unknown>
  >,
): Record<string, unknown> {
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specials.map((content, id) => specialToken(id, content)),
    ...parts,
  };
}

/** `tokenizer_config.json` that names special tokens, e.g. `bos_token`. */
export function createConfig(tokens: Record<string, string | undefined>): Record<string, unknown> {
  const config: Record<string, unknown> = { tokenizer_class: "PreTrainedTokenizerFast" };
  for (const [key, token] of Object.entries(tokens)) if (token !== undefined) config[key] = token;
  return { ...config, clean_up_tokenization_spaces: false };
}

/** A template that puts one token before every text. */
export function createBeginning(token: string | undefined, specials: readonly string[]): unknown {
  if (token === undefined) return null;
  const special = { SpecialToken: { id: token, type_id: 0 } };
  const a = { Sequence: { id: "A", type_id: 0 } };
  const b = { Sequence: { id: "B", type_id: 1 } };
  return {
    type: "TemplateProcessing",
    single: [special, a],
    pair: [special, a, { SpecialToken: { id: token, type_id: 1 } }, b],
    special_tokens: { [token]: { id: token, ids: [specials.indexOf(token)], tokens: [token] } },
  };
}

/** A template that puts one token behind every text (T5). */
export function createEnding(token: string, id: number): Record<string, unknown> {
  const end = { SpecialToken: { id: token, type_id: 0 } };
  const [a, b] = ["A", "B"].map((text) => ({ Sequence: { id: text, type_id: 0 } }));
  return {
    type: "TemplateProcessing",
    single: [a, end],
    pair: [a, end, b, end],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

/** What BERT's tokenizer does with texts before and behind its vocabulary. */
export interface BertParts {
  readonly lowercase: boolean;
  /** Default null: where texts are lower-cased. */
  readonly stripAccents?: boolean | null;
  /** Whether each Chinese character is a word. Default true. */
  readonly chineseCharacters?: boolean;
}

/** Normalizer, cutting into words and decoder of BERT's tokenizer. */
export function createBertParts({
  lowercase,
  stripAccents = null,
  chineseCharacters = true,
}: BertParts): Readonly<Record<"normalizer" | "preTokenizer" | "decoder", unknown>> {
  return {
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: chineseCharacters,
      strip_accents: stripAccents,
      lowercase,
    },
    preTokenizer: { type: "BertPreTokenizer" },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  };
}

export function textError(reason: string): JetonError {
  return new JetonError(`${reason}, expected strings with text to learn from`, {
    code: "tokenizer-training-text",
    details: { reason },
  });
}

export function optionError(option: string, value: unknown, expected: string): JetonError {
  return new JetonError(`${option} is ${String(value)}, expected ${expected}`, {
    code: "tokenizer-training-option",
    details: { option, value, expected },
  });
}
