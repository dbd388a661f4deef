/** The feed-forward of a sparse layer: router, chosen experts, shared expert. */
import {
  add,
  clamp,
  type Dimension,
  matmul,
  minimum,
  multiply,
  multiplyDimensions,
  reshape,
  sigmoid,
  split,
  type Tensor,
} from "../../tensor/index.ts";
import { activate } from "../layers/activation.ts";
import { type Routing, routeRows } from "../layers/experts.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { DecoderConfig } from "./config.ts";
import type { LayerContext } from "./decoder-layer.ts";
import { type ExpertGroups, sparseLayerNames } from "./expert-names.ts";

/** A sparse layer's feed-forward, and what its router decided about the rows `[batch * time, …]`. */
export interface SparseOutput {
  readonly x: Tensor;
  readonly routing: RoutedRows;
}

/** What a router decided, and its logits `[rows, experts]`. */
export interface RoutedRows extends Routing {
  readonly logits: Tensor;
}

/** Router, experts and shared expert of a layer over `x` `[batch, time, hiddenSize]`. */
export function sparseFeedForward(x: Tensor, index: number, context: LayerContext): SparseOutput {
  const { config, weights, mixExperts } = context;
  const experts = config.experts!;
  const names = sparseLayerNames(config, index);
  const [batch, time] = x.shape as [Dimension, Dimension];
  const rows = reshape(x, [multiplyDimensions(batch, time), config.hiddenSize]);
  // The router stays in single precision: in few bits it would choose other experts.
  let logits = matmul(rows, weights.vector(names.router), { transposeB: true });
  if (experts.biases) logits = add(logits, weights.vector(names.routerBias));
  const { perToken, weighting, routerJitter: jitter } = experts;
  const routing = { ...routeRows(logits, { perToken, weighting, jitter }), logits };
  const groups = (expert: number): ExpertGroups => names.expert(expert);
  const parts = { config, weights, width: experts.intermediateSize };
  const mixed = mixExperts({
    ...routing,
    x: rows,
    experts: experts.count,
    enter: (expert, chosen) => enter(chosen, groups(expert), parts),
    activate: (entered) => openGate(entered, parts),
    leave: (expert, activated) => leave(activated, groups(expert), parts),
  });
  const result = experts.shared
    ? add(mixed, sharedExpert(rows, names.shared, names.sharedGate, context))
    : mixed;
  return { x: reshape(result, [batch, time, config.hiddenSize]), routing };
}

/** The expert for all tokens; Qwen2-MoE's is scaled by the sigmoid of its gate. */
function sharedExpert(
  rows: Tensor,
  groups: ExpertGroups,
  gate: string,
  { config, weights }: LayerContext,
): Tensor {
  const { intermediateSize: width, gated } = config.experts!.shared!;
  const output = gatedFeedForward(rows, groups, { config, weights, width });
  if (!gated) return output;
  const scale = sigmoid(matmul(rows, weights.vector(gate), { transposeB: true }));
  return multiply(scale, output);
}

interface FeedForwardParts {
  readonly config: DecoderConfig;
  readonly weights: DecoderWeights;
  readonly width: number;
}

function gatedFeedForward(x: Tensor, groups: ExpertGroups, parts: FeedForwardParts): Tensor {
  return leave(openGate(enter(x, groups, parts), parts), groups, parts);
}

/** Gate and values of each row, `[rows, 2 * width]`. */
function enter(x: Tensor, groups: ExpertGroups, { config, weights }: FeedForwardParts): Tensor {
  const both = weights.linear(x, groups.gateUp);
  return config.experts!.biases ? add(both, weights.vector(groups.gateUpBias)) : both;
}

/** The values that the gate lets through, `[rows, width]`. */
function openGate(both: Tensor, { config, width }: FeedForwardParts): Tensor {
  if (config.experts!.gate === "gpt-oss") return clampedGate(both, width);
  const [gate, up] = split(both, [width, width], -1);
  return multiply(activate(gate!, config.activation), up!);
}

function leave(inner: Tensor, groups: ExpertGroups, parts: FeedForwardParts): Tensor {
  const down = parts.weights.linear(inner, groups.down);
  if (!parts.config.experts!.biases) return down;
  return add(down, parts.weights.vector(groups.downBias));
}

/** gpt-oss, whose columns alternate between gate and up. Its limits do not depend on the config. */
function clampedGate(both: Tensor, width: number): Tensor {
  const rows = both.shape[0]!;
  const [even, odd] = split(reshape(both, [rows, width, 2]), [1, 1], -1);
  const gate = minimum(reshape(even!, [rows, width]), 7);
  const up = clamp(reshape(odd!, [rows, width]), -7, 7);
  return multiply(multiply(gate, sigmoid(multiply(gate, 1.702))), add(up, 1));
}
