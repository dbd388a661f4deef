/** Random weights of tiny models: names, shapes and values. */

import { createRandom } from "../core/index.ts";
import type { ReferenceConfig, ReferenceTensor } from "./reference-checkpoint.ts";
import { describeReference } from "./reference-families.ts";
import type { ReferencePlan } from "./reference-plan.ts";

/** Names and shapes of all parameters that a checkpoint of this plan stores, in a fixed order. */
export function referenceParameterShapes(plan: ReferencePlan): Map<string, number[]> {
  const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, intermediateSize, vocabSize } =
    plan;
  const shapes = new Map<string, number[]>();
  const linear = (name: string, outputs: number, inputs: number, bias: boolean): void => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    if (bias) shapes.set(`${name}.bias`, [outputs]);
  };
  const norm = (name: string, size: number): void => {
    if (plan.layerNorms === "bare") return;
    shapes.set(`${name}.weight`, [size]);
    if (plan.layerNorms) shapes.set(`${name}.bias`, [size]);
  };
  const queryWidth = numAttentionHeads * headDim;
  const keyWidth = numKeyValueHeads * headDim;
  shapes.set("model.embed_tokens.weight", [vocabSize, hiddenSize]);
  if (plan.learnedPositions !== undefined) {
    shapes.set("model.embed_positions.weight", [plan.learnedPositions, hiddenSize]);
  }
  for (let layer = 0; layer < plan.layers.length; layer++) {
    const name = `model.layers.${layer}`;
    const attention = `${name}.self_attn`;
    if (plan.norms !== "post") norm(`${name}.input_layernorm`, hiddenSize);
    norm(`${name}.post_attention_layernorm`, hiddenSize);
    if (plan.norms === "sandwich") norm(`${name}.pre_feedforward_layernorm`, hiddenSize);
    if (plan.norms !== "pre") norm(`${name}.post_feedforward_layernorm`, hiddenSize);
    if (plan.fusedProjections) {
      linear(`${attention}.qkv_proj`, queryWidth + 2 * keyWidth, hiddenSize, false);
    } else if (plan.joinedHeads) {
      linear(`${attention}.qkv_proj`, queryWidth + 2 * keyWidth, hiddenSize, plan.qkvBias);
    } else {
      linear(`${attention}.q_proj`, queryWidth, hiddenSize, plan.qkvBias);
      linear(`${attention}.k_proj`, keyWidth, hiddenSize, plan.qkvBias);
      linear(`${attention}.v_proj`, keyWidth, hiddenSize, plan.qkvBias);
    }
    linear(`${attention}.o_proj`, hiddenSize, queryWidth, plan.outputBias);
    if (plan.sinks) shapes.set(`${attention}.sinks`, [numAttentionHeads]);
    if (plan.experts?.sparse[layer]) {
      for (const [key, shape] of expertShapes(plan, layer)) shapes.set(key, shape);
    } else {
      if (plan.fusedProjections) {
        linear(`${name}.mlp.gate_up_proj`, 2 * intermediateSize, hiddenSize, false);
      } else {
        if (!plan.plainFeedForward) {
          linear(`${name}.mlp.gate_proj`, intermediateSize, hiddenSize, plan.mlpBias);
        }
        linear(`${name}.mlp.up_proj`, intermediateSize, hiddenSize, plan.mlpBias);
      }
      linear(`${name}.mlp.down_proj`, hiddenSize, intermediateSize, plan.mlpBias);
    }
    if (plan.qkNorm !== "none") {
      const whole = plan.qkNorm === "projection";
      norm(`${attention}.q_norm`, whole ? queryWidth : headDim);
      norm(`${attention}.k_norm`, whole ? keyWidth : headDim);
    }
  }
  norm("model.norm", hiddenSize);
  if (plan.headBias) shapes.set("lm_head.bias", [vocabSize]);
  if (!plan.tiedHead) shapes.set("lm_head.weight", [vocabSize, hiddenSize]);
  return shapes;
}

/** Router, experts and shared expert of a layer, as their family stores them. */
function expertShapes(plan: ReferencePlan, layer: number): [string, number[]][] {
  const { count, width, biases, sharedWidth, layout } = plan.experts!;
  const { hiddenSize: hidden } = plan;
  const name = `model.layers.${layer}`;
  const each = Array.from({ length: count }, (_, expert) => expert);
  switch (layout) {
    case "w1-w2-w3": {
      const block = `${name}.block_sparse_moe`;
      return [
        [`${block}.gate.weight`, [count, hidden]],
        ...each.flatMap((expert): [string, number[]][] => [
          [`${block}.experts.${expert}.w1.weight`, [width, hidden]],
          [`${block}.experts.${expert}.w2.weight`, [hidden, width]],
          [`${block}.experts.${expert}.w3.weight`, [width, hidden]],
        ]),
      ];
    }
    case "projections": {
      const gated = (of: string, size: number): [string, number[]][] => [
        [`${of}.gate_proj.weight`, [size, hidden]],
        [`${of}.up_proj.weight`, [size, hidden]],
        [`${of}.down_proj.weight`, [hidden, size]],
      ];
      const shapes: [string, number[]][] = [
        [`${name}.mlp.gate.weight`, [count, hidden]],
        ...each.flatMap((expert) => gated(`${name}.mlp.experts.${expert}`, width)),
      ];
      if (sharedWidth !== null) {
        shapes.push(...gated(`${name}.mlp.shared_expert`, sharedWidth));
        if (!plan.experts!.sharedUngated) {
          shapes.push([`${name}.mlp.shared_expert_gate.weight`, [1, hidden]]);
        }
      }
      return shapes;
    }
    case "stacked": {
      const block = `${name}.block_sparse_moe`;
      const shapes: [string, number[]][] = [
        [`${block}.router.layer.weight`, [count, hidden]],
        [`${block}.input_linear.weight`, [count, 2 * width, hidden]],
        [`${block}.output_linear.weight`, [count, hidden, width]],
      ];
      if (sharedWidth !== null) {
        shapes.push([`${name}.shared_mlp.input_linear.weight`, [2 * sharedWidth, hidden]]);
        shapes.push([`${name}.shared_mlp.output_linear.weight`, [hidden, sharedWidth]]);
      }
      return shapes;
    }
    default: {
      const shapes: [string, number[]][] = [[`${name}.mlp.router.weight`, [count, hidden]]];
      if (biases) shapes.push([`${name}.mlp.router.bias`, [count]]);
      const projection = (of: string, inputs: number, outputs: number): void => {
        const key = `${name}.mlp.experts.${of}`;
        if (layout === "mxfp4") {
          shapes.push([`${key}_blocks`, [count, outputs, inputs / 32, 16]]);
          shapes.push([`${key}_scales`, [count, outputs, inputs / 32]]);
        } else shapes.push([key, [count, inputs, outputs]]);
        if (biases) shapes.push([`${key}_bias`, [count, outputs]]);
      };
      projection("gate_up_proj", hidden, 2 * width);
      projection("down_proj", width, hidden);
      return shapes;
    }
  }
}

/**
 * Random weights for a config, in float64 and not yet rounded to a stored dtype. Scales are chosen so
 * that scores have a standard deviation of about 2 and logits of about 3.
 */
export function randomReferenceTensors(
  config: ReferenceConfig,
  seed: number,
): Map<string, ReferenceTensor> {
  const plan = describeReference(config);
  const tensors = new Map<string, ReferenceTensor>();
  for (const [name, shape] of referenceParameterShapes(plan)) {
    const random = createRandom(seed, "random-checkpoint", name);
    const inputs = shape.at(-1)!;
    const elements = shape.reduce((product, size) => product * size, 1);
    if (/_(blocks|scales)$/.test(name)) {
      // MXFP4: any codes; scales of 1/32 to 1/8.
      const draw = (): number =>
        name.endsWith("_blocks") ? random.integer(256) : 122 + random.integer(3);
      tensors.set(name, {
        shape,
        data: Float64Array.from({ length: elements }, draw),
        isBytes: true,
      });
      continue;
    }
    let mean = 0;
    let deviation = 1 / Math.sqrt(inputs);
    // Gemma's scaled embeddings would drown the layers, and being the head too, repeat the last token
    // for ever: they are smaller here and the last norm makes up for it.
    const gemma = plan.normOffset === 1;
    if (name === "model.norm.weight" && gemma) {
      mean = 5;
      deviation = 2;
    } else if (name.endsWith("norm.weight")) {
      mean = 1 - plan.normOffset + (/[qk]_norm/.test(name) ? 0.2 : 0);
      deviation = 0.4;
    } else if (/[._]bias$|\.sinks$/.test(name)) {
      deviation = 0.5;
    } else if (name === "lm_head.weight") {
      deviation *= 3;
    } else if (/^model\.embed_(tokens|positions)\.weight$/.test(name)) {
      if (gemma) deviation *= 0.5;
      else deviation = plan.tiedHead ? 3 * deviation : 1;
    } else {
      deviation *= 1.4;
    }
    const data = Float64Array.from({ length: elements }, () => mean + deviation * random.normal());
    tensors.set(name, { shape, data });
  }
  return tensors;
}
