/**
 * GPT-2's `vocab.json` and `merges.txt`: ids by token, and pairs in the order in which they are merged. What the class of
 * tokenizers does besides (special tokens, spaces, what stands around a text) stands in the settings beside them.
 *
 * Source: transformers 5.18.0, `tokenization_gpt2.py`, `tokenization_roberta.py`, `tokenization_utils_base.py`.
 */
import type { AddedToken } from "../added-tokens.ts";
import { maxId } from "../models/vocabulary.ts";
import {
  asArray,
  asInteger,
  asObject,
  asString,
  invalidField,
  type JsonObject,
} from "./json-reader.ts";
import { readableClass } from "./tokenizer-class.ts";
import type { TokenizerSettings } from "./tokenizer-settings.ts";

/** Names of the two files. */
export const bytePairVocabularyName = "vocab.json";
export const mergesName = "merges.txt";
/** Tokens behind the vocabulary, by older versions of the library. */
export const addedTokensName = "added_tokens.json";

/** What a class of tokenizers does beside its vocabulary. */
interface TokenizerClass {
  /** Its special tokens where the settings name none. */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** Whether texts stand between a first and a last token. */
  readonly encloses: boolean;
}

const end = "<|endoftext|>";
const gpt2: TokenizerClass = {
  specialTokens: { bos_token: end, eos_token: end, unk_token: end },
  encloses: false,
};
const roberta: TokenizerClass = {
  specialTokens: {
    bos_token: "<s>",
    eos_token: "</s>",
    unk_token: "<unk>",
    sep_token: "</s>",
    pad_token: "<pad>",
    cls_token: "<s>",
    mask_token: "<mask>",
  },
  encloses: true,
};

/** The class where no file names one, and the vocabulary has its end of text. */
export const bytePairClass = "GPT2Tokenizer";

const classes: Readonly<Record<string, TokenizerClass>> = {
  [bytePairClass]: gpt2,
  RobertaTokenizer: roberta,
  // The same class under other names.
  BartTokenizer: roberta,
  LEDTokenizer: roberta,
  LongformerTokenizer: roberta,
  MvpTokenizer: roberta,
};

/** Keys of special tokens, in the order in which tokens that the vocabulary lacks are added. */
const specialKeys: readonly string[] = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
];

/** What the files say, parsed; undefined where there is none. */
export interface BytePairFiles {
  /** Contents of `vocab.json`, parsed. */
  readonly vocabulary: unknown;
  /** Text of `merges.txt`. */
  readonly merges: string;
  readonly tokenizerConfig: unknown;
  readonly specialTokensMap: unknown;
  /** `added_tokens.json`. */
  readonly addedTokens: unknown;
  /** The model's own `config.json`. */
  readonly modelConfig: unknown;
}

/**
 * The same tokenizer as a `tokenizer.json`, and the settings with the class's own special tokens.
 *
 * @param path of `vocab.json`, for errors
 * @throws JetonError `tokenizer-class-unsupported` for classes that read the files in another way;
 *   `tokenizer-json-invalid` where a file or a setting has another form
 */
export function bytePairJson(
  files: BytePairFiles,
  settings: TokenizerSettings,
  path: string,
): { readonly json: JsonObject; readonly settings: TokenizerSettings } {
  const config = asObject(files.tokenizerConfig ?? {}, "tokenizer_config");
  const vocabulary = readVocabulary(files.vocabulary, path);
  const usual = vocabulary.has(end) ? bytePairClass : undefined;
  const own = classes[readableClass(files, (name) => Object.hasOwn(classes, name), usual, path)]!;
  // A table in the settings says all; the other two files are those of older versions.
  const isComplete = (config["added_tokens_decoder"] ?? undefined) !== undefined;
  const map = isComplete ? {} : asObject(files.specialTokensMap ?? {}, "special_tokens_map");
  const stated: JsonObject = { ...own.specialTokens, ...config, ...map };
  const named = new Map<string, Added>();
  for (const key of specialKeys) {
    const token = tokenOf(stated[key], `tokenizer_config.${key}`);
    if (token) named.set(key, token);
  }
  const extra = extraTokens(stated);
  const listed = isComplete
    ? (settings.addedTokens ?? []).toSorted((a, b) => a.id - b.id).map(fromAddedToken)
    : readAddedTokens(files.addedTokens, [...named.values(), ...namedInTime(config, map)]);
  const added = addTokens(vocabulary, [...listed, ...named.values(), ...extra], named);
  const contentOf = (key: string): string | undefined => named.get(key)?.content;
  const prefix = readFlag(config, "add_prefix_space", false);
  const idOf = (content: string): number => added.get(content)?.id ?? vocabulary.get(content)!;
  const pairOf = (key: string): [string, number] => {
    const content = contentOf(key);
    if (content === undefined) throw invalidField(`tokenizer_config.${key}`, null, "a token");
    return [content, idOf(content)];
  };
  return {
    json: {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [...added.values()],
      normalizer: null,
      pre_tokenizer: {
        type: "ByteLevel",
        add_prefix_space: prefix,
        trim_offsets: true,
        use_regex: true,
      },
      post_processor: own.encloses
        ? {
            type: "RobertaProcessing",
            sep: pairOf("sep_token"),
            cls: pairOf("cls_token"),
            trim_offsets: readFlag(config, "trim_offsets", true),
            add_prefix_space: prefix,
          }
        : template(config, contentOf, idOf),
      decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: "",
        end_of_word_suffix: "",
        fuse_unk: false,
        byte_fallback: false,
        vocab: Object.fromEntries(vocabulary),
        merges: readMerges(files.merges, path.replace(/[^/\\]*$/, mergesName)),
      },
    },
    settings: {
      ...settings,
      bosToken: contentOf("bos_token"),
      eosToken: contentOf("eos_token"),
      unkToken: contentOf("unk_token"),
      padToken: contentOf("pad_token"),
      maskToken: contentOf("mask_token"),
    },
  };
}

/** A token beside the vocabulary. */
interface Added {
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

const plain = { single_word: false, lstrip: false, rstrip: false } as const;

function specialOf(content: string): Added {
  return { content, ...plain, normalized: false, special: true };
}

/** A special token as settings name it: by a string, or by an object with its content and switches. */
function tokenOf(value: unknown, path: string): Added | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return specialOf(value);
  const object = asObject(value, path);
  const flag = (key: string): boolean => readFlag(object, key, false, path);
  return {
    content: asString(object["content"], `${path}.content`),
    single_word: flag("single_word"),
    lstrip: flag("lstrip"),
    rstrip: flag("rstrip"),
    normalized: flag("normalized"),
    special: true,
  };
}

function fromAddedToken({ content, singleWord, leftStrip, ...token }: AddedToken): Added {
  const { rightStrip, normalized, special } = token;
  const flags = { single_word: singleWord, lstrip: leftStrip, rstrip: rightStrip };
  return { content, ...flags, normalized, special };
}

/** Special tokens without a name of their own. */
function extraTokens(stated: JsonObject): Added[] {
  const key =
    (stated["extra_special_tokens"] ?? undefined) === undefined
      ? "additional_special_tokens"
      : "extra_special_tokens";
  const value = stated[key];
  if (value === undefined || value === null) return [];
  const path = `tokenizer_config.${key}`;
  const list = Array.isArray(value) ? value : Object.values(asObject(value, path));
  return asArray(list, path).flatMap((item, at) => tokenOf(item, `${path}[${at}]`) ?? []);
}

/** Tokens without a name that count as special in `added_tokens.json`: the library reads the old key of the map too late. */
function namedInTime(config: JsonObject, map: JsonObject): Added[] {
  const { extra_special_tokens = null } = map;
  return [...extraTokens(config), ...extraTokens({ extra_special_tokens })];
}

/** The tokens of an `added_tokens.json`, in the order of their ids. */
function readAddedTokens(value: unknown, special: readonly Added[]): Added[] {
  if (value === undefined || value === null) return [];
  const known = new Map(special.map((token) => [token.content, token]));
  return Object.entries(asObject(value, "added_tokens"))
    .map(([content, id]) => [content, asInteger(id, `added_tokens.${content}`, 0, maxId)] as const)
    .toSorted(([, a], [, b]) => a - b)
    .map(([content]) =>
      known.has(content)
        ? specialOf(content)
        : { content, ...plain, normalized: true, special: false },
    );
}

/** Tokens with their ids: the vocabulary's, and behind it the next ones. */
function addTokens(
  vocabulary: ReadonlyMap<string, number>,
  tokens: readonly Added[],
  named: ReadonlyMap<string, Added>,
): Map<string, Added & { readonly id: number }> {
  const names = new Set([...named.values()].map(({ content }) => content));
  const added = new Map<string, Added & { readonly id: number }>();
  let next = vocabulary.size;
  for (const token of tokens) {
    if (added.has(token.content)) continue;
    const id = vocabulary.get(token.content) ?? next++;
    added.set(token.content, { ...token, id, special: token.special || names.has(token.content) });
  }
  return added;
}

/** What stands around texts where the settings ask for it. */
function template(
  config: JsonObject,
  contentOf: (key: string) => string | undefined,
  idOf: (content: string) => number,
): JsonObject | null {
  const [bos, eos] = (["bos", "eos"] as const).map((name) =>
    readFlag(config, `add_${name}_token`, false) ? contentOf(`${name}_token`) : undefined,
  );
  if (bos === undefined && eos === undefined) return null;
  const part = (token: string | undefined, type: number) =>
    token === undefined ? [] : [{ SpecialToken: { id: token, type_id: type } }];
  const around = (id: string, type: number) => [
    ...part(bos, type),
    { Sequence: { id, type_id: type } },
    ...part(eos, type),
  ];
  const tokens = [bos, eos].filter((token) => token !== undefined);
  return {
    type: "TemplateProcessing",
    single: around("A", 0),
    pair: [...around("A", 0), ...around("B", 1)],
    special_tokens: Object.fromEntries(
      tokens.map((token) => [token, { id: token, ids: [idOf(token)], tokens: [token] }]),
    ),
  };
}

function readFlag(
  object: JsonObject,
  key: string,
  absent: boolean,
  path = "tokenizer_config",
): boolean {
  const value = object[key] ?? absent;
  if (typeof value !== "boolean") throw invalidField(`${path}.${key}`, value, "true or false");
  return value;
}

function readVocabulary(value: unknown, path: string): Map<string, number> {
  return new Map(
    Object.entries(asObject(value, path)).map(([token, id]) => [
      token,
      asInteger(id, `${path}[${JSON.stringify(token)}]`, 0, maxId),
    ]),
  );
}

/** Pairs of tokens, one a line with a space between them. */
function readMerges(text: string, path: string): string[][] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines.flatMap((line, at) => {
    if (line.startsWith("#version")) return [];
    const pair = line.split(" ");
    if (pair.length === 2) return [pair];
    throw invalidField(`${path}, line ${at + 1}`, line, "two tokens with a space between them");
  });
}
