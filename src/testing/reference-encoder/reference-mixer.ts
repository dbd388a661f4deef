/**
 * Monarch Mixer encoders in float64, plainly, as an oracle: written from `bert/src/bert_layers.py`,
 * `mm/monarch_mixer_sequence_mixer.py` and `mm/hyena_utils.py` of HazyResearch/m2, every convolution as a direct sum.
 */
import { activate } from "../reference-activation.ts";
import { add, layerNorm, multiply } from "../reference-arithmetic.ts";
import { embedding, linear, norm, type ReferenceWeights } from "./reference-encoder.ts";

type Vector = Float64Array;

/** The keys of a `config.json` that the program reads, all of them. */
export interface ReferenceMixerConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly intermediate_size: number;
  readonly max_position_embeddings: number;
  readonly layer_norm_eps: number;
  readonly long_conv_l_max: number;
  readonly hyena_w_mod: number;
  readonly hyena_emb_dim: number;
  readonly hyena_filter_order: number;
  readonly hyena_training_additions: boolean;
  readonly bidirectional: boolean;
  readonly residual_long_conv: boolean;
  readonly use_glu_mlp: boolean;
  readonly use_monarch_mlp: boolean;
  readonly monarch_mlp_nblocks: number;
  readonly use_positional_encodings: boolean;
}

/** States of the last layer for some ids. */
export function encodeMixerReference(
  config: ReferenceMixerConfig,
  weights: ReferenceWeights,
  ids: readonly number[],
): Vector[] {
  const { hidden_size: width, vocab_size: rows, max_position_embeddings: positions } = config;
  let states = ids.map((id, at) => {
    const name = "bert.embeddings";
    let x = embedding(weights, `${name}.word_embeddings`, id, rows, width);
    x = add(x, embedding(weights, `${name}.token_type_embeddings`, 0, 2, width));
    if (config.use_positional_encodings) {
      x = add(x, embedding(weights, `${name}.position_embeddings`, at, positions, width));
    }
    return norm(weights, `${name}.LayerNorm`, x, config.layer_norm_eps);
  });
  for (let index = 0; index < config.num_hidden_layers; index++) {
    const layer = `bert.encoder.layer.${index}`;
    const mixed = mix(config, weights, `${layer}.attention`, states);
    states = mixed.map((x) => {
      const sum = add(x, feedForward(config, weights, `${layer}.mlp`, x));
      return norm(weights, `${layer}.mlp.layernorm`, sum, config.layer_norm_eps);
    });
  }
  return states;
}

function mix(
  config: ReferenceMixerConfig,
  weights: ReferenceWeights,
  name: string,
  states: readonly Vector[],
): Vector[] {
  const { hidden_size: width } = config;
  const input = states.map((x) => {
    if (!config.hyena_training_additions) return x;
    const scale = weights.get(`${name}.layernorm.weight`, width);
    return layerNorm(x, scale, weights.get(`${name}.layernorm.bias`, width), 1e-5);
  });
  const projected = input.map((x) => linear(weights, `${name}.in_linear`, x, 3 * width, true));
  const taps = weights.get(`${name}.short_filter.weight`, 3 * width, 1, 3);
  const shift = weights.get(`${name}.short_filter.bias`, 3 * width);
  const short = projected.map((_, n) =>
    shift.map((bias, channel) =>
      [0, 1, 2].reduce((sum, tap) => {
        const seen = projected[n - 2 + tap]?.[channel] ?? 0;
        return sum + taps[3 * channel + tap]! * seen;
      }, bias),
    ),
  );
  const part = (x: Vector, at: number): Vector => x.slice(at * width, (at + 1) * width);
  const gated = short.map((x) => part(x, 2).map((value, at) => value * part(x, 0)[at]!));
  let mixed = convolve(config, weights, `${name}.filter_fn`, gated);
  mixed = mixed.map((y, n) => y.map((value, at) => value * part(short[n]!, 1)[at]!));
  if (config.residual_long_conv) {
    const second = convolve(config, weights, `${name}.filter_fn2`, input);
    mixed = mixed.map((y, n) => add(y, second[n]!));
  }
  return mixed.map((x) => linear(weights, `${name}.out_linear`, x, width, true));
}

function convolve(
  config: ReferenceMixerConfig,
  weights: ReferenceWeights,
  name: string,
  x: readonly Vector[],
): Vector[] {
  const width = config.hidden_size;
  const direct = weights.get(`${name}.bias`, width);
  const forward = kernel(config, weights, name, "implicit_filter", x.length);
  const backward = config.bidirectional
    ? kernel(config, weights, name, "implicit_filter_rev", x.length)
    : undefined;
  return x.map((own, n) =>
    own.map((value, channel) => {
      let sum = direct[channel]! * value;
      for (const [j, other] of x.entries()) {
        if (j <= n) sum += forward[n - j]![channel]! * other[channel]!;
        else if (backward) sum += backward[j - n - 1]![channel]! * other[channel]!;
      }
      return sum;
    }),
  );
}

function kernel(
  config: ReferenceMixerConfig,
  weights: ReferenceWeights,
  filter: string,
  network: string,
  length: number,
): Vector[] {
  const { hidden_size: width, long_conv_l_max: rows, hyena_filter_order: order } = config;
  const features = config.hyena_emb_dim;
  const z = weights.get(`${filter}.pos_emb.z`, 1, rows, features);
  const t = weights.get(`${filter}.pos_emb.t`, 1, rows, 1);
  const frequency = weights.get(`${filter}.implicit_filter.1.freq`, 1, order);
  const deltas = weights.get(`${filter}.modulation.deltas`, 1, 1, width);
  return Array.from({ length }, (_, n) => {
    let a = z.slice(n * features, (n + 1) * features);
    for (const module of [0, 2, 4]) {
      a = linear(weights, `${filter}.${network}.${module}`, a, order, true).map((value, at) =>
        Math.sin(config.hyena_w_mod * frequency[at]! * value),
      );
    }
    const last = multiply(weights.get(`${filter}.${network}.6.weight`, width, order), a, null);
    return last.map((value, channel) => value * Math.exp(-t[n]! * Math.abs(deltas[channel]!)));
  });
}

function feedForward(
  config: ReferenceMixerConfig,
  weights: ReferenceWeights,
  name: string,
  x: Vector,
): Vector {
  const { intermediate_size: inner, use_glu_mlp: gated } = config;
  const raised = blocks(config, weights, `${name}.gated_layers`, x, (gated ? 2 : 1) * inner);
  const active = raised.slice(0, inner).map((value) => activate(value, "gelu"));
  const product = gated ? active.map((value, at) => value * raised[inner + at]!) : active;
  const down = blocks(config, weights, `${name}.wo`, product, config.hidden_size);
  return add(down, weights.get(`${name}.wo.bias`, config.hidden_size));
}

/** Dense, or `BlockdiagLinear`: zeros behind the inputs and outputs cut where widths do not divide. */
function blocks(
  config: ReferenceMixerConfig,
  weights: ReferenceWeights,
  name: string,
  x: Vector,
  outputs: number,
): Vector {
  if (!config.use_monarch_mlp) {
    return multiply(weights.get(`${name}.weight`, outputs, x.length), x, null);
  }
  const count = config.monarch_mlp_nblocks;
  const [rows, columns] = [Math.ceil(outputs / count), Math.ceil(x.length / count)];
  const all = weights.get(`${name}.weight`, count, rows, columns);
  const whole = new Float64Array(count * columns);
  whole.set(x);
  const results = Array.from({ length: count }, (_, block) => {
    const matrix = all.slice(block * rows * columns, (block + 1) * rows * columns);
    return [...multiply(matrix, whole.slice(block * columns, (block + 1) * columns), null)];
  });
  return Float64Array.from(results.flat().slice(0, outputs));
}
