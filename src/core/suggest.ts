/** "Did you mean": the known name nearest to a misspelt one. */

/**
 * Damerau-Levenshtein distance in its restricted form (optimal string alignment): insertions,
 * deletions, replacements and swaps of neighbours, no part edited twice.
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(replaced, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforeLast[j - 2]! + 1);
      }
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

/**
 * The candidate that was probably meant: at most a third of its letters differ (at least one may), or it is
 * the only one that starts with the written text.
 */
export function suggest(written: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(written.toLowerCase(), candidate.toLowerCase());
    const allowed = Math.max(1, Math.floor(candidate.length / 3));
    if (distance <= allowed && distance < Math.max(bestDistance, 1)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best !== undefined || written.length < 2) return best;
  const longer = candidates.filter((candidate) => candidate.startsWith(written));
  return longer.length === 1 ? longer[0] : undefined;
}
