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
  constant,
  cumulativeSum,
  type Dimension,
  divide,
  equal,
  fill,
  gather,
  gatherElements,
  greater,
  matmul,
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
  splitBySizes,
  subtract,
  subtractDimensions,
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
  /** An expert's first product for some rows `[some, width]`. */
  enter(index: number, rows: Tensor): Tensor;
  /** What all experts do alike to each row between their products. */
  activate(entered: Tensor): Tensor;
  /** An expert's last product, `[some, width]`. */
  leave(index: number, activated: Tensor): Tensor;
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
   * Experts behind one conditional, which costs about five microseconds where it is not taken. With several, a product of a
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
  return (mixture) => {
    const { x, choices, weights, experts } = mixture;
    const [rows, perToken] = choices.shape as [Dimension, number];
    const width = x.shape[1]!;
    const sorted = sortRows({ choices, experts, rowTile, counted });
    const results = runSome(mixture, sorted, perBranch);
    const chosen = gather(results, sorted.places);
    return reshape(matmul(reshape(weights, [rows, 1, perToken]), chosen), [rows, width]);
  };
}

/**
 * Results of all experts one after the other; those without rows give none. No conditional stands within
 * another: ONNX Runtime packs the weights of a branch in advance, but not those of a branch within a branch
 * (measured: four times the time). Few rows take few microseconds, and so does each node: hence one cut for
 * all groups, and one activation for all experts of a group.
 */
function runSome(
  mixture: ExpertMixture,
  { rows, sizes, starts, ends }: SortedRows,
  perBranch: number,
): Tensor {
  const { experts, x } = mixture;
  const counts: number[] = [];
  for (let left = experts; left > 0; left -= perBranch) counts.push(Math.min(left, perBranch));
  const firsts = counts.map((_, at) => at * perBranch);
  const lasts = counts.map((count, at) => at * perBranch + count - 1);
  const at = (places: number[]): Tensor => constant(places, { dtype: "int32" });
  const groupSizes =
    perBranch === 1 ? sizes : subtract(gather(ends, at(lasts)), gather(starts, at(firsts)));
  const blocks = splitBySizes(gather(x, rows), cast(groupSizes, "int64"));
  const isChosen = split(
    greater(groupSizes, 0),
    counts.map(() => 1),
    0,
  );
  const sizesOf = split(cast(sizes, "int64"), counts, 0);
  const nothing = fill([0, x.shape[1]!], 0);
  const parts = counts.map((count, at) => {
    const indices = Array.from({ length: count }, (_, place) => at * perBranch + place);
    return conditional(
      isChosen[at]!,
      () => ({ y: runGroup(mixture, indices, blocks[at]!, sizesOf[at]!) }),
      () => ({ y: nothing }),
    ).y;
  });
  return concat(parts, 0);
}

/** Results of some experts for rows in their order, of which each expert gets `sizes`. */
function runGroup(
  mixture: ExpertMixture,
  indices: readonly number[],
  rows: Tensor,
  sizes: Tensor,
): Tensor {
  const each = (run: (index: number, part: Tensor) => Tensor, all: Tensor): Tensor => {
    if (indices.length === 1) return run(indices[0]!, all);
    const parts = splitBySizes(all, sizes);
    return concat(
      indices.map((index, place) => run(index, parts[place]!)),
      0,
    );
  };
  const entered = each((index, part) => mixture.enter(index, part), rows);
  return each((index, part) => mixture.leave(index, part), mixture.activate(entered));
}

/**
 * Mixes by computing every expert for every row: differentiable, and as dear as a dense layer of all
 * experts together.
 */
export const everyExpert: MixExperts = (mixture) => {
  const { x, choices, weights, experts } = mixture;
  // [rows, experts]: the weight of each expert, 0 where it was not chosen.
  const all = sum(multiply(oneHot(choices, experts), reshape(weights, [...weights.shape, 1])), {
    axes: [1],
  });
  const each = split(all, new Array<number>(experts).fill(1), 1);
  return each
    .map((weight, index) => {
      const activated = mixture.activate(mixture.enter(index, x));
      return multiply(weight, mixture.leave(index, activated));
    })
    .reduce((a, b) => add(a, b));
};

/** Rows in the order of their experts. */
interface SortedRows {
  /** int32: indices of rows, those of the first expert first. */
  readonly rows: Tensor;
  /** How many of `rows` each expert gets, and where they begin and end, int32 `[experts]`. */
  readonly sizes: Tensor;
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
  const counts = counted && perChoice(cast(counted, "int32"));
  let isOf = cast(oneHot(flat, experts), "int32");
  if (counts) isOf = multiply(isOf, reshape(counts, [count, 1]));
  const seen = cumulativeSum(isOf, 0);
  const chosen = reshape(slice(seen, { axis: 0, start: subtractDimensions(count, 1) }), [experts]);
  const sizes =
    rowTile === 1 ? chosen : multiply(divide(add(chosen, rowTile - 1), rowTile), rowTile);
  const ends = cumulativeSum(sizes, 0);
  const starts = subtract(ends, sizes);
  // Places within the group count from 1; a row that does not count has 0.
  const own = reshape(gatherElements(seen, reshape(flat, [count, 1]), 1), [count]);
  const rank = counts ? multiply(own, counts) : own;
  const place = subtract(add(gather(starts, flat), rank), 1);
  // Rows that do not count are written behind all groups, where none is read.
  const last = addDimensions(count, experts * (rowTile - 1));
  const target = counts ? where(equal(counts, 0), sizeValue(last), place) : place;
  const order = scatterAdd(
    fill([addDimensions(last, 1)], 0, "int32"),
    target,
    perChoice(range(rows)),
    0,
  );
  const total = slice(ends, { axis: 0, start: experts - 1 });
  return {
    rows: sliceBetween(order, constant([0], { dtype: "int32" }), total),
    sizes,
    starts,
    ends,
    places: reshape(maximum(place, 0), [rows, perToken]),
  };
}
