/**
 * Mixtures of experts: which experts a token is sent to, and the weighted sum of their results.
 *
 * Experts are computed in groups: tokens are gathered by expert, and an expert that no token chose is
 * neither computed nor read.
 */
import {
  abs,
  add,
  addDimensions,
  broadcastTo,
  cast,
  concat,
  conditional,
  cumulativeSum,
  type Dimension,
  divide,
  equal,
  fill,
  gather,
  gatherElements,
  greater,
  less,
  maximum,
  multiply,
  multiplyDimensions,
  oneHot,
  range,
  reshape,
  scatterAdd,
  sizeValue,
  slice,
  sliceBetween,
  softmax,
  split,
  subtract,
  sum,
  type Tensor,
  topK,
  where,
} from "../../tensor/index.ts";
import type { RouterWeighting } from "../decoder/experts-config.ts";

/** What a router decided for every row. */
export interface Routing {
  /** int32 `[rows, perToken]`: chosen experts, best first. */
  readonly choices: Tensor;
  /** float32 `[rows, perToken]`: their factors in the sum. */
  readonly weights: Tensor;
}

/** Options of `routeRows`. */
export interface RouteOptions {
  /** Experts of a row. */
  readonly perToken: number;
  readonly weighting: RouterWeighting;
  /** See `ExpertsConfig.routerJitter`. */
  readonly jitter: number;
}

/** Chooses experts by their logits `[rows, experts]`; of equal logits the lower index comes first. */
export function routeRows(logits: Tensor, options: RouteOptions): Routing {
  const { perToken, weighting, jitter } = options;
  if (weighting === "sparsemixer") return mixSparsely(logits, jitter);
  const { values, indices } = topK(logits, perToken);
  if (weighting === "chosen") return { choices: indices, weights: softmax(values) };
  return { choices: indices, weights: gatherElements(softmax(logits), indices, 1) };
}

/**
 * PhiMoE's inference form of SparseMixer (Liu et al., 2023): the weight of a choice is its probability
 * among the logits at most 2 · jitter below it, relative to the larger of it and their magnitude. The
 * second choice is made, and weighed, without the first.
 */
function mixSparsely(logits: Tensor, jitter: number): Routing {
  const experts = logits.shape[1] as number;
  const choose = (rest: Tensor): { index: Tensor; weight: Tensor } => {
    const { values: best, indices: index } = topK(rest, 1);
    const scale = maximum(abs(logits), best);
    const isFar = greater(divide(subtract(best, logits), scale), 2 * jitter);
    const close = where(isFar, Number.NEGATIVE_INFINITY, rest);
    return { index, weight: gatherElements(softmax(close), index, 1) };
  };
  const first = choose(logits);
  const isFirst = equal(first.index, reshape(range(experts), [1, experts]));
  const second = choose(where(isFirst, Number.NEGATIVE_INFINITY, logits));
  return {
    choices: concat([first.index, second.index], 1),
    weights: concat([first.weight, second.weight], 1),
  };
}

/** Rows and what is to be done with them. */
export interface ExpertMixture extends Routing {
  /** `[rows, experts]` of the router. */
  readonly logits: Tensor;
  /** `[rows, width]` */
  readonly x: Tensor;
  /** Number of experts. */
  readonly experts: number;
  /** One expert's result for some rows, `[some, width]`. */
  expert(index: number, rows: Tensor): Tensor;
}

/** The weighted sum of the chosen experts, `[rows, width]`. */
export type MixExperts = (mixture: ExpertMixture) => Tensor;

/** Options of `groupExperts`. */
export interface GroupExpertsOptions {
  /** Rows that an expert gets are filled up to a multiple of this. Default 1. */
  readonly rowTile?: number;
  /** float32 `[rows]`, 1 or 0: rows whose results do not count visit no expert. Default: all count. */
  readonly counted?: Tensor;
  /**
   * Experts behind one conditional, which costs about twelve microseconds. With several, a product of a
   * branch that is taken may get no rows at all: not every kernel allows that. Default 1.
   */
  readonly perBranch?: number;
}

/**
 * Mixes by groups: each chosen expert sees its rows together. The result of a row does not depend on the
 * rows beside it, as long as that holds for an expert's products in tiles of `rowTile` rows.
 */
export function groupExperts(options: GroupExpertsOptions = {}): MixExperts {
  const { rowTile = 1, counted, perBranch = 1 } = options;
  return ({ x, choices, weights, experts, expert }) => {
    const [rows, perToken] = choices.shape as [Dimension, number];
    const sorted = sortRows({ choices, experts, rowTile, counted });
    const nothing = fill([0, x.shape[1]!], 0);
    const runExpert = (index: number, { start, end }: ExpertRows): Tensor =>
      expert(index, gather(x, sliceBetween(sorted.rows, start, end)));
    const chosen = gather(
      runSome(sorted, { experts, perBranch, nothing }, runExpert),
      sorted.places,
    );
    const weighted = multiply(chosen, reshape(weights, [rows, perToken, 1]));
    return sum(weighted, { axes: [1] });
  };
}

/**
 * Results of all experts one after the other; those without rows give none. No conditional stands within
 * another: ONNX Runtime packs the weights of a branch in advance, but not those of a branch within a branch
 * (measured: four times the time).
 */
function runSome(
  { starts, ends }: SortedRows,
  { experts, perBranch, nothing }: { experts: number; perBranch: number; nothing: Tensor },
  runExpert: (index: number, rows: ExpertRows) => Tensor,
): Tensor {
  const counts: number[] = [];
  for (let left = experts; left > 0; left -= perBranch) {
    counts.push(Math.min(left, perBranch));
  }
  const [firsts, lasts] = [starts, ends].map((part) => split(part, counts, 0));
  const parts = counts.map((count, at) => {
    const each = new Array<number>(count).fill(1);
    const first = slice(firsts![at]!, { axis: 0, end: 1 });
    const last = slice(lasts![at]!, { axis: 0, start: count - 1 });
    return conditional(
      less(first, last),
      () => {
        const [own, until] = [firsts![at]!, lasts![at]!].map((part) => split(part, each, 0));
        const results = each.map((_, place) =>
          runExpert(at * perBranch + place, { start: own![place]!, end: until![place]! }),
        );
        return { y: concat(results, 0) };
      },
      () => ({ y: nothing }),
    ).y;
  });
  return concat(parts, 0);
}

/** The part of the sorted rows that one expert gets, int32 `[1]`. */
interface ExpertRows {
  readonly start: Tensor;
  readonly end: Tensor;
}

/**
 * Mixes by computing every expert for every row: differentiable, and as dear as a dense layer of all
 * experts together.
 */
export const everyExpert: MixExperts = ({ x, choices, weights, experts, expert }) => {
  // [rows, experts]: the weight of each expert, 0 where it was not chosen.
  const all = sum(multiply(oneHot(choices, experts), reshape(weights, [...weights.shape, 1])), {
    axes: [1],
  });
  const each = split(all, new Array<number>(experts).fill(1), 1);
  return each
    .map((weight, index) => multiply(weight, expert(index, x)))
    .reduce((a, b) => add(a, b));
};

/** Rows in the order of their experts. */
interface SortedRows {
  /** int32: indices of rows. */
  readonly rows: Tensor;
  /** The part of `rows` that each expert gets, int32 `[experts]`. */
  readonly starts: Tensor;
  readonly ends: Tensor;
  /** int32 `[rows, perToken]`: where the result for each choice stands among those of all experts. */
  readonly places: Tensor;
}

/** Sorts choices by expert, stably, by counting. */
function sortRows(of: {
  readonly choices: Tensor;
  readonly experts: number;
  readonly rowTile: number;
  readonly counted: Tensor | undefined;
}): SortedRows {
  const { choices, experts, rowTile, counted } = of;
  const [rows, perToken] = choices.shape as [Dimension, number];
  const count = multiplyDimensions(rows, perToken);
  const perChoice = (values: Tensor): Tensor =>
    reshape(broadcastTo(reshape(values, [rows, 1]), [rows, perToken]), [count]);
  const flat = reshape(choices, [count]);
  let isOf = cast(oneHot(flat, experts), "int32");
  if (counted) isOf = multiply(isOf, reshape(perChoice(cast(counted, "int32")), [count, 1]));
  const seen = cumulativeSum(isOf, 0);
  const sizes = sum(isOf, { axes: [0] });
  const padded =
    rowTile === 1 ? sizes : multiply(divide(add(sizes, rowTile - 1), rowTile), rowTile);
  const ends = cumulativeSum(padded, 0);
  const starts = subtract(ends, padded);
  // Places within the group count from 0; a row that does not count has -1.
  const rank = subtract(sum(multiply(isOf, seen), { axes: [1] }), 1);
  const place = add(gather(starts, flat), rank);
  // Rows that do not count are written behind all groups, where none is read.
  const last = addDimensions(count, experts * (rowTile - 1));
  const target = where(less(rank, 0), sizeValue(last), place);
  const order = scatterAdd(
    fill([addDimensions(last, 1)], 0, "int32"),
    target,
    perChoice(range(rows)),
    0,
  );
  const places = reshape(maximum(place, 0), [rows, perToken]);
  return { rows: order, starts, ends, places };
}
