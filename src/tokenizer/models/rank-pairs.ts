/** Ranks of the pairs that a byte-pair model merges: from a merge list, or from scores of tokens. */
import { JetonError } from "../../core/error.ts";
import { describeValue } from "../formats/json-reader.ts";
import { metaspace, metaspaceUnit } from "./metaspace.ts";
import { PairTable } from "./pair-table.ts";
import { TokenIndex } from "./token-index.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** A token of a model that merges by score. */
export interface ScoredToken {
  readonly token: string;
  readonly id: number;
  readonly score: number;
}

export interface RankedPairs {
  readonly pairs: PairTable;
  /** Whether no merge crosses the start of a space. */
  readonly spaceSafe: boolean;
}

/** Ranks the pairs of a merge list, best first. */
export function rankMerges(
  { ids }: Vocabulary,
  merges: Iterable<readonly [string, string]>,
  options: { readonly prefixLength: number; readonly mergeCount: number },
): RankedPairs {
  const { prefixLength, mergeCount } = options;
  let rank = 0;
  let spaceSafe = true;
  const pairs = new PairTable(mergeCount);
  for (const [left, right] of merges) {
    const leftId = ids.get(left);
    const rightId = ids.get(right);
    const result = left + (prefixLength === 0 ? right : right.slice(prefixLength));
    const resultId = ids.get(result);
    if (leftId === undefined || rightId === undefined || resultId === undefined) {
      const absent = leftId === undefined ? left : rightId === undefined ? right : result;
      throw new JetonError(
        `merge ${rank} (${describeValue([left, right])}) needs the token ${describeValue(absent)}, which the vocabulary lacks`,
        { code: "tokenizer-merge-unknown-token", details: { merge: rank, left, right, absent } },
      );
    }
    pairs.set(leftId, rightId, rank++, resultId);
    // Each boundary inside a token is the boundary of some merge, so checking these is enough.
    if (right.charCodeAt(0) === metaspaceUnit && !left.endsWith(metaspace)) spaceSafe = false;
  }
  return { pairs, spaceSafe };
}

/** Ranks every way to make each token of two others by the token's score. */
export function rankByScore(scored: readonly ScoredToken[]): RankedPairs {
  const index = new TokenIndex(scored.map(({ token }) => token));
  const ranks = rankScores(scored);
  let spaceSafe = true;
  const pairs = new PairTable(scored.length * 2);
  for (const [i, { token, id }] of scored.entries()) {
    const rank = ranks[i]!;
    index.visitCuts(i, (left, right, cut) => {
      pairs.set(scored[left]!.id, scored[right]!.id, rank, id);
      const isSpace = token.charCodeAt(cut) === metaspaceUnit;
      if (isSpace && token.charCodeAt(cut - 1) !== metaspaceUnit) spaceSafe = false;
    });
  }
  return { pairs, spaceSafe };
}

/** The rank of each token by its score: 0 for the highest, equal ones for equal scores. */
function rankScores(scored: readonly ScoredToken[]): Int32Array {
  const order = Int32Array.from(scored, (_, i) => i);
  const isSorted = scored.every(({ score }, i) => i === 0 || score <= scored[i - 1]!.score);
  if (!isSorted) order.sort((a, b) => scored[b]!.score - scored[a]!.score);
  const ranks = new Int32Array(scored.length);
  let rank = 0;
  for (let i = 1; i < order.length; i++) {
    if (scored[order[i]!]!.score !== scored[order[i - 1]!]!.score) rank++;
    ranks[order[i]!] = rank;
  }
  return ranks;
}
