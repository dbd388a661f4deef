/**
 * Trains a tokenizer with LiB's lexicon: a `tokenizer.json` whose model is of the type `LiB`, which
 * jeton reads like any other.
 */
import { checkRequired } from "../../core/option-rules.ts";
import { toWellFormed } from "../decoders/byte-alphabet.ts";
import {
  chooseNamed,
  chooseSpecials,
  createBeginning,
  createConfig,
  createJson,
  optionError,
  textError,
  textsRule,
} from "../formats/tokenizer-file.ts";
import { readTokenizerSettings } from "../formats/tokenizer-settings.ts";
import { byteToken } from "../models/utf8.ts";
import { createTokenizer } from "../tokenizer.ts";
import type { Tokenizer } from "../tokenizer-interface.ts";
import { type LearnLexiconOptions, learnLexicon } from "./lib-tokenizer.ts";

/** Options of `trainLibTokenizer`. */
export interface TrainLibTokenizerOptions extends Omit<LearnLexiconOptions, "onStep"> {
  /** The texts; their lines are the sentences. All of them are held in memory. */
  texts: AsyncIterable<string> | Iterable<string>;
  /**
   * Most tokens, special ones and the 256 bytes included; of a larger lexicon the best are kept.
   * Default: what was learned.
   */
  vocabSize?: number;
  /** Special tokens in order of their ids, from 0. Default `<|endoftext|>`. */
  specialTokens?: readonly string[];
  /** Token that begins every text. Default: `<s>` where it is special. */
  bosToken?: string | null;
  /** Token that ends a document. Default: `<|endoftext|>` where it is special. */
  eosToken?: string | null;
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
  checkRequired(options, { texts: textsRule }, "tokenizer-training-option");
  const { onProgress } = options;
  const specialTokens = chooseSpecials(options.specialTokens, ["<|endoftext|>"]);
  const bytes = Array.from({ length: 256 }, (_, byte) => byteToken(byte));
  const reserved = new Set([...specialTokens, ...bytes]);
  if (reserved.size < specialTokens.length + 256) {
    throw optionError("specialTokens", specialTokens.join(" "), "no token of a byte");
  }
  const most = (options.vocabSize ?? Number.POSITIVE_INFINITY) - reserved.size;
  if (most < 1) {
    throw optionError("vocabSize", options.vocabSize, `more than ${reserved.size}`);
  }
  const beginning = chooseNamed("bosToken", options.bosToken, "<s>", specialTokens);
  const end = chooseNamed("eosToken", options.eosToken, "<|endoftext|>", specialTokens);

  const sentences: string[] = [];
  let texts = 0;
  for await (const text of options.texts) {
    if (typeof text !== "string") {
      throw textError(`text ${texts} is a ${typeof text}`);
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
  const json = createJson(specialTokens, {
    normalizer: null,
    pre_tokenizer: null,
    post_processor: createBeginning(beginning, specialTokens),
    decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }] },
    model: { type: "LiB", first_token: reserved.size, vocab: vocabulary },
  });
  const config = createConfig({ bos_token: beginning, eos_token: end });
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
