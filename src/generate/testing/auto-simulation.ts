/** A simulated machine on which `auto` chooses among simulated drafters: no time is measured. */
import { createRandom } from "../../core/index.ts";
import { createAutoDrafter } from "../speculative/auto.ts";
import { createCalibrationMap } from "../speculative/calibration-map.ts";
import type { Drafter, DraftTree } from "../speculative/drafter.ts";
import { unfilteredSampling } from "./unfiltered-sampling.ts";

const sampling = unfilteredSampling;

/** A simulated clock. */
export interface Machine {
  /** Milliseconds so far. */
  time: number;
}

export interface ChainOptions {
  name: string;
  /** Probability that a draft token is accepted after accepted ones, in the n-th request. */
  chance: (position: number, request: number) => number;
  /** Milliseconds of one proposal. */
  cost?: number;
  /** Milliseconds of the first proposal of a request. */
  start?: number;
  /** Milliseconds of the first proposal of all. */
  preparation?: number;
  runsModel?: boolean;
  sampled?: boolean;
}

/** Drafts chains of the tokens 1 (accepted) and 0 (rejected), with learned acceptance probabilities. */
export function chainDrafter(machine: Machine, options: ChainOptions): Drafter {
  const { name, chance, cost = 0, start = 0, sampled = false, runsModel = false } = options;
  let { preparation = 0 } = options;
  const table = createCalibrationMap();
  const random = createRandom(3, name);
  let requests = 0;
  return {
    name,
    candidates: 0,
    runsModel,
    begin() {
      const request = requests++;
      let begun = false;
      return {
        propose({ ids, maxNodes, maxDepth, minAcceptanceProbability }): DraftTree {
          machine.time += cost + (begun ? 0 : start) + preparation;
          begun = true;
          preparation = 0;
          const drafts: number[] = [];
          const expected: number[] = [];
          const believed = table.estimate(0.55);
          while (drafts.length < Math.min(maxNodes, maxDepth)) {
            const next = believed ** (drafts.length + 1);
            if (next < minAcceptanceProbability && !(sampled && drafts.length === 0)) break;
            const isTrue = random.uniform() < chance(ids.length + drafts.length, request);
            drafts.push(isTrue ? 1 : 0);
            expected.push(next);
          }
          const parents = drafts.map((_, node) => node - 1);
          const distribution = {
            ids: Int32Array.of(0, 1),
            probabilities: Float64Array.of(0.5, 0.5),
          };
          const distributions = [...drafts.map(() => distribution), undefined];
          return {
            ids: drafts,
            parents,
            acceptanceProbabilities: expected,
            ...(sampled && { draftDistributions: distributions }),
          };
        },
        observe({ verdict }) {
          for (const _node of verdict?.accepted ?? []) table.observe(0.55, true);
          for (const _node of verdict?.rejected ?? []) table.observe(0.55, false);
        },
        end() {},
      };
    },
    close() {},
  };
}

/** Runs requests of `length` tokens each on a machine where a forward pass over n rows takes `forward(n)` ms. */
export async function simulate(
  makeMembers: (machine: Machine) => Drafter[],
  forward: (rows: number) => number,
  requests = 4,
  length = 300,
  { rowTile = 1 }: { rowTile?: number } = {},
): Promise<{ speed: number; nodes: number; shares: Map<string, number>; perRequest: number[] }> {
  const machine: Machine = { time: 0 };
  const noise = createRandom(9, "machine");
  const drafter = createAutoDrafter(makeMembers(machine), { now: () => machine.time });
  const shares = new Map<string, number>();
  let tokens = 0;
  let nodes = 0;
  let forwardPasses = 0;
  const perRequest: number[] = [];
  for (let request = 0; request < requests; request++) {
    const begin = machine.time;
    const ids = [0, 0];
    const sequence = drafter.begin({ promptIds: ids.slice(), sampling, rowTile });
    while (ids.length < length) {
      const left = length - ids.length;
      const tree = await sequence.propose({
        ids,
        maxNodes: 64,
        maxDepth: left,
        minAcceptanceProbability: 0,
      });
      const size = tree.ids.length;
      const duration = forward(size + 1) * (0.95 + 0.1 * noise.uniform());
      machine.time += duration;
      let accepted = 0;
      while (accepted < size && tree.ids[accepted] === 1) accepted++;
      const emitted = new Array<number>(accepted + 1).fill(1);
      ids.push(...emitted);
      tokens += emitted.length;
      nodes += size;
      forwardPasses++;
      const name = size === 0 ? "none" : tree.drafter!;
      shares.set(name, (shares.get(name) ?? 0) + 1);
      const rows = Int32Array.from({ length: size + 1 });
      sequence.observe({
        emitted,
        ids,
        seconds: duration / 1000,
        rows: {
          ids: rows,
          candidates: 0,
          topIds: new Int32Array(0),
          topLogits: new Float32Array(0),
          logSumExp: new Float32Array(size + 1),
        },
        ...(size > 0 && {
          verdict: {
            tree,
            accepted: Array.from({ length: accepted }, (_, node) => node),
            rejected: accepted < size ? [accepted] : [],
          },
        }),
      });
    }
    await sequence.end();
    perRequest.push(((ids.length - 2) * forward(1)) / (machine.time - begin));
  }
  for (const [name, count] of shares) shares.set(name, count / forwardPasses);
  return {
    speed: (tokens * forward(1)) / machine.time,
    nodes: nodes / forwardPasses,
    shares,
    perRequest,
  };
}

/** Milliseconds of a forward pass whose further rows each cost this share of the first. */
export const linear =
  (share: number) =>
  (rows: number): number =>
    10 * (1 + share * (rows - 1));
