/** Rows of spellings: which are missing, and what they say. */
import type { TokenRow } from "../bytes/token-rows.ts";
import type { Spelling } from "./coverings.ts";

/** Whether a spelling goes on from one that is in use, none of which is shorter than `depth`. */
export function isAhead(spelling: Spelling, live: ReadonlySet<Spelling>, depth: number): boolean {
  for (let at = spelling.parent; at !== undefined && at.depth >= depth; at = at.parent) {
    if (live.has(at)) return true;
  }
  return false;
}

/** Spellings whose rows the live ones need: their own, and those that give their probability. */
export function missingRows(live: ReadonlySet<Spelling>): Set<Spelling> {
  const missing = new Set<Spelling>();
  for (const spelling of live) {
    if (spelling.row === undefined) missing.add(spelling);
    for (let at = spelling; Number.isNaN(at.logProbability); at = at.parent!) {
      if (at.parent === undefined) break;
      if (at.parent.row === undefined) missing.add(at.parent);
    }
  }
  return missing;
}

/** ln P of a spelling, from that of the nearest one above that has it. */
export function resolveLogProbability(spelling: Spelling): number {
  if (!Number.isNaN(spelling.logProbability)) return spelling.logProbability;
  const { parent, id } = spelling;
  spelling.logProbability =
    parent === undefined ? 0 : resolveLogProbability(parent) + logProbability(parent.row!, id);
  return spelling.logProbability;
}

/** ln P of a token in a row. */
export function logProbability({ logits, logSumExp }: TokenRow, id: number): number {
  return logits[id]! - logSumExp;
}

/** P of a token in a row. */
export function probability(row: TokenRow, id: number): number {
  return Math.exp(logProbability(row, id));
}

/** Tokens of a spelling below the root. */
export function pathTo(spelling: Spelling): number[] {
  const ids: number[] = [];
  for (let at = spelling; at.parent !== undefined; at = at.parent) ids.push(at.id);
  return ids.reverse();
}
