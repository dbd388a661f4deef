/**
 * The experts of a layer in float64, as plain loops: one token, one expert after the other.
 *
 * Written from the files of Hugging Face transformers 5.18.0 named at each step, in eager mode.
 */
import { activate } from "./reference-activation.ts";
import { multiply, softmax } from "./reference-arithmetic.ts";
import type { ReferencePlan } from "./reference-plan.ts";

/** What the experts of one token gave. */
export interface ReferenceMixture {
  readonly output: Float64Array;
  /** Chosen experts, best first, and their weights. */
  readonly choices: number[];
  readonly weights: number[];
}

/** Reads a parameter and checks its shape. */
export type ReadParameter = (name: string, ...shape: number[]) => Float64Array;

type Experts = NonNullable<ReferencePlan["experts"]>;

/** The sparse feed-forward of one layer for one token. */
export function referenceExperts(
  plan: ReferencePlan,
  layer: number,
  x: Float64Array,
  read: ReadParameter,
): ReferenceMixture {
  const experts = plan.experts!;
  const names = namesOf(experts, `model.layers.${layer}`);
  const router = read(`${names.router}.weight`, experts.count, x.length);
  const bias = experts.biases ? read(`${names.router}.bias`, experts.count) : null;
  const logits = multiply(router, x, bias);
  const { choices, weights } = route(experts, logits);
  const output = new Float64Array(x.length);
  for (const [rank, expert] of choices.entries()) {
    addInto(output, runExpert(plan, expert, names.of, x, read), weights[rank]!);
  }
  if (experts.sharedWidth !== null) {
    // Qwen2MoeSparseMoeBlock: sigmoid(shared_expert_gate(x)) * shared_expert(x)
    const prefix = `model.layers.${layer}.mlp`;
    const gate = experts.sharedUngated
      ? Number.POSITIVE_INFINITY
      : multiply(read(`${prefix}.shared_expert_gate.weight`, 1, x.length), x, null)[0]!;
    const shared =
      experts.layout === "stacked"
        ? graniteShared(plan, x, experts.sharedWidth, read, `model.layers.${layer}.shared_mlp`)
        : gated(plan, x, {
            gate: read(`${prefix}.shared_expert.gate_proj.weight`, experts.sharedWidth, x.length),
            up: read(`${prefix}.shared_expert.up_proj.weight`, experts.sharedWidth, x.length),
            down: read(`${prefix}.shared_expert.down_proj.weight`, x.length, experts.sharedWidth),
          });
    addInto(output, shared, 1 / (1 + Math.exp(-gate)));
  }
  return { output, choices, weights };
}

/** GraniteMoeSharedMLP: input_linear(x).chunk(2), activation(first) * second, output_linear */
function graniteShared(
  plan: ReferencePlan,
  x: Float64Array,
  width: number,
  read: ReadParameter,
  prefix: string,
): Float64Array {
  const both = read(`${prefix}.input_linear.weight`, 2 * width, x.length);
  return gated(plan, x, {
    gate: both.subarray(0, width * x.length),
    up: both.subarray(width * x.length),
    down: read(`${prefix}.output_linear.weight`, x.length, width),
  });
}

function namesOf({ layout }: Experts, prefix: string): { router: string; of: string } {
  switch (layout) {
    case "w1-w2-w3":
      return { router: `${prefix}.block_sparse_moe.gate`, of: `${prefix}.block_sparse_moe` };
    case "projections":
      return { router: `${prefix}.mlp.gate`, of: `${prefix}.mlp` };
    case "stacked":
      return {
        router: `${prefix}.block_sparse_moe.router.layer`,
        of: `${prefix}.block_sparse_moe`,
      };
    case "interleaved":
    case "mxfp4":
      return { router: `${prefix}.mlp.router`, of: `${prefix}.mlp.experts` };
  }
}

function route(experts: Experts, logits: Float64Array): { choices: number[]; weights: number[] } {
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
  const choices = order.slice(0, experts.perToken);
  switch (experts.router) {
    case "softmax": {
      // OlmoeTopKRouter, Qwen3MoeTopKRouter: softmax over all; norm_topk_prob divides by their sum.
      const all = softmax(logits);
      const chosen = choices.map((expert) => all[expert]!);
      const total = experts.normalized ? chosen.reduce((a, b) => a + b, 0) : 1;
      return { choices, weights: chosen.map((weight) => weight / total) };
    }
    case "softmax-of-chosen":
      // GraniteMoeTopKGating, GptOssTopKRouter
      return { choices, weights: [...softmax(Float64Array.from(choices, (at) => logits[at]!))] };
    case "sparsemixer":
      return sparsemixer(logits, experts.jitter);
  }
}

/** modeling_phimoe.py: sparsemixer in evaluation mode. */
function sparsemixer(
  scores: Float64Array,
  jitter: number,
): { choices: number[]; weights: number[] } {
  const best = (values: Float64Array): number => values.indexOf(Math.max(...values));
  const kept = (values: Float64Array, threshold: number): Float64Array =>
    values.map((value, expert) => {
      const score = scores[expert]!;
      const factor = Math.max(Math.abs(score), threshold);
      return (threshold - score) / factor > 2 * jitter ? Number.NEGATIVE_INFINITY : value;
    });
  const first = best(scores);
  const firstWeight = softmax(kept(scores, scores[first]!))[first]!;
  const rest = scores.map((score, expert) => (expert === first ? Number.NEGATIVE_INFINITY : score));
  const second = best(rest);
  const secondWeight = softmax(kept(rest, scores[second]!))[second]!;
  return { choices: [first, second], weights: [firstWeight, secondWeight] };
}

function runExpert(
  plan: ReferencePlan,
  expert: number,
  of: string,
  x: Float64Array,
  read: ReadParameter,
): Float64Array {
  const { layout, count, width } = plan.experts!;
  const inputs = x.length;
  switch (layout) {
    case "w1-w2-w3":
      // MixtralBlockSparseTop2MLP: w2(act(w1 x) * w3 x)
      return gated(plan, x, {
        gate: read(`${of}.experts.${expert}.w1.weight`, width, inputs),
        up: read(`${of}.experts.${expert}.w3.weight`, width, inputs),
        down: read(`${of}.experts.${expert}.w2.weight`, inputs, width),
      });
    case "projections":
      return gated(plan, x, {
        gate: read(`${of}.experts.${expert}.gate_proj.weight`, width, inputs),
        up: read(`${of}.experts.${expert}.up_proj.weight`, width, inputs),
        down: read(`${of}.experts.${expert}.down_proj.weight`, inputs, width),
      });
    case "stacked": {
      // GraniteMoeParallelExperts: weight[expert] of [experts, out, in]; chunk(2): activation(first) * second
      const both = read(`${of}.input_linear.weight`, count, 2 * width, inputs);
      const start = expert * 2 * width * inputs;
      const middle = start + width * inputs;
      const output = read(`${of}.output_linear.weight`, count, inputs, width);
      return gated(plan, x, {
        gate: both.subarray(start, middle),
        up: both.subarray(middle, middle + width * inputs),
        down: output.subarray(expert * inputs * width, (expert + 1) * inputs * width),
      });
    }
    case "interleaved":
    case "mxfp4":
      return clamped(plan, expert, of, x, read);
  }
}

/** GptOssExperts: gate and up alternate; weights `[experts, in, out]`, or MXFP4 blocks `[experts, out, in]`. */
function clamped(
  plan: ReferencePlan,
  expert: number,
  of: string,
  x: Float64Array,
  read: ReadParameter,
): Float64Array {
  const { width } = plan.experts!;
  const project = (name: string, input: Float64Array, outputs: number): Float64Array => {
    const { count, layout } = plan.experts!;
    const inputs = input.length;
    const bias = read(`${of}.${name}_bias`, count, outputs);
    const result = bias.slice(expert * outputs, (expert + 1) * outputs);
    if (layout === "mxfp4") {
      const blocks = read(`${of}.${name}_blocks`, count, outputs, inputs / 32, 16);
      const scales = read(`${of}.${name}_scales`, count, outputs, inputs / 32);
      const start = expert * outputs * inputs;
      for (let o = 0; o < outputs; o++) {
        for (let i = 0; i < inputs; i++) {
          const at = start + o * inputs + i;
          const byte = blocks[Math.floor(at / 2)]!;
          const code = at % 2 === 0 ? byte % 16 : Math.floor(byte / 16);
          result[o]! += e2m1[code]! * 2 ** (scales[Math.floor(at / 32)]! - 127) * input[i]!;
        }
      }
      return result;
    }
    const weight = read(`${of}.${name}`, count, inputs, outputs);
    for (let i = 0; i < inputs; i++) {
      for (let o = 0; o < outputs; o++) {
        result[o]! += weight[(expert * inputs + i) * outputs + o]! * input[i]!;
      }
    }
    return result;
  };
  const both = project("gate_up_proj", x, 2 * width);
  const inner = Float64Array.from({ length: width }, (_, at) => {
    const gate = Math.min(both[2 * at]!, 7);
    const up = Math.max(-7, Math.min(both[2 * at + 1]!, 7));
    return ((up + 1) * gate) / (1 + Math.exp(-1.702 * gate));
  });
  return project("down_proj", inner, x.length);
}

/** integrations/mxfp4.py: FP4_VALUES */
const e2m1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6];

function gated(
  plan: ReferencePlan,
  x: Float64Array,
  of: { gate: Float64Array; up: Float64Array; down: Float64Array },
): Float64Array {
  const up = multiply(of.up, x, null);
  const gate = multiply(of.gate, x, null);
  const inner = gate.map((value, i) => activate(value, plan.activation) * up[i]!);
  return multiply(of.down, inner, null);
}

function addInto(target: Float64Array, x: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i]! += factor * x[i]!;
}
