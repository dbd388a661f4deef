/**
 * A calibration map: from the probability that a drafter gives a token to the share of such tokens that
 * verification accepted.
 *
 * A drafter's probabilities are often right in order and wrong in level. The map starts as the identity
 * and is fitted by isotonic regression to the tokens tested so far. It depends on the past only, so it may
 * shape draft trees without making verification inexact.
 */
import type { DraftTree, DraftVerdict } from "./drafter.ts";

const bins = 10;

export interface CalibrationMapOptions {
  /** Factor by which a bin's older observations count less with each new one. Default 0.999. */
  readonly decay?: number;
  /** Observations that the identity is worth in each bin. Default 4. */
  readonly priorWeight?: number;
}

/** State of a map, for saving. */
export interface CalibrationMapState {
  /** Exponentially decayed number of accepted draft tokens of each bin. */
  readonly accepted: Float64Array;
  /** The same of tested draft tokens. */
  readonly tested: Float64Array;
}

/** A learned map from confidence to acceptance. */
export interface CalibrationMap {
  /** Estimated probability that a draft token of this confidence is accepted once it is tested. */
  estimate(confidence: number): number;
  /** Learns from a draft token that was tested. */
  observe(confidence: number, accepted: boolean): void;
  /** A copy of the learned state. */
  save(): CalibrationMapState;
  /** Replaces the learned state; arrays of another length are ignored. */
  load(state: CalibrationMapState): void;
  reset(): void;
}

/** A map that starts as the identity. */
export function createCalibrationMap(options: CalibrationMapOptions = {}): CalibrationMap {
  const { decay = 0.999, priorWeight = 4 } = options;
  const accepted = new Float64Array(bins);
  const tested = new Float64Array(bins);
  let values = Float64Array.from(knots);
  let stale = false;
  return {
    estimate(confidence) {
      if (stale) values = fitValues(accepted, tested, priorWeight);
      stale = false;
      const place = Math.min(1, Math.max(0, confidence));
      const at = Math.min(bins, Math.floor(place * bins + 0.5));
      const from = knots[at]!;
      const share = (place - from) / (knots[at + 1]! - from);
      return values[at]! + share * (values[at + 1]! - values[at]!);
    },
    observe(confidence, wasAccepted) {
      const bin = Math.min(bins - 1, Math.max(0, Math.floor(confidence * bins)));
      accepted[bin] = accepted[bin]! * decay + (wasAccepted ? 1 : 0);
      tested[bin] = tested[bin]! * decay + 1;
      stale = true;
    },
    save: () => ({ accepted: accepted.slice(), tested: tested.slice() }),
    load(state) {
      if (state.accepted.length !== bins || state.tested.length !== bins) return;
      accepted.set(state.accepted);
      tested.set(state.tested);
      stale = true;
    },
    reset() {
      accepted.fill(0);
      tested.fill(0);
      stale = true;
    },
  };
}

/** Knots of the piecewise linear map: both ends and the middle of each bin. */
const knots: Float64Array = Float64Array.from({ length: bins + 2 }, (_, at) =>
  at === 0 ? 0 : at === bins + 1 ? 1 : (at - 0.5) / bins,
);

/** Non-decreasing values at the knots: isotonic regression by pooling adjacent violators. */
function fitValues(
  accepted: Float64Array,
  tested: Float64Array,
  priorWeight: number,
): Float64Array<ArrayBuffer> {
  const blocks: { sum: number; weight: number; count: number }[] = [];
  for (let bin = 0; bin < bins; bin++) {
    const weight = tested[bin]! + priorWeight;
    let block = { sum: accepted[bin]! + priorWeight * knots[bin + 1]!, weight, count: 1 };
    for (let last = blocks.at(-1); last; last = blocks.at(-1)) {
      if (last.sum / last.weight <= block.sum / block.weight) break;
      blocks.pop();
      block = {
        sum: last.sum + block.sum,
        weight: last.weight + block.weight,
        count: last.count + block.count,
      };
    }
    blocks.push(block);
  }
  const values = new Float64Array(bins + 2);
  let at = 1;
  for (const { sum, weight, count } of blocks) {
    values.fill(Math.min(1, sum / weight), at, at + count);
    at += count;
  }
  // Confidence 1 is frequent (contexts seen once have one known successor) and gets its bin's own share.
  const certain = accepted[bins - 1]! + priorWeight;
  values[bins + 1] = Math.max(
    values[bins]!,
    Math.min(1, certain / (tested[bins - 1]! + priorWeight)),
  );
  return values;
}

/**
 * Learns from a verified tree, which may be a part of the proposed one.
 *
 * @param confidences of the proposed tree's nodes, given that their earlier siblings were rejected;
 *   undefined entries are not learned from
 */
export function observeVerdict(
  map: CalibrationMap,
  proposed: DraftTree,
  confidences: readonly (number | undefined)[],
  { tree, accepted, rejected }: DraftVerdict,
): void {
  const places = tree === proposed ? undefined : placesIn(proposed, tree);
  const learn = (nodes: readonly number[], wasAccepted: boolean): void => {
    for (const node of nodes) {
      const confidence = confidences[places ? places[node]! : node];
      if (confidence !== undefined) map.observe(confidence, wasAccepted);
    }
  };
  learn(accepted, true);
  learn(rejected, false);
}

/** For each node of a part of a tree, the same node of the whole; -2 where there is none. */
function placesIn(whole: DraftTree, part: DraftTree): number[] {
  const nodes = new Map<string, number>();
  for (let node = 0; node < whole.ids.length; node++) {
    nodes.set(`${whole.parents[node]} ${whole.ids[node]}`, node);
  }
  const places: number[] = [];
  for (let node = 0; node < part.ids.length; node++) {
    const parent = part.parents[node]!;
    const above = parent < 0 ? -1 : places[parent]!;
    places.push(nodes.get(`${above} ${part.ids[node]}`) ?? -2);
  }
  return places;
}
