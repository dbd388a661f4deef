/** What DySpec's trees and verdicts tell: acceptance by confidence, passes of the draft. */
import type { Random } from "../../core/index.ts";
import { ratioOfSums, type Sample, statisticOf } from "../../reproduce/index.ts";
import type { DraftVerdict } from "../speculative/drafter.ts";
import type { DynamicTree } from "./growing-tree.ts";

/** A tested token: the bin of the draft's probability, and whether it was accepted. */
type Tested = readonly [bin: number, accepted: boolean];

const bins = 10;

/** Tested tokens of each tree, by the draft's probability. */
export class ConfidenceBins {
  readonly #trees: Tested[][] = [];

  readonly look = ({ chances }: DynamicTree, { accepted, rejected }: DraftVerdict): void => {
    const binOf = (node: number): number => Math.min(bins - 1, Math.floor(chances[node]! * bins));
    const taken = accepted.map((node): Tested => [binOf(node), true]);
    this.#trees.push([...taken, ...rejected.map((node): Tested => [binOf(node), false])]);
  };

  /** Bins with at least five tested tokens, as points of a plot. */
  points(): { x: number; y: number }[] {
    return pointsOf(this.#trees);
  }

  /** Rank correlation of the bins with the share that is accepted, over trees. */
  correlation(): Sample {
    return statisticOf(this.#trees, (trees) => rankCorrelation(pointsOf(trees)));
  }

  /** The control: the same outcomes, shuffled among all tested tokens. */
  shuffledCorrelation(random: Random): Sample {
    const outcomes = random.shuffle(this.#trees.flat().map(([, accepted]) => accepted));
    let next = 0;
    const shuffled = this.#trees.map((tree) =>
      tree.map(([bin]): Tested => [bin, outcomes[next++]!]),
    );
    return statisticOf(shuffled, (trees) => rankCorrelation(pointsOf(trees)));
  }
}

function pointsOf(trees: readonly (readonly Tested[])[]): { x: number; y: number }[] {
  const tested = new Array<number>(bins).fill(0);
  const taken = new Array<number>(bins).fill(0);
  for (const tree of trees) {
    for (const [bin, accepted] of tree) {
      tested[bin]!++;
      if (accepted) taken[bin]!++;
    }
  }
  return tested.flatMap((count, bin) =>
    count < 5 ? [] : [{ x: (bin + 0.5) / bins, y: taken[bin]! / count }],
  );
}

/** Spearman's correlation of points in ascending order of x with their y. */
export function rankCorrelation(points: readonly { readonly y: number }[]): number {
  const n = points.length;
  if (n < 2) return 0;
  const rankOf = (y: number): number => {
    const below = points.filter((point) => point.y < y).length;
    const equal = points.filter((point) => point.y === y).length;
    return below + (equal - 1) / 2;
  };
  const mean = (n - 1) / 2;
  let product = 0;
  let squaresOfX = 0;
  let squaresOfY = 0;
  for (const [at, { y }] of points.entries()) {
    product += (at - mean) * (rankOf(y) - mean);
    squaresOfX += (at - mean) ** 2;
    squaresOfY += (rankOf(y) - mean) ** 2;
  }
  return squaresOfY === 0 ? 0 : product / Math.sqrt(squaresOfX * squaresOfY);
}

/** Passes of the draft for the trees of each request. */
export class PassCounter {
  readonly #requests: { sum: number; weight: number }[] = [];

  /** Called when a request begins. */
  readonly begin = (): void => {
    this.#requests.push({ sum: 0, weight: 0 });
  };

  readonly look = ({ draftCalls }: DynamicTree): void => {
    const request = this.#requests.at(-1)!;
    request.sum += draftCalls;
    request.weight++;
  };

  /** Passes a tree, over requests. */
  sample(): Sample {
    return ratioOfSums(this.#requests);
  }
}
