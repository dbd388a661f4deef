/** What DySpec's trees and verdicts tell: acceptance by confidence, passes of the draft. */
import type { DraftVerdict } from "../speculative/drafter.ts";
import type { DynamicTree } from "./growing-tree.ts";

/** Bins of the draft's probability: tested and accepted tokens. */
export class ConfidenceBins {
  readonly tested: number[] = new Array<number>(10).fill(0);
  readonly accepted: number[] = new Array<number>(10).fill(0);

  readonly look = ({ chances }: DynamicTree, { accepted, rejected }: DraftVerdict): void => {
    const binOf = (node: number): number => Math.min(9, Math.floor(chances[node]! * 10));
    for (const node of [...accepted, ...rejected]) this.tested[binOf(node)]!++;
    for (const node of accepted) this.accepted[binOf(node)]!++;
  };

  /** Bins with at least five tested tokens, as points of a plot. */
  points(): { x: number; y: number }[] {
    return this.tested.flatMap((tested, bin) =>
      tested < 5 ? [] : [{ x: (bin + 0.5) / 10, y: this.accepted[bin]! / tested }],
    );
  }
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

/** Passes of the draft for each tree. */
export class PassCounter {
  #passes = 0;
  #trees = 0;

  readonly look = ({ draftCalls }: DynamicTree): void => {
    this.#passes += draftCalls;
    this.#trees++;
  };

  get mean(): number {
    return this.#passes / this.#trees;
  }
}
