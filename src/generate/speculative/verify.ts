/**
 * The one verification of draft trees: walks from the root down for as long as the model agrees.
 *
 * Two rules, both exact:
 *
 * - `verifyExactMatch`, for deterministic trees and for greedy decoding: the token of each visited row is
 *   chosen as plain decoding chooses it, and the walk goes on where a child carries it. The choice
 *   does not look at the tree, so the text is that of plain decoding, token for token.
 * - `verifyRejectionSampling`, for trees whose siblings were drawn without replacement from a known law
 *   (SpecInfer's residual rule in Sequoia's and DySpec's form): child y, drawn from d, is accepted
 *   with probability min(1, t(y) / d(y)); after a refusal the target t becomes max(t - d, 0) and d
 *   loses y, both renormalized. Whatever is emitted has the law t.
 */
import { JetonError } from "../../core/index.ts";
import { pickToken, type TokenDistribution } from "../sampling/sampler.ts";
import type { DraftTree } from "./drafter.ts";

const noEnds: ReadonlySet<number> = new Set();

/** Where a walk went. */
export interface Verification {
  /** Accepted nodes, from the root down. */
  readonly accepted: number[];
  /** Nodes that were compared with the model's choice and refused. */
  readonly rejected: number[];
  /**
   * Tokens that the walk decided: those of the accepted nodes, then the model's own. Without the
   * latter where the last accepted node carries a token that ends the text.
   */
  readonly emitted: number[];
}

/**
 * Walks down a tree by one choice per visited row.
 *
 * @param choose the token after `row` (0: the root, i + 1: node i) that plain decoding would take;
 *   called once per visited row, from the root down, `depth` tokens after the root's
 * @param ends tokens after which nothing follows
 */
export function verifyExactMatch(
  tree: DraftTree,
  choose: (row: number, depth: number) => number,
  ends: ReadonlySet<number> = noEnds,
): Verification {
  const { ids, parents } = tree;
  const walk: Verification = { accepted: [], rejected: [], emitted: [] };
  let node = -1;
  for (;;) {
    const token = choose(node + 1, walk.emitted.length);
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

/** Where `verifyRejectionSampling` gets laws and randomness from. */
export interface SampledTarget {
  /** The model's law of the token after `row`, under all sampling options; ids ascending. */
  distribution(row: number, depth: number): TokenDistribution;
  /** Draw in [0, 1) of the model's own token at `depth`. */
  draw(depth: number): number;
  /** Draw in [0, 1) that decides about the `order`-th child tested at `depth`. */
  test(depth: number, order: number): number;
}

/** Walks down a sampled tree by testing siblings in the order in which they were drawn. */
export function verifyRejectionSampling(
  tree: DraftTree,
  target: SampledTarget,
  ends: ReadonlySet<number> = noEnds,
): Verification {
  const { ids, parents, draftDistributions = [] } = tree;
  const walk: Verification = { accepted: [], rejected: [], emitted: [] };
  let node = -1;
  for (;;) {
    const depth = walk.emitted.length;
    const distribution = target.distribution(node + 1, depth);
    const residual = new Residual(distribution, draftDistributions[node + 1]);
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

/** What is left of the model's law and of the draft's after each refused sibling. */
class Residual {
  readonly #ids: Int32Array;
  #target: Float64Array;
  readonly #draftIds: Int32Array;
  /** The draft's law where its sum is `#draftTotal`; drawn tokens are 0. */
  readonly #draft: Float64Array;
  #draftTotal: number;

  constructor(distribution: TokenDistribution, draft: TokenDistribution | undefined) {
    this.#ids = distribution.ids;
    this.#target = distribution.probabilities;
    const { ids, probabilities } = draft ? ascending(draft) : nothing;
    this.#draftIds = ids;
    this.#draft = probabilities;
    this.#draftTotal = sum(this.#draft);
  }

  /** The law of the token that is emitted if no further sibling is tested. */
  get distribution(): TokenDistribution {
    return { ids: this.#ids, probabilities: this.#target };
  }

  /** Tests one sibling; after a refusal both laws are those that the next sibling is judged by. */
  accepts(id: number, draw: number): boolean {
    const drawn = indexOfSorted(this.#draftIds, id);
    const d = drawn < 0 ? 0 : this.#draft[drawn]! / this.#draftTotal;
    if (!(d > 0)) {
      throw proposalInvalid(`token ${id} cannot have been drawn from the law given with it`, {
        id,
      });
    }
    const at = indexOfSorted(this.#ids, id);
    if (at >= 0 && draw * d < this.#target[at]!) return true;
    this.#subtractDraft();
    this.#draft[drawn] = 0;
    this.#draftTotal = sum(this.#draft);
    return false;
  }

  /** The target keeps what the draft does not cover. */
  #subtractDraft(): void {
    const ids = this.#ids;
    const draftIds = this.#draftIds;
    const rest = new Float64Array(ids.length);
    let mass = 0;
    let at = 0;
    for (let index = 0; index < ids.length; index++) {
      while (at < draftIds.length && draftIds[at]! < ids[index]!) at++;
      const d = draftIds[at] === ids[index] ? this.#draft[at]! / this.#draftTotal : 0;
      const left = this.#target[index]! - d;
      if (left > 0) {
        rest[index] = left;
        mass += left;
      }
    }
    // Laws that are equal up to rounding refuse with probability zero: keep the target as it is.
    if (mass < 1e-12) return;
    for (let index = 0; index < rest.length; index++) rest[index]! /= mass;
    this.#target = rest;
  }
}

const nothing: TokenDistribution = { ids: new Int32Array(0), probabilities: new Float64Array(0) };

/** A copy in ascending order of ids. */
function ascending({ ids, probabilities }: TokenDistribution): TokenDistribution {
  let sorted = true;
  for (let index = 1; index < ids.length && sorted; index++) sorted = ids[index - 1]! < ids[index]!;
  if (sorted) return { ids, probabilities: probabilities.slice() };
  const order = Int32Array.from(ids.keys()).sort((a, b) => ids[a]! - ids[b]!);
  return {
    ids: order.map((index) => ids[index]!),
    probabilities: Float64Array.from(order, (index) => probabilities[index]!),
  };
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function indexOfSorted(ids: Int32Array, id: number): number {
  let low = 0;
  let high = ids.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = ids[middle]!;
    if (found === id) return middle;
    if (found < id) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/**
 * Checks what a drafter proposed.
 *
 * @throws JetonError `drafter-proposal-invalid`: lengths that differ, a parent that does not come
 *   before its child, an id outside the vocabulary, too many nodes or too long a path
 */
export function checkTree(
  tree: DraftTree,
  limits: { vocabSize: number; maxNodes: number; maxDepth: number },
): void {
  const { ids, parents, acceptanceProbabilities, draftDistributions } = tree;
  const nodes = ids.length;
  if (
    parents.length !== nodes ||
    (acceptanceProbabilities && acceptanceProbabilities.length !== nodes)
  ) {
    throw proposalInvalid("ids, parents and expected differ in length", {
      ids: nodes,
      parents: parents.length,
      expected: acceptanceProbabilities?.length,
    });
  }
  if (nodes > limits.maxNodes) {
    throw proposalInvalid(`${nodes} nodes, expected at most ${limits.maxNodes}`, { nodes });
  }
  if (draftDistributions && draftDistributions.length !== nodes + 1) {
    throw proposalInvalid(
      `${draftDistributions.length} laws, expected one for the root and each node`,
      {
        laws: draftDistributions.length,
        nodes,
      },
    );
  }
  const depths = new Uint32Array(nodes);
  for (let node = 0; node < nodes; node++) {
    const id = ids[node]!;
    if (!(Number.isInteger(id) && id >= 0 && id < limits.vocabSize)) {
      throw proposalInvalid(`node ${node} is the token ${id}, which does not exist`, { node, id });
    }
    const parent = parents[node]!;
    if (!(Number.isInteger(parent) && parent >= -1 && parent < node)) {
      throw proposalInvalid(`node ${node} follows node ${parent}, expected an earlier one`, {
        node,
        parent,
      });
    }
    depths[node] = parent < 0 ? 1 : depths[parent]! + 1;
    if (depths[node]! > limits.maxDepth) {
      throw proposalInvalid(`node ${node} lies ${depths[node]} deep`, {
        node,
        maxDepth: limits.maxDepth,
      });
    }
  }
}

function proposalInvalid(message: string, details: Record<string, unknown>): JetonError {
  return new JetonError(`the draft is not a tree of guesses: ${message}`, {
    code: "drafter-proposal-invalid",
    details,
  });
}
