/**
 * Very large vocabularies: grown from the model's own tokens over more text, with rows that are predicted for
 * every token and an index over the head's.
 */
import { trainBytePairs } from "../../tokenizer/training/byte-pair-trainer.ts";
import { type Hypernetwork, predictRows, spellTokens } from "../hypernetwork.ts";
import type { VocabularyTables } from "../mixture.ts";
import { cutByLongestTokens, decompose, formOfText, type TokenForms } from "../token-forms.ts";
import type { SourceModel } from "../transfer.ts";
import {
  createDirectionIndex,
  type DirectionIndex,
  type DirectionIndexOptions,
} from "./direction-index.ts";
import { meanRows } from "./dynamic-model.ts";

/** A vocabulary with predicted rows and an index over them. */
export interface LargeVocabulary {
  /** Byte forms by id. */
  readonly forms: readonly string[];
  /** The id of each form. */
  readonly ids: ReadonlyMap<string, number>;
  /** Source id of the token that ends texts, which is the last row; undefined where there is none. */
  readonly endSource: number | undefined;
  readonly tables: VocabularyTables;
  readonly index: DirectionIndex;
  /** Cuts text by the longest tokens within each word. */
  encode(text: string): string[];
}

/** Options of `makeLargeVocabulary`. */
export interface MakeLargeVocabularyOptions extends DirectionIndexOptions {
  /** Predicts rows. Default: they are the means of the rows of the spelling. */
  hypernetwork?: Hypernetwork;
}

const words: RegExp =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/**
 * Makes a large vocabulary of the model's own tokens and others, given as byte forms.
 *
 * @example
 * const vocabulary = await makeLargeVocabulary(model.source, frequentWords, { hypernetwork });
 */
export async function makeLargeVocabulary(
  source: SourceModel,
  others: Iterable<string>,
  options: MakeLargeVocabularyOptions = {},
): Promise<LargeVocabulary> {
  const { config, vocabulary, tables } = source;
  const { hiddenSize } = config;
  const forms = [...new Set([...vocabulary.ids.keys(), ...others])];
  const spellings = spellTokens(vocabulary, forms).map((spelling) => spelling ?? [0]);
  const endSource = vocabulary.tokenizer.eosTokenId;
  const predicted = options.hypernetwork
    ? await predictRows(options.hypernetwork, tables, spellings, options)
    : meanRows(tables, spellings, hiddenSize);
  const withEnd = (rows: Float32Array, source: Float32Array): Float32Array => {
    if (endSource === undefined) return rows;
    const all = new Float32Array(rows.length + hiddenSize);
    all.set(rows);
    // Special tokens keep their rows.
    all.set(source.subarray(endSource * hiddenSize, (endSource + 1) * hiddenSize), rows.length);
    return all;
  };
  const embedding = withEnd(predicted.embedding, tables.embedding);
  const head = predicted.head && withEnd(predicted.head, tables.head!);
  const known = {
    ids: new Map(forms.map((form, id) => [form, id])),
    longest: forms.reduce((longest, form) => Math.max(longest, form.length), 0),
  };
  return {
    forms,
    ids: known.ids,
    endSource,
    tables: head ? { embedding, head } : { embedding },
    index: await createDirectionIndex(head ?? embedding, hiddenSize, options),
    encode: (text) =>
      Array.from(text.matchAll(words), ([word]) => formOfText(word)).flatMap((word) =>
        cutByLongestTokens(known, word).map((id) => forms[id]!),
      ),
  };
}

/** Options of `growVocabulary`. */
export interface GrowVocabularyOptions {
  /** Tokens to reach, the model's own included. Default 1,000,000; fewer where the texts hold no more. */
  size?: number;
  /** Rarer pairs are not merged. Default 1. */
  minFrequency?: number;
  /** Words that no token grows beyond. Default: the pattern of GPT-2. */
  boundary?: RegExp;
  signal?: AbortSignal;
  onProgress?: (tokens: number) => void;
}

/**
 * Grows a vocabulary: byte-pair encoding goes on over more text from the words as the model's own tokenizer
 * cuts them, and every old token stays.
 *
 * @returns byte forms, those of the model first
 * @throws JetonError `aborted`
 *
 * @example
 * const vocabulary = await makeLargeVocabulary(model.source, growVocabulary(model.source.vocabulary, texts));
 */
export function growVocabulary(
  source: TokenForms,
  texts: Iterable<string>,
  options: GrowVocabularyOptions = {},
): string[] {
  const { size = 1_000_000, minFrequency = 1, boundary = words, signal, onProgress } = options;
  const pattern = new RegExp(boundary.source, "gu");
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.matchAll(pattern)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const tokens = [...source.ids.keys()];
  const places = new Map(tokens.map((form, place) => [form, place]));
  const symbols: number[] = [];
  const starts: number[] = [0];
  for (const word of counts.keys()) {
    for (const id of decompose(source, formOfText(word))) {
      symbols.push(places.get(source.forms[id]!)!);
    }
    starts.push(symbols.length);
  }
  return trainBytePairs({
    symbols: Int32Array.from(symbols),
    starts: Int32Array.from(starts),
    counts: Float64Array.from(counts.values()),
    tokens,
    vocabSize: size,
    minFrequency,
    signal,
    ...(onProgress && { onProgress }),
  }).tokens;
}
