/** The ideal observer of the reproduction, on letter classes and on a random Markov chain. */

import { createRandom } from "../../core/index.ts";
import { countedLosses } from "./counted-losses.ts";
import { exactLexinvariant, type NextSymbol } from "./exact.ts";
import { lossesByWindow, mean, meanByPosition } from "./reproduction-curves.ts";
import { sampleChain, sampleFromChain } from "./reproduction-language.ts";
import { type Context, chainSize, classes, context, openTrained } from "./reproduction-models.ts";
import { sampleWindows } from "./reproduction-training.ts";

/** The ideal observer of held-out text: distance of its predictions to those with known names. */
export function measureIdeal(
  { quick, seed, progress, signal }: Context,
  language: NextSymbol,
  text: Int32Array,
): { windows: Float64Array[] } {
  const count = quick ? 6 : 60;
  const windows = sampleWindows(text, count, context, seed, "ideal");
  const found: Float64Array[] = [];
  for (let row = 0; row < count; row++) {
    signal.throwIfAborted();
    progress("ideal observer", row, count);
    const sequence = windows.ids.subarray(row * context, (row + 1) * context);
    const observed = observeIdeally(language, classes.length, sequence);
    found.push(Float64Array.from(observed, ({ distance }) => distance));
  }
  return { windows: found };
}

/** What the ideal observer makes of each position: distance to known names, and losses of both. */
function observeIdeally(
  language: NextSymbol,
  symbols: number,
  sequence: Int32Array,
): { distance: number; ideal: number; known: number }[] {
  const observer = exactLexinvariant(language, symbols);
  const prefix: number[] = [];
  return Array.from(sequence, (symbol) => {
    const known = language(prefix);
    const ideal = observer.predict();
    let distance = 0;
    for (let id = 0; id < symbols; id++) distance += Math.abs(known[id]! - ideal[id]!);
    observer.read(symbol);
    prefix.push(symbol);
    return { distance, ideal: -Math.log(ideal[symbol]!), known: -Math.log(known[symbol]!) };
  });
}

export interface ChainResult {
  /** Mean divergence of the exact observer from the chain, by position. */
  readonly distance: Float64Array;
  /** Mean loss in nats by position. */
  readonly losses: {
    readonly learned: Float64Array;
    readonly ideal: Float64Array;
    readonly known: Float64Array;
    readonly unigrams: Float64Array;
    readonly bigrams: Float64Array;
  };
  /** Nats beyond the exact observer at the positions from 32 on, sequence by sequence. */
  readonly excess: Readonly<Record<"learned" | "unigrams" | "bigrams", readonly number[]>>;
}

/** A decoder trained on one chain, beside the exact observer of the same held-out sequences. */
export async function measureChain(reproduce: Context): Promise<ChainResult> {
  const { seed, quick } = reproduce;
  const { symbols, context: length } = chainSize;
  const chain = sampleChain(symbols, 0.3, createRandom(seed, "chain"));
  await using model = await openTrained(reproduce, {
    name: "chain",
    size: chainSize,
    embeddings: "random",
    steps: quick ? 200 : 1000,
    draw: (count, time, key) =>
      sampleFromChain(chain, count, time, createRandom(seed, "chain-training", key)),
  });
  const count = quick ? 32 : 256;
  const held = sampleFromChain(chain, count, length + 1, createRandom(seed, "chain-held-out"));
  const learned = await lossesByWindow(model, held, createRandom(seed, "chain-vectors"));
  const ideal: Float64Array[] = [];
  const known: Float64Array[] = [];
  const distance: Float64Array[] = [];
  for (let row = 0; row < count; row++) {
    const sequence = held.ids.subarray(row * (length + 1), (row + 1) * (length + 1));
    // Position `at - 1` predicts the symbol `at`.
    const observed = observeIdeally(chain.next, symbols, sequence).slice(1);
    ideal.push(Float64Array.from(observed, (value) => value.ideal));
    known.push(Float64Array.from(observed, (value) => value.known));
    distance.push(Float64Array.from(observed, (value) => value.distance));
  }
  const late = (losses: Float64Array): number => mean(losses.subarray(32, length));
  const excessOf = (windows: readonly Float64Array[]): number[] =>
    windows.map((window, row) => late(window) - late(ideal[row]!));
  const unigrams = countedLosses(held, symbols, "unigrams");
  const bigrams = countedLosses(held, symbols, "bigrams");
  return {
    distance: meanByPosition(distance),
    losses: {
      learned: meanByPosition(learned),
      ideal: meanByPosition(ideal),
      known: meanByPosition(known),
      unigrams: meanByPosition(unigrams),
      bigrams: meanByPosition(bigrams),
    },
    excess: {
      learned: excessOf(learned),
      unigrams: excessOf(unigrams),
      bigrams: excessOf(bigrams),
    },
  };
}
