/**
 * Static vectors of tokens in the manner of fastText (Bojanowski et al., 2017): skip-gram with negative sampling,
 * where a token's vector is the mean of its own and those of the character n-grams in it.
 */
import { createRandom, type Random } from "../core/index.ts";

/** Options of `trainSubwordVectors`. */
export interface SubwordVectorsOptions {
  /** Numbers of a vector. Default 64. */
  width?: number;
  /** Passes over the texts. Default 3. */
  epochs?: number;
  /** Most tokens on either side that are predicted. Default 5. */
  window?: number;
  /** Tokens that are told apart from each one that is predicted. Default 5. */
  negatives?: number;
  /** Rows that n-grams share by a hash. Default 32,768. */
  buckets?: number;
  /** Falls to zero over the training. Default 0.05. */
  learningRate?: number;
  /** Tokens more frequent than this share are skipped at random. Default 1e-4. */
  subsample?: number;
  /** Default 0. */
  seed?: number;
  signal?: AbortSignal | undefined;
}

/** Lengths of the character n-grams, the marks of beginning and end included. */
const [shortest, longest] = [3, 6];

/**
 * Trains vectors for the tokens of a vocabulary on texts given as ids.
 *
 * @param forms the tokens as strings, by id; undefined for tokens without n-grams
 * @returns `[forms.length, width]`; rows of zeros for tokens that occur in no text
 */
export function trainSubwordVectors(
  texts: readonly ArrayLike<number>[],
  forms: readonly (string | undefined)[],
  options: SubwordVectorsOptions = {},
): Float32Array {
  const { epochs = 3, window = 5, learningRate = 0.05, seed = 0, signal } = options;
  const random = createRandom(seed, "subword-vectors");
  const counts = countTokens(texts, forms.length);
  const model = new SkipGram(forms, counts, options, random.fork("begin"));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const kept = keptShares(counts, total, options.subsample ?? 1e-4);
  let seen = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const text of texts) {
      signal?.throwIfAborted();
      const rate = learningRate * Math.max(1e-4, 1 - seen / (epochs * total));
      seen += text.length;
      const ids = Array.from(text).filter((id) => random.uniform() < kept[id]!);
      for (const [at, id] of ids.entries()) {
        const reach = 1 + random.integer(window);
        const around = ids.slice(Math.max(0, at - reach), at);
        model.learn(id, [...around, ...ids.slice(at + 1, at + 1 + reach)], rate, random);
      }
    }
  }
  return model.vectors(counts);
}

function countTokens(texts: readonly ArrayLike<number>[], size: number): Float64Array {
  const counts = new Float64Array(size);
  for (const text of texts) for (let at = 0; at < text.length; at++) counts[text[at]!]!++;
  return counts;
}

/** How often each token is kept: frequent ones teach little. */
function keptShares(counts: Float64Array, total: number, subsample: number): Float64Array {
  return counts.map((count) => {
    const share = count / Math.max(1, total) / subsample;
    return share === 0 ? 0 : Math.min(1, (Math.sqrt(share) + 1) / share);
  });
}

class SkipGram {
  readonly #width: number;
  readonly #negatives: number;
  /** Rows of tokens, then those of n-grams. */
  readonly #input: Float32Array;
  readonly #output: Float32Array;
  /** Rows of `#input` that a token's vector is the mean of. */
  readonly #parts: readonly Int32Array[];
  /** Cumulative shares by which other tokens are drawn. */
  readonly #noise: Float64Array;
  readonly #hidden: Float32Array;
  readonly #gradient: Float32Array;

  constructor(
    forms: readonly (string | undefined)[],
    counts: Float64Array,
    { width = 64, negatives = 5, buckets = 2 ** 15 }: SubwordVectorsOptions,
    random: Random,
  ) {
    this.#width = width;
    this.#negatives = negatives;
    this.#input = new Float32Array((forms.length + buckets) * width);
    for (let at = 0; at < this.#input.length; at++) {
      this.#input[at] = (2 * random.uniform() - 1) / width;
    }
    this.#output = new Float32Array(forms.length * width);
    this.#parts = forms.map((form, id) =>
      Int32Array.of(id, ...ngramsOf(form).map((ngram) => forms.length + (hash(ngram) % buckets))),
    );
    let sum = 0;
    this.#noise = counts.map((count) => {
      sum += count ** 0.75;
      return sum;
    });
    this.#hidden = new Float32Array(width);
    this.#gradient = new Float32Array(width);
  }

  /** One step for a token and those around it. */
  learn(id: number, around: readonly number[], rate: number, random: Random): void {
    const hidden = this.#hidden;
    this.#mean(id, hidden);
    const gradient = this.#gradient.fill(0);
    for (const context of around) {
      this.#distinguish(context, 1, rate);
      for (let other = 0; other < this.#negatives; other++) {
        const drawn = this.#sampleNoise(random);
        if (drawn !== context) this.#distinguish(drawn, 0, rate);
      }
    }
    const width = this.#width;
    for (const part of this.#parts[id]!) {
      const from = part * width;
      for (let i = 0; i < width; i++) this.#input[from + i]! += gradient[i]!;
    }
  }

  #distinguish(id: number, label: 0 | 1, rate: number): void {
    const [hidden, output, gradient] = [this.#hidden, this.#output, this.#gradient];
    const width = this.#width;
    const from = id * width;
    let product = 0;
    for (let i = 0; i < width; i++) product += hidden[i]! * output[from + i]!;
    const step = rate * (label - 1 / (1 + Math.exp(-product)));
    for (let i = 0; i < width; i++) {
      gradient[i]! += step * output[from + i]!;
      output[from + i]! += step * hidden[i]!;
    }
  }

  #sampleNoise(random: Random): number {
    const noise = this.#noise;
    const wanted = random.uniform() * noise.at(-1)!;
    let [low, high] = [0, noise.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (noise[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #mean(id: number, into: Float32Array): void {
    const parts = this.#parts[id]!;
    const width = this.#width;
    into.fill(0);
    for (const part of parts) {
      const from = part * width;
      for (let i = 0; i < width; i++) into[i]! += this.#input[from + i]! / parts.length;
    }
  }

  vectors(counts: Float64Array): Float32Array {
    const width = this.#width;
    const vectors = new Float32Array(counts.length * width);
    for (const [id, count] of counts.entries()) {
      if (count > 0) this.#mean(id, vectors.subarray(id * width, (id + 1) * width));
    }
    return vectors;
  }
}

function ngramsOf(form: string | undefined): string[] {
  if (form === undefined) return [];
  const marked = `<${form}>`;
  const found: string[] = [];
  for (let length = shortest; length <= longest; length++) {
    for (let at = 0; at + length <= marked.length; at++) found.push(marked.slice(at, at + length));
  }
  return found;
}

/** FNV-1a over UTF-16 code units. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  return value >>> 0;
}
