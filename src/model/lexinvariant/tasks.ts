/** Tasks that are solved from the context alone, with symbols that mean nothing. */
import type { Random } from "../../core/index.ts";

/** One question: what stands before, and the symbols that must follow. */
export interface SymbolTask {
  readonly prompt: Int32Array;
  readonly answer: Int32Array;
}

/** Options of the generated tasks. */
export interface TaskOptions {
  random: Random;
  /** Symbols that may be used. Repeat some to have them drawn more often. */
  symbols: readonly number[];
  /** Written between question and answer. Default: nothing. */
  arrow?: readonly number[];
  /** Written between two pairs. */
  separator: readonly number[];
}

/**
 * A table of pairs, then one of its keys: "A2 C4 G5 C" asks for "4". Keys are distinct; the answer is
 * the value that stood beside the key.
 *
 * @param options `entries`: size of the table
 */
export function lookupTask(options: TaskOptions & { entries: number }): SymbolTask {
  const { random, symbols, entries, arrow = [], separator } = options;
  const keys = sampleDistinct(random, symbols, entries);
  const values = keys.map(() => symbols[random.integer(symbols.length)]!);
  const asked = random.integer(entries);
  const prompt = keys.flatMap((key, at) => [key, ...arrow, values[at]!, ...separator]);
  prompt.push(keys[asked]!, ...arrow);
  return { prompt: Int32Array.from(prompt), answer: Int32Array.of(values[asked]!) };
}

/**
 * Demonstrations of one fixed reordering of short sequences, then a new sequence to reorder: "A2C>CA2
 * 41D>" asks for "D41".
 *
 * @param options `length` of the sequences, `demonstrations` before the question
 */
export function permutationTask(
  options: TaskOptions & { length: number; demonstrations: number },
): SymbolTask {
  const { random, symbols, length, demonstrations, arrow = [], separator } = options;
  const order = random.shuffle(Array.from({ length }, (_, at) => at));
  const prompt: number[] = [];
  for (let shown = 0; ; shown++) {
    const sequence = sampleDistinct(random, symbols, length);
    const reordered = order.map((at) => sequence[at]!);
    prompt.push(...sequence, ...arrow);
    if (shown === demonstrations) {
      return { prompt: Int32Array.from(prompt), answer: Int32Array.from(reordered) };
    }
    prompt.push(...reordered, ...separator);
  }
}

/** Distinct symbols, as often as their list repeats them. */
function sampleDistinct(random: Random, symbols: readonly number[], count: number): number[] {
  const drawn = new Set<number>();
  while (drawn.size < count) drawn.add(symbols[random.integer(symbols.length)]!);
  return [...drawn];
}
