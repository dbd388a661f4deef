/**
 * Prompt lookup: what followed the last occurrence of the text's end is guessed to follow again.
 *
 * Known from transformers and llama.cpp; here with an index, so that a look-up costs the same however
 * long the text is, and with confidence that is learned: how often a guess comes true depends on how
 * much of the text before it matched.
 */
import { type Drafter, type DraftSequence, type DraftTree, emptyTree } from "./drafter.ts";

export interface PromptLookupOptions {
  /** Longest end of the text that is looked up, in tokens. Default 3. */
  maxMatch?: number;
  /** Shortest. Default 1. */
  shortestMatch?: number;
  /** Most tokens of one guess. Default 32. */
  length?: number;
}

/** Matches are judged by their length in tokens, up to this. */
const maxJudged = 16;

/** Accepted and tested guesses by length of the match before them, forgotten slowly. */
class MatchConfidence {
  readonly #accepted: Float64Array = new Float64Array(maxJudged + 1);
  readonly #tested: Float64Array = new Float64Array(maxJudged + 1);

  constructor() {
    // A start that is worth a few guesses: long matches are trusted more.
    for (let length = 0; length <= maxJudged; length++) {
      this.#tested[length] = 4;
      this.#accepted[length] = 4 * (1 - 0.8 / (1 + length));
    }
  }

  of(length: number): number {
    const at = Math.min(length, maxJudged);
    return this.#accepted[at]! / this.#tested[at]!;
  }

  learn(length: number, accepted: boolean): void {
    const at = Math.min(length, maxJudged);
    this.#accepted[at] = this.#accepted[at]! * 0.99 + (accepted ? 1 : 0);
    this.#tested[at] = this.#tested[at]! * 0.99 + 1;
  }
}

/**
 * A drafter that copies from the prompt and from the text so far.
 *
 * @example
 * const result = await complete(model, prompt, { drafter: createPromptLookup() });
 */
export function createPromptLookup(options: PromptLookupOptions = {}): Drafter {
  const { maxMatch = 3, shortestMatch = 1, length = 32 } = options;
  const confidence = new MatchConfidence();
  return {
    name: "prompt-lookup",
    candidates: 0,
    begin: () => lookUp({ maxMatch, shortestMatch, length }, confidence),
    close() {},
  };
}

function lookUp(
  { maxMatch, shortestMatch, length }: Required<PromptLookupOptions>,
  confidence: MatchConfidence,
): DraftSequence {
  /** For each length of match: hash of an n-gram to the position after its last occurrence. */
  const indices = Array.from(
    { length: maxMatch - shortestMatch + 1 },
    () => new Map<number, number>(),
  );
  let indexed = 0;
  /** Length of the match that the last proposal was made from. */
  let matched = 0;

  /** Position after the last earlier occurrence of the text's end, longest match first. */
  const find = (ids: readonly number[]): number => {
    // What ends at the last token is what is looked for: it is indexed when the text has gone on.
    for (; indexed < ids.length - 1; indexed++) {
      for (const [index, map] of indices.entries()) {
        const size = shortestMatch + index;
        if (indexed + 1 >= size) map.set(hashOf(ids, indexed + 1, size), indexed + 1);
      }
    }
    for (let index = indices.length - 1; index >= 0; index--) {
      const size = shortestMatch + index;
      if (ids.length < size) continue;
      const after = indices[index]!.get(hashOf(ids, ids.length, size));
      if (after !== undefined && commonEnd(ids, after, size) >= size) return after;
    }
    return -1;
  };

  return {
    propose({ ids, maxNodes, maxDepth, minAcceptanceProbability }): DraftTree {
      const from = find(ids);
      if (from < 0) return emptyTree;
      matched = commonEnd(ids, from, maxJudged);
      const most = Math.min(length, maxNodes, maxDepth);
      const drafts: number[] = [];
      const expected: number[] = [];
      let chance = 1;
      while (drafts.length < most) {
        chance *= confidence.of(matched + drafts.length);
        if (chance < minAcceptanceProbability) break;
        // A copy that reaches its own beginning goes on: the text repeats itself.
        const at = from + drafts.length;
        drafts.push(at < ids.length ? ids[at]! : drafts[at - ids.length]!);
        expected.push(chance);
      }
      return {
        ids: drafts,
        parents: drafts.map((_, node) => node - 1),
        acceptanceProbabilities: expected,
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

/** How many tokens before `end` equal those at the end of the text, at most `most`. */
function commonEnd(ids: readonly number[], end: number, most: number): number {
  let length = 0;
  while (length < most && length < end && ids[end - 1 - length] === ids[ids.length - 1 - length]) {
    length++;
  }
  return length;
}
