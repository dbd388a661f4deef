/**
 * Verification of draft trees: the one place that decides which draft tokens are accepted.
 *
 * Two rules, both exact:
 *
 * - `verifyExactMatch`, for deterministic trees and for greedy decoding: the token after each visited row is
 *   chosen as autoregressive decoding would choose it, and a child with that token is accepted. The choice
 *   does not depend on the tree, so the text equals that of autoregressive decoding token for token.
 * - `verifyRejectionSampling`, for trees whose siblings were sampled without replacement from a known
 *   distribution (SpecInfer's residual rule as Sequoia and DySpec use it): child y, sampled from d, is
 *   accepted with probability min(1, t(y) / d(y)); after a rejection the target t becomes max(t - d, 0) and
 *   d loses y, both renormalized. The emitted token then has the distribution t.
 */
import { pickToken, type TokenDistribution } from "../sampling/sampler.ts";
import type { DraftTree } from "./drafter.ts";
import { ResidualDistribution } from "./residual-distribution.ts";

/** Result of verifying one tree. */
export interface Verification {
  /** Accepted nodes, from the root down. */
  readonly accepted: number[];
  /** Nodes that were compared with the model's choice and rejected. */
  readonly rejected: number[];
  /**
   * The emitted tokens: those of the accepted nodes, then the model's own, which is missing where the last
   * accepted node carries an end token.
   */
  readonly emitted: number[];
}

/** A row that verification visits: 0 the root, i + 1 node i. */
interface VisitedRow {
  readonly row: number;
  /** Tokens emitted by this forward pass before the row's own. */
  readonly depth: number;
}

/** A verification that asks for one answer per visited row, from the root down. */
type Walk<Answer> = Generator<VisitedRow, Verification, Answer>;

const noEnds: ReadonlySet<number> = new Set();

/**
 * Verifies a tree by one choice per visited row.
 *
 * @param choose the token that autoregressive decoding would take after `row` (0: the root, i + 1: node i),
 *   `depth` tokens after the root's; called once per visited row, from the root down
 * @param ends tokens after which nothing follows
 */
export function verifyExactMatch(
  tree: DraftTree,
  choose: (row: number, depth: number) => number,
  ends?: ReadonlySet<number>,
): Verification;
export function verifyExactMatch(
  tree: DraftTree,
  choose: (row: number, depth: number) => number | Promise<number>,
  ends?: ReadonlySet<number>,
): Verification | Promise<Verification>;
export function verifyExactMatch(
  tree: DraftTree,
  choose: (row: number, depth: number) => number | Promise<number>,
  ends: ReadonlySet<number> = noEnds,
): Verification | Promise<Verification> {
  return runWalk(walkExactMatch(tree, ends), ({ row, depth }) => choose(row, depth));
}

function* walkExactMatch({ ids, parents }: DraftTree, ends: ReadonlySet<number>): Walk<number> {
  const walk: Verification = { accepted: [], rejected: [], emitted: [] };
  let node = -1;
  for (;;) {
    const token = yield { row: node + 1, depth: walk.emitted.length };
    walk.emitted.push(token);
    const parent = node;
    let next = -1;
    for (let child = parent + 1; child < ids.length && next < 0; child++) {
      if (parents[child] !== parent) continue;
      if (ids[child] === token) next = child;
      else walk.rejected.push(child);
    }
    if (next < 0) return walk;
    walk.accepted.push(next);
    if (ends.has(token)) return walk;
    node = next;
  }
}

/** Distributions and randomness of `verifyRejectionSampling`. */
export interface SampledTarget {
  /** The model's distribution of the token after `row`, under all sampling options; ids ascending. */
  distribution(row: number, depth: number): TokenDistribution | Promise<TokenDistribution>;
  /** Random number in [0, 1) from which the model's own token at `depth` is sampled. */
  draw(depth: number): number;
  /** Random number in [0, 1) for the test of the `order`-th child at `depth`. */
  test(depth: number, order: number): number;
}

/** A target whose distributions are known at once. */
export interface SyncSampledTarget extends SampledTarget {
  distribution(row: number, depth: number): TokenDistribution;
}

/** Verifies a sampled tree by testing siblings in the order in which they were sampled. */
export function verifyRejectionSampling(
  tree: DraftTree,
  target: SyncSampledTarget,
  ends?: ReadonlySet<number>,
): Verification;
export function verifyRejectionSampling(
  tree: DraftTree,
  target: SampledTarget,
  ends?: ReadonlySet<number>,
): Verification | Promise<Verification>;
export function verifyRejectionSampling(
  tree: DraftTree,
  target: SampledTarget,
  ends: ReadonlySet<number> = noEnds,
): Verification | Promise<Verification> {
  const walk = walkRejectionSampling(tree, target, ends);
  return runWalk(walk, ({ row, depth }) => target.distribution(row, depth));
}

function* walkRejectionSampling(
  { ids, parents, draftDistributions = [] }: DraftTree,
  target: Pick<SampledTarget, "draw" | "test">,
  ends: ReadonlySet<number>,
): Walk<TokenDistribution> {
  const walk: Verification = { accepted: [], rejected: [], emitted: [] };
  let node = -1;
  for (;;) {
    const depth = walk.emitted.length;
    const distribution = yield { row: node + 1, depth };
    const residual = new ResidualDistribution(distribution, draftDistributions[node + 1]);
    let next = -1;
    let order = 0;
    for (let child = node + 1; child < ids.length && next < 0; child++) {
      if (parents[child] !== node) continue;
      if (residual.accepts(ids[child]!, target.test(depth, order++))) next = child;
      else walk.rejected.push(child);
    }
    if (next < 0) {
      walk.emitted.push(pickToken(residual.distribution, target.draw(depth)));
      return walk;
    }
    walk.accepted.push(next);
    walk.emitted.push(ids[next]!);
    if (ends.has(ids[next]!)) return walk;
    node = next;
  }
}

/** Runs a walk; asynchronously from the first answer on that is a promise. */
function runWalk<Answer>(
  walk: Walk<Answer>,
  answer: (visited: VisitedRow) => Answer | Promise<Answer>,
): Verification | Promise<Verification> {
  let step = walk.next();
  while (!step.done) {
    const found = answer(step.value);
    if (found instanceof Promise) return runWalkAsync(walk, found, answer);
    step = walk.next(found);
  }
  return step.value;
}

async function runWalkAsync<Answer>(
  walk: Walk<Answer>,
  first: Promise<Answer>,
  answer: (visited: VisitedRow) => Answer | Promise<Answer>,
): Promise<Verification> {
  let step = walk.next(await first);
  while (!step.done) step = walk.next(await answer(step.value));
  return step.value;
}
