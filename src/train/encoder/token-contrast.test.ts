import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { evaluateReference, float32, int32, sum, trace } from "../../tensor/index.ts";
import { contrastGradients } from "./contrast-loss.ts";
import { maxSimScores, xtrScores } from "./token-contrast-graph.ts";

const width = 4;

interface Texts {
  /** Lengths of the texts, filled up to the longest. */
  readonly lengths: readonly number[];
  readonly vectors: Float32Array;
  readonly kept: Float32Array;
  readonly time: number;
}

function makeTexts(seed: number, lengths: readonly number[]): Texts {
  const random = createRandom(seed, "texts");
  const time = Math.max(...lengths);
  const vectors = Float32Array.from({ length: lengths.length * time * width }, () =>
    random.normal(),
  );
  const kept = new Float32Array(lengths.length * time);
  for (const [row, length] of lengths.entries()) kept.fill(1, row * time, row * time + length);
  return { lengths, vectors, kept, time };
}

/** The score of the paper, pair by pair. */
function scoresByHand(
  queries: Texts,
  documents: Texts,
  candidates: number | undefined,
): number[][] {
  const product = (query: number, i: number, document: number, j: number): number => {
    let value = 0;
    for (let at = 0; at < width; at++) {
      value +=
        queries.vectors[(query * queries.time + i) * width + at]! *
        documents.vectors[(document * documents.time + j) * width + at]!;
    }
    return value;
  };
  const pool = documents.lengths.flatMap((length, document) =>
    Array.from({ length }, (_, j) => [document, j] as const),
  );
  return queries.lengths.map((count, query) => {
    const bounds = Array.from({ length: count }, (_, i) => {
      const all = pool.map(([document, j]) => product(query, i, document, j)).sort((a, b) => b - a);
      return all[(candidates ?? all.length) - 1]!;
    });
    return documents.lengths.map((length, document) => {
      let [total, found] = [0, 0];
      for (let i = 0; i < count; i++) {
        const own = Array.from({ length }, (_, j) => product(query, i, document, j));
        const aligned = own.map((value) => value >= bounds[i]! - 1e-9);
        total += Math.max(...own.map((value, j) => (aligned[j] ? value : 0)));
        if (aligned.includes(true)) found++;
      }
      return total / (candidates === undefined ? count : Math.max(found, 1e-3));
    });
  });
}

const graphOf = (scoring: "xtr" | "max-sim") =>
  trace(
    {
      q: float32(["query", "queryTime", width]),
      d: float32(["document", "documentTime", width]),
      "q.kept": float32(["query", "queryTime"]),
      "d.kept": float32(["document", "documentTime"]),
      candidates: int32(["candidates"]),
    },
    (input) => {
      const kept = { queries: input["q.kept"], documents: input["d.kept"] };
      const scores =
        scoring === "xtr"
          ? xtrScores(input.q, input.d, kept)
          : maxSimScores(input.q, input.d, kept);
      return { scores, used: sum(input.candidates) };
    },
  );

function run(
  scoring: "xtr" | "max-sim",
  queries: Texts,
  documents: Texts,
  candidates: number,
): number[] {
  const value = ({ vectors, lengths, time }: Texts) => ({
    data: vectors,
    shape: [lengths.length, time, width],
  });
  const kept = ({ kept: data, lengths, time }: Texts) => ({ data, shape: [lengths.length, time] });
  const { scores } = evaluateReference(graphOf(scoring), {
    q: value(queries),
    d: value(documents),
    "q.kept": kept(queries),
    "d.kept": kept(documents),
    candidates: { data: new Int32Array(candidates), shape: [candidates] },
  });
  return [...scores.data];
}

describe("scores of late interaction in training", () => {
  const queries = makeTexts(1, [3, 2]);
  const documents = makeTexts(2, [4, 2, 5]);

  test("max-sim is the mean of the best products, filled tokens left out", () => {
    const expected = scoresByHand(queries, documents, undefined).flat();
    for (const [at, score] of run("max-sim", queries, documents, 1).entries()) {
      expect(score).toBeCloseTo(expected[at]!, 5);
    }
  });

  test.each([1, 3, 6, 11])("xtr counts the %i tokens that the batch's best are", (candidates) => {
    const expected = scoresByHand(queries, documents, candidates).flat();
    for (const [at, score] of run("xtr", queries, documents, candidates).entries()) {
      expect(score).toBeCloseTo(expected[at]!, 4);
    }
  });

  test("retrieving every token makes xtr the sum of maxima", () => {
    const all = documents.lengths.reduce((a, b) => a + b, 0);
    expect(run("xtr", queries, documents, all)).toEqual(run("max-sim", queries, documents, 1));
  });
});

test("gradients of the cached loss are its slopes", () => {
  const random = createRandom(3, "vectors");
  const make = (rows: number) => Float32Array.from({ length: rows * width }, () => random.normal());
  const [queries, documents] = [make(3), make(5)];
  const targets = Int32Array.of(0, 2, 4);
  const excluded = new Uint8Array(15);
  excluded[5 + 4] = 1;
  const options = { width, temperature: 0.7 };
  const loss = () => contrastGradients(queries, documents, { targets, excluded }, options).loss;
  const found = contrastGradients(queries, documents, { targets, excluded }, options);
  for (const [values, slopes] of [
    [queries, found.queries],
    [documents, found.documents],
  ] as const) {
    for (let at = 0; at < values.length; at++) {
      const before = values[at]!;
      values[at] = before + 1e-2;
      const up = loss();
      values[at] = before - 1e-2;
      const down = loss();
      values[at] = before;
      expect(slopes[at]).toBeCloseTo((up - down) / 2e-2, 2);
    }
  }
});
