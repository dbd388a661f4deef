/**
 * Sentence encoders over a decoder's layers in float64, plainly: all tokens of a text go through a layer before the next
 * one, so that a token may see those behind it. Written from `modeling_*.py` of transformers 5.18.0, eager attention.
 */
import { activate } from "../reference-activation.ts";
import { add, multiply, rmsNorm, rotate, softmax } from "../reference-arithmetic.ts";
import type { ReferenceConfig, ReferenceTensors } from "../reference-checkpoint.ts";
import { describeReference } from "../reference-families.ts";
import type { ReferencePlan } from "../reference-plan.ts";
import { referenceRope } from "../reference-rope.ts";

type Vector = Float64Array;

/** Whether a query sees a key that stands `distance` positions before it (behind it: below 0), in layers of this window. */
export type Sees = (distance: number, window: number | null) => boolean;

/** Names that the layers of a dense decoder store. */
class Layer {
  readonly plan: ReferencePlan;
  readonly #tensors: ReferenceTensors;
  readonly #name: string;

  constructor(plan: ReferencePlan, tensors: ReferenceTensors, name: string) {
    this.plan = plan;
    this.#tensors = tensors;
    this.#name = name;
  }

  norm(x: Vector, name: string): Vector {
    return rmsNorm(x, this.#tensors.get(`${this.#name}.${name}.weight`)!.data, this.plan);
  }

  linear(x: Vector, name: string, biased: boolean): Vector {
    const { data } = this.#tensors.get(`${this.#name}.${name}.weight`)!;
    return multiply(data, x, biased ? this.#tensors.get(`${this.#name}.${name}.bias`)!.data : null);
  }

  heads(x: Vector, name: string): Vector[] {
    const { headDim, qkNorm } = this.plan;
    return Array.from({ length: x.length / headDim }, (_, head) => {
      const own = x.slice(head * headDim, (head + 1) * headDim);
      return qkNorm === "head" && name !== "v" ? this.norm(own, `self_attn.${name}_norm`) : own;
    });
  }
}

/** States behind the last norm. */
export function readReference(
  config: ReferenceConfig,
  tensors: ReferenceTensors,
  ids: readonly number[],
  sees: Sees,
): Vector[] {
  const plan = describeReference(config);
  const { hiddenSize, embeddingScale } = plan;
  const table = tensors.get("model.embed_tokens.weight")!.data;
  let states: Vector[] = ids.map((id) =>
    table.slice(id * hiddenSize, (id + 1) * hiddenSize).map((value) => value * embeddingScale),
  );
  for (const index of plan.layers.keys()) {
    const layer = new Layer(plan, tensors, `model.layers.${index}`);
    const isSandwich = plan.norms === "sandwich";
    const behind = (x: Vector, name: string): Vector => (isSandwich ? layer.norm(x, name) : x);
    const read = states.map((x) => layer.norm(x, "input_layernorm"));
    const attended = attend(layer, index, read, sees);
    states = states.map((x, at) => {
      const middle = add(x, behind(attended[at]!, "post_attention_layernorm"));
      const name = isSandwich ? "pre_feedforward_layernorm" : "post_attention_layernorm";
      const fed = feedForward(layer, layer.norm(middle, name));
      return add(middle, behind(fed, "post_feedforward_layernorm"));
    });
  }
  const last = new Layer(plan, tensors, "model");
  return states.map((x) => last.norm(x, "norm"));
}

function attend(layer: Layer, index: number, read: readonly Vector[], sees: Sees): Vector[] {
  const { plan } = layer;
  const { slidingWindow, rope } = plan.layers[index]!;
  const turns = rope === null ? null : referenceRope(rope, read.length);
  const project = (name: "q" | "k" | "v"): Vector[][] =>
    read.map((x, position) => {
      const heads = layer.heads(layer.linear(x, `self_attn.${name}_proj`, plan.qkvBias), name);
      if (turns !== null && name !== "v")
        for (const head of heads) rotate(head, plan.headDim, turns, position);
      return heads;
    });
  const [queries, keys, values] = [project("q"), project("k"), project("v")];
  const group = plan.numAttentionHeads / plan.numKeyValueHeads;
  return queries.map((heads, i) => {
    const mixed = heads.flatMap((query, head) => {
      const shared = Math.floor(head / group);
      const scores = keys.map((key, j) => {
        if (!sees(i - j, slidingWindow)) return Number.NEGATIVE_INFINITY;
        const product = query.reduce((sum, value, at) => sum + value * key[shared]![at]!, 0);
        return product * plan.attentionScale;
      });
      const weights = softmax(Float64Array.from(scores));
      return Array.from({ length: plan.headDim }, (_, at) =>
        weights.reduce((sum, weight, j) => sum + weight * values[j]![shared]![at]!, 0),
      );
    });
    return layer.linear(Float64Array.from(mixed), "self_attn.o_proj", plan.outputBias);
  });
}

function feedForward(layer: Layer, x: Vector): Vector {
  const { activation, mlpBias } = layer.plan;
  const up = layer.linear(x, "mlp.up_proj", mlpBias);
  const gate = layer.linear(x, "mlp.gate_proj", mlpBias);
  const inner = gate.map((value, at) => activate(value, activation) * up[at]!);
  return layer.linear(inner, "mlp.down_proj", mlpBias);
}
