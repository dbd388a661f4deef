/** The scheme of each kind of tokenizer: how texts become words, and the `tokenizer.json` around the model. */

import {
  chooseNamed,
  chooseSpecials,
  createBeginning,
  createBertParts,
  createConfig,
  optionError,
} from "../formats/tokenizer-file.ts";
import { metaspace } from "../models/metaspace.ts";
import { byteToken } from "../models/utf8.ts";
import { maxId } from "../models/vocabulary.ts";
import { knownPatterns } from "../pre-tokenizers/scanners.ts";
import { type TrainTokenizerOptions, trainableKinds } from "./training-options.ts";

/** Everything of the file but the model and the ids. */
export interface Scheme {
  readonly specialTokens: readonly string[];
  readonly unknownToken: string | undefined;
  readonly normalizer: unknown;
  readonly preTokenizer: unknown;
  readonly postProcessor: unknown;
  readonly decoder: unknown;
  readonly config: Record<string, unknown>;
}

export function planScheme(options: TrainTokenizerOptions): Scheme {
  const { kind, vocabSize } = options;
  if (!trainableKinds.includes(kind)) throw optionError("kind", kind, trainableKinds.join(" or "));
  checkCount("vocabSize", vocabSize, 1, maxId);
  checkCount("minFrequency", options.minFrequency ?? 2, 0, Number.MAX_SAFE_INTEGER);
  checkCount("maxTokenLength", options.maxTokenLength ?? 16, 1, 1_000_000);
  checkCount("maxAlphabet", options.maxAlphabet ?? 1000, 1, maxId);
  checkCount("seedSize", options.seedSize ?? 1_000_000, 1, 10_000_000);
  switch (kind) {
    case "byte-level-bpe":
      return planByteLevel(options);
    case "wordpiece":
      return planWordPiece(options);
    case "byte-fallback-bpe":
    case "unigram":
      return planMetaspace(options);
  }
}

function checkCount(name: string, value: number, minimum: number, maximum: number): void {
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw optionError(name, value, `an integer from ${minimum} to ${maximum}`);
  }
}

function sequenceOf(key: string, parts: readonly unknown[]): unknown {
  if (parts.length < 2) return parts[0] ?? null;
  return { type: "Sequence", [key]: parts };
}

function planByteLevel(options: TrainTokenizerOptions): Scheme {
  const specialTokens = chooseSpecials(options.specialTokens, ["<|endoftext|>"]);
  const beginning = chooseNamed("bosToken", options.bosToken, "<s>", specialTokens);
  const end = chooseNamed("eosToken", options.eosToken, "<|endoftext|>", specialTokens);
  const pattern = options.pattern ?? "gpt2";
  const byteLevel = (useRegex: boolean): unknown => ({
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: false,
    use_regex: useRegex,
  });
  let preTokenizer = byteLevel(true);
  if (pattern !== "gpt2") {
    const regex = typeof pattern === "string" ? knownPatterns[pattern] : pattern.regex;
    if (regex === undefined) throw optionError("pattern", pattern, "a known pattern");
    preTokenizer = sequenceOf("pretokenizers", [
      { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
      byteLevel(false),
    ]);
  }
  return {
    specialTokens,
    unknownToken: undefined,
    normalizer: options.normalization === undefined ? null : { type: options.normalization },
    preTokenizer,
    postProcessor: createBeginning(beginning, specialTokens),
    decoder: byteLevel(true),
    config: createConfig({ bos_token: beginning, eos_token: end }),
  };
}

function planMetaspace(options: TrainTokenizerOptions): Scheme {
  const specialTokens = chooseSpecials(options.specialTokens, ["<unk>", "<s>", "</s>"]);
  const unknown = chooseNamed("specialTokens", "<unk>", "<unk>", specialTokens);
  const beginning = chooseNamed("bosToken", options.bosToken, "<s>", specialTokens);
  const end = chooseNamed("eosToken", options.eosToken, "</s>", specialTokens);
  // As in Llama 2: one space is put in front, so that a leading space of the text survives.
  const normalizers: unknown[] = [
    { type: "Prepend", prepend: metaspace },
    { type: "Replace", pattern: { String: " " }, content: metaspace },
  ];
  if (options.normalization !== undefined) normalizers.unshift({ type: options.normalization });
  const words = {
    type: "Split",
    pattern: { Regex: knownPatterns.metaspace },
    behavior: "Isolated",
    invert: false,
  };
  const digits = { type: "Digits", individual_digits: true };
  return {
    specialTokens,
    unknownToken: unknown,
    normalizer: sequenceOf("normalizers", normalizers),
    preTokenizer: sequenceOf(
      "pretokenizers",
      options.splitDigits === true ? [words, digits] : [words],
    ),
    postProcessor: createBeginning(beginning, specialTokens),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: metaspace }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    config: createConfig({ bos_token: beginning, eos_token: end, unk_token: unknown }),
  };
}

function planWordPiece(options: TrainTokenizerOptions): Scheme {
  const usual = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const specialTokens = chooseSpecials(options.specialTokens, usual);
  const unknown = chooseNamed("specialTokens", "[UNK]", "[UNK]", specialTokens);
  const lowercase = options.lowercase ?? true;
  const { normalizer: bert, preTokenizer, decoder } = createBertParts({ lowercase });
  const classified = specialTokens.includes("[CLS]") && specialTokens.includes("[SEP]");
  return {
    specialTokens,
    unknownToken: unknown,
    normalizer: sequenceOf(
      "normalizers",
      options.normalization === undefined ? [bert] : [{ type: options.normalization }, bert],
    ),
    preTokenizer,
    postProcessor: classified
      ? {
          type: "BertProcessing",
          sep: ["[SEP]", specialTokens.indexOf("[SEP]")],
          cls: ["[CLS]", specialTokens.indexOf("[CLS]")],
        }
      : null,
    decoder,
    config: {
      ...createConfig({
        unk_token: unknown,
        pad_token: specialTokens.includes("[PAD]") ? "[PAD]" : undefined,
        cls_token: classified ? "[CLS]" : undefined,
        sep_token: classified ? "[SEP]" : undefined,
        mask_token: specialTokens.includes("[MASK]") ? "[MASK]" : undefined,
      }),
      do_lower_case: lowercase,
    },
  };
}

export const allBytes: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byteToken(byte),
);
