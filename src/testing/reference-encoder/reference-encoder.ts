/**
 * Encoders in float64, plainly, as oracles: each family written from its `modeling_*.py` in transformers 5.18.0. A
 * weight comes into being when the program first asks for it, so names and shapes are the program's own.
 */
import { createRandom } from "../../core/index.ts";
import { activate } from "../reference-activation.ts";
import { add, layerNorm, multiply, softmax } from "../reference-arithmetic.ts";

type Vector = Float64Array;
type Activation = Parameters<typeof activate>[1];

/** Random weights by name, rounded to single precision. */
export class ReferenceWeights {
  readonly tensors: Map<string, { shape: number[]; data: Float32Array }> = new Map();
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** A tensor, drawn when it is first asked for. */
  get(name: string, ...shape: number[]): Vector {
    let known = this.tensors.get(name);
    if (known === undefined) {
      const random = createRandom(this.#seed, "weight", name);
      const isNorm = shape.length === 1 && /(weight|gamma)$/.test(name);
      const scale =
        shape.length === 1 ? 0.3 : /embeddings/.test(name) ? 0.8 : 1.5 / Math.sqrt(shape[1]!);
      const size = shape.reduce((a, b) => a * b, 1);
      const data = Float32Array.from(
        { length: size },
        () => (isNorm ? 1 : 0) + scale * random.normal(),
      );
      known = { shape, data };
      this.tensors.set(name, known);
    }
    return Float64Array.from(known.data);
  }
}

/** Names of one layer, without `.weight` and `.bias`. */
interface LayerPlan {
  /** One name for each of q, k, v; or one for all three. */
  readonly qkv: readonly string[];
  readonly output: string;
  readonly attentionNorm: string | null;
  /** One name; gated ones: the gate, then the factor, or one for both. */
  readonly up: readonly string[];
  readonly down: string;
  readonly outputNorm: string;
  readonly window?: number;
  readonly ropeTheta?: number;
}

/** An encoder as its modeling file computes it. */
export interface EncoderPlan {
  readonly hidden: number;
  readonly inner: number;
  readonly heads: number;
  readonly epsilon: number;
  readonly activation: Activation;
  readonly gated?: boolean;
  readonly biases: {
    readonly qkv: boolean;
    readonly output: boolean;
    readonly mlp: boolean;
    readonly norm: boolean;
  };
  readonly pre?: boolean;
  readonly finalNorm?: string;
  readonly layers: readonly LayerPlan[];
  /** Embeddings of a text, normed and projected. */
  embed(weights: ReferenceWeights, ids: readonly number[], types: readonly number[]): Vector[];
  /** Added to the score of query i for key j. */
  readonly bias?: (weights: ReferenceWeights, head: number, i: number, j: number) => number;
  readonly disentangled?: Disentangled;
  /** From the first layer's inputs and outputs to what the second one reads. */
  behindFirst?(weights: ReferenceWeights, inputs: Vector[], outputs: Vector[]): Vector[];
}

/** DeBERTa's relative attention. */
export interface Disentangled {
  readonly kinds: readonly ("c2p" | "p2c")[];
  readonly span: number;
  /** Rows of distances: where distance i - j stands, before it is clamped. */
  readonly bucket: (distance: number) => number;
  readonly shared: boolean;
  readonly norm: string | null;
  readonly table: string;
}

const row = (table: Vector, at: number, width: number): Vector =>
  table.subarray(at * width, (at + 1) * width);

/** `nn.Linear`. */
export function linear(
  weights: ReferenceWeights,
  name: string,
  x: Vector,
  outputs: number,
  biased: boolean,
): Vector {
  const matrix = weights.get(`${name}.weight`, outputs, x.length);
  return multiply(matrix, x, biased ? weights.get(`${name}.bias`, outputs) : null);
}

/** `nn.LayerNorm`, with or without a bias. */
export function norm(
  weights: ReferenceWeights,
  name: string,
  x: Vector,
  epsilon: number,
  biased = true,
): Vector {
  const scale = weights.get(`${name}.weight`, x.length);
  const shift = biased ? weights.get(`${name}.bias`, x.length) : new Float64Array(x.length);
  return layerNorm(x, scale, shift, epsilon);
}

/** Row of a table of embeddings. */
export function embedding(
  weights: ReferenceWeights,
  name: string,
  at: number,
  rows: number,
  width: number,
): Vector {
  return row(weights.get(`${name}.weight`, rows, width), at, width);
}

/** Hidden states of the last layer. */
export function encodeReference(
  plan: EncoderPlan,
  weights: ReferenceWeights,
  ids: readonly number[],
  types: readonly number[] = ids.map(() => 0),
): Vector[] {
  const { epsilon, biases, pre = false } = plan;
  const normed = (name: string, x: Vector): Vector => norm(weights, name, x, epsilon, biases.norm);
  let states = plan.embed(weights, ids, types);
  for (const [index, layer] of plan.layers.entries()) {
    const { attentionNorm, outputNorm } = layer;
    const inputs = states;
    const read = states.map((x) => (pre && attentionNorm !== null ? normed(attentionNorm, x) : x));
    const attended = attend(plan, weights, index, read);
    const middle = states.map((x, at) => {
      const sum = add(x, attended[at]!);
      return pre ? sum : normed(attentionNorm!, sum);
    });
    states = middle.map((x) => {
      const sum = add(x, feedForward(plan, weights, layer, pre ? normed(outputNorm, x) : x));
      return pre ? sum : normed(outputNorm, sum);
    });
    if (index === 0 && plan.behindFirst) states = plan.behindFirst(weights, inputs, states);
  }
  return plan.finalNorm === undefined ? states : states.map((x) => normed(plan.finalNorm!, x));
}

function feedForward(
  plan: EncoderPlan,
  weights: ReferenceWeights,
  layer: LayerPlan,
  x: Vector,
): Vector {
  const { inner, hidden, activation, biases, gated = false } = plan;
  const size = ((gated ? 2 : 1) * inner) / layer.up.length;
  const raised = layer.up.flatMap((name) => [...linear(weights, name, x, size, biases.mlp)]);
  const active = raised.slice(0, inner).map((value) => activate(value, activation));
  const product = gated ? active.map((value, at) => value * raised[inner + at]!) : active;
  return linear(weights, layer.down, Float64Array.from(product), hidden, biases.mlp);
}

function attend(
  plan: EncoderPlan,
  weights: ReferenceWeights,
  index: number,
  states: Vector[],
): Vector[] {
  const { hidden, heads, biases } = plan;
  const layer = plan.layers[index]!;
  const width = hidden / heads;
  const joined = states.map((x) =>
    Float64Array.from(
      layer.qkv.flatMap((name) => [
        ...linear(weights, name, x, (3 * hidden) / layer.qkv.length, biases.qkv),
      ]),
    ),
  );
  const part = (at: number, kind: number, head: number): Vector => {
    const own = joined[at]!.slice(kind * hidden + head * width, kind * hidden + (head + 1) * width);
    const isTurned = layer.ropeTheta !== undefined && kind < 2;
    return isTurned ? turn(own, at, layer.ropeTheta!) : own;
  };
  const outputs = states.map(() => new Float64Array(hidden));
  for (let head = 0; head < heads; head++) {
    const positional = plan.disentangled && distanceParts(plan, weights, layer, head);
    for (const i of states.keys()) {
      const query = part(i, 0, head);
      const scores = states.map((_, j) => {
        if (layer.window !== undefined && Math.abs(i - j) > layer.window)
          return Number.NEGATIVE_INFINITY;
        const key = part(j, 1, head);
        const parts = 1 + (plan.disentangled?.kinds.length ?? 0);
        let score = dot(query, key) / Math.sqrt(width * parts);
        if (positional) score += positional(query, key, i, j) / Math.sqrt(width * parts);
        return score + (plan.bias?.(weights, head, i, j) ?? 0);
      });
      for (const [j, weight] of softmax(Float64Array.from(scores)).entries()) {
        const value = part(j, 2, head);
        for (let at = 0; at < width; at++) outputs[i]![head * width + at]! += weight * value[at]!;
      }
    }
  }
  return outputs.map((x) => linear(weights, layer.output, x, hidden, biases.output));
}

/** c2p and p2c of `DisentangledSelfAttention.disentangled_attention_bias`, before the division. */
function distanceParts(
  plan: EncoderPlan,
  weights: ReferenceWeights,
  { qkv }: LayerPlan,
  head: number,
): (query: Vector, key: Vector, i: number, j: number) => number {
  const { kinds, span, bucket, shared, norm: normName, table } = plan.disentangled!;
  const { hidden, heads, epsilon } = plan;
  const width = hidden / heads;
  const own = qkv[0]!.replace(/query_proj$/, "");
  const vectorOf = (name: string, at: number): Vector => {
    const plain = embedding(weights, table, at, 2 * span, hidden);
    const x = normName === null ? plain : norm(weights, normName, plain, epsilon);
    return linear(weights, name, x, hidden, true).slice(head * width, (head + 1) * width);
  };
  const clamp = (value: number): number => Math.min(2 * span - 1, Math.max(0, value));
  return (query, key, i, j) => {
    let sum = 0;
    if (kinds.includes("c2p")) {
      const at = clamp(bucket(i - j) + span);
      sum += dot(query, vectorOf(shared ? qkv[1]! : `${own}pos_key_proj`, at));
    }
    if (kinds.includes("p2c")) {
      const at = clamp(-bucket(j - i) + span);
      sum += dot(key, vectorOf(shared ? qkv[0]! : `${own}pos_query_proj`, at));
    }
    return sum;
  };
}

function dot(a: Vector, b: Vector): number {
  return a.reduce((sum, value, at) => sum + value * b[at]!, 0);
}

/** Rotary positions: dimension i turns with dimension i + half. */
function turn(x: Vector, position: number, theta: number): Vector {
  const half = x.length / 2;
  return x.map((_, at) => {
    const pair = at % half;
    const angle = position * theta ** (-pair / half);
    const [a, b] = [x[pair]!, x[pair + half]!];
    return at < half
      ? a * Math.cos(angle) - b * Math.sin(angle)
      : b * Math.cos(angle) + a * Math.sin(angle);
  });
}
