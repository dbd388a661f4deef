/**
 * Context policies: which cached tokens each layer attends to.
 *
 * A `ContextPolicy` is what a caller names: plain options, and the module that makes its `PolicyProgram` where
 * the model lives. The program is traced into every layer of a decoder of its own, so that a model without a
 * policy runs exactly the graph that it had.
 */
import type { Dimension, Tensor } from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type { ShareBesideSink } from "../decoder/decoder-layer.ts";
import type { AttentionOutput } from "../layers/attention.ts";
import type { LoadedModel } from "../types.ts";

/** Values of a policy's options, as they are written on a command line or in JSON. */
export type PolicyOptions = Readonly<Record<string, string | number | boolean>>;

/** Whether draft tokens may be verified under a policy, and why not. */
export type PolicyDrafting =
  | { readonly kind: "lossless" }
  | { readonly kind: "excluded"; readonly why: string };

/** A context policy as callers hold it. Made by functions such as `tokenSelect()`. */
export interface ContextPolicy {
  /** Its name on a command line, e.g. `"token-select"`. */
  readonly name: string;
  /** Every option, defaults filled in. */
  readonly options: PolicyOptions;
  /** URL of the module whose export `createPolicy(options, config)` makes the `PolicyProgram` in a worker thread. */
  readonly module: string;
  /** That function itself, for models on the caller's thread: a bundler leaves no module to import. */
  readonly createProgram: CreatePolicyProgram;
  readonly drafting: PolicyDrafting;
  /** Whether steps may ask which tokens are attended to: true where layers choose. */
  readonly showsAttended: boolean;
  /**
   * Which rows of earlier sequences a prompt may begin with: any, those of whole prompt chunks of this many
   * tokens, or none because results depend on where a prompt ends.
   */
  readonly reuse: "any" | "none" | { readonly chunk: number };
  /**
   * Prompt tokens that are read together: forward passes of a prompt end at its multiples, or at the prompt's end. Default:
   * the chunk of `reuse`, or 1.
   */
  readonly promptChunk?: number;
  /** A token that is read behind every so many tokens of a text, which callers neither give nor get. */
  readonly inserts?: InsertedToken;
  /**
   * A first pass over the prompt that chooses the tokens to answer from. Those, in this order, are the prompt
   * that is then read and generated from.
   */
  readonly choosePrompt?: ChoosePrompt;
  /**
   * The policy with what a model's own files say of it (`context_policies` of `generation_config.json`, or how it was
   * trained), where the caller left that open; undefined: it is complete.
   *
   * @throws where the model cannot run it
   */
  forModel?(model: Pick<LoadedModel, "name" | "config" | "checkpoint">): ContextPolicy | undefined;
}

/** A token that is read behind every so many tokens. */
export interface InsertedToken {
  readonly id: number;
  readonly every: number;
}

/**
 * Reads a whole prompt once.
 *
 * @param model the model under the policy
 * @returns places in `ids` of the chosen tokens, ascending
 */
export type ChoosePrompt = (
  model: LoadedModel,
  ids: readonly number[],
  options?: { readonly signal?: AbortSignal; readonly onProgress?: (done: number) => void },
) => Promise<number[]>;

/** Makes a policy's program from its options, where the model lives. */
export type CreatePolicyProgram = (
  options: PolicyOptions,
  config: DecoderConfig | undefined,
) => PolicyProgram;

/** What the model's service is told of a policy. */
export interface PolicyReference
  extends Pick<ContextPolicy, "name" | "module" | "options" | "reuse"> {
  /** Only on the caller's thread: functions do not cross to workers. */
  readonly createProgram?: CreatePolicyProgram;
  readonly inserts?: InsertedToken;
}

/** Named sizes of a policy's graph: at most so many, and at most as many as the cache has rows. */
export type PolicySizes = Readonly<Record<string, number>>;

/** Numbers of a sequence that a layer keeps from one pass to the next, float32. */
export interface PolicyState {
  readonly name: string;
  /** Sizes: numbers, `"capacity"`, or names of the policy's sizes. */
  readonly shape: readonly Dimension[];
  /** Value at the beginning. Default 0. */
  readonly initial?: number;
}

/** A policy as the decoder's graph and the model worker see it. */
export interface PolicyProgram {
  /** The configuration that the decoder is traced with. Default: the model's own. */
  adapt?(config: DecoderConfig): DecoderConfig;
  /** How layers attend. Default: to all tokens. */
  readonly attention?: PolicyAttention;
  /**
   * Layers after this one (from 0) run only where a step does not ask for `promptScores`, which are the
   * inner products of the last token's queries with all keys of this layer, summed over heads.
   */
  readonly filterLayer?: number;
}

/** How the layers of a policy attend. */
export interface PolicyAttention {
  /** Whether the cache holds keys before the rotation or rotated at their true positions. */
  readonly keys: "raw" | "rotated";
  /**
   * Numbers of each token that layers keep beside keys and values, `[kvHeads, time, headDim]` each. Default 0.
   */
  tokenArenas?(config: DecoderConfig): number;
  /** Numbers of a sequence that each layer keeps. Default: none. */
  states?(config: DecoderConfig): readonly PolicyState[];
  /** Default: none. */
  readonly sizes?: PolicySizes;
  /** Further sizes that depend on a pass, at least 1 each. Default: none. */
  passSizes?(pass: PassPlace & { readonly capacity: number }): PolicySizes;
  /** Positions at which it rotates, and rows that it rotates together, beyond the cache's capacity. Default 0. */
  readonly positions?: number;
  /** Prompt tokens that share one choice, from multiples of it on. Default: each token chooses its own. */
  readonly promptChunk?: number;
  /**
   * How passes are cut where prompt chunks are no fixed number of rows. Default: by `promptChunk`, `maxRows` and
   * `isSequential`.
   */
  readonly passes?: PolicyPassRules;
  /**
   * Tokens of one pass behind `length` tokens; the worker cuts longer steps. Default: those of the ordinary
   * decoder.
   */
  maxRows?(length: number): number;
  /** True: one token a pass while decoding, since each depends on the choice of the one before. Default false. */
  readonly isSequential?: boolean;
  /** Throws where a pass cannot be computed as the method says. */
  check?(pass: PassPlace): void;
  attend(input: PolicyInput): PolicyOutput;
}

/** Rules of a policy that cuts passes itself. */
export interface PolicyPassRules {
  /** Row at which the next pass ends, which begins at `length`. `usual`: rows of the ordinary decoder. */
  end(place: Pick<PassPlace, "length" | "promptLength">, usual: number): number;
  /** Whether the rows of a pass are one group. */
  isGroup(place: Pick<PassPlace, "length" | "promptLength">): boolean;
  /** Whether prompt chunks begin at a row. Default: prompt rows do not depend on where passes end. */
  isBoundary?(row: number): boolean;
}

/** Where the new rows of a pass stand. */
export interface PassPlace {
  /** Tokens in the cache. */
  readonly length: number;
  /** New tokens. */
  readonly count: number;
  /** Rows of the pass: `count`, or more where rows fill up a tile. */
  readonly time: number;
  readonly promptLength: number;
}

/**
 * What a policy sees of one layer and pass. One sequence a pass: its new rows follow its cached ones. Layers with
 * a window of their own attend to all tokens within it, and no policy sees them.
 */
export interface PolicyInput {
  readonly config: DecoderConfig;
  readonly layer: number;
  /** Before the rotation, `[1, heads, time, headDim]`. */
  readonly query: Tensor;
  /** `[1, kvHeads, time, headDim]`, before the rotation. */
  readonly key: Tensor;
  readonly value: Tensor;
  /** As the cache holds them, `[1, kvHeads, capacity, headDim]`, float32 or float16. */
  readonly pastKey: Tensor;
  readonly pastValue: Tensor;
  /** The policy's token arenas, `[1, kvHeads, capacity, headDim]` each. */
  readonly tokenArenas: readonly Tensor[];
  readonly states: Readonly<Record<string, Tensor>>;
  readonly pass: PassTensors;
  /** Of models whose heads have sinks. Weights of attention are their softmax times this. Default: all of it. */
  readonly besideSink?: ShareBesideSink;
  /** The layer's rotation at int32 `[batch, time]` positions; the identity where the layer has none. */
  rotate(x: Tensor, positions: Tensor): Tensor;
}

/** Where rows stand, as tensors. */
export interface PassTensors {
  /** int32 `[1]`: tokens in the cache, new tokens without those that fill up a tile, tokens of the prompt. */
  readonly length: Tensor;
  readonly count: Tensor;
  readonly promptLength: Tensor;
  /** int32 `[time]`: place of each new row in the sequence. */
  readonly places: Tensor;
  /**
   * float32 `[groups, span]`: new rows that share one choice stand in one group; weights of a mean over a
   * group's rows. While decoding each row is a group.
   */
  readonly groupWeights: Tensor;
  readonly groups: Dimension;
  readonly span: Dimension;
  readonly time: Dimension;
  readonly capacity: Dimension;
}

/** What a policy gives for one layer and pass. */
export interface PolicyOutput {
  /** `cached` holds new keys as the cache is to hold them. */
  readonly attention: AttentionOutput;
  /** New rows of the token arenas, `[1, kvHeads, time, headDim]` each. */
  readonly tokenArenas?: readonly Tensor[];
  readonly states?: Readonly<Record<string, Tensor>>;
  /**
   * float32 `[1 or heads, capacity]`: how often the last new token attends to each row of the sequence: 0 or 1.
   * Only computed on request.
   */
  attended(): Tensor;
  /** Numbers of the policy's own about the pass, float32 `[n]`, e.g. a cosine. Only computed on request. */
  report?(): Tensor;
}
