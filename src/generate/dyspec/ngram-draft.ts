/**
 * An n-gram language model over token ids as a draft, interpolated with shorter contexts by the number of
 * distinct successors of each context (Witten and Bell, 1991).
 */
import { JetonError } from "../../core/index.ts";
import { type Sampling, type TokenDistribution, tokenDistribution } from "../sampling/sampler.ts";
import { type DraftSource, pathTo } from "./draft-source.ts";

/** Options of an n-gram draft model. */
export interface NgramModelOptions {
  /** Tokens of an n-gram, 1 to 8. Default 3: two of context. */
  readonly order?: number;
  /** Most tokens of a distribution: the most probable ones, renormalized. Default 64. */
  readonly candidates?: number;
}

/** Successors of one context. */
interface Successors {
  readonly counts: Map<number, number>;
  total: number;
}

/** Counts of n-grams, and the distributions that follow from them. */
export class NgramModel implements DraftSource {
  readonly name: string;
  readonly #order: number;
  readonly #candidates: number;
  /** By length of the context, then by its ids. */
  readonly #contexts: readonly Map<string, Successors>[];
  #common: number[] | undefined;

  /** @throws JetonError `ngram-order-invalid` */
  constructor(options: NgramModelOptions = {}) {
    const { order = 3, candidates = 64 } = options;
    if (!Number.isInteger(order) || order < 1 || order > 8) {
      throw new JetonError(`the order is ${order}, expected an integer from 1 to 8`, {
        code: "ngram-order-invalid",
        details: { order },
      });
    }
    this.name = `${order}-gram`;
    this.#order = order;
    this.#candidates = candidates;
    this.#contexts = Array.from({ length: order }, () => new Map());
  }

  /** Counts the n-grams of a text. */
  learn(ids: readonly number[] | Int32Array): void {
    this.#common = undefined;
    for (let at = 0; at < ids.length; at++) {
      const id = ids[at]!;
      for (let length = 0; length < this.#order && length <= at; length++) {
        const key = ids.slice(at - length, at).join(" ");
        let successors = this.#contexts[length]!.get(key);
        if (!successors) {
          successors = { counts: new Map(), total: 0 };
          this.#contexts[length]!.set(key, successors);
        }
        successors.counts.set(id, (successors.counts.get(id) ?? 0) + 1);
        successors.total++;
      }
    }
  }

  /** Distribution of the token after `ids`, under temperature and filters of `sampling`. */
  distribution(ids: readonly number[], sampling: Sampling): TokenDistribution {
    const known: Successors[] = [];
    const tail = ids.slice(Math.max(0, ids.length - this.#order + 1));
    for (let length = 0; length <= tail.length; length++) {
      const found = this.#contexts[length]!.get(tail.slice(tail.length - length).join(" "));
      if (!found) break;
      known.push(found);
    }
    if (known.length === 0) return { ids: new Int32Array(0), probabilities: new Float64Array(0) };
    const tokens = new Set(this.#commonTokens());
    for (const { counts } of known.slice(1)) for (const id of counts.keys()) tokens.add(id);
    const scored = Array.from(tokens, (id) => ({ id, probability: interpolate(known, id) }))
      .sort((a, b) => b.probability - a.probability || a.id - b.id)
      .slice(0, this.#candidates);
    return tokenDistribution(
      Float32Array.from(scored, ({ probability }) => Math.log(probability)),
      sampling,
      Int32Array.from(scored, ({ id }) => id),
    );
  }

  begin: DraftSource["begin"] = (_request, sampling) => ({
    distributionsBelow: (ids) => {
      const tail = ids.slice(-this.#order);
      return {
        after: (nodes, tree) =>
          nodes.map((node) => this.distribution([...tail, ...pathTo(node, tree)], sampling)),
      };
    },
    end() {},
  });

  /** The most frequent tokens, without context. */
  #commonTokens(): readonly number[] {
    this.#common ??= [...(this.#contexts[0]!.get("")?.counts ?? [])]
      .sort((a, b) => b[1] - a[1] || a[0] - b[0])
      .slice(0, this.#candidates)
      .map(([id]) => id);
    return this.#common;
  }
}

/** Probability of a token: its unigram share, interpolated with one longer context after another. */
function interpolate([single, ...longer]: readonly Successors[], id: number): number {
  let probability = (single!.counts.get(id) ?? 0) / single!.total;
  for (const { counts, total } of longer) {
    probability = ((counts.get(id) ?? 0) + counts.size * probability) / (total + counts.size);
  }
  return probability;
}
