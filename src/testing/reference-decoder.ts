/**
 * Decoder-only language models in float64, as plain loops: the oracle of the fast engine.
 *
 * It shares nothing with the modules `tensor` and `model`. Each family is computed as Hugging Face
 * transformers computes it (eager attention), without rounding between operations. Appending all tokens
 * at once is the full computation; one token at a time is cached decoding.
 */

import { JetonError } from "../core/index.ts";
import { type Projections, splitHeads } from "./older-families/split-heads.ts";
import { activate } from "./reference-activation.ts";
import { add, cap, layerNorm, multiply, rmsNorm, rotate, softmax } from "./reference-arithmetic.ts";
import type { ReferenceConfig, ReferenceTensors } from "./reference-checkpoint.ts";
import { referenceExperts } from "./reference-experts.ts";
import { describeReference } from "./reference-families.ts";
import type { ReferencePlan } from "./reference-plan.ts";
import { type ReferenceRope, referenceRope } from "./reference-rope.ts";

export interface ReferenceForwardOptions {
  /** Rotates as passes that reach this length do. Default: the length that each pass reaches. */
  ropeLength?: number;
  /** Carried out instead of the plan that the config describes. */
  plan?: ReferencePlan;
}

/** What one layer computed for the tokens of an `append`, one row for each token. */
export interface ReferenceLayerRows {
  /** Residual stream after the layer, `[hiddenSize]`. */
  readonly hidden: Float64Array[];
  /** Queries `[heads * headDim]` and keys `[kvHeads * headDim]` before their rotation. */
  readonly queries: Float64Array[];
  readonly keys: Float64Array[];
  /** Experts of a sparse layer, best first. */
  readonly choices: number[][];
}

/** What the layers computed in the last `append`. */
export interface ReferenceTrace {
  /** What the first layer read, `[hiddenSize]` for each token. */
  readonly embeddings: Float64Array[];
  readonly layers: ReferenceLayerRows[];
}

/** A sequence under construction, with its cached keys and values. */
export interface ReferenceSequence {
  /** What the layers computed in the last `append`. */
  readonly trace: ReferenceTrace;
  /**
   * One forward pass over new tokens; returns their logits `[ids.length, vocabulary]`.
   *
   * `dynamic` and `longrope` rotations take the length that the pass reaches; cached keys stay as they
   * are (`dynamic_rope_update`). Phi-3 alone drops its cache where the pass is the first to reach beyond
   * the original context (`Phi3ForCausalLM.prepare_inputs_for_generation`).
   */
  append(ids: readonly number[]): Float64Array;
  /** Tokens so far. */
  readonly length: number;
}

/** Logits of every position, `[ids.length, vocabulary]`. */
export function referenceForward(
  config: ReferenceConfig,
  tensors: ReferenceTensors,
  ids: readonly number[],
  options: ReferenceForwardOptions = {},
): Float64Array {
  return startReference(config, tensors, options).append(ids);
}

export interface ReferenceGreedyOptions {
  maxTokens: number;
  /** Tokens that end the text; the one that ends it is included. Default none. */
  stopIds?: readonly number[];
  plan?: ReferencePlan;
}

export interface ReferenceGreedyResult {
  /** The generated ids alone. */
  ids: number[];
  /** `[vocabulary]`. */
  logitsAfterPrompt: Float64Array;
  /**
   * For each generated id, how far its logit was above the second best. A less exact program may differ
   * from the first place on where this is within its error.
   */
  margins: number[];
}

/** Continues a prompt (at least one id) with the most probable token, the lowest id among equals. */
export function referenceGreedy(
  config: ReferenceConfig,
  tensors: ReferenceTensors,
  prompt: readonly number[],
  options: ReferenceGreedyOptions,
): ReferenceGreedyResult {
  const { maxTokens, stopIds = [] } = options;
  const plan = options.plan ?? describeReference(config);
  const sequence = startReference(config, tensors, { plan });
  const next = (all: readonly number[]): Float64Array =>
    sequence.append(all.slice(sequence.length)).slice(-plan.vocabSize);
  const logitsAfterPrompt = next(prompt);
  const ids: number[] = [];
  const margins: number[] = [];
  let logits = logitsAfterPrompt;
  while (ids.length < maxTokens) {
    const id = logits.reduce((best, value, i) => (value > logits[best]! ? i : best), 0);
    ids.push(id);
    const second = logits.reduce((a, b, i) => (i === id ? a : Math.max(a, b)), -Infinity);
    margins.push(logits[id]! - second);
    if (stopIds.includes(id)) break;
    if (ids.length < maxTokens) logits = next([...prompt, ...ids]);
  }
  return { ids, logitsAfterPrompt, margins };
}

/** Starts an empty sequence. Errors: `reference-tensor` where a parameter is missing or misshapen. */
export function startReference(
  config: ReferenceConfig,
  tensors: ReferenceTensors,
  options: ReferenceForwardOptions = {},
): ReferenceSequence {
  const plan = options.plan ?? describeReference(config);
  return new Sequence(plan, new Parameters(plan, tensors), options.ropeLength);
}

/** The parameters of a decoder, and products with them. */
class Parameters {
  readonly #plan: ReferencePlan;
  readonly #tensors: ReferenceTensors;

  constructor(plan: ReferencePlan, tensors: ReferenceTensors) {
    this.#plan = plan;
    this.#tensors = tensors;
  }

  get(name: string, ...shape: number[]): Float64Array {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined || tensor.shape.join() !== shape.join()) {
      throw new JetonError(
        `${name} is ${tensor === undefined ? "missing" : `[${tensor.shape}]`}, expected [${shape}]`,
        { code: "reference-tensor", details: { name, expected: shape, got: tensor?.shape } },
      );
    }
    return tensor.data;
  }

  linear(x: Float64Array, name: string, outputs: number, bias: boolean): Float64Array {
    const weight = this.get(`${name}.weight`, outputs, x.length);
    return multiply(weight, x, bias ? this.get(`${name}.bias`, outputs) : null);
  }

  norm(x: Float64Array, name: string): Float64Array {
    // OlmoLayerNorm: F.layer_norm without weight and bias
    if (this.#plan.layerNorms === "bare") {
      const [ones, zeros] = [new Float64Array(x.length).fill(1), new Float64Array(x.length)];
      return layerNorm(x, ones, zeros, this.#plan.rmsNormEps);
    }
    const weight = this.get(`${name}.weight`, x.length);
    if (!this.#plan.layerNorms) return rmsNorm(x, weight, this.#plan);
    return layerNorm(x, weight, this.get(`${name}.bias`, x.length), this.#plan.rmsNormEps);
  }

  /** Norms each head of a projection with one shared weight `[headDim]`. */
  normHeads(x: Float64Array, name: string): Float64Array {
    const { headDim } = this.#plan;
    const out = new Float64Array(x.length);
    for (let at = 0; at < x.length; at += headDim) {
      out.set(this.norm(x.subarray(at, at + headDim), name), at);
    }
    return out;
  }
}

class Sequence implements ReferenceSequence {
  readonly #plan: ReferencePlan;
  readonly #parameters: Parameters;
  readonly #ropeLength: number | undefined;
  #ropes: readonly (ReferenceRope | null)[] = [];
  /** Per layer, one row `[kvHeads * headDim]` for each token so far. */
  #keys: Float64Array[][] = [];
  #values: Float64Array[][] = [];
  /** All tokens so far. */
  readonly #ids: number[] = [];
  #length = 0;
  #trace: ReferenceTrace = { embeddings: [], layers: [] };

  constructor(plan: ReferencePlan, parameters: Parameters, ropeLength: number | undefined) {
    this.#plan = plan;
    this.#ropeLength = ropeLength;
    this.#parameters = parameters;
    this.#clear();
  }

  #clear(): void {
    this.#length = 0;
    this.#keys = this.#plan.layers.map(() => []);
    this.#values = this.#plan.layers.map(() => []);
  }

  get length(): number {
    return this.#length;
  }

  get trace(): ReferenceTrace {
    return this.#trace;
  }

  append(ids: readonly number[]): Float64Array {
    const { layers, restartsBeyond } = this.#plan;
    const reached = this.#length + ids.length;
    const ropeLength = this.#ropeLength ?? reached;
    this.#ropes = layers.map(({ rope }) =>
      rope === null ? null : referenceRope(rope, ropeLength),
    );
    if (restartsBeyond !== null && this.#length <= restartsBeyond && reached > restartsBeyond) {
      this.#clear();
      this.#forward(this.#ids);
    }
    this.#ids.push(...ids);
    return this.#forward(ids);
  }

  #forward(ids: readonly number[]): Float64Array {
    const { vocabSize, layers } = this.#plan;
    this.#trace = {
      embeddings: [],
      layers: layers.map(() => ({ hidden: [], queries: [], keys: [], choices: [] })),
    };
    const logits = new Float64Array(ids.length * vocabSize);
    for (const [row, id] of ids.entries()) {
      let x = this.#embed(id);
      this.#trace.embeddings.push(x);
      for (const layer of layers.keys()) {
        x = this.#layer(layer, x);
        this.#trace.layers[layer]!.hidden.push(x);
      }
      logits.set(this.#head(x), row * vocabSize);
      this.#length++;
    }
    return logits;
  }

  #embed(id: number): Float64Array {
    const { vocabSize, hiddenSize, embeddingScale, learnedPositions } = this.#plan;
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new JetonError(`token id ${id} is not in [0, ${vocabSize})`, {
        code: "reference-id",
        details: { id, vocabSize },
      });
    }
    const table = this.#parameters.get("model.embed_tokens.weight", vocabSize, hiddenSize);
    const row = table.slice(id * hiddenSize, (id + 1) * hiddenSize);
    const scaled = row.map((e) => e * embeddingScale);
    if (learnedPositions === undefined) return scaled;
    const rows = this.#parameters.get("model.embed_positions.weight", learnedPositions, hiddenSize);
    // GPT2Model.forward: inputs_embeds + wpe(position_ids)
    return scaled.map((e, i) => e + rows[this.#length * hiddenSize + i]!);
  }

  #head(x: Float64Array): Float64Array {
    const { vocabSize, hiddenSize, tiedHead, finalLogitSoftcap } = this.#plan;
    const name = tiedHead ? "model.embed_tokens.weight" : "lm_head.weight";
    const head = this.#parameters.get(name, vocabSize, hiddenSize);
    const bias = this.#plan.headBias ? this.#parameters.get("lm_head.bias", vocabSize) : null;
    const logits = multiply(head, this.#parameters.norm(x, "model.norm"), bias);
    const divisor = this.#plan.logitDivisor ?? 1; // GraniteMoeForCausalLM: logits / logits_scaling
    return logits.map((logit) => cap(logit / divisor, finalLogitSoftcap));
  }

  #layer(layer: number, x: Float64Array): Float64Array {
    const name = `model.layers.${layer}`;
    const norm = (y: Float64Array, which: string): Float64Array =>
      this.#parameters.norm(y, `${name}.${which}`);
    switch (this.#plan.norms) {
      case "pre": {
        // GraniteMoeDecoderLayer: residual + hidden * residual_multiplier
        const scaled = (y: Float64Array): Float64Array =>
          y.map((value) => value * (this.#plan.residualScale ?? 1));
        if (this.#plan.parallel) {
          const attended = this.#attention(layer, norm(x, "input_layernorm"));
          const fed = this.#feedForward(layer, norm(x, "post_attention_layernorm"));
          return add(add(fed, attended), x); // GPTNeoXLayer
        }
        x = add(x, scaled(this.#attention(layer, norm(x, "input_layernorm"))));
        return add(x, scaled(this.#feedForward(layer, norm(x, "post_attention_layernorm"))));
      }
      case "post": {
        x = add(x, norm(this.#attention(layer, x), "post_attention_layernorm"));
        return add(x, norm(this.#feedForward(layer, x), "post_feedforward_layernorm"));
      }
      case "sandwich": {
        const attended = this.#attention(layer, norm(x, "input_layernorm"));
        x = add(x, norm(attended, "post_attention_layernorm"));
        const fed = this.#feedForward(layer, norm(x, "pre_feedforward_layernorm"));
        return add(x, norm(fed, "post_feedforward_layernorm"));
      }
    }
  }

  #attention(layer: number, x: Float64Array): Float64Array {
    const { headDim, hiddenSize, outputBias } = this.#plan;
    const projected = Object.values(this.#project(layer, x)) as Float64Array[];
    // OlmoeAttention: clamp_(min=-clip_qkv, max=clip_qkv)
    const bound = this.#plan.qkvClip ?? Number.POSITIVE_INFINITY;
    const [query, key, value] = projected.map((y) =>
      y.map((e) => Math.max(-bound, Math.min(e, bound))),
    ) as [Float64Array, Float64Array, Float64Array];
    const trace = this.#trace.layers[layer]!;
    trace.queries.push(query.slice());
    trace.keys.push(key.slice());
    const rope = this.#ropes[layer]!;
    if (rope !== null) {
      rotate(query, headDim, rope, this.#length);
      rotate(key, headDim, rope, this.#length);
    }
    this.#keys[layer]!.push(key);
    this.#values[layer]!.push(value);
    const name = `model.layers.${layer}.self_attn.o_proj`;
    return this.#parameters.linear(this.#attend(layer, query), name, hiddenSize, outputBias);
  }

  /** Queries, keys and values of one token, normed where the family norms them. */
  #project(layer: number, x: Float64Array): Projections {
    const { numAttentionHeads, numKeyValueHeads, headDim, fusedProjections, qkvBias, qkNorm } =
      this.#plan;
    const parameters = this.#parameters;
    const name = `model.layers.${layer}.self_attn`;
    const [queryWidth, keyWidth] = [numAttentionHeads * headDim, numKeyValueHeads * headDim];
    if (fusedProjections) {
      const all = parameters.linear(x, `${name}.qkv_proj`, queryWidth + 2 * keyWidth, false);
      return {
        query: all.slice(0, queryWidth),
        key: all.slice(queryWidth, queryWidth + keyWidth),
        value: all.slice(queryWidth + keyWidth),
      };
    }
    if (this.#plan.joinedHeads) {
      const all = parameters.linear(x, `${name}.qkv_proj`, queryWidth + 2 * keyWidth, qkvBias);
      return splitHeads(all, this.#plan);
    }
    const query = parameters.linear(x, `${name}.q_proj`, queryWidth, qkvBias);
    const key = parameters.linear(x, `${name}.k_proj`, keyWidth, qkvBias);
    const value = parameters.linear(x, `${name}.v_proj`, keyWidth, qkvBias);
    switch (qkNorm) {
      case "none":
        return { query, key, value };
      case "head":
        return {
          query: parameters.normHeads(query, `${name}.q_norm`),
          key: parameters.normHeads(key, `${name}.k_norm`),
          value,
        };
      case "projection":
        return {
          query: parameters.norm(query, `${name}.q_norm`),
          key: parameters.norm(key, `${name}.k_norm`),
          value,
        };
    }
  }

  /** Values mixed by each head of the newest token. */
  #attend(layer: number, query: Float64Array): Float64Array {
    const { numAttentionHeads, numKeyValueHeads, headDim, attnLogitSoftcap } = this.#plan;
    const groupSize = numAttentionHeads / numKeyValueHeads;
    const { slidingWindow: window, scoreDivisor = 1 } = this.#plan.layers[layer]!;
    const attentionScale = this.#plan.attentionScale / scoreDivisor;
    const position = this.#length;
    const first = window === null ? 0 : Math.max(0, position - window + 1);
    const mixed = new Float64Array(query.length);
    for (let head = 0; head < numAttentionHeads; head++) {
      const ownQuery = query.subarray(head * headDim, (head + 1) * headDim);
      const start = Math.floor(head / groupSize) * headDim;
      const scores = new Float64Array(position + 1 - first);
      for (let at = first; at <= position; at++) {
        const seen = this.#keys[layer]![at]!;
        let sum = 0;
        for (let i = 0; i < headDim; i++) sum += ownQuery[i]! * seen[start + i]!;
        scores[at - first] = cap(sum * attentionScale, attnLogitSoftcap);
      }
      const weights = softmax(this.#besideSink(layer, head, scores));
      for (let at = first; at <= position; at++) {
        const seen = this.#values[layer]![at]!;
        const weight = weights[at - first]!;
        for (let i = 0; i < headDim; i++) mixed[head * headDim + i]! += weight * seen[start + i]!;
      }
    }
    return mixed;
  }

  /** eager_attention_forward of gpt-oss: the sink's weight is dropped after the softmax. */
  #besideSink(layer: number, head: number, scores: Float64Array): Float64Array {
    if (!this.#plan.sinks) return scores;
    const name = `model.layers.${layer}.self_attn.sinks`;
    const sinks = this.#parameters.get(name, this.#plan.numAttentionHeads);
    return Float64Array.of(...scores, sinks[head]!);
  }

  #feedForward(layer: number, x: Float64Array): Float64Array {
    if (this.#plan.experts?.sparse[layer]) {
      const read = (name: string, ...shape: number[]): Float64Array =>
        this.#parameters.get(name, ...shape);
      const mixture = referenceExperts(this.#plan, layer, x, read);
      this.#trace.layers[layer]!.choices.push(mixture.choices);
      return mixture.output;
    }
    const { intermediateSize, hiddenSize, fusedProjections, mlpBias, activation } = this.#plan;
    const parameters = this.#parameters;
    const name = `model.layers.${layer}.mlp`;
    if (this.#plan.plainFeedForward) {
      const wide = parameters.linear(x, `${name}.up_proj`, intermediateSize, mlpBias);
      const inner = wide.map((u) => activate(u, activation));
      return parameters.linear(inner, `${name}.down_proj`, hiddenSize, mlpBias);
    }
    let gate: Float64Array;
    let up: Float64Array;
    if (fusedProjections) {
      const both = parameters.linear(x, `${name}.gate_up_proj`, 2 * intermediateSize, false);
      gate = both.subarray(0, intermediateSize);
      up = both.subarray(intermediateSize);
    } else {
      gate = parameters.linear(x, `${name}.gate_proj`, intermediateSize, mlpBias);
      up = parameters.linear(x, `${name}.up_proj`, intermediateSize, mlpBias);
    }
    const inner = gate.map((g, i) => activate(g, activation) * up[i]!);
    return parameters.linear(inner, `${name}.down_proj`, hiddenSize, mlpBias);
  }
}
