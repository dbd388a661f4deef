/**
 * Decoder-only language models in float64, as plain loops: the oracle of the fast engine.
 *
 * It shares nothing with the modules `tensor` and `model`. Each family is computed as Hugging Face
 * transformers computes it (eager attention), without rounding between operations. Appending all tokens
 * at once is the full computation; one token at a time is cached decoding.
 */
import { JetonError } from "../core/index.ts";
import { activate } from "./reference-activation.ts";
import type { ReferenceConfig, ReferenceTensors } from "./reference-checkpoint.ts";
import { describeReference } from "./reference-families.ts";
import type { ReferencePlan } from "./reference-plan.ts";
import { type ReferenceRope, referenceRope } from "./reference-rope.ts";

export interface ReferenceForwardOptions {
  /**
   * The length that the sequence will have in the end, prompt and generated tokens together: fixes the
   * base of `dynamic` rope and the factors of `longrope`. Default: the number of ids given.
   */
  sequenceLength?: number;
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
  /** Appends tokens; returns their logits `[ids.length, vocabulary]`. */
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
  const { sequenceLength = ids.length } = options;
  return startReference(config, tensors, { ...options, sequenceLength }).append(ids);
}

export interface ReferenceGreedyOptions {
  maxTokens: number;
  /**
   * As in `ReferenceForwardOptions`; default prompt + `maxTokens`. `"growing"` recomputes everything for
   * each token with the length so far, as transformers without a cache would.
   */
  sequenceLength?: number | "growing";
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
  const { maxTokens, stopIds = [], sequenceLength = prompt.length + maxTokens } = options;
  const plan = options.plan ?? describeReference(config);
  const sequence =
    sequenceLength === "growing"
      ? undefined
      : startReference(config, tensors, { plan, sequenceLength });
  const next = (all: readonly number[]): Float64Array => {
    const logits =
      sequence === undefined
        ? referenceForward(config, tensors, all, { plan })
        : sequence.append(all.slice(sequence.length));
    return logits.slice(-plan.vocabSize);
  };
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
  options: { sequenceLength: number; plan?: ReferencePlan },
): ReferenceSequence {
  const plan = options.plan ?? describeReference(config);
  return new Sequence(plan, new Parameters(plan, tensors), options.sequenceLength);
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
    return rmsNorm(x, this.get(`${name}.weight`, x.length), this.#plan);
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

interface Projections {
  readonly query: Float64Array;
  readonly key: Float64Array;
  readonly value: Float64Array;
}

class Sequence implements ReferenceSequence {
  readonly #plan: ReferencePlan;
  readonly #parameters: Parameters;
  readonly #ropes: readonly (ReferenceRope | null)[];
  /** Per layer, one row `[kvHeads * headDim]` for each token so far. */
  readonly #keys: Float64Array[][];
  readonly #values: Float64Array[][];
  #length = 0;
  #trace: ReferenceTrace = { embeddings: [], layers: [] };

  constructor(plan: ReferencePlan, parameters: Parameters, sequenceLength: number) {
    this.#plan = plan;
    this.#parameters = parameters;
    this.#ropes = plan.layers.map(({ rope }) =>
      rope === null ? null : referenceRope(rope, sequenceLength),
    );
    this.#keys = plan.layers.map(() => []);
    this.#values = plan.layers.map(() => []);
  }

  get length(): number {
    return this.#length;
  }

  get trace(): ReferenceTrace {
    return this.#trace;
  }

  append(ids: readonly number[]): Float64Array {
    const { vocabSize, layers } = this.#plan;
    this.#trace = {
      embeddings: [],
      layers: layers.map(() => ({ hidden: [], queries: [], keys: [] })),
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
    const { vocabSize, hiddenSize, embeddingScale } = this.#plan;
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new JetonError(`token id ${id} is not in [0, ${vocabSize})`, {
        code: "reference-id",
        details: { id, vocabSize },
      });
    }
    const table = this.#parameters.get("model.embed_tokens.weight", vocabSize, hiddenSize);
    return table.slice(id * hiddenSize, (id + 1) * hiddenSize).map((e) => e * embeddingScale);
  }

  #head(x: Float64Array): Float64Array {
    const { vocabSize, hiddenSize, tiedHead, finalLogitSoftcap } = this.#plan;
    const name = tiedHead ? "model.embed_tokens.weight" : "lm_head.weight";
    const head = this.#parameters.get(name, vocabSize, hiddenSize);
    const logits = multiply(head, this.#parameters.norm(x, "model.norm"), null);
    return logits.map((logit) => cap(logit, finalLogitSoftcap));
  }

  #layer(layer: number, x: Float64Array): Float64Array {
    const name = `model.layers.${layer}`;
    const norm = (y: Float64Array, which: string): Float64Array =>
      this.#parameters.norm(y, `${name}.${which}`);
    switch (this.#plan.norms) {
      case "pre": {
        x = add(x, this.#attention(layer, norm(x, "input_layernorm")));
        return add(x, this.#feedForward(layer, norm(x, "post_attention_layernorm")));
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
    const { query, key, value } = this.#project(layer, x);
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
    const { numAttentionHeads, numKeyValueHeads, headDim, attentionScale, attnLogitSoftcap } =
      this.#plan;
    const groupSize = numAttentionHeads / numKeyValueHeads;
    const window = this.#plan.layers[layer]!.slidingWindow;
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
      const weights = softmax(scores);
      for (let at = first; at <= position; at++) {
        const seen = this.#values[layer]![at]!;
        const weight = weights[at - first]!;
        for (let i = 0; i < headDim; i++) mixed[head * headDim + i]! += weight * seen[start + i]!;
      }
    }
    return mixed;
  }

  #feedForward(layer: number, x: Float64Array): Float64Array {
    const { intermediateSize, hiddenSize, fusedProjections, mlpBias, activation } = this.#plan;
    const parameters = this.#parameters;
    const name = `model.layers.${layer}.mlp`;
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

/** `weight` `[out, in]` times x `[in]`, plus bias. */
function multiply(weight: Float64Array, x: Float64Array, bias: Float64Array | null): Float64Array {
  const inputs = x.length;
  const out = new Float64Array(weight.length / inputs);
  for (let o = 0; o < out.length; o++) {
    let sum = bias === null ? 0 : bias[o]!;
    for (let i = 0; i < inputs; i++) sum += weight[o * inputs + i]! * x[i]!;
    out[o] = sum;
  }
  return out;
}

function add(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}

function rmsNorm(x: Float64Array, weight: Float64Array, plan: ReferencePlan): Float64Array {
  let squares = 0;
  for (const value of x) squares += value * value;
  const scale = 1 / Math.sqrt(squares / x.length + plan.rmsNormEps);
  return x.map((value, i) => value * scale * (weight[i]! + plan.normOffset));
}

/** Rotates every head of x in place; dimension i turns with dimension i + rotaryDim / 2. */
function rotate(x: Float64Array, headDim: number, rope: ReferenceRope, position: number): void {
  const half = rope.frequencies.length;
  for (let start = 0; start < x.length; start += headDim) {
    for (let i = 0; i < half; i++) {
      const angle = position * rope.frequencies[i]!;
      const cosine = Math.cos(angle) * rope.attentionFactor;
      const sine = Math.sin(angle) * rope.attentionFactor;
      const a = x[start + i]!;
      const b = x[start + half + i]!;
      x[start + i] = a * cosine - b * sine;
      x[start + half + i] = b * cosine + a * sine;
    }
  }
}

function softmax(scores: Float64Array): Float64Array {
  const largest = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** cap * tanh(x / cap). */
function cap(x: number, limit: number | null): number {
  return limit === null ? x : limit * Math.tanh(x / limit);
}
