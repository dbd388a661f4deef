/** What the training of a Monarch Mixer encoder differs in: first values, and rates of the kernels' networks. */
import { createRandom } from "../../core/index.ts";
import type { EncoderConfig, MixerConfig } from "../../model/index.ts";
import type { ParameterValue } from "../graph/parameters.ts";
import { decayMatricesOnly, type ParameterGroup, type Transform } from "../optimizer/optimizer.ts";
import type { Schedule } from "../optimizer/schedule.ts";

/** Slowest and fastest decay of a kernel: a hundredth is left after this share of its length. */
const slowest = 1.5;
const fastest = 0.3;

/** The least frequency of the positional features. */
const leastFrequency = 1e-4;

/**
 * Writes the first values of the parameters that are no plain matrices: positions and their features, frequencies,
 * decays, and what torch draws for dense layers and convolutions.
 *
 * @param values all parameters, normal or zero so far
 */
export function initializeMixer(
  config: EncoderConfig,
  values: ReadonlyMap<string, ParameterValue>,
  seed: number,
): void {
  const mixer = config.mixer!;
  for (const [name, { shape, data }] of values) {
    const last = shape.at(-1)!;
    const uniform = (bound: number): void => {
      const random = createRandom(seed, "initialize", name);
      for (let at = 0; at < data.length; at++) data[at] = bound * (2 * random.uniform() - 1);
    };
    if (name.endsWith(".pos_emb.z")) data.set(positionFeatures(mixer));
    else if (name.endsWith(".pos_emb.t")) data.set(times(mixer));
    else if (name.endsWith(".freq")) data.fill(mixer.training.frequency);
    else if (name.endsWith(".modulation.deltas")) data.set(decayRates(config.hiddenSize));
    else if (/filter_fn2?\.bias$/.test(name))
      fillNormal(data, createRandom(seed, "initialize", name));
    // Kaiming-uniform with a = √5 has the bound 1 / √inputs, for the matrix as for the bias.
    else if (/\.implicit_filter(_rev)?\.\d\.weight$/.test(name)) uniform(1 / Math.sqrt(last));
    else if (/\.implicit_filter(_rev)?\.\d\.bias$/.test(name)) {
      const inputs = values.get(name.replace(/bias$/, "weight"))?.shape.at(-1) ?? 1;
      uniform(1 / Math.sqrt(inputs));
    } else if (/\.short_filter\.(weight|bias)$/.test(name)) uniform(1 / Math.sqrt(3));
    // The bound of the dense shape, times the root of how many elements that has for each one here.
    else if (shape.length === 3 && /\.(gated_layers|wo)\.weight$/.test(name)) {
      uniform(1 / Math.sqrt(last));
    }
  }
}

function fillNormal(data: Float32Array, random: { normal(): number }): void {
  for (let at = 0; at < data.length; at++) data[at] = random.normal();
}

/** `[kernelLength]`: from 0 to 1. */
export function times({ kernelLength }: Pick<MixerConfig, "kernelLength">): Float32Array {
  return Float32Array.from({ length: kernelLength }, (_, n) => n / Math.max(1, kernelLength - 1));
}

/** `[kernelLength, features]`: the time, cosines of all frequencies, and then their sines with a minus. */
export function positionFeatures({
  kernelLength,
  positionFeatures: width,
}: Pick<MixerConfig, "kernelLength" | "positionFeatures">): Float32Array {
  const bands = (width - 1) / 2;
  const features = new Float32Array(kernelLength * width);
  const t = times({ kernelLength });
  for (let n = 0; n < kernelLength; n++) {
    features[n * width] = t[n]!;
    for (let band = 0; band < bands; band++) {
      const share = bands === 1 ? 0 : band / (bands - 1);
      const frequency = leastFrequency + share * (bands - 1 - leastFrequency);
      const angle = (frequency * 2 * Math.PI * n) / kernelLength;
      features[n * width + 1 + band] = Math.cos(angle);
      features[n * width + 1 + bands + band] = -Math.sin(angle);
    }
  }
  return features;
}

/** `[channels]`: negative rates, evenly from the slowest to the fastest. */
export function decayRates(channels: number): Float32Array {
  const [from, to] = [Math.log(0.01) / slowest, Math.log(0.01) / fastest];
  return Float32Array.from({ length: channels }, (_, at) =>
    channels === 1 ? from : from + (at / (channels - 1)) * (to - from),
  );
}

/**
 * Optimizer settings by parameter: the kernels' networks and the features of positions learn at rates of their own,
 * which the schedule scales as it does the others.
 *
 * @param settings the run's: its peak rate and its weight decay are what the factors stand on
 */
export function encoderGroups(
  config: EncoderConfig,
  settings: { readonly schedule: Schedule; readonly optimizer: readonly Transform[] },
): (name: string, shape: readonly number[]) => ParameterGroup {
  const { mixer } = config;
  if (mixer === undefined) return decayMatricesOnly;
  const { kernelRate, kernelDecay, positionRate } = mixer.training;
  const { peak } = settings.schedule;
  const decay = settings.optimizer.reduce(
    (sum, transform) => sum + (transform.kind === "add-weight-decay" ? transform.decay : 0),
    0,
  );
  const rate = (own: number): number => (peak > 0 ? own / peak : 0);
  return (name, shape) => {
    if (name.endsWith(".pos_emb.z")) return { rateFactor: rate(positionRate), decayFactor: 0 };
    if (!/\.implicit_filter(_rev)?\./.test(name)) return decayMatricesOnly(name, shape);
    return { rateFactor: rate(kernelRate), decayFactor: decay > 0 ? kernelDecay / decay : 0 };
  };
}

/** Whether a parameter belongs to a kernel: half precision would move what its sines make of it. */
export function isKernelParameter(name: string): boolean {
  return /\.filter_fn2?\./.test(name);
}

/**
 * A stored value for texts a whole number of times as long, as 32k models begin with the weights of 8k models: rows of
 * the tables of positions and of their features repeat, and times are divided anew.
 *
 * @param shape that the parameter has now
 * @returns the value as it is where it is no such table, or where the lengths do not divide
 */
export function stretchMixerValue(
  name: string,
  value: ParameterValue,
  shape: readonly number[],
): ParameterValue {
  const isTable = /(^|\.)position_embeddings\.weight$|\.pos_emb\.z$/.test(name);
  const isTime = name.endsWith(".pos_emb.t");
  const axis = name.endsWith("position_embeddings.weight") ? 0 : 1;
  const [from, to] = [value.shape[axis]!, shape[axis]!];
  if (!(isTable || isTime) || from === to || to % from !== 0) return value;
  if (isTime) return { shape, data: times({ kernelLength: to }) };
  const data = new Float32Array((value.data.length / from) * to);
  for (let at = 0; at < data.length; at += value.data.length) data.set(value.data, at);
  return { shape, data };
}
