/**
 * How often guesses of a given confidence come true: a monotone table from the probability that a
 * drafter gives a token to the share of such tokens that verification accepted.
 *
 * A drafter's probabilities are often right in order and wrong in level. The table starts as the
 * identity and learns from every guess that is tested. It may shape draft trees freely: it knows
 * only the past, so what is verified stays exact.
 */
import type { DraftTree, DraftVerdict } from "./drafter.ts";

const bins = 10;

export interface CalibrationMapOptions {
  /** Factor by which a bin's older observations count less with each new one. Default 0.999. */
  readonly decay?: number;
  /** Observations that the identity is worth in each bin. Default 4. */
  readonly priorWeight?: number;
}

/** What a table holds, for saving. */
export interface CalibrationMapState {
  /** Forgotten exponentially: accepted guesses of each bin. */
  readonly accepted: Float64Array;
  /** Tested guesses of each bin, with the same weights. */
  readonly tested: Float64Array;
}

/** A learned map from confidence to acceptance. */
export interface CalibrationMap {
  /** Estimated probability that a guess of this confidence is accepted once it is tested. */
  estimate(confidence: number): number;
  /** Learns from a guess that was tested. */
  observe(confidence: number, accepted: boolean): void;
  /** A copy of what was learned. */
  save(): CalibrationMapState;
  /** Replaces what was learned; arrays of another length are ignored. */
  load(state: CalibrationMapState): void;
  reset(): void;
}

/** A table that starts as the identity. */
export function createCalibrationMap(options: CalibrationMapOptions = {}): CalibrationMap {
  const { decay = 0.999, priorWeight = 4 } = options;
  const accepted = new Float64Array(bins);
  const tested = new Float64Array(bins);
  // Knots of a piecewise linear map: both ends, and the middle of each bin.
  const places = Float64Array.from({ length: bins + 2 }, (_, at) =>
    at === 0 ? 0 : at === bins + 1 ? 1 : (at - 0.5) / bins,
  );
  const values = Float64Array.from(places);
  let stale = false;

  /** Non-decreasing values by pooling neighbours that are out of order, weighted by what they saw. */
  const refresh = (): void => {
    stale = false;
    const blocks: { sum: number; weight: number; count: number }[] = [];
    for (let bin = 0; bin < bins; bin++) {
      const weight = tested[bin]! + priorWeight;
      let block = { sum: accepted[bin]! + priorWeight * places[bin + 1]!, weight, count: 1 };
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
    let at = 1;
    for (const { sum, weight, count } of blocks) {
      values.fill(Math.min(1, sum / weight), at, at + count);
      at += count;
    }
    // Certainty is frequent (a context seen once knows one successor), and is judged by its bin.
    const certain = accepted[bins - 1]! + priorWeight;
    values[bins + 1] = Math.max(
      values[bins]!,
      Math.min(1, certain / (tested[bins - 1]! + priorWeight)),
    );
  };

  return {
    estimate(confidence) {
      if (stale) refresh();
      const place = Math.min(1, Math.max(0, confidence));
      const at = Math.min(bins, Math.floor(place * bins + 0.5));
      const from = places[at]!;
      const share = (place - from) / (places[at + 1]! - from);
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

/**
 * Learns from what became of a tree, which may be a part of the one that was proposed.
 *
 * @param confidences of the proposed tree's nodes, given that their earlier siblings were refused;
 *   nodes without one teach nothing
 */
export function observeVerdict(
  table: CalibrationMap,
  proposed: DraftTree,
  confidences: readonly (number | undefined)[],
  { tree, accepted, rejected }: DraftVerdict,
): void {
  const places = tree === proposed ? undefined : placesIn(proposed, tree);
  const learn = (nodes: readonly number[], wasAccepted: boolean): void => {
    for (const node of nodes) {
      const confidence = confidences[places ? places[node]! : node];
      if (confidence !== undefined) table.observe(confidence, wasAccepted);
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
