/** An n-gram model with interpolated Kneser-Ney smoothing: the baseline that a language model has to beat. */

export interface NgramModelOptions {
  /** Symbols of a context and the symbol after it, together; at least 1. */
  readonly order: number;
  /** Distinct symbols that there are: 256 for bytes. */
  readonly symbols: number;
}

/** Learns symbol by symbol; the prediction of the next one depends on all before it. */
export interface NgramModel {
  /** Appends a symbol and counts the n-grams that end with it. */
  learn(symbol: number): void;
  /** Probability that this symbol comes next; they sum to 1 over all symbols. */
  probability(symbol: number): number;
}

/** How often symbols follow one context. */
interface Followers {
  total: number;
  readonly counts: Map<number, number>;
}

/**
 * Makes an empty model: interpolated Kneser-Ney (Kneser and Ney, 1995; Chen and Goodman, 1998, section
 * 2.7). Lower orders count distinct left neighbours; the discount of an order comes from its counts of
 * one and two.
 */
export function createNgramModel({ order, symbols }: NgramModelOptions): NgramModel {
  const levels = Array.from({ length: order }, () => new Map<string, Followers>());
  const ones = new Float64Array(order);
  const twos = new Float64Array(order);
  /** The last `order - 1` symbols. */
  let past: number[] = [];
  const context = (size: number): string => past.slice(past.length - size).join(",");

  return {
    learn(symbol) {
      for (let size = past.length; size >= 0; size--) {
        const level = levels[size]!;
        const key = context(size);
        let followers = level.get(key);
        if (followers === undefined) {
          followers = { total: 0, counts: new Map() };
          level.set(key, followers);
        }
        const known = followers.counts.get(symbol) ?? 0;
        followers.counts.set(symbol, known + 1);
        followers.total++;
        if (known === 0) ones[size]!++;
        if (known === 1) {
          ones[size]!--;
          twos[size]!++;
        }
        if (known === 2) twos[size]!--;
        // A lower order counts how many different symbols stand to the left, not how often they do.
        if (known > 0) break;
      }
      past = [...past, symbol].slice(-(order - 1) || past.length + 1);
    },
    probability(symbol) {
      let probability = 1 / symbols;
      for (let size = 0; size <= past.length; size++) {
        const followers = levels[size]!.get(context(size));
        if (followers === undefined) break;
        const discount = ones[size]! === 0 ? 0.5 : ones[size]! / (ones[size]! + 2 * twos[size]!);
        const { total, counts } = followers;
        const kept = Math.max((counts.get(symbol) ?? 0) - discount, 0);
        probability = (kept + discount * counts.size * probability) / total;
      }
      return probability;
    },
  };
}
