import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { initializeDecoder } from "../../train/index.ts";
import { decoderConfig } from "../decoder/config.ts";
import { decoderNames } from "../decoder/decoder-names.ts";
import { exactLexinvariant } from "./exact.ts";
import {
  canonicalTargets,
  nextSymbols,
  permuteSymbols,
  rankByAppearance,
  type SymbolBatch,
  type SymbolEmbeddings,
  sampleSymbols,
  symbolParameterShapes,
} from "./lexinvariant.ts";
import { openSymbolModel, type SymbolModel } from "./symbol-model.ts";

const symbols = 9;
const config = decoderConfig({
  model_type: "llama",
  vocab_size: symbols,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 24,
  max_position_embeddings: 40,
  tie_word_embeddings: true,
} as never);

/** Random weights, large enough that predictions differ much between positions. */
function parametersOf(embeddings: SymbolEmbeddings) {
  const parameters = new Map(initializeDecoder(config, 7, { deviation: 0.4 }));
  parameters.delete(decoderNames.embedding);
  for (const [name, shape] of symbolParameterShapes(config, embeddings)) {
    const count = shape.reduce((a, b) => a * b, 1);
    parameters.set(name, { shape, data: sampleSymbols(createRandom(7, name), count) });
  }
  return parameters;
}

const models = new Map<SymbolEmbeddings, SymbolModel>();
beforeAll(async () => {
  for (const embeddings of ["learned", "random", "canonical"] as const) {
    const parameters = parametersOf(embeddings);
    models.set(
      embeddings,
      await openSymbolModel({ config, embeddings, parameters, threads: 1, inline: true }),
    );
  }
});
afterAll(async () => {
  for (const model of models.values()) await model.close();
});

function randomBatch(seed: number, batch = 3, time = 24): SymbolBatch {
  const random = createRandom(seed, "ids");
  const ids = Int32Array.from({ length: batch * time }, () => random.integer(symbols));
  return { batch, time, ids };
}

const permutationOf = (seed: number): number[] =>
  createRandom(seed, "permutation").shuffle(Array.from({ length: symbols }, (_, id) => id));

const rename = ({ batch, time, ids }: SymbolBatch, names: readonly number[]): SymbolBatch => ({
  batch,
  time,
  ids: ids.map((id) => names[id]!),
});

/** Log-probabilities with the columns moved as the symbols were renamed. */
function renameColumns(logProbabilities: Float32Array, names: readonly number[]): Float32Array {
  const moved = new Float32Array(logProbabilities.length);
  for (let at = 0; at < moved.length; at += symbols) {
    for (const [id, name] of names.entries()) moved[at + name] = logProbabilities[at + id]!;
  }
  return moved;
}

/** A stream of normal numbers that gives the rows of a table out in another order. */
function movedTable(seed: number, batch: number, names: readonly number[]) {
  const width = config.hiddenSize / 2;
  const plain = sampleSymbols(createRandom(seed), batch * symbols * width);
  const moved = new Float32Array(plain.length);
  for (let row = 0; row < batch; row++) {
    for (const [id, name] of names.entries()) {
      const from = (row * symbols + id) * width;
      moved.set(plain.subarray(from, from + width), (row * symbols + name) * width);
    }
  }
  let at = 0;
  return { ...createRandom(seed), normal: () => moved[at++]! };
}

describe.each(["learned", "random", "canonical"] as const)("%s embeddings", (embeddings) => {
  test("give probabilities that sum to one, unseen symbols included", async () => {
    const model = models.get(embeddings)!;
    // The last sequence shows every symbol, the first only two of them.
    const batch = randomBatch(1);
    batch.ids.set(batch.ids.subarray(0, batch.time).map((id) => id % 2));
    batch.ids.set(
      Int32Array.from({ length: batch.time }, (_, at) => at % symbols),
      2 * batch.time,
    );
    const { logProbabilities } = await model.read(batch, createRandom(1));
    for (let at = 0; at < logProbabilities.length; at += symbols) {
      const row = logProbabilities.subarray(at, at + symbols);
      expect(row.every((value) => value <= 1e-6)).toBe(true);
      expect(row.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 5);
    }
  });

  test("do not look ahead", async () => {
    const model = models.get(embeddings)!;
    const batch = randomBatch(2, 1);
    const changed = { ...batch, ids: batch.ids.slice() };
    const from = 15;
    for (let at = from; at < batch.time; at++) changed.ids[at] = (batch.ids[at]! + 1) % symbols;
    const before = await model.read(batch, createRandom(1));
    const after = await model.read(changed, createRandom(1));
    const same = from * symbols;
    expect(maxDifference(before, after, 0, same)).toBeLessThan(1e-5);
    expect(maxDifference(before, after, same)).toBeGreaterThan(0.1);
  });

  test("remember single symbols only where a table is learned", () => {
    const tables = [...parametersOf(embeddings)].filter(([, { shape }]) => shape[0] === symbols);
    expect(tables.map(([name]) => name)).toEqual(
      embeddings === "learned" ? [decoderNames.embedding] : [],
    );
  });
});

function maxDifference(
  a: { logProbabilities: Float32Array },
  b: { logProbabilities: Float32Array },
  from = 0,
  to = a.logProbabilities.length,
): number {
  let largest = 0;
  for (let at = from; at < to; at++) {
    largest = Math.max(largest, Math.abs(a.logProbabilities[at]! - b.logProbabilities[at]!));
  }
  return largest;
}

describe("invariance", () => {
  test("renaming symbols along with their random rows renames the prediction and nothing else", async () => {
    const model = models.get("random")!;
    for (let seed = 0; seed < 10; seed++) {
      const batch = randomBatch(seed);
      const names = permutationOf(seed);
      const plain = await model.read(batch, createRandom(seed));
      const renamed = await model.read(rename(batch, names), movedTable(seed, batch.batch, names));
      const logProbabilities = renameColumns(plain.logProbabilities, names);
      expect(maxDifference({ logProbabilities }, renamed)).toBeLessThan(1e-4);
    }
  });

  test("with the rows left where they are, renaming changes the prediction of one draw", async () => {
    const model = models.get("random")!;
    const batch = randomBatch(3);
    const names = permutationOf(3);
    const plain = await model.read(batch, createRandom(3));
    const renamed = await model.read(rename(batch, names), createRandom(3));
    const logProbabilities = renameColumns(plain.logProbabilities, names);
    expect(maxDifference({ logProbabilities }, renamed)).toBeGreaterThan(0.1);
  });

  test("over many draws a sequence and its renaming are equally probable", async () => {
    const model = models.get("random")!;
    const draws = 2000;
    const time = 6;
    const one = Int32Array.of(0, 1, 0, 2, 1, 0);
    const names = permutationOf(5);
    const probabilities = async (ids: Int32Array, seed: number): Promise<number[]> => {
      const batch = { batch: draws, time, ids: new Int32Array(draws * time) };
      for (let row = 0; row < draws; row++) batch.ids.set(ids, row * time);
      const { logProbabilities } = await model.read(batch, createRandom(seed));
      return Array.from({ length: draws }, (_, row) => {
        let total = 0;
        for (let at = 1; at < time; at++) {
          total += logProbabilities[(row * time + at - 1) * symbols + ids[at]!]!;
        }
        return Math.exp(total);
      });
    };
    const a = await probabilities(one, 11);
    const b = await probabilities(
      one.map((id) => names[id]!),
      12,
    );
    const mean = (values: number[]) => values.reduce((x, y) => x + y, 0) / values.length;
    const variance = (values: number[]) =>
      mean(values.map((value) => (value - mean(values)) ** 2)) / (values.length - 1);
    const t = (mean(a) - mean(b)) / Math.sqrt(variance(a) + variance(b));
    // Fixed seeds: this holds or not, once and for all; 4 would come by chance in 1 of 16,000 cases.
    expect(Math.abs(t)).toBeLessThan(4);
    // The same test sees that another pattern has another probability.
    const c = await probabilities(Int32Array.of(0, 0, 0, 0, 0, 0), 13);
    expect(Math.abs((mean(a) - mean(c)) / Math.sqrt(variance(a) + variance(c)))).toBeGreaterThan(4);
  });

  test("the canonical variant is invariant bit for bit under 100 renamings", async () => {
    const model = models.get("canonical")!;
    const batch = randomBatch(4);
    const plain = await model.read(batch, createRandom(4));
    for (let seed = 0; seed < 100; seed++) {
      const names = permutationOf(seed);
      const renamed = await model.read(rename(batch, names), createRandom(4));
      expect(renamed.logProbabilities).toEqual(renameColumns(plain.logProbabilities, names));
    }
  });

  test("a learned table is not invariant", async () => {
    const model = models.get("learned")!;
    const batch = randomBatch(4);
    const names = permutationOf(1);
    const plain = await model.read(batch, createRandom(4));
    const renamed = await model.read(rename(batch, names), createRandom(4));
    const logProbabilities = renameColumns(plain.logProbabilities, names);
    expect(maxDifference({ logProbabilities }, renamed)).toBeGreaterThan(0.1);
  });
});

describe("patterns", () => {
  const textBatch = (text: string): SymbolBatch => ({
    batch: 1,
    time: text.length,
    ids: Int32Array.from(text, (letter) => letter.charCodeAt(0)),
  });

  test("rank symbols by first appearance", () => {
    const { ranks, seen } = rankByAppearance(textBatch("a big banana"));
    expect([...ranks]).toEqual([0, 1, 2, 3, 4, 1, 2, 0, 5, 0, 5, 0]);
    expect([...seen]).toEqual([1, 2, 3, 4, 5, 5, 5, 5, 6, 6, 6, 6]);
  });

  test("do not depend on names, and start anew in every sequence", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (seed, other) => {
        const batch = randomBatch(seed);
        const { ranks } = rankByAppearance(batch);
        expect(rankByAppearance(rename(batch, permutationOf(other))).ranks).toEqual(ranks);
        for (let row = 0; row < batch.batch; row++) expect(ranks[row * batch.time]).toBe(0);
      }),
    );
  });

  test("targets are the next ranks, or the class of symbols that have not come", () => {
    expect([...canonicalTargets(textBatch("abacab"), 4)]).toEqual([4, 0, 4, 0, 1]);
    const { read, targets } = nextSymbols({
      batch: 2,
      time: 3,
      ids: Int32Array.of(1, 2, 3, 4, 5, 6),
    });
    expect([...read.ids]).toEqual([1, 2, 4, 5]);
    expect([...targets]).toEqual([2, 3, 5, 6]);
  });
});

describe("permuteSymbols", () => {
  const vocabSize = symbols;

  test("with probability 0 changes nothing", () => {
    const batch = randomBatch(1);
    const random = createRandom(2);
    expect(permuteSymbols(batch, { probability: 0, vocabSize, random })).toEqual(batch);
  });

  test("with probability 1 renames every symbol of a sequence by one permutation", () => {
    const batch = randomBatch(1);
    const before = batch.ids.slice();
    const random = createRandom(2);
    const permuted = permuteSymbols(batch, { probability: 1, vocabSize, random });
    expect(rankByAppearance(permuted)).toEqual(rankByAppearance(batch));
    expect(permuted.ids).not.toEqual(batch.ids);
    expect(batch.ids).toEqual(before);
  });

  test("in between leaves about that share alone", () => {
    const batch = randomBatch(1, 40, 100);
    const random = createRandom(2);
    const permuted = permuteSymbols(batch, { probability: 0.2, vocabSize, random });
    const changed = permuted.ids.filter((id, at) => id !== batch.ids[at]).length / 4000;
    // A symbol may be permuted to itself, in one of nine cases.
    expect(changed).toBeGreaterThan(0.14);
    expect(changed).toBeLessThan(0.22);
  });
});

describe("exactLexinvariant", () => {
  /** The paper's example: babbbb and ababab with probability 1/2 each. */
  const words = ["babbbb", "ababab"].map((word) => [...word].map((letter) => "ab".indexOf(letter)));
  const language = (prefix: readonly number[]): number[] => {
    const possible = words.filter((word) => prefix.every((symbol, at) => word[at] === symbol));
    return [0, 1].map(
      (symbol) =>
        possible.filter((word) => word[prefix.length] === symbol).length / (possible.length || 1),
    );
  };

  test("the paper's example: after aba both are open, after abab the next is a", () => {
    const observer = exactLexinvariant(language, 2);
    for (const symbol of [0, 1, 0]) observer.read(symbol);
    expect([...observer.predict()]).toEqual([0.5, 0.5]);
    observer.read(1);
    expect([...observer.predict()]).toEqual([1, 0]);
    expect(observer.key().map((row) => [...row])).toEqual([
      [1, 0],
      [0, 1],
    ]);
  });

  test("what the language cannot write under any names is an error", () => {
    const observer = exactLexinvariant(language, 2);
    observer.read(0);
    expect(() => observer.read(0)).toThrow(
      expect.objectContaining({ code: "lexinvariant-sequence-impossible" }),
    );
    expect(() => exactLexinvariant(language, 9)).toThrow(
      expect.objectContaining({ code: "option-invalid" }),
    );
  });

  test("is the average over all renamings, and invariant under each", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const chain = Array.from({ length: 3 }, () => {
          const row = [0, 0, 0].map(() => random.uniform() + 0.01);
          const total = row.reduce((a, b) => a + b, 0);
          return row.map((value) => value / total);
        });
        const markov = (prefix: readonly number[]): number[] =>
          prefix.length === 0 ? [1 / 3, 1 / 3, 1 / 3] : chain[prefix.at(-1)!]!;
        const sequence = Array.from({ length: 5 }, () => random.integer(3));
        const probability = (ids: readonly number[]): number =>
          ids.reduce((product, id, at) => product * markov(ids.slice(0, at))[id]!, 1);
        const renamings = [
          [0, 1, 2],
          [0, 2, 1],
          [1, 0, 2],
          [1, 2, 0],
          [2, 0, 1],
          [2, 1, 0],
        ];
        const average =
          renamings.reduce((sum, names) => sum + probability(sequence.map((id) => names[id]!)), 0) /
          6;
        for (const names of renamings) {
          const observer = exactLexinvariant(markov, 3);
          let product = 1;
          for (const id of sequence) {
            const next = observer.predict();
            expect(next.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 10);
            product *= next[names[id]!]!;
            observer.read(names[id]!);
          }
          expect(product / average).toBeCloseTo(1, 9);
        }
      }),
      { numRuns: 30 },
    );
  });
});
