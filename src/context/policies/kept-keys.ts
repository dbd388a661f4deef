/**
 * Policies that drop keys of each query head by attention that they got so far (H2O, SnapKV): what they share.
 * Dropped rows stay in the cache and are masked.
 */
import {
  attendMasked,
  markLargest,
  never,
  type PolicyAttention,
  type PolicyInput,
  type PolicyOutput,
  scoreRotated,
} from "../../model/index.ts";
import {
  add,
  and,
  cast,
  equal,
  gather,
  greater,
  greaterOrEqual,
  less,
  maximum,
  minimum,
  multiply,
  or,
  range,
  reshape,
  sizeValue,
  subtract,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";

/** How keys are kept. */
export interface KeepOptions {
  /** Keys that a head keeps. */
  readonly k: number;
  /** Latest keys among them that are always kept. */
  readonly recent: number;
  /** Prompt tokens whose attention counts: the last so many. Default: all. */
  readonly observed?: number;
  /** True: keys are dropped after every decoded token, else once after the prompt. */
  readonly everyStep: boolean;
  /** Odd width of the pooling over neighbours. Default 1. */
  readonly kernel?: number;
  /** Default `"average"`; zeros around count. */
  readonly pooling?: string;
}

/** Attention that keeps the keys with most attention so far, per layer and query head. */
export function keepAttended(options: KeepOptions): PolicyAttention {
  const { k, recent, everyStep } = options;
  return {
    keys: "rotated",
    isSequential: everyStep,
    sizes: { best: Math.max(1, k - recent) },
    states: ({ numAttentionHeads }) => [
      // Attention that each key got; -1: dropped.
      { name: "mass", shape: [numAttentionHeads, "capacity"] },
    ],
    attend: (input) => attendKept(input, options),
  };
}

function attendKept(input: PolicyInput, options: KeepOptions): PolicyOutput {
  const { pass, states } = input;
  const { time, capacity, places, count, promptLength, length } = pass;
  const mass = states["mass"]!;
  const isDecoding = greaterOrEqual(length, promptLength);
  const kept = or(keptPlaces(mass, input, options), less(cast(isDecoding, "float32"), 0.5));
  const heads = input.config.numAttentionHeads;
  const at = reshape(range(capacity), [1, 1, capacity]);
  const isNew = greaterOrEqual(at, reshape(length, [1, 1, 1]));
  const allowed = or(reshape(kept, [heads, 1, capacity]), isNew);
  const masked = attendMasked(input, scoreRotated(input), allowed);
  // Rows that fill up a tile, and prompt tokens before the observed ones, do not count.
  const isReal = less(reshape(range(time), [time]), count);
  const isCounted =
    options.observed === undefined
      ? isReal
      : and(isReal, greaterOrEqual(places, subtract(promptLength, options.observed)));
  const counts = reshape(cast(isCounted, "float32"), [1, time, 1]);
  const { besideSink } = input;
  // A row whose sink takes most of its attention counts little.
  const shared = besideSink
    ? multiply(counts, reshape(besideSink(masked.attention), [heads, time, 1]))
    : counts;
  const added = sum(multiply(masked.weights, shared), { axes: [1] });
  const isAlive = or(kept, reshape(isNew, [1, capacity]));
  const grown = where(isAlive, add(maximum(mass, 0), added), -1);
  const isFrozen = options.everyStep ? undefined : isDecoding;
  return {
    attention: masked.attention,
    attended: masked.attended,
    states: { mass: isFrozen ? where(isFrozen, mass, grown) : grown },
  };
}

/** Keys that each head keeps before a decoding pass, bool `[heads, capacity]`. */
function keptPlaces(mass: Tensor, { pass }: PolicyInput, options: KeepOptions): Tensor {
  const { k, recent, everyStep } = options;
  const { capacity, length, promptLength } = pass;
  const at = reshape(range(capacity), [1, capacity]);
  // Once after the prompt: by what its tokens attended to, and everything since is kept.
  const end = everyStep ? length : promptLength;
  const isRecent = greaterOrEqual(at, subtract(end, recent));
  const isAlive = greaterOrEqual(mass, 0);
  const isCandidate = and(isAlive, less(at, subtract(end, recent)));
  const pooled = poolMass(where(isCandidate, mass, 0), isCandidate, options);
  const isChosen =
    k > recent
      ? greater(markLargest(where(isCandidate, pooled, never), "best"), 0.5)
      : less(mass, never);
  return and(or(isRecent, isChosen), isAlive);
}

/** Sums of attention pooled over neighbours; where they end, zeros count in the average and nothing in the maximum. */
function poolMass(
  mass: Tensor,
  isCandidate: Tensor,
  { kernel = 1, pooling = "average" }: KeepOptions,
): Tensor {
  if (kernel === 1) return mass;
  const capacity = mass.shape[1]!;
  const last = subtract(sizeValue(capacity), 1);
  const neighbours = Array.from({ length: kernel }, (_, index) => {
    const places = add(range(capacity), index - (kernel - 1) / 2);
    const inside = maximum(minimum(places, last), 0);
    const isThere = and(
      equal(inside, places),
      greater(gather(cast(isCandidate, "float32"), inside, 1), 0.5),
    );
    return where(isThere, gather(mass, inside, 1), pooling === "average" ? 0 : never);
  });
  if (pooling === "average") return multiply(neighbours.reduce(add), 1 / kernel);
  return neighbours.reduce((a, b) => maximum(a, b));
}
