/** What a step may ask of a forward pass, and what it gets. */

/** How a token is sampled from the distribution at a temperature, cut at min-p. */
export interface SampleRequest {
  /** Above 0. */
  readonly temperature: number;
  /** Tokens below this share of the most probable one's probability are left out; 0: none. */
  readonly minP: number;
  /**
   * A number in [0, 1) for each wanted row: sampled is the token at which the cumulative distribution,
   * in ascending order of ids, passes it.
   */
  readonly uniform: readonly number[];
}

/** The optional results that a step may ask for. */
export interface StepRequest {
  /** Number of most probable tokens for every wanted row; at least 1. */
  readonly topK?: number;
  /** Whole logits of every wanted row. */
  readonly logits?: boolean;
  /** Samples a token for each wanted row inside the graph, so that whole logits need not leave it. */
  readonly sample?: SampleRequest;
  /**
   * Asks for the normalizer of the distribution at a temperature; and for whole logits where the
   * `nucleusCandidates` most probable tokens of some row hold less than `topP` of it. `topK` should be at
   * least as many.
   */
  readonly nucleus?: { readonly temperature: number; readonly topP: number };
  /** Final hidden states of every wanted row, after the final norm: what the head multiplies. */
  readonly hidden?: boolean;
  /**
   * Hidden states of every wanted row after this many layers, 0 (embeddings as the first layer reads
   * them) to the number of layers (before the final norm): transformers' `hidden_states[n]`, except that
   * its last one is normed.
   */
  readonly hiddenLayer?: number;
  /**
   * Queries and keys of this layer (from 0) of every wanted row, as its rotary embedding gets them:
   * after biases and query-key norms, before the rotation.
   */
  readonly queryKeyLayer?: number;
  /** Which experts every wanted row was sent to. Sparse decoders only. */
  readonly routing?: boolean;
  /** Log-probabilities of these ids, one for each wanted row. */
  readonly targets?: readonly number[];
  /**
   * Which tokens the last new one attends to in each layer and head, and the context policy's own numbers.
   * Sequences under a context policy only, with `results` `"last"`.
   */
  readonly attended?: boolean;
  /**
   * Only the layers up to the filter layer run: gives the inner products of the last token's queries with
   * all keys of that layer, summed over heads, and no tokens. Sequences under a filtering policy only.
   */
  readonly promptScores?: boolean;
}

/** What a step gives for its wanted rows, one after the other. */
export interface StepResult {
  /** `[rows, topK]` ids and logits, most probable first. */
  readonly topIds: Int32Array;
  readonly topLogits: Float32Array;
  /** `[rows]`: log of the sum of exp(logits). */
  readonly logSumExp: Float32Array;
  /** `[rows, vocabulary]` where asked for, and where a nucleus needs them. */
  readonly logits?: Float32Array;
  /**
   * `[rows]` where a nucleus was asked for: sum over all tokens of exp((logit - largest) / temperature);
   * negative where the row's `nucleusCandidates` most probable tokens hold less than `topP` of it.
   */
  readonly nucleusMass?: Float32Array;
  /** `[rows]` where asked for: tokens sampled after each wanted row, and their logits. */
  readonly sampledIds?: Int32Array;
  readonly sampledLogits?: Float32Array;
  /** `[rows, hiddenSize]` where asked for. */
  readonly hidden?: Float32Array;
  /** `[rows, hiddenSize]` where `hiddenLayer` was given. */
  readonly layerHidden?: Float32Array;
  /** `[rows, numAttentionHeads, headDim]` where `queryKeyLayer` was given. */
  readonly queries?: Float32Array;
  /** `[rows, numKeyValueHeads, headDim]` where `queryKeyLayer` was given. */
  readonly keys?: Float32Array;
  /**
   * `[rows, sparse layers, experts of a token]` where `routing` was asked for: the chosen experts of each
   * sparse layer, best first, and their weights.
   */
  readonly expertChoices?: Int32Array;
  readonly expertWeights?: Float32Array;
  /** `[rows]`: log-probability of the target where targets were given. */
  readonly targetLogProbabilities?: Float32Array;
  /** `[layers, numAttentionHeads, capacity]` where `attended` was asked for: 1 for rows attended to, else 0. */
  readonly attended?: Float32Array;
  /** `[layers, n]` where `attended` was asked for: numbers of the policy's own; empty where it has none. */
  readonly policyReport?: Float32Array;
  /** `[capacity]` where `promptScores` was asked for: by place in the sequence, arbitrary behind its end. */
  readonly promptScores?: Float32Array;
}
