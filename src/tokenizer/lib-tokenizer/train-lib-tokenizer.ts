/**
 * Trains a tokenizer with LiB's lexicon: a `tokenizer.json` whose model is of the type `LiB`, which
 * jeton reads like any other.
 */
import { JetonError } from "../../core/error.ts";
import { toWellFormed } from "../byte-alphabet.ts";
import { byteToken } from "../byte-pair-model.ts";
import { createTokenizer, type Tokenizer } from "../tokenizer.ts";
import { readTokenizerSettings } from "../tokenizer-settings.ts";
import { type LearnLexiconOptions, learnLexicon } from "./lib-tokenizer.ts";

export interface TrainLibTokenizerOptions extends Omit<LearnLexiconOptions, "onStep"> {
  /** The texts; their lines are the sentences. All of them are held in memory. */
  texts: AsyncIterable<string> | Iterable<string>;
  /**
   * Most tokens, special ones and the 256 bytes included; of a larger lexicon the best are kept.
   * Default: what was learned.
   */
  vocabularySize?: number;
  /** Special tokens in order of their ids, from 0. Default `<|endoftext|>`. */
  specialTokens?: readonly string[];
  /** Token that begins every text. Default: `<s>` where it is special. */
  beginningToken?: string | null;
  /** Token that ends a document. Default: `<|endoftext|>` where it is special. */
  endToken?: string | null;
  /** Called after each step with what was done, the steps in all, and the size of the lexicon. */
  onProgress?: (progress: LibTrainingProgress) => void;
}

export interface LibTrainingProgress {
  readonly step: number;
  readonly steps: number;
  readonly types: number;
}

/** A tokenizer with LiB's lexicon. */
export interface TrainedLibTokenizer {
  /** Contents of `tokenizer.json`. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Contents of `tokenizer_config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly tokenizer: Tokenizer;
  readonly texts: number;
  readonly sentences: number;
  readonly distinctSentences: number;
  /** Tokens of the lexicon from best to worst, before any were cut off. */
  readonly lexicon: readonly string[];
}

/**
 * Trains a tokenizer. Deterministic for a seed: the same texts in the same order give the same file.
 *
 * @throws JetonError `tokenizer-training-option`, `tokenizer-training-text`, `aborted`
 *
 * @example
 * const { tokenizer } = await trainLibTokenizer({ texts: ["you want to see the book\nlook at this"] });
 * tokenizer.encode("you want to look").tokens;
 */
export async function trainLibTokenizer(
  options: TrainLibTokenizerOptions,
): Promise<TrainedLibTokenizer> {
  const { specialTokens = ["<|endoftext|>"], onProgress } = options;
  const bytes = Array.from({ length: 256 }, (_, byte) => byteToken(byte));
  const reserved = new Set([...specialTokens, ...bytes]);
  if (specialTokens.includes("") || reserved.size < specialTokens.length + 256) {
    throw optionError("specialTokens", specialTokens, "different tokens that are no bytes");
  }
  const most = (options.vocabularySize ?? Number.POSITIVE_INFINITY) - reserved.size;
  if (most < 1) {
    throw optionError("vocabularySize", options.vocabularySize, `more than ${reserved.size}`);
  }
  const beginning = nameToken("beginningToken", options.beginningToken, "<s>", specialTokens);
  const end = nameToken("endToken", options.endToken, "<|endoftext|>", specialTokens);

  const sentences: string[] = [];
  let texts = 0;
  for await (const text of options.texts) {
    if (typeof text !== "string") {
      throw new JetonError(`text ${texts} is a ${typeof text}, expected a string`, {
        code: "tokenizer-training-text",
        details: { text: texts },
      });
    }
    texts++;
    for (const line of toWellFormed(text).split(/[\r\n]+/)) if (line !== "") sentences.push(line);
  }
  const steps = options.steps ?? 500;
  const lexicon = learnLexicon(sentences, {
    ...options,
    steps,
    onStep: ({ step, types }) => onProgress?.({ step, steps, types }),
  });

  const kept = lexicon.filter((token) => !reserved.has(token)).slice(0, most);
  const vocabulary = Object.create(null) as Record<string, number>;
  for (const [id, token] of [...reserved, ...kept].entries()) vocabulary[token] = id;
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: beginning === undefined ? null : beginWith(beginning, specialTokens),
    decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }] },
    model: { type: "LiB", first_token: reserved.size, vocab: vocabulary },
  };
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    ...(beginning !== undefined && { bos_token: beginning }),
    ...(end !== undefined && { eos_token: end }),
    clean_up_tokenization_spaces: false,
  };
  return {
    json,
    config,
    tokenizer: createTokenizer(json, readTokenizerSettings({ config })),
    texts,
    sentences: sentences.length,
    distinctSentences: new Set(sentences).size,
    lexicon,
  };
}

/** The token that an option names, or the usual one where it is special. */
function nameToken(
  option: string,
  named: string | null | undefined,
  usual: string,
  specialTokens: readonly string[],
): string | undefined {
  if (named === null) return undefined;
  const token = named ?? usual;
  if (specialTokens.includes(token)) return token;
  if (named === undefined) return undefined;
  throw optionError(option, named, `one of the special tokens (${specialTokens.join(" ")})`);
}

/** A template that puts one token before every text. */
function beginWith(token: string, specialTokens: readonly string[]): unknown {
  const special = (typeId: number) => ({ SpecialToken: { id: token, type_id: typeId } });
  const a = { Sequence: { id: "A", type_id: 0 } };
  const b = { Sequence: { id: "B", type_id: 1 } };
  return {
    type: "TemplateProcessing",
    single: [special(0), a],
    pair: [special(0), a, special(1), b],
    special_tokens: {
      [token]: { id: token, ids: [specialTokens.indexOf(token)], tokens: [token] },
    },
  };
}

function optionError(option: string, value: unknown, expected: string): JetonError {
  return new JetonError(`${option} is ${String(value)}, expected ${expected}`, {
    code: "tokenizer-training-option",
    details: { option, value, expected },
  });
}
