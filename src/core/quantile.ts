/** Quantiles of sorted numbers. */

/** The quantile at a share of 0 to 1, linear between neighbours; of at least one number, in ascending order. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = share * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}
