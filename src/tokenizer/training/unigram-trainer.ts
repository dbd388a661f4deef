/**
 * Training of the unigram language model (Kudo, 2018): start from many frequent substrings, then
 * alternate between estimating their probabilities (EM over all cuts of every word) and dropping
 * those that the likelihood misses least, until the vocabulary has the wanted size.
 *
 * The steps follow SentencePiece: seeds scored by frequency × length, two rounds of EM per pruning,
 * expected counts below 0.5 dropped, probabilities smoothed through the digamma function, a quarter
 * of the pieces pruned at a time, single characters always kept.
 */
import { Trie } from "../models/trie.ts";
import { throwIfAborted } from "./byte-pair-trainer.ts";
import { visitFrequentSubstrings } from "./frequent-substrings.ts";

export interface UnigramTraining {
  /** Words with their counts. */
  readonly words: readonly (readonly [string, number])[];
  /** Number of pieces to reach, the characters of the alphabet included. */
  readonly pieceCount: number;
  /** Characters that must have a piece, beyond those of the words. */
  readonly requiredCharacters: readonly string[];
  /** Longest piece, in characters. */
  readonly maxPieceLength: number;
  /** Most substrings to start from. */
  readonly seedSize: number;
  /** Share of the pieces that a pruning keeps. */
  readonly shrinkingFactor: number;
  /** Rounds of EM between prunings. */
  readonly rounds: number;
  readonly onProgress?: (pieces: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A piece with its log-probability. */
export type Piece = readonly [string, number];

/** Finds the pieces, best first. Deterministic. */
export function trainUnigram(training: UnigramTraining): Piece[] {
  const { pieceCount, shrinkingFactor, rounds, onProgress, signal } = training;
  const alphabet = countCharacters(training);
  let model = new Lattice(seedPieces(training, alphabet));
  // A tenth more than wanted, so that the last cut is by score.
  const enough = Math.floor(pieceCount * 1.1);
  for (;;) {
    for (let round = 0; round < rounds; round++) {
      throwIfAborted(signal);
      model = maximize(model, model.expectedCounts(training.words));
      onProgress?.(model.pieces.length);
    }
    if (model.pieces.length <= enough) break;
    const pruned = prune(
      model,
      training,
      Math.max(enough, Math.floor(model.pieces.length * shrinkingFactor)),
    );
    if (pruned.pieces.length === model.pieces.length) break;
    model = pruned;
  }
  return finalize(model, alphabet, pieceCount);
}

function byScore(a: Piece, b: Piece): number {
  return b[1] - a[1] || (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0);
}

function countCharacters(training: UnigramTraining): Map<string, number> {
  const characters = new Map<string, number>();
  for (const [word, count] of training.words) {
    for (const character of word)
      characters.set(character, (characters.get(character) ?? 0) + count);
  }
  for (const character of training.requiredCharacters) {
    if (!characters.has(character)) characters.set(character, 1);
  }
  return characters;
}

/** The alphabet and the best frequent substrings, scored by frequency × length. */
function seedPieces(training: UnigramTraining, alphabet: ReadonlyMap<string, number>): Piece[] {
  const seeds: Piece[] = [];
  visitFrequentSubstrings(training.words, training.maxPieceLength, ({ text, count, characters }) =>
    seeds.push([text, count * characters]),
  );
  seeds.sort(byScore);
  const all: Piece[] = [...alphabet].sort(byScore);
  for (const seed of seeds) {
    if (all.length >= training.seedSize) break;
    all.push(seed);
  }
  const total = Math.log(all.reduce((sum, [, score]) => sum + score, 0));
  return all.map(([text, score]) => [text, Math.log(score) - total]);
}

/** Pieces as a trie, and the sums over all cuts of a word. */
class Lattice {
  readonly pieces: readonly Piece[];
  readonly #trie: Trie;
  readonly #scores: Float64Array;
  #forward: Float64Array = new Float64Array(64);
  #backward: Float64Array = new Float64Array(64);
  // Edges of the word at hand: start, end, piece.
  #edges: Int32Array = new Int32Array(1024);
  #edgeCount = 0;

  constructor(pieces: readonly Piece[]) {
    this.pieces = pieces;
    this.#trie = new Trie(pieces.length * 3);
    this.#scores = Float64Array.from(pieces, ([, score]) => score);
    for (const [index, [text]] of pieces.entries()) this.#trie.set(text, index);
  }

  #build(word: string): void {
    this.#edgeCount = 0;
    for (let start = 0; start < word.length; start++) {
      let node = 0;
      for (let i = start; i < word.length; i++) {
        node = this.#trie.step(node, word.charCodeAt(i));
        if (node < 0) break;
        const piece = this.#trie.valueAt(node);
        if (piece >= 0) this.#addEdge(start, i + 1, piece);
      }
    }
    if (this.#forward.length <= word.length) {
      this.#forward = new Float64Array(word.length * 2);
      this.#backward = new Float64Array(word.length * 2);
    }
  }

  #addEdge(start: number, end: number, piece: number): void {
    if ((this.#edgeCount + 1) * 3 > this.#edges.length) {
      const grown = new Int32Array(this.#edges.length * 2);
      grown.set(this.#edges);
      this.#edges = grown;
    }
    this.#edges.set([start, end, piece], this.#edgeCount++ * 3);
  }

  /**
   * How often each piece is expected to be used, over all cuts of all words.
   *
   * The sums are formed from probabilities rather than their logarithms. Every cut of a word has the
   * same number of units, so a constant factor for each unit cancels; it is chosen to keep the sums
   * near one. Should a word leave the range of doubles all the same, it is passed over.
   */
  expectedCounts(words: readonly (readonly [string, number])[]): Float64Array {
    const expected = new Float64Array(this.pieces.length);
    const perUnit = this.#averageLoss(words);
    const weights = Float64Array.from(this.pieces, ([text, score]) =>
      Math.exp(score + perUnit * text.length),
    );
    for (const [word, count] of words) {
      this.#build(word);
      const edges = this.#edges;
      const forward = this.#forward;
      const backward = this.#backward;
      const edgeCount = this.#edgeCount;
      forward.fill(0, 0, word.length + 1);
      backward.fill(0, 0, word.length + 1);
      forward[0] = 1;
      backward[word.length] = 1;
      for (let e = 0; e < edgeCount * 3; e += 3) {
        forward[edges[e + 1]!]! += forward[edges[e]!]! * weights[edges[e + 2]!]!;
      }
      const whole = forward[word.length]!;
      if (!(whole > 0 && whole < Number.POSITIVE_INFINITY)) continue;
      for (let e = edgeCount * 3 - 3; e >= 0; e -= 3) {
        backward[edges[e]!]! += backward[edges[e + 1]!]! * weights[edges[e + 2]!]!;
      }
      const share = count / whole;
      for (let e = 0; e < edgeCount * 3; e += 3) {
        const piece = edges[e + 2]!;
        expected[piece]! +=
          forward[edges[e]!]! * weights[piece]! * backward[edges[e + 1]!]! * share;
      }
    }
    return expected;
  }

  /** Nats for each unit that the best cuts of some words cost. */
  #averageLoss(words: readonly (readonly [string, number])[]): number {
    let loss = 0;
    let units = 0;
    const stride = Math.max(1, Math.floor(words.length / 1000));
    for (let i = 0; i < words.length; i += stride) {
      const [word] = words[i]!;
      for (const piece of this.bestCut(word)) loss -= this.#scores[piece]!;
      units += word.length;
    }
    return loss / Math.max(1, units);
  }

  /** The pieces of the best cut of a word; `without` excludes one piece. Empty when there is none. */
  bestCut(word: string, without = -1): number[] {
    this.#build(word);
    const edges = this.#edges;
    const scores = this.#scores;
    const forward = this.#forward;
    const edgeCount = this.#edgeCount;
    forward.fill(Number.NEGATIVE_INFINITY, 0, word.length + 1);
    forward[0] = 0;
    const last = new Int32Array(word.length + 1).fill(-1);
    for (let e = 0; e < edgeCount; e++) {
      const piece = edges[e * 3 + 2]!;
      if (piece === without) continue;
      const score = forward[edges[e * 3]!]! + scores[piece]!;
      const end = edges[e * 3 + 1]!;
      if (score > forward[end]!) {
        forward[end] = score;
        last[end] = e;
      }
    }
    const cut: number[] = [];
    for (let end = word.length; end > 0; ) {
      const e = last[end]!;
      if (e < 0) return [];
      cut.push(edges[e * 3 + 2]!);
      end = edges[e * 3]!;
    }
    return cut.reverse();
  }
}

/** Expected uses below this drop a piece. */
const minExpected = 0.5;

/** New probabilities from expected counts. Single characters stay at any count. */
function maximize(model: Lattice, expected: Float64Array): Lattice {
  const kept: [string, number][] = [];
  let total = 0;
  for (const [index, [text]] of model.pieces.entries()) {
    const count = expected[index]!;
    if (count < minExpected && characterCount(text) > 1) continue;
    const held = Math.max(count, minExpected);
    kept.push([text, held]);
    total += held;
  }
  const whole = digamma(total);
  return new Lattice(kept.map(([text, count]) => [text, digamma(count) - whole]));
}

function characterCount(text: string): number {
  return text.length === 1 ? 1 : [...text].length;
}

/** The logarithmic derivative of the gamma function, for positive arguments. */
export function digamma(x: number): number {
  let result = 0;
  while (x < 7) result -= 1 / x++;
  x -= 0.5;
  const squared = 1 / (x * x);
  return (
    result +
    Math.log(x) +
    squared * (1 / 24 - squared * (7 / 960 - squared * (31 / 8064 - squared * (127 / 30720))))
  );
}

/** Keeps the `size` pieces whose loss would cost the likelihood of the words most. */
function prune(model: Lattice, training: UnigramTraining, size: number): Lattice {
  const { pieces } = model;
  // The replacement of each piece if it is removed: its best segmentation without itself.
  const alternatives = pieces.map(([text], index) => model.bestCut(text, index));
  // How often each piece is used in best cuts.
  const uses = new Float64Array(pieces.length);
  let total = 0;
  for (const [word, count] of training.words) {
    for (const piece of model.bestCut(word)) uses[piece]! += count;
  }
  for (const count of uses) total += count;
  const logTotal = Math.log(total);

  const kept: Piece[] = [];
  const candidates: [number, number][] = [];
  for (const [index, [text]] of pieces.entries()) {
    const alternative = alternatives[index]!;
    const used = uses[index]!;
    if (characterCount(text) === 1 || alternative.length === 0) {
      kept.push(pieces[index]!);
    } else if (used > 0) {
      // Without the piece its uses go to the alternative's pieces, and the total grows with them.
      const newTotal = Math.log(total + used * (alternative.length - 1));
      let replaced = 0;
      for (const piece of alternative) replaced += Math.log(uses[piece]! + used) - newTotal;
      candidates.push([index, used * (Math.log(used) - logTotal - replaced)]);
    }
  }
  candidates.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  const chosen = candidates.slice(0, Math.max(0, size - kept.length)).map(([index]) => index);
  chosen.sort((a, b) => a - b);
  return new Lattice([...kept, ...chosen.map((index) => pieces[index]!)]);
}

/** The alphabet and the best other pieces, best first. */
function finalize(
  model: Lattice,
  alphabet: ReadonlyMap<string, number>,
  pieceCount: number,
): Piece[] {
  const scores = new Map(model.pieces);
  const lowest = model.pieces.reduce((least, [, score]) => Math.min(least, score), 0);
  const chosen = new Map<string, number>();
  // Characters that lost their piece come last, each a little worse, so that no two are equal.
  let penalty = 0;
  for (const [character] of [...alphabet].sort(byScore)) {
    const score = scores.get(character);
    if (score === undefined) penalty += 0.0001;
    chosen.set(character, score ?? lowest - penalty);
  }
  for (const [text, score] of [...model.pieces].sort(byScore)) {
    if (chosen.size >= pieceCount) break;
    if (!chosen.has(text)) chosen.set(text, score);
  }
  return [...chosen].sort(byScore);
}
