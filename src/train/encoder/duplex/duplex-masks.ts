/** Which tokens DupMAE hides: from the encoder, whole words of a text; from the decoder, others in every row. */
import { createRandom, type Random } from "../../../core/index.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";
import { hideToken, requireMask } from "../mask-tokens.ts";

/** Options of `sampleDuplexMasks`. */
export interface DuplexMaskOptions {
  /** Share of the tokens that the encoder has to tell. */
  readonly masking: number;
  /** Share of the tokens that a row of the decoder does not see; undefined where nothing is decoded. */
  readonly hiding: number | undefined;
  readonly seed: number;
  /** Number of the pass over the texts. */
  readonly pass: number;
}

/** What one pass of the pre-training hides of a text. */
export interface DuplexMasks {
  /** What the encoder reads: mask tokens, and a few exchanged ones, in the place of some ids. */
  readonly ids: Int32Array;
  /** Places that the encoder has to tell. */
  readonly masked: readonly number[];
  /** Places of all tokens that are no special ones: those that the decoder has to tell. */
  readonly own: readonly number[];
  /** `[tokens, tokens]`: 1 where a row of the decoder sees a token. */
  readonly visible: Uint8Array | undefined;
}

/**
 * Samples what is hidden of a text: another sample for each seed, pass and text.
 *
 * @param encoded ids of the text, special tokens included, and the `[start, end)` of each; equal for special tokens
 * @throws JetonError `encoder-mask-missing` where the tokenizer has no mask token
 */
export function sampleDuplexMasks(
  tokenizer: Tokenizer,
  text: string,
  encoded: {
    readonly ids: ArrayLike<number>;
    readonly offsets: readonly (readonly [number, number])[];
  },
  { masking, hiding, seed, pass }: DuplexMaskOptions,
): DuplexMasks {
  const vocabulary = requireMask(tokenizer);
  const words = numberWords(text, encoded.offsets);
  const random = createRandom(seed, "duplex", pass, text);
  const own = Array.from(words.keys()).filter((at) => words[at]! >= 0);
  const chosen = chooseWords(words, masking, random);
  const ids = Int32Array.from(encoded.ids);
  const masked = own.filter((at) => chosen[at] === 1);
  for (const at of masked) ids[at] = hideToken(ids[at]!, vocabulary, random);
  const visible = hiding === undefined ? undefined : sampleVisibility(words, hiding, random);
  return { ids, masked, own, visible };
}

/** Masks that the rows of a text share at most: each row takes one of them. */
const maxMasks = 256;

/**
 * The word of each token: tokens of one word have one number, which rises; special tokens have −1. A word ends at white
 * space, and a sign that is no letter or digit is a word by itself.
 *
 * @param offsets `[start, end)` of each token; equal for special tokens
 */
export function numberWords(
  text: string,
  offsets: readonly (readonly [number, number])[],
): Int32Array {
  const words = new Int32Array(offsets.length).fill(-1);
  let [word, last] = [-1, 0];
  for (const [at, [start, end]] of offsets.entries()) {
    if (start === end) continue;
    if (word < 0 || !goesOn(text, last, start, end)) word++;
    words[at] = word;
    last = end;
  }
  return words;
}

/** Whether a token goes on with the word that ended at `last`. */
function goesOn(text: string, last: number, start: number, end: number): boolean {
  // Two units hold any character before the place.
  const before = /[\p{L}\p{N}\p{M}]$/u.test(text.slice(Math.max(0, last - 2), last));
  return before && start === last && /^[\p{L}\p{N}\p{M}]/u.test(text.slice(start, end));
}

/**
 * Chooses whole words until `rate` of the tokens are chosen: 1 for those.
 *
 * @param words numbers of `numberWords`
 */
export function chooseWords(words: ArrayLike<number>, rate: number, random: Random): Uint8Array {
  const lengths = new Map<number, number>();
  for (const word of Array.from(words)) {
    if (word >= 0) lengths.set(word, (lengths.get(word) ?? 0) + 1);
  }
  const count = [...lengths.values()].reduce((sum, length) => sum + length, 0);
  const wanted = Math.max(1, Math.round(rate * count));
  const chosen = new Set<number>();
  let tokens = 0;
  for (const word of random.shuffle([...lengths.keys()])) {
    if (tokens >= wanted) break;
    // A long word is passed over rather than hiding far more than wanted.
    if (tokens > 0 && tokens + lengths.get(word)! > wanted) continue;
    chosen.add(word);
    tokens += lengths.get(word)!;
  }
  return Uint8Array.from(Array.from(words), (word) => (chosen.has(word) ? 1 : 0));
}

/**
 * What each row of a text sees of its unmasked tokens, `[time, time]`: 1 for visible positions. A row sees the sentence
 * vector at position 0 and a sample of the others, never its own token; row 0 stands for no token.
 *
 * @param rate share of the tokens that a row does not see
 */
export function sampleVisibility(
  words: ArrayLike<number>,
  rate: number,
  random: Random,
): Uint8Array {
  const time = words.length;
  const masks = Array.from({ length: Math.min(time, maxMasks) }, () =>
    chooseWords(words, rate, random),
  );
  const visible = new Uint8Array(time * time);
  for (let row = 0; row < time; row++) {
    const mask = masks[random.integer(masks.length)]!;
    for (let at = 0; at < time; at++) visible[row * time + at] = 1 - mask[at]!;
    visible[row * time] = 1;
    visible[row * time + row] = 0;
  }
  return visible;
}
