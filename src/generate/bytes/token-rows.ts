/** Log-probabilities of the next token after many token sequences that share a beginning. */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel, OpenSequence, StepResult } from "../../model/index.ts";
import {
  policyUnavailable,
  promptChunkOf,
  refuseDependent,
  severalRows,
} from "../context-policy.ts";
import { prefill } from "../prefill.ts";
import { promptIds } from "../prompt.ts";
import { checkFinite, logitsOfRow } from "../sampling/sampler.ts";

/** One row: the logarithm of token `id`'s probability is `logits[id] - logSumExp`. */
export interface TokenRow {
  readonly logits: Float32Array | Float64Array;
  readonly logSumExp: number;
}

/** Sequences below a common beginning, as a tree. */
export interface TokenTree {
  /** The common beginning; at least one token. */
  readonly base: readonly number[];
  /** Further tokens, parents before children. */
  readonly ids: readonly number[];
  /** Number of each token's parent among them, -1 for the beginning. */
  readonly parents: readonly number[];
}

/** A model of tokens, asked about trees of sequences. */
export interface TokenRows {
  readonly name: string;
  /** Longest sequence. */
  readonly contextLength: number;
  /** Ids that end a text. */
  readonly endIds: readonly number[];
  /** Tokens before a text; at least one. */
  readonly beginning: readonly number[];
  /**
   * The row after the beginning, then that after each token of the tree.
   *
   * @throws JetonError `generate-context-exceeded`
   */
  evaluate(tree: TokenTree, options?: { readonly signal?: AbortSignal }): Promise<TokenRow[]>;
  /** Frees what it holds; safe to call twice. */
  close(): Promise<void>;
}

/** Rows of an open model. */
export interface ModelTokenRows extends TokenRows {
  /** Tokens of the prefix that were in the KV cache when it was opened. */
  readonly reused: number;
}

/** Options of `openModelRows`. */
export interface ModelRowsOptions {
  /** Tokens with which sequences will begin: what the KV cache holds of them is used again. */
  readonly prefix?: readonly number[];
  /** Most tokens of one forward pass over a long beginning. Default: as `generate` chooses. */
  readonly prefillChunk?: number;
  /** Called after each chunk of a long beginning. */
  readonly onPrefill?: (progress: { done: number; total: number; reused: number }) => void;
  readonly signal?: AbortSignal;
}

/**
 * Rows of an open model: trees are read in one forward pass, and beginnings stay in the KV cache. Under a context policy,
 * such as that of a model with landmarks, each sequence of a tree takes a pass of its own; where a policy reads prompt tokens
 * together, all are read as generated ones are, and nothing of a prefix is reused.
 *
 * @throws JetonError `context-policy-unavailable` under a policy for which a token depends on the choice of the one before,
 *   that chooses among the prompt's tokens, or whose results depend on where a prompt ends
 */
export async function openModelRows(
  model: LoadedModel,
  options: ModelRowsOptions = {},
): Promise<ModelTokenRows> {
  const { prefix, signal } = options;
  refusePolicy(model);
  // Prompt tokens that are read together choose together: a row would depend on what follows it, and on where the prefix
  // ends. So each token is read by itself.
  const isShared = promptChunkOf(model.contextPolicy) > 1;
  const sequence = await model.openSequence({
    ...(prefix && !isShared && { prefix }),
    ...(signal && { signal }),
  });
  return new ModelRows(model, sequence, options);
}

function refusePolicy(model: LoadedModel): void {
  refuseDependent(model);
  if (model.contextPolicy?.reuse !== "none") return;
  throw policyUnavailable(model, severalRows, "its results depend on where a prompt ends");
}

class ModelRows implements ModelTokenRows {
  /** Whether a pass reads one sequence, and no tree. */
  readonly #readsChains: boolean;
  readonly name: string;
  readonly reused: number;
  readonly contextLength: number;
  readonly endIds: readonly number[];
  readonly beginning: readonly number[];
  readonly #sequence: OpenSequence;
  readonly #options: ModelRowsOptions;
  /** Tokens in the KV cache. */
  readonly #cached: number[];
  /** Tokens of the last pass that wait, below the cached ones. */
  #waiting: { readonly ids: readonly number[]; readonly parents: readonly number[] } | undefined;

  constructor(model: LoadedModel, sequence: OpenSequence, options: ModelRowsOptions) {
    this.#cached = options.prefix?.slice(0, sequence.reused) ?? [];
    this.#options = options;
    this.reused = sequence.reused;
    this.name = model.name;
    this.contextLength = model.contextLength;
    this.endIds = model.eosTokenIds;
    this.beginning = promptIds(model, "");
    this.#sequence = sequence;
    this.#readsChains = model.contextPolicy !== undefined;
  }

  async evaluate(
    { base, ids, parents }: TokenTree,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<TokenRow[]> {
    const { signal } = options;
    this.#checkLength(base.length + ids.length);
    // The pass does not wait for it: calls of one sequence are answered in their order.
    const entering = this.#enter(base);
    const open = base.slice(this.#cached.length);
    // All but the last token of a long beginning need no rows.
    const isLong = open.length + ids.length > 64 || this.#readsChains;
    if (open.length > 1 && isLong) {
      const read = open.splice(0, open.length - 1);
      const { prefillChunk: chunk, onPrefill } = this.#options;
      const reused = this.#cached.length;
      const onProgress = (done: number): void =>
        onPrefill?.({ done: reused + done, total: base.length, reused });
      await entering;
      await prefill(this.#sequence, read, { results: "none" }, { chunk, signal, onProgress });
      this.#cached.push(...read);
    }
    if (this.#readsChains) {
      await entering;
      return this.#evaluateChains(open[0]!, { ids, parents }, signal);
    }
    const rows = [...open, ...ids];
    const chain = open.map((_, at) => at - 1);
    const below = parents.map((parent) => open.length + parent);
    const step = { ids: rows, parents: [...chain, ...below], results: "all", topK: 1 } as const;
    const [result] = await Promise.all([
      this.#sequence.step({ ...step, logits: true, commit: false }, signal ? { signal } : {}),
      entering,
    ]);
    this.#waiting = step;
    return rows.slice(open.length - 1).map((_, at) => rowOf(result, open.length - 1 + at));
  }

  /** Rows below the last token of a beginning whose others are cached, one sequence after the other. */
  async #evaluateChains(
    last: number,
    { ids, parents }: Omit<TokenTree, "base">,
    signal: AbortSignal | undefined,
  ): Promise<TokenRow[]> {
    const found = new Map<number, TokenRow>();
    const isParent = new Set(parents);
    const leaves = ids.length === 0 ? [-1] : [...ids.keys()].filter((row) => !isParent.has(row));
    for (const leaf of leaves) {
      const path: number[] = [];
      for (let row = leaf; row >= 0; row = parents[row]!) path.unshift(row);
      const result = await this.#sequence.step(
        {
          ids: [last, ...path.map((row) => ids[row]!)],
          ...{ results: "all", topK: 1, logits: true, commit: false },
        },
        signal ? { signal } : {},
      );
      for (const [at, row] of [-1, ...path].entries()) found.set(row, rowOf(result, at));
    }
    return [-1, ...ids.keys()].map((row) => found.get(row)!);
  }

  async close(): Promise<void> {
    await this.#sequence.release();
  }

  /** Makes the KV cache a beginning of `base` without its last token, as long a one as is known. */
  #enter(base: readonly number[]): Promise<void> | undefined {
    const cached = this.#cached;
    let shared = 0;
    const end = base.length - 1;
    while (shared < cached.length && shared < end && cached[shared] === base[shared]) shared++;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (shared < cached.length) {
      cached.length = shared;
      return this.#sequence.truncate(shared);
    }
    if (waiting === undefined) return undefined;
    const rows: number[] = [];
    let parent = -1;
    for (let at = shared; at < end; at++) {
      const row = waiting.ids.findIndex(
        (id, row) => id === base[at] && waiting.parents[row] === parent,
      );
      if (row < 0) break;
      rows.push(row);
      parent = row;
    }
    if (rows.length === 0) return undefined;
    for (const row of rows) cached.push(waiting.ids[row]!);
    return this.#sequence.accept(rows);
  }

  #checkLength(length: number): void {
    if (length <= this.contextLength) return;
    throw new JetonError(`${length} tokens exceed the context of ${this.contextLength} tokens`, {
      code: "generate-context-exceeded",
      details: { tokens: length, contextLength: this.contextLength },
    });
  }
}

function rowOf(result: StepResult, row: number): TokenRow {
  const logSumExp = result.logSumExp[row]!;
  checkFinite(logSumExp);
  return { logits: logitsOfRow(result, row), logSumExp };
}
