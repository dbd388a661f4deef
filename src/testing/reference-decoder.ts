/**
 * Decoder-only language models in float64, as plain loops: the oracle of the fast engine.
 *
 * It shares nothing with the tensor and model rooms. Each family is computed as Hugging Face
 * transformers computes it (eager attention), without rounding between operations. One function
 * appends tokens to a sequence: with all tokens at once it is the full computation, with one token at a
 * time it is cached decoding.
 */
import { JetonError } from "../core/index.ts";
import { activate } from "./reference-activation.ts";
import type { ReferenceConfig, ReferenceTensors } from "./reference-checkpoint.ts";
import {
  describeReference,
  type ReferencePlan,
  type ReferenceRope,
  referenceRope,
} from "./reference-plan.ts";

export interface ReferenceForwardOptions {
  /**
   * The length that the sequence will have in the end, prompt and generated tokens together: fixes the
   * base of `dynamic` rope and the factors of `longrope`. Default: the number of ids given.
   */
  sequenceLength?: number;
  /** Carried out instead of the plan that the config describes. */
  plan?: ReferencePlan;
}

/** A sequence under construction, with its cached keys and values. */
export interface ReferenceSequence {
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
  const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, intermediateSize, vocabSize } =
    plan;
  const groupSize = numAttentionHeads / numKeyValueHeads;
  const ropes = plan.layers.map(({ rope }) =>
    rope === null ? null : referenceRope(rope, options.sequenceLength),
  );
  /** Per layer, one row `[kvHeads * headDim]` for each token so far. */
  const keys: Float64Array[][] = plan.layers.map(() => []);
  const values: Float64Array[][] = plan.layers.map(() => []);
  let length = 0;

  const parameter = (name: string, ...shape: number[]): Float64Array => {
    const tensor = tensors.get(name);
    if (tensor === undefined || tensor.shape.join() !== shape.join()) {
      throw new JetonError(
        `${name} is ${tensor === undefined ? "missing" : `[${tensor.shape}]`}, expected [${shape}]`,
        { code: "reference-tensor", details: { name, expected: shape, got: tensor?.shape } },
      );
    }
    return tensor.data;
  };
  const linear = (x: Float64Array, name: string, outputs: number, bias: boolean): Float64Array =>
    multiply(
      parameter(`${name}.weight`, outputs, x.length),
      x,
      bias ? parameter(`${name}.bias`, outputs) : null,
    );
  const norm = (x: Float64Array, name: string): Float64Array =>
    rmsNorm(x, parameter(`${name}.weight`, x.length), plan);

  /** Norms each head of a projection with one shared weight `[headDim]`. */
  const normHeads = (x: Float64Array, name: string): Float64Array => {
    const out = new Float64Array(x.length);
    for (let at = 0; at < x.length; at += headDim) {
      out.set(norm(x.subarray(at, at + headDim), name), at);
    }
    return out;
  };

  const attention = (layer: number, x: Float64Array, position: number): Float64Array => {
    const name = `model.layers.${layer}.self_attn`;
    const queryWidth = numAttentionHeads * headDim;
    const keyWidth = numKeyValueHeads * headDim;
    let query: Float64Array;
    let key: Float64Array;
    let value: Float64Array;
    if (plan.fusedProjections) {
      const all = linear(x, `${name}.qkv_proj`, queryWidth + 2 * keyWidth, false);
      query = all.slice(0, queryWidth);
      key = all.slice(queryWidth, queryWidth + keyWidth);
      value = all.slice(queryWidth + keyWidth);
    } else {
      query = linear(x, `${name}.q_proj`, queryWidth, plan.qkvBias);
      key = linear(x, `${name}.k_proj`, keyWidth, plan.qkvBias);
      value = linear(x, `${name}.v_proj`, keyWidth, plan.qkvBias);
    }
    if (plan.qkNorm === "projection") {
      query = norm(query, `${name}.q_norm`);
      key = norm(key, `${name}.k_norm`);
    } else if (plan.qkNorm === "head") {
      query = normHeads(query, `${name}.q_norm`);
      key = normHeads(key, `${name}.k_norm`);
    }
    const rope = ropes[layer]!;
    if (rope !== null) {
      rotate(query, headDim, rope, position);
      rotate(key, headDim, rope, position);
    }
    keys[layer]!.push(key);
    values[layer]!.push(value);

    const window = plan.layers[layer]!.slidingWindow;
    const first = window === null ? 0 : Math.max(0, position - window + 1);
    const mixed = new Float64Array(queryWidth);
    for (let head = 0; head < numAttentionHeads; head++) {
      const ownQuery = query.subarray(head * headDim, (head + 1) * headDim);
      const start = Math.floor(head / groupSize) * headDim;
      const scores = new Float64Array(position + 1 - first);
      for (let at = first; at <= position; at++) {
        const seen = keys[layer]![at]!;
        let sum = 0;
        for (let i = 0; i < headDim; i++) sum += ownQuery[i]! * seen[start + i]!;
        scores[at - first] = cap(sum * plan.attentionScale, plan.attnLogitSoftcap);
      }
      const weights = softmax(scores);
      for (let at = first; at <= position; at++) {
        const seen = values[layer]![at]!;
        const weight = weights[at - first]!;
        for (let i = 0; i < headDim; i++) mixed[head * headDim + i]! += weight * seen[start + i]!;
      }
    }
    return linear(mixed, `${name}.o_proj`, hiddenSize, plan.outputBias);
  };

  const feedForward = (layer: number, x: Float64Array): Float64Array => {
    const name = `model.layers.${layer}.mlp`;
    let gate: Float64Array;
    let up: Float64Array;
    if (plan.fusedProjections) {
      const both = linear(x, `${name}.gate_up_proj`, 2 * intermediateSize, false);
      gate = both.subarray(0, intermediateSize);
      up = both.subarray(intermediateSize);
    } else {
      gate = linear(x, `${name}.gate_proj`, intermediateSize, plan.mlpBias);
      up = linear(x, `${name}.up_proj`, intermediateSize, plan.mlpBias);
    }
    const inner = gate.map((g, i) => activate(g, plan.activation) * up[i]!);
    return linear(inner, `${name}.down_proj`, hiddenSize, plan.mlpBias);
  };

  const layerForward = (layer: number, x: Float64Array, position: number): Float64Array => {
    const name = `model.layers.${layer}`;
    switch (plan.norms) {
      case "pre": {
        x = add(x, attention(layer, norm(x, `${name}.input_layernorm`), position));
        return add(x, feedForward(layer, norm(x, `${name}.post_attention_layernorm`)));
      }
      case "post": {
        x = add(x, norm(attention(layer, x, position), `${name}.post_attention_layernorm`));
        return add(x, norm(feedForward(layer, x), `${name}.post_feedforward_layernorm`));
      }
      case "sandwich": {
        const attended = attention(layer, norm(x, `${name}.input_layernorm`), position);
        x = add(x, norm(attended, `${name}.post_attention_layernorm`));
        const fed = feedForward(layer, norm(x, `${name}.pre_feedforward_layernorm`));
        return add(x, norm(fed, `${name}.post_feedforward_layernorm`));
      }
    }
  };

  return {
    get length() {
      return length;
    },
    append(ids) {
      const logits = new Float64Array(ids.length * vocabSize);
      const table = parameter("model.embed_tokens.weight", vocabSize, hiddenSize);
      for (const [row, id] of ids.entries()) {
        if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
          throw new JetonError(`token id ${id} is not in [0, ${vocabSize})`, {
            code: "reference-id",
            details: { id, vocabSize },
          });
        }
        let x: Float64Array = table
          .slice(id * hiddenSize, (id + 1) * hiddenSize)
          .map((e) => e * plan.embeddingScale);
        for (let layer = 0; layer < plan.layers.length; layer++) x = layerForward(layer, x, length);
        x = norm(x, "model.norm");
        const head = plan.tiedHead ? table : parameter("lm_head.weight", vocabSize, hiddenSize);
        const scores = multiply(head, x, null).map((s) => cap(s, plan.finalLogitSoftcap));
        logits.set(scores, row * vocabSize);
        length++;
      }
      return logits;
    },
  };
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
