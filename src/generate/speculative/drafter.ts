/**
 * A drafter proposes draft tokens for speculative decoding.
 *
 * It returns a tree of draft tokens below the last emitted token. One forward pass computes all nodes,
 * `verify.ts` accepts the path that agrees with the model, and the drafter observes the outcome. Drafts
 * change latency only: greedy text equals that of autoregressive decoding token for token, and sampled
 * text keeps the model's distribution.
 *
 * A `Drafter` lives as long as its model and holds what requests share (tables, tries, a draft model); a
 * `DraftSequence` lives as long as one request. A minimal drafter:
 *
 * @example
 * const again: Drafter = {
 *   name: "again",
 *   candidates: 0,
 *   begin: () => ({
 *     propose: ({ ids }) => ({ ids: ids.slice(-1), parents: [-1] }), // repeats the last token
 *     observe() {},
 *     end() {},
 *   }),
 *   close() {},
 * };
 */
import { createRandom, type Random } from "../../core/index.ts";
import type { Sampling, TokenDistribution } from "../sampling/sampler.ts";

/** A tree of draft tokens that one forward pass verifies. Without nodes: an autoregressive step. */
export interface DraftTree {
  /**
   * Token of each node, parents before children. Siblings are tested in this order; a sibling with the
   * same token as an earlier one is never accepted.
   */
  readonly ids: readonly number[] | Int32Array;
  /** Parent of each node; -1 is the root, the last emitted token, which is not a node. */
  readonly parents: readonly number[] | Int32Array;
  /**
   * Estimated probability that verification accepts each node and all its ancestors; at most the
   * parent's. Where given, `auto` may cut a deterministic tree where further nodes do not pay.
   */
  readonly acceptanceProbabilities?: readonly number[] | Float32Array | Float64Array;
  /**
   * Marks a sampled tree: entry 0 is the distribution that the root's children were sampled from, entry
   * i + 1 that of node i's children; undefined where a node has none. Tokens in any order.
   *
   * Siblings are sampled without replacement. Whether to sample another node may depend on the nodes
   * sampled before, never on its own token: nothing may be cut from the tree after sampling. Absent: the
   * tree is deterministic, a function of the tokens so far and of `draftRandom`.
   */
  readonly draftDistributions?: readonly (TokenDistribution | undefined)[];
  /** Name of the drafter that made the tree, where another passes it on. Default: the drafter's own. */
  readonly drafter?: string;
}

/** What a drafter knows of a request from the start. */
export interface DraftRequest {
  readonly promptIds: readonly number[];
  /** Sampling options of the request and the key of its randomness. */
  readonly sampling: Sampling;
  /** True where only the most probable path of each tree is verified. Default false. */
  readonly chains?: boolean;
  /** Forward passes are filled up to a multiple of so many rows: `LoadedModel.rowTile`. Default 1. */
  readonly rowTile?: number;
}

/** The state that a proposal starts from. The arrays belong to the decoding loop: read, never keep. */
export interface DraftContext {
  /** Prompt and emitted tokens. The last one is the root: emitted, not yet computed by the model. */
  readonly ids: readonly number[];
  /** Most nodes of the tree, at least 1; a larger tree is an error. */
  readonly maxNodes: number;
  /** Most nodes on a path, at least 1: the request has no use for deeper ones. */
  readonly maxDepth: number;
  /**
   * By the caller's measurement, nodes with a lower `acceptanceProbabilities` cost more than they save;
   * a drafter that estimates them stops there. 0 where nothing is measured.
   */
  readonly minAcceptanceProbability: number;
}

/** Every row of a forward pass: the root and all nodes, accepted or not. */
export interface VerifiedRows {
  /** Token of each row; row 0 is the root, row i + 1 is node i. */
  readonly ids: Int32Array;
  /** Candidates of each row, at least as many as `Drafter.candidates`. */
  readonly candidates: number;
  /** `[rows, candidates]`: most probable next tokens of each row, best first. */
  readonly topIds: Int32Array;
  /** `[rows, candidates]`: their logits, before any sampling option. */
  readonly topLogits: Float32Array;
  /** `[rows]`: `topLogits - logSumExp` are log-probabilities. */
  readonly logSumExp: Float32Array;
}

/** Result of verifying a drafter's own tree. */
export interface DraftVerdict {
  readonly tree: DraftTree;
  /** Accepted nodes, from the root down. */
  readonly accepted: readonly number[];
  /**
   * Nodes that were compared with the model's choice and rejected: earlier siblings of accepted nodes,
   * and the children at which verification ended. All other nodes were never tested.
   */
  readonly rejected: readonly number[];
}

/** Outcome of one forward pass. Valid during the call only: copy what is to be kept. */
export interface DraftOutcome {
  /** The emitted tokens in order: accepted draft tokens, then the model's own. */
  readonly emitted: readonly number[];
  /** Prompt and all emitted tokens, those of this forward pass at the end. */
  readonly ids: readonly number[];
  readonly rows: VerifiedRows;
  /** Seconds of the forward pass, waiting for its turn included; 0 for the prompt. */
  readonly seconds: number;
  /** Absent after an autoregressive step, and where another drafter's tree was verified. */
  readonly verdict?: DraftVerdict;
}

/** A drafter's state for one request. */
export interface DraftSequence {
  /**
   * A tree below the last of `context.ids`; empty where the drafter has no candidate. May be called
   * again for the same text with other limits: the last answer is the one that counts.
   */
  propose(context: DraftContext): DraftTree | Promise<DraftTree>;
  /**
   * Called before the next `propose`, after every forward pass whose results were read: the prompt's
   * last row, autoregressive steps, verified trees. Must be cheap.
   */
  observe(outcome: DraftOutcome): void;
  /** Called once when the request ends, also after an error or an abort. */
  end(): void | Promise<void>;
}

/** A drafter, opened for one model. */
export interface Drafter {
  /** Short and stable, kebab-case: the label in tokens and statistics. */
  readonly name: string;
  /** Number of most probable tokens of each verified row that `observe` reads; 0: none. */
  readonly candidates: number;
  /**
   * True where a proposal runs a model, so that it may take as long as a forward pass, the first one
   * much longer. Default false: a table lookup. `auto` calls a model-based drafter only when its time
   * budget covers a failed draft.
   */
  readonly runsModel?: boolean;
  /** Starts a request. Many may be open at once. */
  begin(request: DraftRequest): DraftSequence;
  /** The learned state, for `load` of a drafter of the same kind over the same model. */
  save?(): Uint8Array;
  /** Replaces the learned state. @throws JetonError where the bytes are of another kind or model */
  load?(state: Uint8Array): void;
  /** Forgets the learned state. */
  reset?(): void;
  /** Frees what the drafter holds. Safe to call twice. */
  close(): void | Promise<void>;
}

/** The tree without nodes. */
export const emptyTree: DraftTree = Object.freeze({ ids: [], parents: [] });

/**
 * Randomness of one proposal, keyed by the request and the position of the next token and apart from the
 * loop's own: a request drafts the same tree whichever requests run beside it.
 */
export function draftRandom(sampling: Sampling, context: Pick<DraftContext, "ids">): Random {
  return createRandom(sampling.seed, "draft", sampling.sequence, context.ids.length);
}
