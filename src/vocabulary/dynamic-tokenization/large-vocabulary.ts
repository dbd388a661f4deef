/**
 * Generation with a very large vocabulary: every token's rows are predicted, and the next token is found
 * by an index instead of a product with the whole head.
 */
import { createRandom } from "../../core/index.ts";
import { fromByteAlphabet } from "../../tokenizer/decoders/byte-alphabet.ts";
import { type Hypernetwork, predictRows, spellTokens } from "../hypernetwork.ts";
import type { VocabularyTables } from "../mixture.ts";
import { cutByLongestTokens, formOfText } from "../token-forms.ts";
import type { SourceModel } from "../transfer.ts";
import {
  createDirectionIndex,
  type DirectionIndex,
  type DirectionIndexOptions,
  type SearchOptions,
} from "./direction-index.ts";
import { type DynamicModel, meanRows } from "./dynamic-model.ts";
import type { DynamicToken } from "./merge-batch.ts";

/** A vocabulary with predicted rows and an index over them. */
export interface LargeVocabulary {
  /** Byte forms by id. */
  readonly forms: readonly string[];
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
    endSource,
    tables: head ? { embedding, head } : { embedding },
    index: await createDirectionIndex(head ?? embedding, hiddenSize, options),
    encode: (text) =>
      Array.from(text.matchAll(words), ([word]) => formOfText(word)).flatMap((word) =>
        cutByLongestTokens(known, word).map((id) => forms[id]!),
      ),
  };
}

/** Options of generation with a large vocabulary. */
export interface GenerateLargeOptions extends SearchOptions {
  /** Default 32. */
  maxTokens?: number;
  /** Tokens among which is chosen. Default 20. */
  shortlist?: number;
  /** 0 takes the best of them. Default 0. */
  temperature?: number;
  /** Default 0. */
  seed?: number;
  signal?: AbortSignal;
}

/** A generated token of a large vocabulary. */
export interface LargeToken {
  readonly form: string;
  /** Text that is final with this token. */
  readonly text: string;
  /** Its product with the hidden state, exact. */
  readonly logit: number;
}

/**
 * Generates with a large vocabulary: the hidden state asks the index for a short list, exact products
 * decide among it, and the predicted row of the chosen token is the next input.
 */
export async function* generateLarge(
  model: DynamicModel,
  vocabulary: LargeVocabulary,
  prompt: string,
  options: GenerateLargeOptions = {},
): AsyncGenerator<LargeToken> {
  const { maxTokens = 32, shortlist = 20, temperature = 0, seed = 0, signal } = options;
  const { tokenizer } = model.source.vocabulary;
  const begin = tokenizer.bosTokenId ?? tokenizer.eosTokenId;
  let unread: DynamicToken[] = [
    ...(begin === undefined ? [] : [begin]),
    ...vocabulary.encode(prompt),
  ];
  const decoder = new TextDecoder();
  const sequence = await model.openSequence();
  try {
    for (let step = 0; step < maxTokens; step++) {
      signal?.throwIfAborted();
      const hidden = await sequence.append(unread);
      const { ids, logits } = vocabulary.index.search(hidden, shortlist, options);
      const chosen = choose(logits, temperature, createRandom(seed, "large", step).uniform());
      const id = ids[chosen]!;
      // The row behind the last form is that of the end.
      const form = vocabulary.forms[id];
      if (form === undefined) break;
      unread = [form];
      const text = decoder.decode(fromByteAlphabet(form) ?? new Uint8Array(0), { stream: true });
      yield { form, text, logit: logits[chosen]! };
    }
  } finally {
    await sequence.release();
  }
}

/** The place that a uniform number falls on under the softmax of `logits`, which are sorted. */
function choose(logits: Float32Array, temperature: number, uniform: number): number {
  if (temperature === 0) return 0;
  const shares = Array.from(logits, (logit) => Math.exp((logit - logits[0]!) / temperature));
  let left = uniform * shares.reduce((sum, share) => sum + share, 0);
  for (const [place, share] of shares.entries()) {
    left -= share;
    if (left < 0) return place;
  }
  return shares.length - 1;
}
