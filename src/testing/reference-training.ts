/**
 * Loss, gradients and AdamW in float64: the oracle of the trainer.
 *
 * A tape of operations with hand-written backward rules, for most plans that `reference-decoder.ts`
 * carries out (`hasGradients`). The two share the plan but no forward code, so each checks the other. Matrix products
 * run at about a gigaflop a second: meant for models of some hundred thousand parameters.
 */

import { JetonError } from "../core/index.ts";
import type { ReferenceConfig, ReferenceTensors } from "./reference-checkpoint.ts";
import { describeReference } from "./reference-families.ts";
import type { ReferencePlan } from "./reference-plan.ts";
import { referenceRope } from "./reference-rope.ts";
import { type Node, ReferenceTape, softCap, softmax } from "./reference-tape.ts";

/** Gradients by parameter name, each as long as the parameter. */
export type ReferenceGradients = Map<string, Float64Array>;

export interface ReferenceLoss {
  /** Mean cross-entropy of the next token over all sequences, in nats. */
  loss: number;
  gradients: ReferenceGradients;
}

/** Whether the tape has all that a plan needs: not experts, layer norms and the families that come with them, and Granite's factors. */
export function hasGradients(plan: ReferencePlan): boolean {
  const { experts, layerNorms, residualScale, logitDivisor } = plan;
  return [experts, layerNorms, residualScale, logitDivisor].every((part) => part === undefined);
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
  if (!hasGradients(plan)) {
    throw new JetonError(`the tape has no rules for ${plan.family}`, {
      code: "reference-plan",
      details: { family: plan.family },
    });
  }
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
  const tape = new ReferenceTape(sequence.length - 1);
  const pass: Pass = {
    tape,
    plan,
    sequenceLength: options.sequenceLength,
    parameter(name) {
      const node = parameters.get(name);
      if (node !== undefined) return node;
      throw new JetonError(`${name} is missing`, { code: "reference-tensor", details: { name } });
    },
  };
  const table = pass.parameter("model.embed_tokens.weight");
  let x = tape.embed(table, sequence, plan.embeddingScale);
  for (let layer = 0; layer < plan.layers.length; layer++) x = addLayer(pass, x, layer);
  x = norm(pass, x, "model.norm");
  const head = plan.tiedHead ? table : pass.parameter("lm_head.weight");
  const logits = tape.linear(x, head, null);
  const loss = crossEntropy(plan, logits, sequence, options.predicted);
  tape.backward();
  return loss;
}

/** One sequence on its way through the layers. */
interface Pass {
  readonly tape: ReferenceTape;
  readonly plan: ReferencePlan;
  readonly sequenceLength: number;
  parameter(name: string): Node;
}

function linear(pass: Pass, x: Node, name: string, hasBias: boolean): Node {
  const bias = hasBias ? pass.parameter(`${name}.bias`) : null;
  return pass.tape.linear(x, pass.parameter(`${name}.weight`), bias);
}

function norm({ tape, plan, parameter }: Pass, x: Node, name: string): Node {
  const { rmsNormEps: epsilon, normOffset: offset } = plan;
  return tape.norm(x, parameter(`${name}.weight`), { epsilon, offset });
}

function addLayer(pass: Pass, input: Node, layer: number): Node {
  const { tape, plan } = pass;
  const name = `model.layers.${layer}`;
  const before = plan.norms !== "post";
  const after = plan.norms !== "pre";
  // Llama's `post_attention_layernorm` stands before the feed-forward, Gemma 2's after attention.
  const second = plan.norms === "pre" ? "post_attention_layernorm" : "pre_feedforward_layernorm";
  let x = input;
  let part = attention(pass, before ? norm(pass, x, `${name}.input_layernorm`) : x, layer);
  if (after) part = norm(pass, part, `${name}.post_attention_layernorm`);
  x = tape.add(x, part);
  part = feedForward(pass, before ? norm(pass, x, `${name}.${second}`) : x, layer);
  if (after) part = norm(pass, part, `${name}.post_feedforward_layernorm`);
  return tape.add(x, part);
}

function attention(pass: Pass, x: Node, layer: number): Node {
  const { tape, plan } = pass;
  const { numAttentionHeads: heads, numKeyValueHeads: keyHeads, headDim } = plan;
  const { rope, slidingWindow: window } = plan.layers[layer]!;
  const name = `model.layers.${layer}.self_attn`;
  const queryWidth = heads * headDim;
  const keyWidth = keyHeads * headDim;
  let query: Node;
  let key: Node;
  let value: Node;
  if (plan.fusedProjections) {
    const all = linear(pass, x, `${name}.qkv_proj`, false);
    query = tape.columns(all, 0, queryWidth);
    key = tape.columns(all, queryWidth, keyWidth);
    value = tape.columns(all, queryWidth + keyWidth, keyWidth);
  } else {
    query = linear(pass, x, `${name}.q_proj`, plan.qkvBias);
    key = linear(pass, x, `${name}.k_proj`, plan.qkvBias);
    value = linear(pass, x, `${name}.v_proj`, plan.qkvBias);
  }
  if (plan.qkNorm !== "none") {
    query = norm(pass, query, `${name}.q_norm`);
    key = norm(pass, key, `${name}.k_norm`);
  }
  if (rope !== null) {
    const rotation = referenceRope(rope, pass.sequenceLength);
    query = tape.rotate(query, headDim, rotation);
    key = tape.rotate(key, headDim, rotation);
  }
  const { attentionScale: scale, attnLogitSoftcap: softcap } = plan;
  const shape = { heads, keyHeads, headDim, scale, softcap, window };
  return linear(pass, tape.attend(query, key, value, shape), `${name}.o_proj`, plan.outputBias);
}

function feedForward(pass: Pass, x: Node, layer: number): Node {
  const { tape, plan } = pass;
  const { intermediateSize } = plan;
  const name = `model.layers.${layer}.mlp`;
  let gate: Node;
  let up: Node;
  if (plan.fusedProjections) {
    const both = linear(pass, x, `${name}.gate_up_proj`, false);
    gate = tape.columns(both, 0, intermediateSize);
    up = tape.columns(both, intermediateSize, intermediateSize);
  } else {
    gate = linear(pass, x, `${name}.gate_proj`, plan.mlpBias);
    up = linear(pass, x, `${name}.up_proj`, plan.mlpBias);
  }
  const inner = tape.gate(gate, up, plan.activation);
  return linear(pass, inner, `${name}.down_proj`, plan.mlpBias);
}

/** Share of the mean loss; sets the gradient of the logits. */
function crossEntropy(
  { vocabSize, finalLogitSoftcap }: ReferencePlan,
  logits: Node,
  sequence: readonly number[],
  predicted: number,
): number {
  let loss = 0;
  for (let row = 0; row < sequence.length - 1; row++) {
    const from = row * vocabSize;
    const raw = logits.data.subarray(from, from + vocabSize);
    const scores = raw.map((value) => softCap(value, finalLogitSoftcap));
    const probabilities = softmax(scores);
    const target = sequence[row + 1]!;
    loss -= Math.log(probabilities[target]!) / predicted;
    for (let i = 0; i < vocabSize; i++) {
      let slope = (probabilities[i]! - (i === target ? 1 : 0)) / predicted;
      if (finalLogitSoftcap !== null) slope *= 1 - (scores[i]! / finalLogitSoftcap) ** 2;
      logits.gradient[from + i] = slope;
    }
  }
  return loss;
}
