/**
 * The decoding of one request: forwards over the last token and what was guessed after it, and the
 * tokens that each of them decides.
 */
import { JetonError } from "../core/index.ts";
import type { LoadedModel, OpenSequence, SequenceStep, StepResult } from "../model/index.ts";
import {
  chooseToken,
  isGreedy,
  isSampledInStep,
  rowDistribution,
  rowRequest,
  type Sampling,
  uniformFor,
} from "./sampling/sampler.ts";
import { onlyChains } from "./speculative/chains.ts";
import {
  type Drafter,
  type DraftSequence,
  type DraftTree,
  emptyTree,
} from "./speculative/drafter.ts";
import { DraftCounter } from "./speculative/statistics.ts";
import {
  checkTree,
  type Verification,
  verifyExactMatch,
  verifyRejectionSampling,
} from "./speculative/verify.ts";
import type { GeneratedToken, TokenOrigin } from "./types.ts";

/** A token that a forward decided, as the model sees it. */
export type EmittedToken = Omit<GeneratedToken, "text">;

export interface DecodingOptions {
  readonly model: LoadedModel;
  readonly sampling: Sampling;
  readonly promptIds: readonly number[];
  /** Rows that the prompt takes in the cache. */
  readonly promptRows: number;
  /** Tokens after which nothing follows. */
  readonly ends: ReadonlySet<number>;
  /** Most probable tokens to report with each token. */
  readonly alternatives: number;
  readonly drafter: Drafter | undefined;
  /** Most nodes of a tree. */
  readonly maxNodes: number;
  readonly signal: AbortSignal | undefined;
}

const autoregressive: TokenOrigin = { kind: "decoded" };

/** Decodes one sequence. Not more than one `next` at a time. */
export class Decoding {
  readonly #options: DecodingOptions;
  readonly #sequence: OpenSequence;
  readonly #drafting: DraftSequence | undefined;
  readonly #counter: DraftCounter;
  /** Candidates of every row. */
  readonly #topK: number;
  /** Prompt and decided tokens. */
  readonly #ids: number[];
  readonly #seen: Set<number>;
  readonly #stepOptions: { signal?: AbortSignal };
  /** Rows of the last tree on their way into the cache. */
  #accepting: Promise<void> | undefined;
  #ended = false;

  constructor(sequence: OpenSequence, options: DecodingOptions) {
    const { sampling, alternatives, drafter, promptIds, signal } = options;
    this.#options = options;
    this.#sequence = sequence;
    this.#counter = new DraftCounter(drafter?.name ?? "none");
    this.#ids = [...promptIds];
    this.#seen = new Set(sampling.repetitionPenalty === 1 ? [] : promptIds);
    this.#stepOptions = signal ? { signal } : {};
    this.#topK = Math.max(alternatives, rowRequest(sampling).topK, drafter?.candidates ?? 0);
    // Only a chain stands in the order of its tokens, which exact passes need.
    const chains = options.model.exact ?? false;
    const drafting = drafter?.begin({ promptIds, sampling, chains });
    this.#drafting = drafting && chains ? onlyChains(drafting) : drafting;
  }

  /** What a forward over the last token and a tree must return for each of its rows. */
  request(
    tree: DraftTree = emptyTree,
  ): Pick<SequenceStep, "topK" | "logits" | "nucleus" | "sample"> {
    const { sampling } = this.#options;
    const topK = this.#topK;
    // A sampled tree is judged by whole laws.
    if (tree.draftDistributions || !isSampledInStep(sampling))
      return { ...rowRequest(sampling), topK };
    const base = this.#ids.length;
    const byDepth: number[] = [];
    const uniform = rowDepths(tree).map((depth) => {
      byDepth[depth] ??= uniformFor(sampling, base + depth);
      return byDepth[depth];
    });
    const { temperature, minP } = sampling;
    return { topK, sample: { temperature, minP, uniform } };
  }

  /** The first token, from the result of the prompt's last row. */
  first(result: StepResult): EmittedToken[] {
    const root = this.#ids.at(-1)!;
    const walk = this.#walk(result, emptyTree);
    this.#observe(result, Int32Array.of(root), { tree: emptyTree, walk }, 0);
    return this.#describe(result, emptyTree, walk);
  }

  /**
   * One forward: the last decided token, and guesses of at most `remaining - 1` tokens after it.
   *
   * @returns at least one token, at most `remaining`
   */
  async next(remaining: number): Promise<EmittedToken[]> {
    const counter = this.#counter;
    const root = this.#ids.at(-1)!;
    const begin = performance.now();
    const proposed = this.#propose(remaining);
    const tree = proposed instanceof Promise ? await proposed : proposed;
    const drafted = performance.now();
    counter.draftTime += drafted - begin;

    const nodes = tree.ids.length;
    const ids = rowIds(root, tree);
    await this.#accepting;
    const request = this.request(tree);
    const step: Omit<SequenceStep, "slot"> =
      nodes === 0
        ? { ids, ...request }
        : { ids, parents: rowParents(tree), ...request, results: "all", commit: false };
    const result = await this.#sequence.step(step, this.#stepOptions);
    const forwarded = performance.now();
    counter.forwardTime += forwarded - drafted;

    const walk = this.#walk(result, tree);
    if (nodes > 0) {
      // The next guesses are made meanwhile.
      this.#accepting = this.#sequence.accept([0, ...walk.accepted.map((node) => node + 1)]);
      this.#accepting.catch(() => undefined);
    }
    const walked = performance.now();
    counter.verifyTime += walked - forwarded;

    counter.count(tree.drafter ?? this.#options.drafter?.name ?? "none", tree, walk);
    this.#observe(result, ids, { tree, walk }, (forwarded - drafted) / 1000);
    counter.draftTime += performance.now() - walked;
    return this.#describe(result, tree, walk);
  }

  get statistics(): ReturnType<DraftCounter["result"]> {
    return this.#counter.result();
  }

  /** Ends the drafter's part, once. A forward that still runs tells it nothing any more. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#drafting?.end();
  }

  #propose(remaining: number): DraftTree | Promise<DraftTree> {
    const drafting = this.#drafting;
    if (!drafting) return emptyTree;
    const { model, promptRows, promptIds } = this.#options;
    // All but the last token are in the cache; its row is the root's.
    const room = model.contextLength - (promptRows + this.#ids.length - promptIds.length);
    const limits = {
      maxNodes: Math.min(this.#options.maxNodes, room),
      maxDepth: Math.min(remaining - 1, room),
    };
    if (limits.maxNodes < 1 || limits.maxDepth < 1) return emptyTree;
    const check = (tree: DraftTree): DraftTree => {
      checkTree(tree, { ...limits, vocabSize: model.config.vocabSize });
      return tree;
    };
    const proposed = drafting.propose({ ids: this.#ids, ...limits, minAcceptanceProbability: 0 });
    return proposed instanceof Promise ? proposed.then(check) : check(proposed);
  }

  /** Walks down the tree and takes what it decides into the text. */
  #walk(result: StepResult, tree: DraftTree): Verification {
    const { sampling, ends } = this.#options;
    const base = this.#ids.length;
    const enter = (row: number): void => {
      if (row > 0) this.#take(tree.ids[row - 1]!);
    };
    const walk =
      tree.draftDistributions && !isGreedy(sampling)
        ? verifyRejectionSampling(
            tree,
            {
              distribution: (row) => {
                enter(row);
                return rowDistribution(result, row, sampling, this.#seen);
              },
              draw: (depth) => uniformFor(sampling, base + depth),
              test: (depth, order) => uniformFor(sampling, base + depth, order),
            },
            ends,
          )
        : verifyExactMatch(
            tree,
            (row, depth) => {
              enter(row);
              return chooseToken(result, row, sampling, this.#seen, base + depth);
            },
            ends,
          );
    for (const id of walk.emitted.slice(this.#ids.length - base)) this.#take(id);
    return walk;
  }

  #take(id: number): void {
    this.#ids.push(id);
    if (this.#options.sampling.repetitionPenalty !== 1) this.#seen.add(id);
  }

  /** @param ids token of each row of the forward */
  #observe(
    result: StepResult,
    ids: Int32Array,
    { tree, walk }: { readonly tree: DraftTree; readonly walk: Verification },
    seconds: number,
  ): void {
    if (!this.#drafting || this.#ended) return;
    const { topIds, topLogits, logSumExp } = result;
    const { emitted, accepted, rejected } = walk;
    this.#drafting.observe({
      emitted,
      ids: this.#ids,
      rows: { ids, candidates: this.#topK, topIds, topLogits, logSumExp },
      seconds,
      ...(ids.length > 1 && { verdict: { tree, accepted, rejected } }),
    });
  }

  #describe(result: StepResult, tree: DraftTree, walk: Verification): EmittedToken[] {
    const { alternatives, drafter } = this.#options;
    const name = tree.drafter ?? drafter?.name ?? "none";
    return walk.emitted.map((id, index) => {
      const row = index === 0 ? 0 : walk.accepted[index - 1]! + 1;
      const top = alternatives > 0 ? topTokens(result, row, alternatives) : undefined;
      return {
        id,
        logProbability: logProbability(result, row, id),
        ...(top && { topLogProbabilities: top }),
        origin:
          index < walk.accepted.length
            ? { kind: "accepted", drafter: name, depth: index + 1 }
            : autoregressive,
      };
    });
  }
}

/** Tokens of the rows of one step: the root's and the nodes'. */
function rowIds(root: number, { ids }: DraftTree): Int32Array {
  const rows = new Int32Array(1 + ids.length);
  rows[0] = root;
  rows.set(ids, 1);
  return rows;
}

/** The row that each row follows. */
function rowParents({ parents }: DraftTree): number[] {
  const rows = new Array<number>(1 + parents.length);
  rows[0] = -1;
  for (let node = 0; node < parents.length; node++) rows[node + 1] = parents[node]! + 1;
  return rows;
}

/** How many tokens after the root's each row's token stands. */
function rowDepths({ parents }: DraftTree): number[] {
  const depths = [0];
  for (let node = 0; node < parents.length; node++) depths.push(depths[parents[node]! + 1]! + 1);
  return depths;
}

/** Log-probability of a token after a row under the model, before any sampling option. */
function logProbability(result: StepResult, row: number, id: number): number {
  const { topIds, topLogits, logSumExp, sampledIds, sampledLogits, logits } = result;
  if (sampledIds?.[row] === id) return sampledLogits![row]! - logSumExp[row]!;
  const candidates = topIds.length / logSumExp.length;
  for (let at = row * candidates; at < (row + 1) * candidates; at++) {
    if (topIds[at] === id) return topLogits[at]! - logSumExp[row]!;
  }
  const logit = logits?.[row * (logits.length / logSumExp.length) + id];
  if (logit === undefined) {
    throw new JetonError(`the logit of token ${id} was not computed`, {
      code: "generate-logit-missing",
      details: { id },
    });
  }
  return logit - logSumExp[row]!;
}

function topTokens(
  { topIds, topLogits, logSumExp }: StepResult,
  row: number,
  count: number,
): NonNullable<GeneratedToken["topLogProbabilities"]> {
  const candidates = topIds.length / logSumExp.length;
  const from = row * candidates;
  return Array.from(topIds.subarray(from, from + Math.min(count, candidates)), (id, index) => ({
    id,
    logProbability: topLogits[from + index]! - logSumExp[row]!,
  }));
}
