/**
 * Deciphering with a frozen lexinvariant model: a small probe reads from its activations what the
 * current symbol stands for, and a vote over a window gives the key.
 */

import { type Random, softmax } from "../../core/index.ts";
import {
  add,
  compile,
  logSoftmax,
  matmul,
  type ParameterBinding,
  parameter,
  relu,
  type Tensor,
  tensorType,
  trace,
} from "../../tensor/index.ts";
import type { SymbolModel } from "./symbol-model.ts";

/** Shapes of the probe's parameters: two layers, then a learned, fixed table of meanings. */
export function probeParameterShapes(options: {
  width: number;
  inner: number;
  meanings: number;
}): Map<string, number[]> {
  const { width, inner, meanings } = options;
  return new Map([
    ["probe.first.weight", [width, inner]],
    ["probe.first.bias", [inner]],
    ["probe.second.weight", [inner, width]],
    ["probe.meanings", [meanings, width]],
  ]);
}

/** Logits over meanings `[rows, meanings]` from activations `[rows, width]`. */
export function probeMeanings(
  hidden: Tensor,
  shapes: ReadonlyMap<string, readonly number[]>,
): Tensor {
  const weight = (name: string): Tensor => parameter(name, [...shapes.get(name)!]);
  const inner = relu(add(matmul(hidden, weight("probe.first.weight")), weight("probe.first.bias")));
  const vector = matmul(inner, weight("probe.second.weight"));
  return matmul(vector, weight("probe.meanings"), { transposeB: true });
}

/** A trained probe, opened for reading. Close it. */
export interface Probe extends AsyncDisposable {
  readonly meanings: number;
  /** Log-probabilities of meanings `[rows * meanings]` for activations `[rows * width]`. */
  read(hidden: Float32Array): Promise<Float32Array>;
}

/** Opens a probe from its parameters. */
export async function openProbe(
  parameters: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
  options: { threads?: number } = {},
): Promise<Probe> {
  const shapes = new Map([...parameters].map(([name, { shape }]) => [name, shape]));
  const [meanings, width] = shapes.get("probe.meanings") as [number, number];
  const graph = trace({ hidden: tensorType("float32", ["rows", width]) }, ({ hidden }) => ({
    meanings: logSoftmax(probeMeanings(hidden, shapes)),
  }));
  const program = await compile(graph, {
    parameters: new Map(
      [...parameters].map(([name, { data }]): [string, ParameterBinding] => [
        name,
        { kind: "data", data },
      ]),
    ),
    inline: true,
    ...options,
  });
  return {
    meanings,
    async read(hidden) {
      const shape = [hidden.length / width, width];
      return (await program.run({ hidden: { data: hidden, shape } })).meanings.data as Float32Array;
    },
    [Symbol.asyncDispose]: () => program.release(),
  };
}

/** What a cipher's symbols seem to stand for. */
export interface Key {
  /** For each symbol of the cipher its meaning; -1 for a symbol that did not occur in the window. */
  readonly meanings: Int32Array;
  /** For each symbol the probability of each meaning, from the probe's mean logits. */
  readonly confidence: readonly Float64Array[];
}

/** Options of `decipher`. */
export interface DecipherOptions {
  /** First and one past the last position of the window that votes. Default: the last 100. */
  from?: number;
  to?: number;
  random: Random;
}

/**
 * Reads one ciphertext and lets the positions of a window vote on the key. Every symbol is voted on by
 * itself: two symbols may get the same meaning.
 */
export async function decipher(
  model: SymbolModel,
  probe: Probe,
  cipherText: Int32Array,
  options: DecipherOptions,
): Promise<Key> {
  const { random, to = cipherText.length, from = Math.max(0, to - 100) } = options;
  const batch = { batch: 1, time: cipherText.length, ids: cipherText };
  const { hidden } = await model.read(batch, random);
  return voteKey(cipherText, await probe.read(hidden), {
    from,
    to,
    symbols: model.config.vocabSize,
    meanings: probe.meanings,
  });
}

/** The vote of the positions `from` up to `to`: the majority for the key, mean logits for confidence. */
export function voteKey(
  cipherText: Int32Array,
  logProbabilities: Float32Array,
  options: { from: number; to: number; symbols: number; meanings: number },
): Key {
  const { from, to, symbols, meanings } = options;
  const votes = Array.from({ length: symbols }, () => new Float64Array(meanings));
  const sums = Array.from({ length: symbols }, () => new Float64Array(meanings));
  const counts = new Int32Array(symbols);
  for (let at = from; at < to; at++) {
    const symbol = cipherText[at]!;
    const row = logProbabilities.subarray(at * meanings, (at + 1) * meanings);
    counts[symbol]!++;
    votes[symbol]![largest(row)]!++;
    for (const [meaning, value] of row.entries()) sums[symbol]![meaning]! += value;
  }
  const confidence = sums.map((sum, symbol) => softmax(sum.map((x) => x / (counts[symbol]! || 1))));
  const key = Int32Array.from(votes, (vote, symbol) => {
    if (counts[symbol] === 0) return -1;
    // Ties go to the meaning that is more probable on average.
    const most = Math.max(...vote);
    const tied = [...vote.keys()].filter((meaning) => vote[meaning] === most);
    return tied.reduce((a, b) => (confidence[symbol]![b]! > confidence[symbol]![a]! ? b : a));
  });
  return { meanings: key, confidence };
}

function largest(values: ArrayLike<number>): number {
  let best = 0;
  for (let at = 1; at < values.length; at++) if (values[at]! > values[best]!) best = at;
  return best;
}
