/** Small languages of the lexinvariant reproduction: random chains, and n-grams of a real text. */
import type { Random } from "../../core/index.ts";
import type { NextSymbol } from "./exact.ts";
import type { SymbolBatch } from "./lexinvariant.ts";

/** A Markov chain whose rows are drawn from a symmetric Dirichlet distribution. */
export interface Chain {
  readonly symbols: number;
  /** `[symbols][symbols]` */
  readonly rows: readonly Float64Array[];
  readonly next: NextSymbol;
}

/** Draws a chain; its first symbol is uniform. A small concentration makes rows peaked. */
export function sampleChain(symbols: number, concentration: number, random: Random): Chain {
  const rows = Array.from({ length: symbols }, () => {
    const row = Float64Array.from({ length: symbols }, () => sampleGamma(concentration, random));
    const total = row.reduce((a, b) => a + b, 0);
    return row.map((value) => value / total);
  });
  const uniform = new Float64Array(symbols).fill(1 / symbols);
  return {
    symbols,
    rows,
    next: (prefix) => (prefix.length === 0 ? uniform : rows[prefix.at(-1)!]!),
  };
}

/** Sequences of a chain. */
export function sampleFromChain(
  chain: Chain,
  batch: number,
  time: number,
  random: Random,
): SymbolBatch {
  const ids = new Int32Array(batch * time);
  for (let row = 0; row < batch; row++) {
    const prefix: number[] = [];
    for (let at = 0; at < time; at++) {
      const probabilities = chain.next(prefix);
      let rest = random.uniform();
      let symbol = 0;
      while (symbol < chain.symbols - 1 && rest >= probabilities[symbol]!) {
        rest -= probabilities[symbol]!;
        symbol++;
      }
      prefix[0] = symbol;
      ids[row * time + at] = symbol;
    }
  }
  return { batch, time, ids };
}

/** Gamma-distributed with scale 1 (Marsaglia and Tsang, 2000; boosted below a shape of 1). */
function sampleGamma(shape: number, random: Random): number {
  if (shape < 1) return sampleGamma(shape + 1, random) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    if (Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/**
 * An n-gram model of a text over few symbols: each order is mixed with the shorter one in proportion to
 * how often its context was followed by something new (Witten and Bell, 1991).
 */
export function countNgrams(text: Int32Array, symbols: number, order: number): NextSymbol {
  /** For each context length, counts of what followed, `[symbols ** length * symbols]`. */
  const counts = Array.from({ length: order }, (_, length) => {
    const table = new Float64Array(symbols ** (length + 1));
    let context = 0;
    for (let at = 0; at < text.length; at++) {
      if (at >= length) table[context * symbols + text[at]!]!++;
      context = (context * symbols + text[at]!) % symbols ** length;
    }
    return table;
  });
  const smoothed = counts.map((table) => new Float64Array(table.length));
  for (const [length, table] of counts.entries()) {
    const shorter = smoothed[length - 1];
    for (let context = 0; context < symbols ** length; context++) {
      const row = table.subarray(context * symbols, (context + 1) * symbols);
      const total = row.reduce((a, b) => a + b, 0);
      const kinds = row.reduce((kinds, count) => kinds + (count > 0 ? 1 : 0), 0) || 1;
      const below = context % symbols ** Math.max(0, length - 1);
      for (let symbol = 0; symbol < symbols; symbol++) {
        const fallback = shorter === undefined ? 1 / symbols : shorter[below * symbols + symbol]!;
        smoothed[length]![context * symbols + symbol] =
          (row[symbol]! + kinds * fallback) / (total + kinds);
      }
    }
  }
  return (prefix) => {
    const length = Math.min(order - 1, prefix.length);
    let context = 0;
    for (let at = prefix.length - length; at < prefix.length; at++) {
      context = context * symbols + prefix[at]!;
    }
    return smoothed[length]!.subarray(context * symbols, (context + 1) * symbols);
  };
}
