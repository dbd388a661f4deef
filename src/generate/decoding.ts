/**
 * The decoding of one request: forward passes over the last token and a draft tree below it, and the
 * tokens that each of them emits.
 */
import { JetonError } from "../core/index.ts";
import type { LoadedModel, OpenSequence, SequenceStep, StepResult } from "../model/index.ts";
import { readAttended } from "./context-policy.ts";
import { type LogitsProcessor, processLogits } from "./sampling/logits-processors.ts";
import {
  checkFinite,
  chooseToken,
  distributionById,
  isGreedy,
  isSampledInStep,
  logitsOfRow,
  rowDistribution,
  rowRequest,
  type Sampling,
  sampleFrom,
  type TokenDistribution,
  uniformFor,
} from "./sampling/sampler.ts";
import { onlyChains } from "./speculative/chains.ts";
import { beginDrafting } from "./speculative/check-drafter.ts";
import {
  type Drafter,
  type DraftSequence,
  type DraftTree,
  emptyTree,
} from "./speculative/drafter.ts";
import { DraftCounter } from "./speculative/statistics.ts";
import { rowDepths, rowIds, rowParents } from "./speculative/tree-rows.ts";
import {
  type Verification,
  verifyExactMatch,
  verifyRejectionSampling,
} from "./speculative/verify.ts";
import { topTokens } from "./top-tokens.ts";
import type { AttendedContext, GeneratedToken, TokenOrigin } from "./types.ts";

/** A token that a forward pass emitted, as the model sees it. */
export type EmittedToken = Omit<GeneratedToken, "text">;

export interface DecodingOptions {
  readonly model: LoadedModel;
  readonly sampling: Sampling;
  /** Edit each row of logits before its token is chosen; the penalties of `sampling` are among them. */
  readonly processors: readonly LogitsProcessor[];
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
  /** The first step after the prompt says which tokens it attends to. */
  readonly reportsContext: boolean;
  readonly signal: AbortSignal | undefined;
}

const autoregressive: TokenOrigin = { kind: "decoded" };

/** Penalties are among the processors of a decoding, which counts tokens for them. */
const noCounts = { seen: new Set<number>(), generated: new Map<number, number>() };

/** Decodes one sequence. At most one `next` runs at a time. */
export class Decoding {
  readonly #options: DecodingOptions;
  readonly #sequence: OpenSequence;
  readonly #drafting: DraftSequence | undefined;
  readonly #counter: DraftCounter;
  /** True where processors edit whole rows of logits. */
  readonly #editsLogits: boolean;
  /** What every row must return where steps do not sample. */
  readonly #rowRequest: ReturnType<typeof rowRequest>;
  /** True where a step over a tree without distributions samples the tokens itself. */
  readonly #samplesInStep: boolean;
  /** Prompt and emitted tokens. */
  readonly #ids: number[];
  readonly #stepOptions: { signal?: AbortSignal };
  /** Accepted rows of the last tree on their way into the cache. */
  #accepting: Promise<void> | undefined;
  #ended = false;
  /** True until the step that reports its context has run. */
  #isReportDue: boolean;
  #attended: AttendedContext | undefined;

  constructor(sequence: OpenSequence, options: DecodingOptions) {
    const { sampling, processors, alternatives, drafter, promptIds, signal } = options;
    this.#options = options;
    this.#isReportDue = options.reportsContext;
    this.#sequence = sequence;
    this.#counter = new DraftCounter(drafter?.name ?? "none");
    this.#ids = [...promptIds];
    this.#stepOptions = signal ? { signal } : {};
    this.#editsLogits = processors.length > 0;
    const rows = rowRequest(sampling, this.#editsLogits);
    const topK = Math.max(alternatives, rows.topK, drafter?.candidates ?? 0);
    this.#rowRequest = { ...rows, topK };
    this.#samplesInStep = !this.#editsLogits && isSampledInStep(sampling);
    // Exact passes need their rows in the order of the text: a chain. So do context policies.
    const chains = (options.model.exact ?? false) || options.model.contextPolicy !== undefined;
    const { rowTile = 1 } = options.model;
    const { vocabSize } = options.model.config;
    const request = { promptIds, sampling, chains, rowTile };
    const drafting = drafter && beginDrafting(drafter, request, { vocabSize });
    this.#drafting = drafting && chains ? onlyChains(drafting) : drafting;
  }

  /** What a forward pass over the last token and a tree must return for each of its rows. */
  request(
    tree: DraftTree = emptyTree,
  ): Pick<SequenceStep, "topK" | "logits" | "nucleus" | "sample"> {
    // A sampled tree is verified by whole distributions.
    if (tree.draftDistributions || !this.#samplesInStep) return this.#rowRequest;
    const { sampling } = this.#options;
    const base = this.#ids.length;
    const byDepth: number[] = [];
    const uniform = rowDepths(tree).map((depth) => {
      byDepth[depth] ??= uniformFor(sampling, base + depth);
      return byDepth[depth];
    });
    const { temperature, minP } = sampling;
    return { topK: this.#rowRequest.topK, sample: { temperature, minP, uniform } };
  }

  /** The first token, from the result of the prompt's last row. */
  async first(result: StepResult): Promise<EmittedToken[]> {
    const root = this.#ids.at(-1)!;
    const walk = await this.#verify(result, emptyTree);
    this.#observe(result, Int32Array.of(root), { tree: emptyTree, walk }, 0);
    return this.#describe(result, emptyTree, walk);
  }

  /**
   * One forward pass over the last emitted token and at most `remaining - 1` draft tokens after it.
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
    const request = { ...this.request(tree), ...(this.#isReportDue && { attended: true }) };
    const step: Omit<SequenceStep, "slot"> =
      nodes === 0
        ? { ids, ...request }
        : { ids, parents: rowParents(tree), ...request, results: "all", commit: false };
    const result = await this.#sequence.step(step, this.#stepOptions);
    this.#noteAttended(result);
    const forwarded = performance.now();
    counter.forwardTime += forwarded - drafted;

    const verifying = this.#verify(result, tree);
    const walk = verifying instanceof Promise ? await verifying : verifying;
    if (nodes > 0) {
      // The next tree is drafted while the cache takes the accepted rows.
      this.#accepting = this.#sequence.accept([0, ...walk.accepted.map((node) => node + 1)]);
      this.#accepting.catch(() => undefined);
    }
    const verified = performance.now();
    counter.verifyTime += verified - forwarded;

    counter.count(tree.drafter ?? this.#options.drafter?.name ?? "none", tree, walk);
    this.#observe(result, ids, { tree, walk }, (forwarded - drafted) / 1000);
    counter.draftTime += performance.now() - verified;
    return this.#describe(result, tree, walk);
  }

  /** Which tokens the first step after the prompt attended to, where asked for. */
  get attended(): AttendedContext | undefined {
    return this.#attended;
  }

  #noteAttended({ attended }: StepResult): void {
    if (!this.#isReportDue || !attended) return;
    const { numAttentionHeads: heads, layers } = this.#options.model.config;
    const tokens = this.#sequence.length;
    this.#attended = readAttended(attended, { heads, layers: layers.length, tokens });
    this.#isReportDue = false;
  }

  get statistics(): ReturnType<DraftCounter["result"]> {
    return this.#counter.result();
  }

  /** Ends the drafter's request, once. It observes no forward pass that still runs. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#drafting?.end();
  }

  #propose(remaining: number): DraftTree | Promise<DraftTree> {
    const drafting = this.#drafting;
    if (!drafting || this.#isReportDue) return emptyTree;
    const { model, promptRows, promptIds } = this.#options;
    // All but the last token are in the cache; its row is the root's.
    const rows = promptRows + this.#ids.length - promptIds.length;
    // Draft tokens end where the cache restarts: those beyond are rotated in another way.
    const restart = model.restartLength ?? 0;
    const free = (rows <= restart ? restart : model.contextLength) - rows;
    const limits = {
      maxNodes: Math.min(this.#options.maxNodes, free),
      maxDepth: Math.min(remaining - 1, free),
    };
    if (limits.maxNodes < 1 || limits.maxDepth < 1) return emptyTree;
    return drafting.propose({ ids: this.#ids, ...limits, minAcceptanceProbability: 0 });
  }

  /** Verifies a tree and appends the emitted tokens to the text. */
  #verify(result: StepResult, tree: DraftTree): Verification | Promise<Verification> {
    const { sampling, ends } = this.#options;
    const base = this.#ids.length;
    const enter = (row: number): void => {
      if (row > 0) this.#ids.push(tree.ids[row - 1]!);
    };
    const verification =
      tree.draftDistributions && !isGreedy(sampling)
        ? verifyRejectionSampling(
            tree,
            {
              distribution: (row) => {
                enter(row);
                return this.#distribution(result, row);
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
              return this.#choose(result, row, base + depth);
            },
            ends,
          );
    const finish = (walk: Verification): Verification => {
      this.#ids.push(...walk.emitted.slice(this.#ids.length - base));
      return walk;
    };
    return verification instanceof Promise ? verification.then(finish) : finish(verification);
  }

  /** The distribution of the token after a row. */
  #distribution(result: StepResult, row: number): TokenDistribution | Promise<TokenDistribution> {
    const { sampling } = this.#options;
    if (!this.#editsLogits) return rowDistribution(result, row, { sampling, counts: noCounts });
    const logits = this.#processedLogits(result, row);
    return logits instanceof Promise
      ? logits.then((edited) => distributionById(edited, sampling))
      : distributionById(logits, sampling);
  }

  /** The token at a position, which follows a row. */
  #choose(result: StepResult, row: number, position: number): number | Promise<number> {
    const { sampling } = this.#options;
    if (!this.#editsLogits) {
      return chooseToken(result, row, { sampling, counts: noCounts, position });
    }
    const distribution = this.#distribution(result, row);
    return distribution instanceof Promise
      ? distribution.then((found) => sampleFrom(found, sampling, position))
      : sampleFrom(distribution, sampling, position);
  }

  /** A row's logits after all processors; the result keeps the model's own. */
  #processedLogits(result: StepResult, row: number): Float32Array | Promise<Float32Array> {
    checkFinite(result.logSumExp[row]!);
    return processLogits(this.#options.processors, {
      ids: this.#ids,
      promptLength: this.#options.promptIds.length,
      logits: logitsOfRow(result, row).slice(),
    });
  }

  /** @param ids token of each row of the forward pass */
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
      rows: { ids, candidates: this.#rowRequest.topK, topIds, topLogits, logSumExp },
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
