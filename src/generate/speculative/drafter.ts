/**
 * What guesses tokens ahead of the model: the interface between drafters and the decoding loop.
 *
 * A drafter hangs a tree of guesses below the last decided token. One forward runs over the whole
 * tree, `verify.ts` walks down while the model agrees, and the drafter is told what came out. A bad
 * drafter costs time, never the text: whatever it proposes, greedy text is token-identical to plain
 * decoding, and sampled text has the same law.
 *
 * A `Drafter` lives as long as its model and holds what requests share (tables, tries, a second
 * model); a `DraftSequence` lives as long as one request. A minimal drafter:
 *
 * @example
 * const again: Drafter = {
 *   name: "again",
 *   candidates: 0,
 *   begin: () => ({
 *     propose: ({ ids }) => ({ ids: ids.slice(-1), parents: [-1] }), // "the last token comes again"
 *     observe() {},
 *     end() {},
 *   }),
 *   close() {},
 * };
 */
import { createRandom, type Random } from "../../core/index.ts";
import type { Sampling, TokenDistribution } from "../sampling/sampler.ts";

/** Guesses that one forward verifies. Without nodes the step is a plain one. */
export interface DraftTree {
  /**
   * Token of each node, parents before children; among siblings the one to be tested first comes
   * first. Siblings with equal tokens count once.
   */
  readonly ids: readonly number[] | Int32Array;
  /** Node that each node follows; -1: the last decided token, the root, which is no node. */
  readonly parents: readonly number[] | Int32Array;
  /**
   * Estimated probability of each node that verification accepts it, its ancestors included; never
   * above its parent's. Where given, the loop may cut a deterministic tree where it stops paying.
   */
  readonly acceptanceProbabilities?: readonly number[] | Float32Array | Float64Array;
  /**
   * Marks a sampled tree: entry 0 is the law that the root's children were drawn from, entry i + 1
   * that of node i's children; undefined where there are none. Tokens of a law in any order.
   *
   * Siblings are draws without replacement: the first from the law, the next from the law without
   * that token, renormalized. Whether another sibling or child is drawn may depend on everything
   * drawn so far and never on the draw itself: nothing may be cut from the tree after drawing.
   * Absent: the tree is deterministic, a function of the tokens seen so far (and of keyed
   * randomness that no draw of the loop shares).
   */
  readonly draftDistributions?: readonly (TokenDistribution | undefined)[];
  /** Whose tree it is, where a drafter passes on another's. Default: the drafter's own name. */
  readonly drafter?: string;
}

/** What a drafter knows of a request from the start. */
export interface DraftRequest {
  readonly promptIds: readonly number[];
  /** Whether the request samples, how, and the key of its randomness. */
  readonly sampling: Sampling;
  /** True where of each tree only its most promising path is verified. Default false. */
  readonly chains?: boolean;
}

/** The state that a proposal starts from. Arrays are the loop's own: neither kept nor changed. */
export interface DraftContext {
  /** Prompt and decided tokens. The last one is the root of the tree: decided, not yet computed. */
  readonly ids: readonly number[];
  /** Most nodes of the tree, at least 1; what goes beyond it is an error. */
  readonly maxNodes: number;
  /** Most nodes on a path, at least 1: deeper guesses could not be used any more. */
  readonly maxDepth: number;
  /**
   * Nodes whose `expected` is below this cost more than they bring, by the loop's measurement; a
   * drafter that knows its chances stops there. 0 where nothing is measured.
   */
  readonly minAcceptanceProbability: number;
}

/** Every row of a forward: the root and the nodes, accepted or not. */
export interface VerifiedRows {
  /** Token of each row; row 0 is the root, row i + 1 is node i. */
  readonly ids: Int32Array;
  /** Candidates of each row, at least what the drafter asked for. */
  readonly candidates: number;
  /** `[rows, candidates]`: most probable next tokens of each row, best first. */
  readonly topIds: Int32Array;
  /** `[rows, candidates]`: their logits, before any sampling option. */
  readonly topLogits: Float32Array;
  /** `[rows]`: `topLogits - logSumExp` are log-probabilities. */
  readonly logSumExp: Float32Array;
}

/** What became of a drafter's own tree. */
export interface DraftVerdict {
  readonly tree: DraftTree;
  /** Accepted nodes, from the root down. */
  readonly accepted: readonly number[];
  /**
   * Nodes that were compared with the model's choice and rejected: earlier siblings of accepted
   * nodes, and the children at which the walk ended. All other nodes were never reached.
   */
  readonly rejected: readonly number[];
}

/** What one forward decided. Valid during the call only: copy what is to be kept. */
export interface DraftOutcome {
  /** The decided tokens in order: accepted drafts, then the token that the model chose itself. */
  readonly emitted: readonly number[];
  /** Prompt and decided tokens together, `decided` at the end. */
  readonly ids: readonly number[];
  readonly rows: VerifiedRows;
  /** What the forward took, waiting for its turn included; 0 for the prompt. */
  readonly seconds: number;
  /** Absent where the step was plain or another drafter's tree was verified. */
  readonly verdict?: DraftVerdict;
}

/** A drafter's work on one request. */
export interface DraftSequence {
  /**
   * A tree below the last of `context.ids`; an empty one where the drafter knows nothing. May be
   * asked again for the same text, in another size: the last answer counts.
   */
  propose(context: DraftContext): DraftTree | Promise<DraftTree>;
  /**
   * Called after every forward whose results were read: the last row of the prompt, plain steps,
   * verified trees. Must be cheap; called before the next `propose`.
   */
  observe(outcome: DraftOutcome): void;
  /** The request ended, however it ended. Called once. */
  end(): void | Promise<void>;
}

/** A way of guessing ahead, opened for one model. */
export interface Drafter {
  /** Short and stable, kebab-case: what tokens and statistics are labelled with. */
  readonly name: string;
  /** Most probable tokens of every verified row that `observe` wants; 0 where it reads none. */
  readonly candidates: number;
  /**
   * True where a proposal runs a model, so that it may take as long as forwards do, the first of all
   * much longer. Default false: a proposal is a look into tables. `auto` asks no model before it can
   * afford to be disappointed.
   */
  readonly runsModel?: boolean;
  /** Starts a request. Many may be open at once. */
  begin(request: DraftRequest): DraftSequence;
  /** What was learned, for `load` of a drafter of the same kind over the same model. */
  save?(): Uint8Array;
  /** Replaces what was learned. @throws JetonError where the bytes are not of this kind or model */
  load?(state: Uint8Array): void;
  /** Forgets what was learned. */
  reset?(): void;
  /** Frees what the drafter holds. Safe to call twice. */
  close(): void | Promise<void>;
}

/** The tree without guesses. */
export const emptyTree: DraftTree = Object.freeze({ ids: [], parents: [] });

/**
 * Randomness of one proposal: keyed by the request and the position of the next token, apart from
 * the draws of the loop, so that a request drafts the same whatever runs beside it.
 */
export function draftRandom(sampling: Sampling, context: Pick<DraftContext, "ids">): Random {
  return createRandom(sampling.seed, "draft", sampling.sequence, context.ids.length);
}
