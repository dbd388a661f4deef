/**
 * Loss, gradients and AdamW in float64: the oracle of the trainer.
 *
 * A tape of operations with hand-written backward rules, for every plan that `reference-decoder.ts`
 * carries out. The two share the plan but no forward code, so each checks the other. Matrix products
 * run at about a gigaflop a second: meant for models of some hundred thousand parameters.
 */

import { JetonError } from "../core/index.ts";
import { activate, activationSlope } from "./reference-activation.ts";
import type { ReferenceConfig, ReferenceTensors } from "./reference-checkpoint.ts";
import { describeReference } from "./reference-families.ts";
import type { ReferencePlan } from "./reference-plan.ts";
import { referenceRope } from "./reference-rope.ts";

/** Gradients by parameter name, each as long as the parameter. */
export type ReferenceGradients = Map<string, Float64Array>;

export interface ReferenceLoss {
  /** Mean cross-entropy of the next token over all sequences, in nats. */
  loss: number;
  gradients: ReferenceGradients;
}

/** A matrix `[rows, width]` on the tape, with the gradient that arrives at it. */
interface Node {
  readonly data: Float64Array;
  readonly gradient: Float64Array;
  readonly width: number;
}

/**
 * Loss and gradients of next-token prediction: token t + 1 of each sequence is predicted from its
 * tokens up to t, and the mean is over all predicted tokens of all sequences. Each sequence has at least
 * two ids and starts at position 0.
 * `sequenceLength`: the length that `dynamic` and `longrope` rotations take; default each sequence's own
 * length less one.
 */
export function referenceLossAndGradients(
  config: ReferenceConfig,
  tensors: ReferenceTensors,
  ids: readonly (readonly number[])[],
  options: { sequenceLength?: number; plan?: ReferencePlan } = {},
): ReferenceLoss {
  const plan = options.plan ?? describeReference(config);
  const gradients: ReferenceGradients = new Map();
  const parameters = new Map<string, Node>();
  for (const [name, { shape, data }] of tensors) {
    if (plan.tiedHead && name === "lm_head.weight") continue;
    const gradient = new Float64Array(data.length);
    gradients.set(name, gradient);
    parameters.set(name, { data, gradient, width: shape.at(-1) ?? 1 });
  }
  const predicted = ids.reduce((count, sequence) => count + sequence.length - 1, 0);
  let loss = 0;
  for (const sequence of ids) {
    const sequenceLength = options.sequenceLength ?? sequence.length - 1;
    loss += addSequence(plan, parameters, sequence, { predicted, sequenceLength });
  }
  return { loss, gradients };
}

/** Adds one sequence's share of the gradients; returns its share of the mean loss. */
function addSequence(
  plan: ReferencePlan,
  parameters: ReadonlyMap<string, Node>,
  sequence: readonly number[],
  options: { predicted: number; sequenceLength: number },
): number {
  const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, intermediateSize, vocabSize } =
    plan;
  const rows = sequence.length - 1;
  const tape: (() => void)[] = [];

  const parameter = (name: string): Node => {
    const node = parameters.get(name);
    if (node !== undefined) return node;
    throw new JetonError(`${name} is missing`, { code: "reference-tensor", details: { name } });
  };
  const node = (columns: number): Node => ({
    data: new Float64Array(rows * columns),
    gradient: new Float64Array(rows * columns),
    width: columns,
  });

  const linearWith = (x: Node, weight: Node, bias: Node | null): Node => {
    const inputs = x.width;
    const out = node(weight.data.length / inputs);
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < out.width; o++) {
        let sum = bias === null ? 0 : bias.data[o]!;
        for (let i = 0; i < inputs; i++) {
          sum += weight.data[o * inputs + i]! * x.data[row * inputs + i]!;
        }
        out.data[row * out.width + o] = sum;
      }
    }
    tape.push(() => {
      for (let row = 0; row < rows; row++) {
        for (let o = 0; o < out.width; o++) {
          const arrived = out.gradient[row * out.width + o]!;
          if (bias !== null) bias.gradient[o]! += arrived;
          for (let i = 0; i < inputs; i++) {
            weight.gradient[o * inputs + i]! += arrived * x.data[row * inputs + i]!;
            x.gradient[row * inputs + i]! += arrived * weight.data[o * inputs + i]!;
          }
        }
      }
    });
    return out;
  };
  const linear = (x: Node, name: string, hasBias: boolean): Node =>
    linearWith(x, parameter(`${name}.weight`), hasBias ? parameter(`${name}.bias`) : null);

  /** Columns [start, start + count) of x. */
  const columns = (x: Node, start: number, count: number): Node => {
    const out = node(count);
    for (let row = 0; row < rows; row++) {
      const from = row * x.width + start;
      out.data.set(x.data.subarray(from, from + count), row * count);
    }
    tape.push(() => {
      for (let row = 0; row < rows; row++) {
        for (let i = 0; i < count; i++) {
          x.gradient[row * x.width + start + i]! += out.gradient[row * count + i]!;
        }
      }
    });
    return out;
  };

  const add = (a: Node, b: Node): Node => {
    const out = node(a.width);
    for (let i = 0; i < out.data.length; i++) out.data[i] = a.data[i]! + b.data[i]!;
    tape.push(() => {
      for (let i = 0; i < out.data.length; i++) {
        a.gradient[i]! += out.gradient[i]!;
        b.gradient[i]! += out.gradient[i]!;
      }
    });
    return out;
  };

  /** Norm of each group of as many columns as the weight has (a row, or a head). */
  const norm = (x: Node, name: string): Node => {
    const weight = parameter(`${name}.weight`);
    const size = weight.data.length;
    const out = node(x.width);
    const scales = new Float64Array(x.data.length / size);
    for (let group = 0; group < scales.length; group++) {
      let squares = 0;
      for (let i = 0; i < size; i++) squares += x.data[group * size + i]! ** 2;
      const scale = 1 / Math.sqrt(squares / size + plan.rmsNormEps);
      scales[group] = scale;
      for (let i = 0; i < size; i++) {
        const at = group * size + i;
        out.data[at] = x.data[at]! * scale * (weight.data[i]! + plan.normOffset);
      }
    }
    tape.push(() => {
      for (let group = 0; group < scales.length; group++) {
        const scale = scales[group]!;
        let along = 0;
        for (let i = 0; i < size; i++) {
          const at = group * size + i;
          along += out.gradient[at]! * (weight.data[i]! + plan.normOffset) * x.data[at]!;
        }
        for (let i = 0; i < size; i++) {
          const at = group * size + i;
          const arrived = out.gradient[at]!;
          weight.gradient[i]! += arrived * x.data[at]! * scale;
          x.gradient[at]! +=
            arrived * (weight.data[i]! + plan.normOffset) * scale -
            (x.data[at]! * scale ** 3 * along) / size;
        }
      }
    });
    return out;
  };

  /** Rotates each head; the backward rule is the transpose, a rotation the other way. */
  const rotate = (x: Node, layer: number): Node => {
    const rope = plan.layers[layer]!.rope;
    if (rope === null) return x;
    const { frequencies, attentionFactor } = referenceRope(rope, options.sequenceLength);
    const half = frequencies.length;
    const turn = (values: Float64Array, direction: 1 | -1): Float64Array => {
      const turned = values.slice();
      for (let row = 0; row < rows; row++) {
        for (let start = row * x.width; start < (row + 1) * x.width; start += headDim) {
          for (let i = 0; i < half; i++) {
            const angle = direction * row * frequencies[i]!;
            const cosine = attentionFactor * Math.cos(angle);
            const sine = attentionFactor * Math.sin(angle);
            const a = values[start + i]!;
            const b = values[start + half + i]!;
            turned[start + i] = a * cosine - b * sine;
            turned[start + half + i] = b * cosine + a * sine;
          }
        }
      }
      return turned;
    };
    const out = node(x.width);
    out.data.set(turn(x.data, 1));
    tape.push(() => {
      for (const [i, value] of turn(out.gradient, -1).entries()) x.gradient[i]! += value;
    });
    return out;
  };

  const attend = (query: Node, key: Node, value: Node, window: number | null): Node => {
    const out = node(query.width);
    const groupSize = numAttentionHeads / numKeyValueHeads;
    const capped = plan.attnLogitSoftcap;
    for (let head = 0; head < numAttentionHeads; head++) {
      const own = head * headDim;
      const seen = Math.floor(head / groupSize) * headDim;
      for (let row = 0; row < rows; row++) {
        const first = window === null ? 0 : Math.max(0, row - window + 1);
        const scores = new Float64Array(row + 1 - first);
        for (let at = first; at <= row; at++) {
          let sum = 0;
          for (let i = 0; i < headDim; i++) {
            sum += query.data[row * query.width + own + i]! * key.data[at * key.width + seen + i]!;
          }
          scores[at - first] = softCap(sum * plan.attentionScale, capped);
        }
        const weights = softmax(scores);
        for (let at = first; at <= row; at++) {
          for (let i = 0; i < headDim; i++) {
            out.data[row * out.width + own + i]! +=
              weights[at - first]! * value.data[at * value.width + seen + i]!;
          }
        }
        tape.push(() => {
          // How the loss falls with each weight, then with each score (softmax), product and input.
          const slopes = new Float64Array(weights.length);
          let mean = 0;
          for (let at = first; at <= row; at++) {
            const weight = weights[at - first]!;
            for (let i = 0; i < headDim; i++) {
              const arrived = out.gradient[row * out.width + own + i]!;
              slopes[at - first]! += arrived * value.data[at * value.width + seen + i]!;
              value.gradient[at * value.width + seen + i]! += arrived * weight;
            }
            mean += weight * slopes[at - first]!;
          }
          for (let at = first; at <= row; at++) {
            let slope = weights[at - first]! * (slopes[at - first]! - mean) * plan.attentionScale;
            if (capped !== null) slope *= 1 - (scores[at - first]! / capped) ** 2;
            for (let i = 0; i < headDim; i++) {
              const q = row * query.width + own + i;
              const k = at * key.width + seen + i;
              query.gradient[q]! += slope * key.data[k]!;
              key.gradient[k]! += slope * query.data[q]!;
            }
          }
        });
      }
    }
    return out;
  };

  const attention = (x: Node, layer: number): Node => {
    const name = `model.layers.${layer}.self_attn`;
    const queryWidth = numAttentionHeads * headDim;
    const keyWidth = numKeyValueHeads * headDim;
    let query: Node;
    let key: Node;
    let value: Node;
    if (plan.fusedProjections) {
      const all = linear(x, `${name}.qkv_proj`, false);
      query = columns(all, 0, queryWidth);
      key = columns(all, queryWidth, keyWidth);
      value = columns(all, queryWidth + keyWidth, keyWidth);
    } else {
      query = linear(x, `${name}.q_proj`, plan.qkvBias);
      key = linear(x, `${name}.k_proj`, plan.qkvBias);
      value = linear(x, `${name}.v_proj`, plan.qkvBias);
    }
    if (plan.qkNorm !== "none") {
      query = norm(query, `${name}.q_norm`);
      key = norm(key, `${name}.k_norm`);
    }
    const mixed = attend(
      rotate(query, layer),
      rotate(key, layer),
      value,
      plan.layers[layer]!.slidingWindow,
    );
    return linear(mixed, `${name}.o_proj`, plan.outputBias);
  };

  const feedForward = (x: Node, layer: number): Node => {
    const name = `model.layers.${layer}.mlp`;
    let gate: Node;
    let up: Node;
    if (plan.fusedProjections) {
      const both = linear(x, `${name}.gate_up_proj`, false);
      gate = columns(both, 0, intermediateSize);
      up = columns(both, intermediateSize, intermediateSize);
    } else {
      gate = linear(x, `${name}.gate_proj`, plan.mlpBias);
      up = linear(x, `${name}.up_proj`, plan.mlpBias);
    }
    const inner = node(intermediateSize);
    for (let i = 0; i < inner.data.length; i++) {
      inner.data[i] = activate(gate.data[i]!, plan.activation) * up.data[i]!;
    }
    tape.push(() => {
      for (let i = 0; i < inner.data.length; i++) {
        const arrived = inner.gradient[i]!;
        gate.gradient[i]! +=
          arrived * up.data[i]! * activationSlope(gate.data[i]!, plan.activation);
        up.gradient[i]! += arrived * activate(gate.data[i]!, plan.activation);
      }
    });
    return linear(inner, `${name}.down_proj`, plan.mlpBias);
  };

  const table = parameter("model.embed_tokens.weight");
  let x = node(hiddenSize);
  const embedded = x;
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < hiddenSize; i++) {
      x.data[row * hiddenSize + i] =
        table.data[sequence[row]! * hiddenSize + i]! * plan.embeddingScale;
    }
  }
  tape.push(() => {
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < hiddenSize; i++) {
        table.gradient[sequence[row]! * hiddenSize + i]! +=
          embedded.gradient[row * hiddenSize + i]! * plan.embeddingScale;
      }
    }
  });
  for (let layer = 0; layer < plan.layers.length; layer++) {
    const name = `model.layers.${layer}`;
    const before = plan.norms !== "post";
    const after = plan.norms !== "pre";
    // Llama's `post_attention_layernorm` stands before the feed-forward, Gemma 2's after attention.
    const second = plan.norms === "pre" ? "post_attention_layernorm" : "pre_feedforward_layernorm";
    let part = attention(before ? norm(x, `${name}.input_layernorm`) : x, layer);
    if (after) part = norm(part, `${name}.post_attention_layernorm`);
    x = add(x, part);
    part = feedForward(before ? norm(x, `${name}.${second}`) : x, layer);
    if (after) part = norm(part, `${name}.post_feedforward_layernorm`);
    x = add(x, part);
  }
  x = norm(x, "model.norm");
  const logits = linearWith(x, plan.tiedHead ? table : parameter("lm_head.weight"), null);

  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const from = row * vocabSize;
    const raw = logits.data.subarray(from, from + vocabSize);
    const scores = raw.map((value) => softCap(value, plan.finalLogitSoftcap));
    const probabilities = softmax(scores);
    const target = sequence[row + 1]!;
    loss -= Math.log(probabilities[target]!) / options.predicted;
    for (let i = 0; i < vocabSize; i++) {
      let slope = (probabilities[i]! - (i === target ? 1 : 0)) / options.predicted;
      if (plan.finalLogitSoftcap !== null) slope *= 1 - (scores[i]! / plan.finalLogitSoftcap) ** 2;
      logits.gradient[from + i] = slope;
    }
  }
  for (const backward of tape.reverse()) backward();
  return loss;
}

function softCap(x: number, limit: number | null): number {
  return limit === null ? x : limit * Math.tanh(x / limit);
}

function softmax(scores: Float64Array): Float64Array {
  const largest = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
