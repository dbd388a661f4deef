/** What a router does: specialization, agreement with a table of tokens, similarity, drops. */
import { queueChoices } from "./route-with-capacity.ts";
import type { RoutingTrace } from "./routing-trace.ts";

/** By what routing is explained. */
export type RoutingFactor = "token" | "position" | "domain";

/** How the tokens of one value of a factor are spread over the experts. */
export interface RoutedValue {
  /** Token id, number of a range of positions, or number of a domain. */
  readonly value: number;
  /** Tokens that have it. */
  readonly count: number;
  /** `[experts]`: share of the choices. Sums to 1. */
  readonly shares: Float64Array;
  /** Standard deviation of the shares: 0 for uniform routing. */
  readonly deviation: number;
}

/** How far a factor decides the expert. */
export interface Specialization {
  /** Values with enough tokens, the most frequent first. */
  readonly values: readonly RoutedValue[];
  /** Mean of their deviations, weighted by tokens; NaN where no value has enough. */
  readonly deviation: number;
  /** The deviation where every value has one expert for each choice: √((1/k − 1/E) / E). */
  readonly oneHotDeviation: number;
  /**
   * 1 − H(first expert | value) / H(first expert): the share of the information that the factor has. NaN where no
   * value has enough tokens.
   */
  readonly information: number;
}

/** Options of the reports. */
export interface RoutingReportOptions {
  /** Sparse layer, from 0. Default: the third, or the last where there are fewer. */
  readonly layer?: number;
  /** Values with fewer tokens are left out. Default 128. */
  readonly minCount?: number;
  /** Positions of one range. Default 16. */
  readonly binSize?: number;
}

/** Choices of one token in one layer, best first. */
function choicesAt(trace: RoutingTrace, token: number, layer: number): Int32Array {
  const start = (token * trace.layers + layer) * trace.perToken;
  return trace.choices.subarray(start, start + trace.perToken);
}

/** The layer that a report is about. */
export function reportedLayer(trace: RoutingTrace, layer?: number): number {
  return layer ?? Math.min(2, trace.layers - 1);
}

/** How far a factor decides the experts of a layer. */
export function specialization(
  trace: RoutingTrace,
  by: RoutingFactor,
  options: RoutingReportOptions = {},
): Specialization {
  const { minCount = 128, binSize = 16 } = options;
  const { experts, perToken } = trace;
  const layer = reportedLayer(trace, options.layer);
  const factorOf = (token: number): number => {
    if (by === "token") return trace.ids[token]!;
    if (by === "domain") return trace.domains[token]!;
    return Math.floor(trace.positions[token]! / binSize);
  };
  const counts = new Map<number, { tokens: number; all: Float64Array; first: Float64Array }>();
  for (let token = 0; token < trace.ids.length; token++) {
    const value = factorOf(token);
    let own = counts.get(value);
    if (!own) {
      own = { tokens: 0, all: new Float64Array(experts), first: new Float64Array(experts) };
      counts.set(value, own);
    }
    own.tokens++;
    const choices = choicesAt(trace, token, layer);
    own.first[choices[0]!]!++;
    for (const expert of choices) own.all[expert]!++;
  }
  const kept = [...counts]
    .filter(([, { tokens }]) => tokens >= minCount)
    .sort(([, a], [, b]) => b.tokens - a.tokens);
  const values = kept.map(([value, { tokens, all }]): RoutedValue => {
    const shares = all.map((count) => count / (tokens * perToken));
    return { value, count: tokens, shares, deviation: deviationOf(shares) };
  });
  const total = values.reduce((sum, { count }) => sum + count, 0);
  return {
    values,
    deviation: values.reduce((sum, { count, deviation }) => sum + count * deviation, 0) / total,
    oneHotDeviation: Math.sqrt((1 / perToken - 1 / experts) / experts),
    information: sharedInformation(kept.map(([, { first }]) => first)),
  };
}

function deviationOf(shares: Float64Array): number {
  const mean = 1 / shares.length;
  return Math.sqrt(shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length);
}

/** 1 − H(expert | value) / H(expert) from counts by value, with Miller and Madow's correction of both. */
function sharedInformation(counts: readonly Float64Array[]): number {
  const whole = new Float64Array(counts[0]?.length ?? 0);
  let total = 0;
  let conditional = 0;
  for (const own of counts) {
    const size = own.reduce((a, b) => a + b, 0);
    total += size;
    conditional += size * entropy(own);
    for (const [expert, count] of own.entries()) whole[expert]! += count;
  }
  const marginal = entropy(whole);
  return marginal === 0 ? 0 : 1 - conditional / total / marginal;
}

function entropy(counts: Float64Array): number {
  const size = counts.reduce((a, b) => a + b, 0);
  let bits = 0;
  let seen = 0;
  for (const count of counts) {
    if (count === 0) continue;
    seen++;
    bits -= (count / size) * Math.log(count / size);
  }
  // Small samples look more certain than what they are drawn from.
  return bits + (seen - 1) / (2 * size);
}

/** The most frequent first choice of each token id; of equal ones the lower expert. */
export function staticTable(
  trace: RoutingTrace,
  options: Pick<RoutingReportOptions, "layer"> = {},
): Map<number, number> {
  const layer = reportedLayer(trace, options.layer);
  const counts = new Map<number, Int32Array>();
  for (let token = 0; token < trace.ids.length; token++) {
    const id = trace.ids[token]!;
    let own = counts.get(id);
    if (!own) {
      own = new Int32Array(trace.experts);
      counts.set(id, own);
    }
    own[choicesAt(trace, token, layer)[0]!]!++;
  }
  return new Map([...counts].map(([id, own]) => [id, own.indexOf(Math.max(...own))]));
}

/**
 * Share of tokens whose first choice is the table's, by sequence (so that an interval can be drawn). Tokens
 * that the table does not know count as disagreeing. Read it on other text than the table was made from.
 */
export function tableAgreement(
  trace: RoutingTrace,
  table: ReadonlyMap<number, number>,
  options: Pick<RoutingReportOptions, "layer"> = {},
): number[] {
  const layer = reportedLayer(trace, options.layer);
  const sums: { same: number; tokens: number }[] = [];
  for (let token = 0; token < trace.ids.length; token++) {
    const sequence = trace.sequences[token]!;
    sums[sequence] ??= { same: 0, tokens: 0 };
    const own = sums[sequence];
    own.tokens++;
    if (table.get(trace.ids[token]!) === choicesAt(trace, token, layer)[0]) own.same++;
  }
  return sums.map(({ same, tokens }) => same / tokens);
}

/** Cosine similarity of how two models route each token id: values that both traces have, by tokens. */
export function routingSimilarity(
  a: RoutingTrace,
  b: RoutingTrace,
  options: RoutingReportOptions = {},
): { readonly mean: number; readonly byToken: readonly number[] } {
  const other = new Map(
    specialization(b, "token", options).values.map(({ value, shares }) => [value, shares]),
  );
  let sum = 0;
  let tokens = 0;
  const byToken: number[] = [];
  for (const { value, count, shares } of specialization(a, "token", options).values) {
    const theirs = other.get(value);
    if (!theirs) continue;
    const similarity = cosine(shares, theirs);
    byToken.push(similarity);
    sum += count * similarity;
    tokens += count;
  }
  return { mean: sum / tokens, byToken };
}

function cosine(a: Float64Array, b: Float64Array): number {
  let [product, squareA, squareB] = [0, 0, 0];
  for (const [at, value] of a.entries()) {
    product += value * b[at]!;
    squareA += value * value;
    squareB += b[at]! * b[at]!;
  }
  return product / Math.sqrt(squareA * squareB);
}

/** Drops at a range of positions. */
export interface DropRange {
  /** First position of the range. */
  readonly from: number;
  readonly tokens: number;
  /** `[perToken]`: share of the choices of each rank that are dropped. */
  readonly byChoice: readonly number[];
  /** Share of tokens of which every choice is dropped. */
  readonly whole: number;
}

/**
 * Which choices a capacity would drop, by position: sequences are groups, first choices queue before
 * second ones.
 *
 * @param options `capacity`: choices that an expert takes from a sequence of so many tokens; `bins`: ranges
 *   of equal length (default 4)
 */
export function dropByPosition(
  trace: RoutingTrace,
  options: {
    readonly capacity: (tokens: number) => number;
    readonly layer?: number;
    readonly bins?: number;
  },
): DropRange[] {
  const { capacity, bins = 4 } = options;
  const { perToken, positions, sequences } = trace;
  const layer = reportedLayer(trace, options.layer);
  const longest = positions.reduce((a, b) => Math.max(a, b), 0) + 1;
  const size = Math.ceil(longest / bins);
  const ranges = Array.from({ length: bins }, () => ({
    tokens: 0,
    dropped: new Array<number>(perToken).fill(0),
    whole: 0,
  }));
  for (let start = 0; start < positions.length; ) {
    let end = start;
    while (end < positions.length && sequences[end] === sequences[start]) end++;
    const limit = capacity(end - start);
    const tokens = Array.from({ length: end - start }, (_, at) => start + at);
    const choiceOf = (token: number, rank: number): number => choicesAt(trace, token, layer)[rank]!;
    const lost = new Int32Array(end - start);
    for (const { token, rank, place } of queueChoices(tokens, choiceOf, trace)) {
      if (place < limit) continue;
      lost[token - start]!++;
      ranges[Math.floor(positions[token]! / size)]!.dropped[rank]!++;
    }
    for (const token of tokens) {
      const range = ranges[Math.floor(positions[token]! / size)]!;
      range.tokens++;
      if (lost[token - start] === perToken) range.whole++;
    }
    start = end;
  }
  return ranges.map(({ tokens, dropped, whole }, at) => ({
    from: at * size,
    tokens,
    byChoice: dropped.map((count) => (tokens === 0 ? 0 : count / tokens)),
    whole: tokens === 0 ? 0 : whole / tokens,
  }));
}

/** The ids that an expert gets most of, as shares of its choices. */
export function topTokens(
  trace: RoutingTrace,
  expert: number,
  options: { readonly layer?: number; readonly count?: number } = {},
): { readonly id: number; readonly share: number }[] {
  const layer = reportedLayer(trace, options.layer);
  const counts = new Map<number, number>();
  let total = 0;
  for (let token = 0; token < trace.ids.length; token++) {
    if (!choicesAt(trace, token, layer).includes(expert)) continue;
    total++;
    counts.set(trace.ids[token]!, (counts.get(trace.ids[token]!) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, options.count ?? 10)
    .map(([id, count]) => ({ id, share: count / total }));
}

/** Share of the choices that each expert of a layer gets. */
export function expertLoads(
  trace: RoutingTrace,
  options: Pick<RoutingReportOptions, "layer"> = {},
): number[] {
  const layer = reportedLayer(trace, options.layer);
  const loads = new Array<number>(trace.experts).fill(0);
  for (let token = 0; token < trace.ids.length; token++) {
    for (const expert of choicesAt(trace, token, layer)) loads[expert]!++;
  }
  const total = trace.ids.length * trace.perToken;
  return loads.map((load) => load / total);
}
