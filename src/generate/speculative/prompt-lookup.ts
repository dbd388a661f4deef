/**
 * Prompt lookup: drafts the tokens that followed the last earlier occurrence of the text's end.
 *
 * As in transformers and llama.cpp, with two additions: an index, so that a lookup costs the same for any
 * text length, and a learned acceptance probability by the length of the match before a draft token.
 */
import { type Drafter, type DraftSequence, type DraftTree, emptyTree } from "./drafter.ts";

/** Options of `createPromptLookupDrafter`. */
export interface PromptLookupOptions {
  /** Most tokens at the end of the text that are looked up. Default 3. */
  maxMatch?: number;
  /** Fewest. Default 1. */
  minMatch?: number;
  /** Most draft tokens. Default 32. */
  length?: number;
}

/** Longest match that has an acceptance rate of its own, in tokens. */
const maxRatedMatch = 16;

/** Acceptance rate of draft tokens by the length of the match before them, older observations decayed. */
class MatchConfidence {
  readonly #accepted: Float64Array = new Float64Array(maxRatedMatch + 1);
  readonly #tested: Float64Array = new Float64Array(maxRatedMatch + 1);

  constructor() {
    // The prior counts as four observations, with a higher rate for longer matches.
    for (let length = 0; length <= maxRatedMatch; length++) {
      this.#tested[length] = 4;
      this.#accepted[length] = 4 * (1 - 0.8 / (1 + length));
    }
  }

  of(length: number): number {
    const at = Math.min(length, maxRatedMatch);
    return this.#accepted[at]! / this.#tested[at]!;
  }

  learn(length: number, accepted: boolean): void {
    const at = Math.min(length, maxRatedMatch);
    this.#accepted[at] = this.#accepted[at]! * 0.99 + (accepted ? 1 : 0);
    this.#tested[at] = this.#tested[at]! * 0.99 + 1;
  }
}

/**
 * A drafter that copies from the prompt and from the text so far.
 *
 * @example
 * const result = await complete(model, prompt, { drafter: createPromptLookupDrafter() });
 */
export function createPromptLookupDrafter(options: PromptLookupOptions = {}): Drafter {
  const { maxMatch = 3, minMatch = 1, length = 32 } = options;
  const confidence = new MatchConfidence();
  return {
    name: "prompt-lookup",
    candidates: 0,
    begin: () => lookUp({ maxMatch, minMatch, length }, confidence),
    close() {},
  };
}

/** Finds earlier occurrences of the end of a text that grows. */
class EndIndex {
  readonly #minMatch: number;
  /** For each match length: from the hash of an n-gram to the position after its last occurrence. */
  readonly #positions: readonly Map<number, number>[];
  #indexed = 0;

  constructor(minMatch: number, maxMatch: number) {
    this.#minMatch = minMatch;
    this.#positions = Array.from({ length: maxMatch - minMatch + 1 }, () => new Map());
  }

  /** Position after the last earlier occurrence of the text's end, longest match first; -1 without one. */
  find(ids: readonly number[]): number {
    // N-grams that end at the last token are the query; they are indexed at the next step.
    for (; this.#indexed < ids.length - 1; this.#indexed++) {
      for (const [index, map] of this.#positions.entries()) {
        const size = this.#minMatch + index;
        const end = this.#indexed + 1;
        if (end >= size) map.set(hashOf(ids, end, size), end);
      }
    }
    for (let index = this.#positions.length - 1; index >= 0; index--) {
      const size = this.#minMatch + index;
      if (ids.length < size) continue;
      const after = this.#positions[index]!.get(hashOf(ids, ids.length, size));
      if (after !== undefined && commonEnd(ids, after, size) >= size) return after;
    }
    return -1;
  }
}

function lookUp(
  { maxMatch, minMatch, length }: Required<PromptLookupOptions>,
  confidence: MatchConfidence,
): DraftSequence {
  const index = new EndIndex(minMatch, maxMatch);
  /** Match length of the last proposal. */
  let matched = 0;
  return {
    propose({ ids, maxNodes, maxDepth, minAcceptanceProbability }): DraftTree {
      const from = index.find(ids);
      if (from < 0) return emptyTree;
      matched = commonEnd(ids, from, maxRatedMatch);
      const most = Math.min(length, maxNodes, maxDepth);
      const drafts: number[] = [];
      const acceptanceProbabilities: number[] = [];
      let probability = 1;
      while (drafts.length < most) {
        probability *= confidence.of(matched + drafts.length);
        if (probability < minAcceptanceProbability) break;
        // A copy that reaches the text's end continues with its own beginning: a repeating text.
        const at = from + drafts.length;
        drafts.push(at < ids.length ? ids[at]! : drafts[at - ids.length]!);
        acceptanceProbabilities.push(probability);
      }
      return {
        ids: drafts,
        parents: drafts.map((_, node) => node - 1),
        acceptanceProbabilities,
      };
    },
    observe({ verdict }) {
      if (!verdict) return;
      const { accepted, rejected } = verdict;
      for (let depth = 0; depth < accepted.length; depth++) confidence.learn(matched + depth, true);
      if (rejected.length > 0) confidence.learn(matched + accepted.length, false);
    },
    end() {},
  };
}

/** Hash of the `size` tokens before position `end`. */
function hashOf(ids: readonly number[], end: number, size: number): number {
  let hash = 0;
  for (let at = end - size; at < end; at++) {
    hash = Math.imul(hash ^ ids[at]!, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** Number of tokens before `end` that equal those at the end of the text, at most `most`. */
function commonEnd(ids: readonly number[], end: number, most: number): number {
  let length = 0;
  while (length < most && length < end && ids[end - 1 - length] === ids[ids.length - 1 - length]) {
    length++;
  }
  return length;
}
