/**
 * A plain description of a decoder: what `reference-decoder.ts` carries out.
 *
 * A plan is data, so that a test can change one field of it ("no embedding scale", "window one shorter")
 * and see that the logits notice. `reference-families.ts` says how each family's config becomes a plan.
 */
/** Activation of the gated feed-forward. `gelu` is exact (erf), `gelu-tanh` its approximation. */
export type ReferenceActivation = "silu" | "gelu" | "gelu-tanh" | "relu";

/** How one layer rotates its queries and keys. */
export interface ReferenceRopePlan {
  /** default, linear, dynamic, llama3, yarn or longrope. */
  readonly type: string;
  readonly theta: number;
  /** Leading dimensions of a head that rotate; the rest pass unchanged. Even. */
  readonly rotaryDim: number;
  /** `max_position_embeddings` of the config. */
  readonly maxPositionEmbeddings: number;
  /** `original_max_position_embeddings`, wherever it stands, else `maxPositions`. */
  readonly originalMaxPositionEmbeddings: number;
  /** The scaling dictionary as it stands in the config. */
  readonly scaling: Readonly<Record<string, unknown>>;
}

/** What differs from layer to layer. */
export interface ReferenceLayerPlan {
  /** Query i sees keys j with i - j < window; null sees all earlier keys. */
  readonly slidingWindow: number | null;
  /** Null for a layer without positions. */
  readonly rope: ReferenceRopePlan | null;
  /** Divisor of query-key products besides their scale (GPT-2). */
  readonly scoreDivisor?: number;
}

/** Everything about a decoder that is not a weight. */
export interface ReferencePlan {
  readonly family: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly layers: readonly ReferenceLayerPlan[];
  /** Length beyond which a cache made within it is dropped and computed anew; null: never. */
  readonly restartsBeyond: number | null;
  readonly rmsNormEps: number;
  /** Added to every norm weight: 1 in the Gemma families, else 0. */
  readonly normOffset: number;
  /**
   * `pre`: norms before attention and feed-forward; `post`: on their outputs before the residual sum
   * (OLMo 2); `sandwich`: both (Gemma 2 and 3).
   */
  readonly norms: "pre" | "post" | "sandwich";
  /** Norm of queries and keys before rotation: none, of each head, or of the whole projection. */
  readonly qkNorm: "none" | "head" | "projection";
  readonly embeddingScale: number;
  readonly activation: ReferenceActivation;
  /** Factor of query-key products. */
  readonly attentionScale: number;
  /** cap * tanh(x / cap) on scores before masking; null for none. */
  readonly attnLogitSoftcap: number | null;
  /** The same on logits. */
  readonly finalLogitSoftcap: number | null;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** `qkv_proj` and `gate_up_proj` instead of separate matrices (Phi-3). */
  readonly fusedProjections: boolean;
  /** The head is the embedding table; a stored `lm_head.weight` is ignored. */
  readonly tiedHead: boolean;
  /** Layer norms in place of root mean square norms, with weights and biases (GPT-2, PhiMoE) or without any (OLMo). */
  readonly layerNorms?: "biased" | "bare";
  /** One matrix `qkv_proj`: the rows of all queries, of all keys, of all values (GPT-2), or these of each head (GPT-NeoX). */
  readonly joinedHeads?: "by-part" | "by-head";
  /** Attention and feed-forward read the same residual stream (GPT-NeoX). */
  readonly parallel?: true;
  /** A feed-forward without a gate: down(activation(up)). */
  readonly plainFeedForward?: true;
  /** Rows of a table whose row at each position is added to the embedding. */
  readonly learnedPositions?: number;
  /** Bound of queries, keys and values, after their norm (OLMoE). */
  readonly qkvClip?: number;
  /** Factor of what attention and feed-forward add (Granite). */
  readonly residualScale?: number;
  /** Divisor of the logits (Granite). */
  readonly logitDivisor?: number;
  /** The head has a bias (PhiMoE). */
  readonly headBias?: true;
  /** Each head has one more score, which no value belongs to (gpt-oss). */
  readonly sinks?: true;
  /** The experts of sparse layers. */
  readonly experts?: ReferenceExpertsPlan;
}

/** The experts of a decoder. */
export interface ReferenceExpertsPlan {
  readonly count: number;
  readonly perToken: number;
  /** Width of an expert. */
  readonly width: number;
  /** `softmax`: over all experts, divided by the sum of the chosen where `normalized`. */
  readonly router: "softmax" | "softmax-of-chosen" | "sparsemixer";
  readonly normalized: boolean;
  readonly jitter: number;
  /** Biases of router and experts. */
  readonly biases: boolean;
  /** Width of the expert that all tokens visit; null: there is none. */
  readonly sharedWidth: number | null;
  /** The shared expert has no gate (OpenMoE, Granite). */
  readonly sharedUngated?: true;
  /** How the weights are stored. */
  readonly layout: "w1-w2-w3" | "projections" | "stacked" | "interleaved" | "mxfp4";
  /** Which layers have experts. */
  readonly sparse: readonly boolean[];
}
