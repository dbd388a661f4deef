import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { normalizeRows } from "../records.ts";
import { buildInvertedFile, decodeInvertedFile, joinInvertedFiles } from "./inverted-file.ts";
import { InvertedScan } from "./inverted-scan.ts";
import { kthLargest } from "./kth-largest.ts";
import { dotAt } from "./products.ts";
import { TokenEngine } from "./token-engine.ts";
import {
  lastScores,
  maxSim,
  type RecordScores,
  type TokenPart,
  type TokenRetrievalOptions,
  type TokenScores,
  TokenSearch,
} from "./token-search.ts";

let engine: TokenEngine;
beforeAll(async () => {
  engine = await TokenEngine.open();
});
afterAll(() => engine.close());

const startSearch = (parts: readonly TokenPart[], query: Float32Array, dim: number): TokenSearch =>
  new TokenSearch(parts, query, dim, async () => engine);

/** Rows of length 1, in bunches as those of texts are. */
function sampleRows(count: number, dim: number, seed: number): Float32Array {
  const random = createRandom(seed, "rows");
  const centers = Array.from({ length: 8 }, () =>
    Array.from({ length: dim }, () => random.normal()),
  );
  const rows = new Float32Array(count * dim);
  for (let row = 0; row < count; row++) {
    const center = centers[random.integer(8)]!;
    for (let i = 0; i < dim; i++) rows[row * dim + i] = center[i]! + 0.7 * random.normal();
  }
  return normalizeRows(rows, dim, "tokens", "test");
}

/** Records with 0 to 6 tokens each. */
function samplePart(records: number, dim: number, seed: number): TokenPart {
  const random = createRandom(seed, "part");
  const offsets = new Uint32Array(records + 1);
  for (let i = 0; i < records; i++) offsets[i + 1] = offsets[i]! + random.integer(7);
  const flat = sampleRows(offsets.at(-1)!, dim, seed);
  const accepted = new Uint8Array(records).fill(1);
  return { dim, offsets, flat, inverted: undefined, accepted };
}

function scoreAll({ offsets, flat, dim }: TokenPart, query: Float32Array): number[] {
  return Array.from({ length: offsets.length - 1 }, (_, i) =>
    maxSim(query, flat!.subarray(offsets[i]! * dim, offsets[i + 1]! * dim), dim),
  );
}

const invert = (part: TokenPart, residuals: "4-bit" | "exact", clusters = 16): TokenPart => ({
  ...part,
  flat: undefined,
  inverted: buildInvertedFile(part.flat!, { dim: part.dim, residuals, clusters }),
});

const all = { candidates: Number.POSITIVE_INFINITY, probes: 1 };

interface Found {
  readonly part: number;
  readonly place: number;
  readonly score: number;
  readonly tokens: Int32Array;
  readonly scores: Float32Array;
}

/** Scores record by record. */
function listScores(search: TokenSearch, found: TokenScores): Found[] {
  const count = found.scores.length / found.records.length;
  return Array.from(found.records, (record, slot) => ({
    ...search.locate(record),
    score: found.means[slot]!,
    tokens: found.tokens.slice(slot * count, (slot + 1) * count),
    scores: found.scores.slice(slot * count, (slot + 1) * count),
  }));
}

/** Both steps over one index. */
function searchTokens(
  parts: readonly TokenPart[],
  query: Float32Array,
  dim: number,
  options: TokenRetrievalOptions,
): Found[] {
  const search = startSearch(parts, query, dim);
  const bounds = lastScores([search.retrieve(options)], options.candidates);
  return listScores(search, search.impute(bounds));
}

describe("token retrieval by hand", () => {
  // Three records on the axes of a plane: A (1,0) (0,1); B (0.8,0.6); C (-1,0).
  const part: TokenPart = {
    dim: 2,
    offsets: Uint32Array.of(0, 2, 3, 4),
    flat: Float32Array.of(1, 0, 0, 1, 0.8, 0.6, -1, 0),
    inverted: undefined,
    accepted: Uint8Array.of(1, 1, 1),
  };
  const query = Float32Array.of(1, 0, 0, 1);

  test("two tokens each: the last retrieved score stands for what is missing", () => {
    // Token 1 retrieves A's first (1) and B's (0.8); token 2 A's second (1) and B's (0.6). C is not found.
    const found = searchTokens([part], query, 2, { candidates: 2, probes: 1 });
    expect(found.map(({ place }) => place)).toEqual([0, 1]);
    expect(found.map(({ score }) => score)).toEqual([1, expect.closeTo(0.7, 6)]);
    // One token each: A alone, both of its tokens.
    const one = searchTokens([part], query, 2, { candidates: 1, probes: 1 });
    expect(one).toHaveLength(1);
    expect(one[0]!.tokens).toEqual(Int32Array.of(0, 1));
  });

  test("a record that one query token missed gets that token's last score", () => {
    const others = { ...part, offsets: Uint32Array.of(0, 1, 3, 4) };
    // A holds (1,0) alone. Query token 2 retrieves (0,1) of B with 1 and nothing of A.
    const found = searchTokens([others], query, 2, { candidates: 1, probes: 1 });
    const a = found.find(({ place }) => place === 0)!;
    expect(a.tokens).toEqual(Int32Array.of(0, -1));
    expect(a.scores).toEqual(Float32Array.of(1, 1));
  });
});

describe("exactness", () => {
  const query = sampleRows(5, 16, 99);

  test("all tokens as candidates: the best product of each query token, in flat and inverted parts", () => {
    const part = samplePart(60, 16, 1);
    const expected = scoreAll(part, query);
    for (const one of [part, invert(part, "exact")]) {
      const found = searchTokens([one], query, 16, all);
      const withTokens = expected.filter((_, i) => part.offsets[i + 1]! > part.offsets[i]!);
      expect(found).toHaveLength(withTokens.length);
      for (const { place, score } of found) expect(score).toBeCloseTo(expected[place]!, 6);
    }
  });

  test("imputed scores are upper bounds that fall with more candidates", () => {
    const part = samplePart(80, 16, 2);
    const exact = scoreAll(part, query);
    let before: Map<number, number> | undefined;
    for (const candidates of [1, 4, 16, 64, 256]) {
      const found = searchTokens([part], query, 16, { candidates, probes: 1 });
      for (const { place, score } of found) {
        expect(score).toBeGreaterThanOrEqual(exact[place]! - 1e-6);
        const earlier = before?.get(place);
        if (earlier !== undefined) expect(score).toBeLessThanOrEqual(earlier + 1e-6);
      }
      before = new Map(found.map(({ place, score }) => [place, score]));
    }
  });

  test("records in another order, and in several parts, score the same", () => {
    const part = samplePart(40, 16, 3);
    const cut = (from: number, to: number): TokenPart => ({
      ...part,
      offsets: part.offsets.slice(from, to + 1).map((at) => at - part.offsets[from]!),
      flat: part.flat!.slice(part.offsets[from]! * 16, part.offsets[to]! * 16),
      accepted: new Uint8Array(to - from).fill(1),
    });
    const options = { candidates: 12, probes: 1 };
    const whole = searchTokens([part], query, 16, options).map(({ place, score }) => [
      place,
      score,
    ]);
    const first = [25, 0];
    const parts = searchTokens([cut(25, 40), cut(0, 25)], query, 16, options).map(
      ({ part: number, place, score }) => [first[number]! + place, score],
    );
    const sort = (list: (number | undefined)[][]) => list.sort((a, b) => a[0]! - b[0]!);
    expect(sort(parts)).toEqual(sort(whole));
  });

  test("scored by all of their tokens: MaxSim, in flat and inverted parts, in any order", async () => {
    for (const dim of [16, 7]) {
      const part = samplePart(60, dim, 8);
      const asked = sampleRows(5, dim, 99);
      const expected = scoreAll(part, asked);
      const decoded = decodeInvertedFile(invert(part, "4-bit").inverted!);
      const fromCodes = scoreAll({ ...part, flat: decoded }, asked);
      for (const [one, wanted] of [
        [part, expected],
        [invert(part, "exact"), expected],
        [invert(part, "4-bit"), fromCodes],
      ] as const) {
        const search = startSearch([one], asked, dim);
        const records = search.allRecords().toReversed();
        const found = await search.scoreExactly(records);
        expect(found.records).toEqual(records);
        for (const [slot, record] of records.entries()) {
          expect(found.means[slot]).toBeCloseTo(wanted[record]!, 6);
          const { means, tokens } = search.matchTokens(record);
          expect(means[0]).toBeCloseTo(wanted[record]!, 6);
          for (const token of tokens) {
            expect(token).toBeGreaterThanOrEqual(part.offsets[record]!);
            expect(token).toBeLessThan(part.offsets[record + 1]!);
          }
        }
      }
    }
  });

  test("records of many blocks score as each by itself", async () => {
    const part = invert(samplePart(1200, 16, 12), "4-bit");
    const search = startSearch([part], query, 16);
    const { records, means } = await search.scoreExactly(search.allRecords());
    for (const slot of [0, 1, records.length >> 1, records.length - 1]) {
      expect(search.matchTokens(records[slot]!).means[0]).toBeCloseTo(means[slot]!, 6);
      const alone = await search.scoreExactly(records.subarray(slot, slot + 1));
      expect(alone.means[0]).toBe(means[slot]);
    }
  });

  test("a token has one score: retrieved from four bits, or found again in its record", () => {
    const part = invert(samplePart(80, 16, 9), "4-bit");
    const search = startSearch([part], query, 16);
    const retrieved = search.impute(lastScores([search.retrieve(all)], all.candidates));
    for (const [slot, record] of retrieved.records.entries()) {
      const again = search.matchTokens(record);
      expect(again.scores).toEqual(retrieved.scores.subarray(5 * slot, 5 * slot + 5));
      expect(again.tokens).toEqual(retrieved.tokens.subarray(5 * slot, 5 * slot + 5));
    }
  });

  test("two shards with their last scores joined give what one index gives", () => {
    const [a, b] = [samplePart(30, 16, 10), invert(samplePart(40, 16, 11), "4-bit")];
    for (const candidates of [3, 20, 1000]) {
      const options = { candidates, probes: 2 };
      const whole = searchTokens([a, b], query, 16, options);
      const shards = [a, b].map((part) => startSearch([part], query, 16));
      const best = shards.map((shard) => shard.retrieve(options));
      for (const scores of best.flat()) expect(scores.length).toBeLessThanOrEqual(candidates);
      const bounds = lastScores(best, candidates);
      const parts = shards.flatMap((shard, part) =>
        listScores(shard, shard.impute(bounds)).map((found) => ({ ...found, part })),
      );
      const sort = (list: Found[]) => list.sort((x, y) => x.part - y.part || x.place - y.place);
      expect(sort(parts)).toEqual(sort(whole));
    }
  });

  test("only accepted records are found, and as many as without the others", () => {
    const part = samplePart(50, 16, 4);
    const accepted = part.accepted.map((_, i) => (i % 5 === 0 ? 1 : 0));
    for (const one of [part, invert(part, "exact")]) {
      const options = { candidates: 8, probes: 2 };
      const found = searchTokens([{ ...one, accepted }], query, 16, options);
      expect(found.every(({ place }) => place % 5 === 0)).toBe(true);
      expect(found.length).toBeGreaterThan(4);
    }
  });
});

describe("estimates by clusters", () => {
  const query = sampleRows(5, 16, 99);
  const every = { probes: 1, candidates: Number.POSITIVE_INFINITY };
  const pairs = ({ records, means }: RecordScores): [number, number][] =>
    Array.from(records, (record, slot): [number, number] => [record, means[slot]!]).sort(
      (a, b) => a[0] - b[0],
    );

  test("by hand: the best centroid of a record's tokens, or the next one that was not looked into", async () => {
    // Centroids (1,0) and (0,1); record 0 has a token in each, record 1 in the first, record 2 in the second.
    const inverted = {
      ...{ dim: 2, codes: new Uint8Array(0), scales: new Uint8Array(0) },
      codebooks: new Float32Array(0),
      centroids: Float32Array.of(1, 0, 0, 1),
      starts: Uint32Array.of(0, 2, 4),
      tokens: Uint32Array.of(0, 2, 1, 3),
      exact: Float32Array.of(1, 0, 0.8, 0.6, 0, 1, -0.6, 0.8),
      codebookOf: Uint16Array.of(0, 0),
    };
    const part: TokenPart = {
      ...{ dim: 2, offsets: Uint32Array.of(0, 2, 3, 4), flat: undefined, inverted },
      accepted: Uint8Array.of(1, 1, 1),
    };
    const asked = Float32Array.of(0.8, 0.6, 0, 1);
    const search = startSearch([part], asked, 2);
    // Token 1 looks into (1,0) and imputes 0.6, token 2 into (0,1) and imputes 0.
    const found = pairs(await search.estimate({ probes: 1, candidates: 1 }, 3));
    const expected = [(0.8 + 1) / 2, (0.8 + 0) / 2, (0.6 + 1) / 2];
    expect(found.map(([record]) => record)).toEqual([0, 1, 2]);
    for (const [record, mean] of found) expect(mean).toBeCloseTo(expected[record]!, 6);
    const exact = await search.scoreExactly(Uint32Array.of(0, 1, 2));
    for (const [record, mean] of [0.9, (1 + 0.6) / 2, (0 + 0.8) / 2].entries()) {
      expect(exact.means[record]).toBeCloseTo(mean, 6);
    }
  });

  test("all clusters: MaxSim of the centroids; the best are given, and all that equal the last", async () => {
    const part = invert(samplePart(80, 16, 13), "4-bit");
    const { centroids, codebooks } = part.inverted!;
    const bare = { ...part.inverted!, codebooks: codebooks.map(() => 0) };
    const expected = scoreAll({ ...part, flat: decodeInvertedFile(bare) }, query);
    const search = startSearch([part], query, 16);
    expect(centroids.length).toBe(16 * 16);
    const found = pairs(await search.estimate(every, Number.POSITIVE_INFINITY));
    expect(found.map(([record]) => record)).toEqual([...search.allRecords()]);
    for (const [record, mean] of found) expect(mean).toBeCloseTo(expected[record]!, 6);
    const best = pairs(await search.estimate(every, 7));
    const sorted = found.map(([, mean]) => mean).sort((a, b) => b - a);
    expect(best).toEqual(found.filter(([, mean]) => mean >= sorted[6]!));
  });

  test("with few clusters no record is lost, and estimates are upper bounds of those from all", async () => {
    const part = invert(samplePart(80, 16, 14), "4-bit");
    const search = startSearch([part], query, 16);
    const full = new Map(pairs(await search.estimate(every, 1000)));
    for (const probes of [1, 3, 8]) {
      const found = pairs(await search.estimate({ probes, candidates: 1 }, 1000));
      expect(found).toHaveLength(full.size);
      for (const [record, mean] of found) {
        expect(mean).toBeGreaterThanOrEqual(full.get(record)! - 1e-9);
      }
    }
  });

  test("records that are not accepted take no place of those that are", async () => {
    const part = invert(samplePart(90, 16, 15), "4-bit");
    const accepted = part.accepted.map((_, i) => (i % 9 === 0 ? 1 : 0));
    const search = startSearch([{ ...part, accepted }], query, 16);
    const found = await search.estimate({ probes: 1, candidates: 4 }, 5);
    expect([...found.records].every((record) => record % 9 === 0)).toBe(true);
    expect(found.records.length).toBeGreaterThanOrEqual(5);
  });

  test("flat and inverted parts together: every record once, flat ones exactly", async () => {
    const [flat, other] = [samplePart(30, 16, 16), samplePart(40, 16, 17)];
    const search = startSearch([flat, invert(other, "4-bit")], query, 16);
    const found = pairs(await search.estimate(every, 1000));
    expect(found.map(([record]) => record)).toEqual([...search.allRecords()]);
    const exact = scoreAll(flat, query);
    for (const [record, mean] of found) {
      if (record < 30) expect(mean).toBeCloseTo(exact[record]!, 6);
    }
  });
});

describe("inverted files", () => {
  test("the score from bytes is the product with the decoded vector", () => {
    for (const dim of [16, 7]) {
      const rows = sampleRows(300, dim, 5);
      const file = buildInvertedFile(rows, { dim, clusters: 8 });
      const decoded = decodeInvertedFile(file);
      const query = sampleRows(1, dim, 6);
      const scan = new InvertedScan(file, query);
      let visited = 0;
      const scores = new Float32Array(300);
      const nearest = [...scan.nearest(3)];
      expect(scan.nearest(8).slice(0, nearest.length)).toEqual(nearest);
      for (const cluster of scan.nearest(8)) {
        const count = scan.scoreCluster(cluster, scores);
        visited += count;
        for (let i = 0; i < count; i++) {
          const token = file.tokens[file.starts[cluster]! + i]!;
          expect(scores[i]).toBeCloseTo(dotAt(query, 0, decoded, token * dim, dim), 5);
          expect(scan.bestOf(token, token + 1)).toEqual({ token, score: scores[i] });
        }
      }
      expect(visited).toBe(300);
    }
  });

  test("four bits keep the direction", () => {
    const rows = sampleRows(2000, 32, 7);
    const decoded = decodeInvertedFile(buildInvertedFile(rows, { dim: 32 }));
    let sum = 0;
    for (let row = 0; row < 2000; row++) sum += dotAt(rows, row * 32, decoded, row * 32, 32);
    expect(sum / 2000).toBeGreaterThan(0.98);
  });

  test("the error is a share of each residual, of short ones too", () => {
    // Two vectors out of three lie near a common one, at a hundredth of the distance of the others.
    const [far, random] = [sampleRows(900, 32, 18), createRandom(18, "near")];
    const rows = far.map((number, at) => {
      const row = Math.floor(at / 32);
      return row % 3 === 0 ? number : far[at % 32]! + 0.003 * random.normal();
    });
    const file = buildInvertedFile(rows, { dim: 32, clusters: 12 });
    const decoded = decodeInvertedFile(file);
    for (let cluster = 0; cluster < 12; cluster++) {
      for (let at = file.starts[cluster]!; at < file.starts[cluster + 1]!; at++) {
        const token = file.tokens[at]! * 32;
        let [error, length] = [0, 0];
        for (let i = 0; i < 32; i++) {
          error += (rows[token + i]! - decoded[token + i]!) ** 2;
          length += (rows[token + i]! - file.centroids[cluster * 32 + i]!) ** 2;
        }
        // A residual below the least scale is taken for it.
        expect(Math.sqrt(error)).toBeLessThan(0.35 * Math.sqrt(length) + 0.002);
      }
    }
  });

  test("joined files hold the tokens of both as they were, without those that are gone", () => {
    const [a, b] = [1, 2].map((seed) =>
      buildInvertedFile(sampleRows(100, 8, seed), { dim: 8, clusters: 4 }),
    ) as [ReturnType<typeof buildInvertedFile>, ReturnType<typeof buildInvertedFile>];
    const joined = decodeInvertedFile(
      joinInvertedFiles([
        { file: a, renumber: (token) => (token % 2 === 0 ? token / 2 : -1) },
        { file: b, renumber: (token) => 50 + token },
      ]),
    );
    const [rowsA, rowsB] = [decodeInvertedFile(a), decodeInvertedFile(b)];
    expect(joined.length).toBe(150 * 8);
    for (let token = 0; token < 50; token++) {
      expect(joined.slice(token * 8, token * 8 + 8)).toEqual(
        rowsA.slice(token * 16, token * 16 + 8),
      );
    }
    expect(joined.slice(50 * 8)).toEqual(rowsB);
  });

  test("the k-th largest of any numbers", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 50 }),
        (values, k) => {
          const sorted = values.toSorted((x, y) => y - x);
          expect(kthLargest(Float32Array.from(values), k)).toBe(
            sorted[Math.min(k, sorted.length) - 1],
          );
        },
      ),
    );
  });
});
