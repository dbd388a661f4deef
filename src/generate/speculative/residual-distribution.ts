/** What is left of two distributions while drafted siblings are rejected one after another. */
import type { TokenDistribution } from "../sampling/sampler.ts";
import { proposalInvalid } from "./check-tree.ts";

/**
 * The model's distribution (target t) and the draft's (d) after each rejected sibling: t becomes
 * max(t - d, 0), d loses the rejected token, both renormalized.
 */
export class ResidualDistribution {
  readonly #ids: Int32Array;
  #target: Float64Array;
  readonly #draftIds: Int32Array;
  /** The draft's probabilities, which sum to `#draftTotal`; sampled tokens are 0. */
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

  /** The distribution of the token that is emitted if no further sibling is tested. */
  get distribution(): TokenDistribution {
    return { ids: this.#ids, probabilities: this.#target };
  }

  /** Tests one sibling; after a rejection both distributions are those of the next sibling's test. */
  accepts(id: number, uniform: number): boolean {
    const sampled = indexOfSorted(this.#draftIds, id);
    const d = sampled < 0 ? 0 : this.#draft[sampled]! / this.#draftTotal;
    if (!(d > 0)) {
      throw proposalInvalid(
        `token ${id} cannot have been sampled from the distribution given with it`,
        { id },
      );
    }
    const at = indexOfSorted(this.#ids, id);
    if (at >= 0 && uniform * d < this.#target[at]!) return true;
    this.#subtractDraft();
    this.#draft[sampled] = 0;
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
    // Equal distributions reject by rounding errors only: keep the target.
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
