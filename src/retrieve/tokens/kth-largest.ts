/** Selection without sorting. */

/** The k-th largest value, or the smallest where there are fewer; changes the order of the values. */
export function kthLargest(values: Float32Array | Float64Array, k: number): number {
  if (values.length === 0) return Number.NEGATIVE_INFINITY;
  if (k >= values.length) {
    let least = values[0]!;
    for (const value of values) if (value < least) least = value;
    return least;
  }
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = values[(low + high) >> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i]! > pivot) i++;
      while (values[j]! < pivot) j--;
      if (i <= j) {
        const held = values[i]!;
        values[i++] = values[j]!;
        values[j--] = held;
      }
    }
    if (k - 1 <= j) high = j;
    else if (k - 1 >= i) low = i;
    else break;
  }
  return values[k - 1]!;
}
