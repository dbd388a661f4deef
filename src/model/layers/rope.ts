/**
 * Frequencies of rotary position embeddings and their scalings: linear and dynamic (NTK) as in
 * transformers, llama3 (Llama 3.1), YaRN (Peng et al., 2023), longrope (Ding et al., 2024).
 */
import { JetonError } from "../../core/index.ts";
import type { RopeConfig } from "../decoder/config.ts";

/** Rotary frequencies of a layer, after scaling. */
export interface RopeFrequencies {
  /** Radians per position of each pair, `[rotaryDim / 2]`. */
  readonly frequencies: Float64Array;
  /** Factor of cosine and sine (so scores get its square). */
  readonly factor: number;
}

type Scaling = (rope: RopeConfig, length: number) => RopeFrequencies;

const scalings: Readonly<Record<RopeConfig["kind"], Scaling>> = {
  default: (rope) => ({ frequencies: powers(rope, rope.theta), factor: 1 }),

  linear(rope) {
    const factor = need(rope, "factor");
    const frequencies = powers(rope, rope.theta).map((frequency) => frequency / factor);
    return { frequencies, factor: 1 };
  },

  dynamic(rope, sequenceLength) {
    const { theta, rotaryDim: width, maxPositionEmbeddings } = rope;
    const length = Math.max(sequenceLength, maxPositionEmbeddings);
    const factor = need(rope, "factor");
    const stretch = (factor * length) / maxPositionEmbeddings - (factor - 1);
    return { frequencies: powers(rope, theta * stretch ** (width / (width - 2))), factor: 1 };
  },

  llama3(rope) {
    const factor = need(rope, "factor");
    const low = need(rope, "low_freq_factor");
    const high = need(rope, "high_freq_factor");
    const frequencies = powers(rope, rope.theta).map((frequency) => {
      const turns = (rope.originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
      // 0: interpolate fully, 1: keep.
      const keep = Math.min(1, Math.max(0, (turns - low) / (high - low)));
      return frequency * (keep + (1 - keep) / factor);
    });
    return { frequencies, factor: 1 };
  },

  yarn(rope) {
    const factor = option(rope, "factor") ?? contextRatio(rope);
    const magnitude = (weight: number): number =>
      factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;
    const mscale = option(rope, "mscale");
    const mscaleAll = option(rope, "mscale_all_dim");
    const attention =
      option(rope, "attention_factor") ??
      (mscale && mscaleAll ? magnitude(mscale) / magnitude(mscaleAll) : magnitude(1));
    const [low, high] = correctionRange(rope);
    const frequencies = powers(rope, rope.theta).map((frequency, pair) => {
      const stretch = Math.min(1, Math.max(0, (pair - low) / (high - low)));
      return frequency * (1 - stretch + stretch / factor);
    });
    return { frequencies, factor: attention };
  },

  longrope(rope, sequenceLength) {
    const { originalMaxPositionEmbeddings: original, rotaryDim, scaling, theta } = rope;
    const name = sequenceLength > original ? "long_factor" : "short_factor";
    const factors = scaling[name];
    if (!Array.isArray(factors) || factors.length !== rotaryDim / 2) {
      throw new JetonError(`config.json: ${name} must list ${rotaryDim / 2} numbers`, {
        code: "model-config-invalid",
        details: { name, value: factors },
      });
    }
    const ratio = option(rope, "factor") ?? contextRatio(rope);
    const attention =
      // PhiMoE states the factor of each range.
      option(rope, sequenceLength > original ? "long_mscale" : "short_mscale") ??
      option(rope, "attention_factor") ??
      (ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(original)));
    return {
      frequencies: powers(rope, theta).map((frequency, pair) => frequency / Number(factors[pair])),
      factor: attention,
    };
  },
};

/**
 * The frequencies for a token of a sequence of this length, counted up to the token itself. Only
 * `dynamic` and `longrope` depend on it.
 *
 * @throws JetonError `model-config-invalid` where a number of the scaling is missing
 */
export function ropeFrequencies(rope: RopeConfig, sequenceLength: number): RopeFrequencies {
  return scalings[rope.kind](rope, sequenceLength);
}

function powers({ rotaryDim }: RopeConfig, theta: number): Float64Array {
  return Float64Array.from({ length: rotaryDim / 2 }, (_, at) => theta ** ((-2 * at) / rotaryDim));
}

/** By how much the stated context exceeds that of the original training. */
function contextRatio(rope: RopeConfig): number {
  return rope.maxPositionEmbeddings / rope.originalMaxPositionEmbeddings;
}

/** Pairs between which YaRN goes from keeping frequencies to interpolating them. */
function correctionRange(rope: RopeConfig): [low: number, high: number] {
  const { originalMaxPositionEmbeddings: original, rotaryDim: width, scaling, theta } = rope;
  // The pair that makes so many turns over the original context.
  const pairOf = (turns: number): number =>
    (width * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  let low = pairOf(option(rope, "beta_fast") ?? 32);
  let high = pairOf(option(rope, "beta_slow") ?? 1);
  if (scaling["truncate"] !== false) {
    low = Math.floor(low);
    high = Math.ceil(high);
  }
  low = Math.max(low, 0);
  high = Math.min(high, width - 1);
  return [low, low === high ? high + 0.001 : high];
}

function option({ scaling }: RopeConfig, name: string): number | undefined {
  const value = scaling[name];
  return typeof value === "number" && value !== 0 ? value : undefined;
}

function need(rope: RopeConfig, name: string): number {
  const value = option(rope, name);
  if (value !== undefined) return value;
  throw new JetonError(
    `config.json: rope scaling "${rope.kind}" needs a number "${name}", got ${JSON.stringify(rope.scaling[name])}`,
    { code: "model-config-invalid", details: { name, value: rope.scaling[name] } },
  );
}
