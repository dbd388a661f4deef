/** Rank correlation. */

/** Spearman's rank correlation of two lists of one length; equal values share their mean rank. 0 without spread. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [ranksOf(a), ranksOf(b)];
  const middle = (a.length - 1) / 2;
  const product = (one: readonly number[], other: readonly number[]): number =>
    one.reduce((sum, rank, i) => sum + (rank - middle) * (other[i]! - middle), 0);
  const spread = Math.sqrt(product(x, x) * product(y, y));
  return spread === 0 ? 0 : product(x, y) / spread;
}

function ranksOf(values: readonly number[]): number[] {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal - 1) / 2;
  });
}
