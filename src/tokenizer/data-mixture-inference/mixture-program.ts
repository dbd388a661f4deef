/**
 * The linear program of the inference, solved with lazily generated constraints.
 *
 * Variables: the share of each category, a slack for each merge, a slack for each competing pair.
 * Least sum of slacks such that, before every merge, the merged pair counts in the mixture at least
 * as much as every other pair. Of the millions of constraints almost none bind: only those that a
 * simulation of the merges finds violated are given to the solver.
 */

import { JetonError } from "../../core/error.ts";
import { type Constraint, type MixtureSolver, Program } from "./linear-program.ts";
import { type CountedCategory, Simulation } from "./merge-simulation.ts";

export interface MixtureProgramOptions {
  /** Most competitors of one merge that a round looks at. Default 1,000. */
  competitorsPerMerge?: number;
  /** Most merges before which constraints are asked for, see `chooseSteps`. Default 3,000. */
  constrainedMerges?: number;
  /** False leaves the slack of pairs out, an ablation. Default true. */
  pairSlack?: boolean;
  /** What the sum of slacks is weighed against. Default `"merge"`. */
  slackPer?: SlackWeight;
  /** Violations up to this are ignored, in pairs per million. Default 1e-4. */
  tolerance?: number;
  /** Constraints to start from: those of a similar program. */
  start?: readonly Constraint[];
  onRound?: (round: MixtureRound) => void;
  signal?: AbortSignal | undefined;
}

/**
 * What the least sum of slacks is weighed against: occurrences of the merged pairs, or of all pairs as
 * in the paper. The slacks are in proportion to the categories that cause them, so that per pair a category
 * in which hardly any merge occurs makes them smaller by its mere presence, and gets a share for it.
 */
export type SlackWeight = "merge" | "pair";

export interface MixtureRound {
  readonly round: number;
  readonly constraints: number;
  /** Constraints that the last simulation found violated and added. */
  readonly added: number;
}

export interface MixtureSolution {
  /** Share of each category, in pairs. */
  readonly shares: Float64Array;
  /** Sum of all slacks, in pairs per million. */
  readonly objective: number;
  /** Slack of each merge, 0 for most, in pairs per million. */
  readonly mergeSlack: Float64Array;
  /** Slack of competing pairs by number, where it is not 0. */
  readonly pairSlack: ReadonlyMap<number, number>;
  /** Merges whose pair occurs in no category. */
  readonly missing: readonly number[];
  readonly constraints: readonly Constraint[];
  readonly rounds: number;
}

/**
 * Solves the program to its optimum (up to the tolerance).
 *
 * Throws `mixture-no-merge` when no merge occurs in any sample, `mixture-not-solved` when the solver
 * gives up, `aborted` when the signal says so.
 */
export function solveMixture(
  solver: MixtureSolver,
  categories: readonly CountedCategory[],
  merges: Int32Array,
  options: MixtureProgramOptions = {},
): MixtureSolution {
  const { tolerance = 1e-4, competitorsPerMerge = 1000, signal } = options;
  const simulation = new Simulation(categories, merges, options.start ?? []);
  const isAsked = chooseSteps(merges.length, options.constrainedMerges ?? 3000);
  if (simulation.missing.length === merges.length) {
    throw new JetonError("no merge of the tokenizer occurs in any sample", {
      code: "mixture-no-merge",
      details: { merges: merges.length, categories: categories.length },
    });
  }
  const { explained } = simulation;
  const weights = options.slackPer === "pair" ? explained.map(() => 1) : explained;
  const program = new Program(solver, weights, options.pairSlack ?? true);
  try {
    const constraints: Constraint[] = [];
    const add = (found: readonly Constraint[]): void => {
      program.add(found.map((constraint) => ({ ...constraint, row: simulation.row(constraint) })));
      constraints.push(...found);
    };
    if (options.start !== undefined && options.start.length > 0) {
      simulation.prepareRows(options.start);
      add(options.start);
    }
    for (let round = 1; ; round++) {
      if (signal?.aborted) {
        throw new JetonError("the inference was stopped", {
          code: "aborted",
          cause: signal.reason,
        });
      }
      const solution = program.solve();
      const found = simulation.findViolations(solution, {
        tolerance,
        perMerge: competitorsPerMerge,
        isAsked,
        isKnown: (step, pair) => program.has(step, pair),
      });
      options.onRound?.({ round, constraints: constraints.length, added: found.length });
      if (found.length === 0) {
        const total = solution.shares.reduce((sum, share) => sum + share, 0);
        const slackOf = (step: number): number => solution.mergeSlack.get(step) ?? 0;
        return {
          shares: solution.shares.map((share) => share / total),
          objective: solution.objective / total,
          mergeSlack: Float64Array.from(merges, (_, step) => slackOf(step) / total),
          pairSlack: new Map([...solution.pairSlack].map(([pair, slack]) => [pair, slack / total])),
          missing: simulation.missing,
          constraints,
          rounds: round,
        };
      }
      add(found);
    }
  } finally {
    program.dispose();
  }
}

/**
 * 1 for the merges before which constraints are asked for: the first of a long list, which are about
 * most of the text, and as many more at equal distances through the rest, which bound rare categories. Every
 * inequality holds for the true mixture by itself, so that leaving some out costs precision alone.
 */
export function chooseSteps(merges: number, most: number): Uint8Array {
  const chosen = new Uint8Array(merges);
  if (merges <= most) return chosen.fill(1);
  const first = Math.ceil(most / 2);
  chosen.fill(1, 0, first);
  for (let place = 1; place <= most - first; place++) {
    chosen[first - 1 + Math.floor((place * (merges - first)) / (most - first))] = 1;
  }
  return chosen;
}
