/**
 * Sources of a draft's distributions: a smaller model with the same vocabulary, or anything else that has a
 * distribution of the next token.
 */
import type { LoadedModel, OpenSequence, StepResult } from "../../model/index.ts";
import { prefill } from "../prefill.ts";
import { hasPenalties, TokenCounter } from "../sampling/penalties.ts";
import {
  isGreedy,
  rowDistribution,
  rowRequest,
  type Sampling,
  type TokenDistribution,
} from "../sampling/sampler.ts";
import { canRead } from "../speculative/draft-vocabulary.ts";
import type { DraftRequest } from "../speculative/drafter.ts";
import type { DraftDistributions } from "./growing-tree.ts";

/** A source of draft distributions, shared by all requests. */
export interface DraftSource {
  readonly name: string;
  /**
   * Starts a request.
   *
   * @param sampling the request's own sampling; of a greedy request one with a positive temperature, because
   *   the tree's shape needs distributions
   */
  begin(request: DraftRequest, sampling: Sampling): DraftSourceSequence;
}

/** A source's state for one request. */
export interface DraftSourceSequence {
  /** Distributions for a tree below the last of `ids`: prompt and emitted tokens. */
  distributionsBelow(ids: readonly number[]): DraftDistributions;
  end(): void | Promise<void>;
}

const nothing: TokenDistribution = {
  ids: new Int32Array(0),
  probabilities: new Float64Array(0),
};

/** Token ids from the root's first descendant down to a node. */
export function pathTo(
  node: number,
  tree: { readonly ids: readonly number[]; readonly parents: readonly number[] },
): number[] {
  const path: number[] = [];
  for (let at = node; at >= 0; at = tree.parents[at]!) path.push(tree.ids[at]!);
  return path.reverse();
}

export interface ModelDraftOptions {
  /**
   * Most probable tokens of each distribution, at most 64: less probable ones are not drafted. Requests
   * with penalties take the whole vocabulary. Default 64, and 16 for greedy requests, which have no use for
   * improbable tokens.
   */
  readonly candidates?: number;
}

/**
 * Drafts with a smaller model. Its cache holds emitted tokens only: each pass over a tree computes the
 * nodes that are asked for and their ancestors.
 */
export function modelDraft(draft: LoadedModel, options: ModelDraftOptions = {}): DraftSource {
  return {
    name: draft.name,
    begin(request, sampling) {
      const wanted = options.candidates ?? (isGreedy(request.sampling) ? 16 : 64);
      const candidates = Math.min(wanted, 64, draft.config.vocabSize);
      const topK = sampling.topK > 0 ? Math.min(sampling.topK, candidates) : candidates;
      return new ModelDraftSequence(draft, request, { ...sampling, topK });
    },
  };
}

class ModelDraftSequence implements DraftSourceSequence {
  readonly #draft: LoadedModel;
  readonly #sampling: Sampling;
  /** What each row of a pass returns. */
  readonly #wanted: ReturnType<typeof rowRequest>;
  readonly #counter: TokenCounter;
  #counted: number;
  /** Length of the last tree's text, and the distributions below it by path. */
  #treeLength = 0;
  readonly #distributions = new Map<string, TokenDistribution>();
  #opening: Promise<OpenSequence> | undefined;
  #ended = false;

  constructor(draft: LoadedModel, { promptIds }: DraftRequest, sampling: Sampling) {
    this.#draft = draft;
    this.#sampling = sampling;
    this.#wanted = rowRequest(sampling);
    this.#counter = new TokenCounter(hasPenalties(sampling) ? promptIds : []);
    this.#counted = promptIds.length;
  }

  distributionsBelow(ids: readonly number[]): DraftDistributions {
    if (hasPenalties(this.#sampling)) {
      for (; this.#counted < ids.length; this.#counted++) this.#counter.push(ids[this.#counted]!);
    }
    // A second tree for the same text, in another size, reuses the known distributions.
    if (this.#treeLength !== ids.length) this.#distributions.clear();
    this.#treeLength = ids.length;
    return {
      after: async (nodes, tree) => {
        const keys = nodes.map((node) => pathTo(node, tree).join(" "));
        const missing = nodes.filter((_, at) => !this.#distributions.has(keys[at]!));
        const found = missing.length === 0 ? [] : await this.#ask(ids, missing, tree);
        for (const [at, node] of missing.entries()) {
          this.#distributions.set(keys[nodes.indexOf(node)]!, found[at]!);
        }
        return keys.map((key) => this.#distributions.get(key)!);
      },
    };
  }

  async end(): Promise<void> {
    this.#ended = true;
    await (await this.#opening)?.release();
  }

  /** One pass of the draft model; empty distributions where its context is too short. */
  async #ask(
    ids: readonly number[],
    nodes: readonly number[],
    tree: { readonly ids: readonly number[]; readonly parents: readonly number[] },
  ): Promise<TokenDistribution[]> {
    const { contextLength } = this.#draft;
    const none = nodes.map(() => nothing);
    if (this.#ended || ids.length > contextLength) return none;
    const sequence = await this.#open(ids);
    if (!sequence) return none;
    if (nodes[0] === -1) return [await this.#rootDistribution(sequence, ids)];
    const rows = rowsBetween(nodes, tree.parents);
    if (sequence.length + rows.length > contextLength) return none;
    const rowOf = new Map(rows.map((node, row) => [node, row]));
    const result = await sequence.step({
      ids: rows.map((node) => tree.ids[node]!),
      parents: rows.map((node) => rowOf.get(tree.parents[node]!) ?? -1),
      results: "all",
      commit: false,
      ...this.#wanted,
    });
    return nodes.map((node) => this.#distribution(result, rowOf.get(node)!, pathTo(node, tree)));
  }

  /** The draft model's sequence; undefined while all its slots are taken: waiting would cost more. */
  #open(ids: readonly number[]): Promise<OpenSequence> | undefined {
    const { openSequences, slots } = this.#draft;
    if (!this.#opening && openSequences >= slots) return undefined;
    this.#opening ??= this.#draft.openSequence({ prefix: ids });
    return this.#opening;
  }

  /** Takes the tokens emitted since the last tree into the cache. */
  async #rootDistribution(
    sequence: OpenSequence,
    ids: readonly number[],
  ): Promise<TokenDistribution> {
    // Where the cache holds the whole text, the last token runs again for its distribution.
    if (sequence.length >= ids.length) await sequence.truncate(ids.length - 1);
    const rest = ids.slice(sequence.length);
    if (!canRead(this.#draft, rest)) return nothing;
    const result = await prefill(sequence, rest, {
      results: "last",
      ...this.#wanted,
    });
    return this.#distribution(result, 0, []);
  }

  #distribution(result: StepResult, row: number, path: readonly number[]): TokenDistribution {
    const counts = hasPenalties(this.#sampling) ? this.#counter.after(path) : this.#counter;
    return rowDistribution(result, row, { sampling: this.#sampling, counts });
  }
}

/** The nodes and all their ancestors, parents first. */
function rowsBetween(nodes: readonly number[], parents: readonly number[]): number[] {
  const rows = new Set<number>();
  for (const node of nodes) {
    for (let at = node; at >= 0 && !rows.has(at); at = parents[at]!) rows.add(at);
  }
  return [...rows].sort((a, b) => a - b);
}
