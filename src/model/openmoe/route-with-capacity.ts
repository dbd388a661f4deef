/**
 * Routing with a capacity (OpenMoE, after ST-MoE), token by token in float64: which choices each expert
 * still takes, the weights that remain, and the losses that keep experts balanced.
 *
 * All first choices of a group queue before any second choice, so a later token's first choice can push out
 * an earlier token's second one: training with a capacity is not causal, inference without one is.
 */
import { JetonError, softmax } from "../../core/index.ts";
import { roundHalfEven } from "../round-half-even.ts";

/** How many choices an expert takes from a group of S tokens, E experts and k choices a token. */
export type CapacityRule =
  /** ⌊k · factor · S / E⌋, plus one where that is odd, at least `least` (PyTorch port). */
  | { readonly rule: "floor"; readonly factor: number; readonly least: number }
  /** factor · S / E to the nearest integer, halves to the even one, at least `least` (JAX library). */
  | { readonly rule: "round"; readonly factor: number; readonly least: number }
  /** No limit: inference. */
  | { readonly rule: "none" };

/** Options of `routeWithCapacity`. */
export interface CapacityRoutingOptions {
  /** Choices of a token. */
  readonly perToken: number;
  readonly capacity: CapacityRule;
  /** Tokens in sequences of equal length, padded at their ends. */
  readonly sequences: number;
  readonly length: number;
  /** Real tokens of each sequence; default: all. Padding takes no place and is in no loss. */
  readonly lengths?: readonly number[];
  /** Tokens that queue together: all, those of a sequence, or so many consecutive ones. Default `"batch"`. */
  readonly group?: "batch" | "sequence" | number;
  /** The queue goes by falling best probability instead of position. Default false. */
  readonly byProbability?: boolean;
}

/** What was routed. Lists are by token, then by rank of the choice; empty for padding. */
export interface CapacityRouting {
  /** Of each group; undefined: no limit. */
  readonly capacity: readonly (number | undefined)[];
  readonly choices: readonly (readonly number[])[];
  /** Place in the queue of the expert, counted from 0; dropped choices keep theirs. */
  readonly positions: readonly (readonly number[])[];
  readonly kept: readonly (readonly boolean[])[];
  /** Probability among all experts; 0 where dropped. */
  readonly weights: readonly (readonly number[])[];
  /** Kept choices by group and expert. */
  readonly used: readonly (readonly number[])[];
  /**
   * E · Σ mᵢ Pᵢ of each group that has a real token: mᵢ the share of its real tokens that chose expert i (before the
   * capacity), Pᵢ their mean probability of it. `perToken` at perfect balance.
   */
  readonly balancePerGroup: readonly number[];
  /** Mean of `balancePerGroup`. */
  readonly balance: number;
  /** The same over all real tokens at once. */
  readonly balanceWhole: number;
  /** Mean over real tokens of (log Σ exp logits)². */
  readonly zLoss: number;
  readonly dropped: {
    /** Dropped choices by rank. */
    readonly byChoice: readonly number[];
    /** Real tokens of which no choice was kept. */
    readonly whole: number;
  };
}

/** Capacity of a group; undefined where there is no limit. */
export function capacityOf(
  rule: CapacityRule,
  group: { readonly tokens: number; readonly experts: number; readonly perToken: number },
): number | undefined {
  if (rule.rule === "none") return undefined;
  const share = (rule.factor * group.tokens) / group.experts;
  if (rule.rule === "round") return Math.max(rule.least, roundHalfEven(share));
  const whole = Math.floor(group.perToken * share);
  return Math.max(rule.least, whole + (whole % 2));
}

/**
 * Routes the tokens of a batch.
 *
 * @param logits of the router, `[token][expert]` in reading order, padding included
 * @throws JetonError `option-invalid` where the numbers of tokens do not agree
 */
export function routeWithCapacity(
  logits: readonly (readonly number[])[],
  options: CapacityRoutingOptions,
): CapacityRouting {
  const { perToken, sequences, length, lengths } = options;
  const count = sequences * length;
  if (logits.length !== count || (lengths && lengths.length !== sequences)) {
    throw new JetonError(`${logits.length} tokens, expected ${sequences} sequences of ${length}`, {
      code: "option-invalid",
      details: { option: "length", found: logits.length, expected: count },
    });
  }
  const isReal = (token: number): boolean =>
    lengths === undefined || token % length < lengths[Math.floor(token / length)]!;
  const probabilities = logits.map((row) => Array.from(softmax(row)));
  const choices = logits.map((row, token) => (isReal(token) ? largest(row, perToken) : []));
  const positions = choices.map((chosen) => chosen.map(() => 0));
  const kept = choices.map((chosen) => chosen.map(() => false));
  const groups = groupTokens(count, options);
  const best = options.byProbability ? logits.map(highestProbability) : [];
  const state = { choices, positions, kept, probabilities, best };
  const queues = groups.map((tokens) =>
    queueGroup(tokens.filter(isReal), tokens.length, state, options),
  );
  const balances = groups
    .filter((tokens) => tokens.some(isReal))
    .map((tokens) => balanceOf(tokens.filter(isReal), state));
  const real = [...choices.keys()].filter(isReal);
  return {
    capacity: queues.map(({ capacity }) => capacity),
    choices,
    positions,
    kept,
    weights: choices.map((chosen, token) =>
      chosen.map((expert, rank) => (kept[token]![rank] ? probabilities[token]![expert]! : 0)),
    ),
    used: queues.map(({ used }) => used),
    balancePerGroup: balances,
    balance: mean(balances),
    balanceWhole: balanceOf(real, state),
    zLoss: mean(real.map((token) => logSumExp(logits[token]!) ** 2)),
    dropped: {
      byChoice: Array.from(
        { length: perToken },
        (_, rank) => real.filter((token) => !kept[token]![rank]).length,
      ),
      whole: real.filter((token) => !kept[token]!.includes(true)).length,
    },
  };
}

interface RoutedTokens {
  readonly choices: readonly (readonly number[])[];
  readonly positions: number[][];
  readonly kept: boolean[][];
  readonly probabilities: readonly (readonly number[])[];
  /** The highest probability of each token, where tokens queue by it. */
  readonly best: readonly number[];
}

/** Queues the real tokens of one group, rank after rank, and says what each expert took. */
function queueGroup(
  real: readonly number[],
  tokens: number,
  { choices, positions, kept, probabilities, best }: RoutedTokens,
  { perToken, capacity: rule, byProbability = false }: CapacityRoutingOptions,
): { capacity: number | undefined; used: number[] } {
  const experts = probabilities[0]!.length;
  const capacity = capacityOf(rule, { tokens, experts, perToken });
  const order = byProbability ? real.toSorted((a, b) => best[b]! - best[a]! || a - b) : real;
  const used = new Array<number>(experts).fill(0);
  const choiceOf = (token: number, rank: number): number => choices[token]![rank]!;
  for (const { token, rank, place } of queueChoices(order, choiceOf, { experts, perToken })) {
    positions[token]![rank] = place;
    if (capacity !== undefined && place >= capacity) continue;
    kept[token]![rank] = true;
    used[choiceOf(token, rank)]!++;
  }
  return { capacity, used };
}

/** Choices of some tokens in the order in which they queue, and the place of each with its expert, from 0. */
export function* queueChoices(
  tokens: readonly number[],
  choiceOf: (token: number, rank: number) => number,
  { experts, perToken }: { readonly experts: number; readonly perToken: number },
): Generator<{ readonly token: number; readonly rank: number; readonly place: number }> {
  const queued = new Int32Array(experts);
  for (let rank = 0; rank < perToken; rank++) {
    for (const token of tokens) yield { token, rank, place: queued[choiceOf(token, rank)]!++ };
  }
}

function groupTokens(
  count: number,
  { group = "batch", length }: CapacityRoutingOptions,
): number[][] {
  const size = group === "batch" ? count : group === "sequence" ? length : group;
  return Array.from({ length: Math.ceil(count / size) }, (_, at) =>
    Array.from({ length: Math.min(size, count - at * size) }, (__, offset) => at * size + offset),
  );
}

function balanceOf(real: readonly number[], { choices, probabilities }: RoutedTokens): number {
  if (real.length === 0) return 0;
  const experts = probabilities[0]!.length;
  let sum = 0;
  for (let expert = 0; expert < experts; expert++) {
    const share = mean(real.map((token) => Number(choices[token]!.includes(expert))));
    sum += share * mean(real.map((token) => probabilities[token]![expert]!));
  }
  return experts * sum;
}

/** Indices of the largest elements, best first, the lower index among equals. */
function largest(row: readonly number[], count: number): number[] {
  return [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, count);
}

/** The probability of the best expert, summed in one order so that equal logits in other places give the same number. */
function highestProbability(row: readonly number[]): number {
  const most = Math.max(...row);
  const sorted = row.toSorted((a, b) => a - b);
  return 1 / sorted.reduce((sum, value) => sum + Math.exp(value - most), 0);
}

function logSumExp(row: readonly number[]): number {
  const most = Math.max(...row);
  return most + Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
}
