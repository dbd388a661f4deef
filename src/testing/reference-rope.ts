/** Frequencies of rotations, one function for each type of `modeling_rope_utils.py`. */
import { JetonError } from "../core/index.ts";
import type { ReferenceRopePlan } from "./reference-plan.ts";

/** Angles per position, and the factor of cosine and sine. */
export interface ReferenceRope {
  /** `[rotaryDim / 2]`: radians per position. */
  readonly frequencies: Float64Array;
  readonly attentionFactor: number;
}

type RopeFunction = (plan: ReferenceRopePlan, sequenceLength: number) => ReferenceRope;

const ropeFunctions: Readonly<Record<string, RopeFunction>> = {
  // compute_default_rope_parameters of the models; multi-axis rotation equals it on text.
  default: (plan) => ({ frequencies: powers(plan, plan.theta), attentionFactor: 1 }),
  mrope: (plan) => ({ frequencies: powers(plan, plan.theta), attentionFactor: 1 }),

  // _compute_linear_scaling_rope_parameters
  linear(plan) {
    const factor = required(plan, "factor");
    const frequencies = powers(plan, plan.theta).map((frequency) => frequency / factor);
    return { frequencies, attentionFactor: 1 };
  },

  // _compute_dynamic_ntk_parameters
  dynamic(plan, sequenceLength) {
    const { theta, rotaryDim, maxPositionEmbeddings } = plan;
    const factor = required(plan, "factor");
    const length = Math.max(sequenceLength, maxPositionEmbeddings);
    const stretch = (factor * length) / maxPositionEmbeddings - (factor - 1);
    const base = theta * stretch ** (rotaryDim / (rotaryDim - 2));
    return { frequencies: powers(plan, base), attentionFactor: 1 };
  },

  // _compute_llama3_parameters
  llama3(plan) {
    const factor = required(plan, "factor");
    const lowFactor = required(plan, "low_freq_factor");
    const highFactor = required(plan, "high_freq_factor");
    const oldLength = plan.originalMaxPositionEmbeddings;
    const frequencies = powers(plan, plan.theta).map((frequency) => {
      const wavelength = (2 * Math.PI) / frequency;
      if (wavelength < oldLength / highFactor) return frequency;
      if (wavelength > oldLength / lowFactor) return frequency / factor;
      const smooth = (oldLength / wavelength - lowFactor) / (highFactor - lowFactor);
      return (1 - smooth) * (frequency / factor) + smooth * frequency;
    });
    return { frequencies, attentionFactor: 1 };
  },

  // _compute_yarn_parameters
  yarn(plan) {
    const { theta, rotaryDim: dim, originalMaxPositionEmbeddings: original } = plan;
    const factor = option(plan, "factor") ?? plan.maxPositionEmbeddings / original;
    const getScale = (mscale: number): number => {
      if (factor <= 1) return 1;
      return 0.1 * mscale * Math.log(factor) + 1;
    };
    const mscale = option(plan, "mscale") ?? 0;
    const mscaleAllDim = option(plan, "mscale_all_dim") ?? 0;
    let attentionFactor = getScale(1);
    if (mscale !== 0 && mscaleAllDim !== 0) {
      attentionFactor = getScale(mscale) / getScale(mscaleAllDim);
    }
    attentionFactor = option(plan, "attention_factor") ?? attentionFactor;
    // find_correction_dim: the (fractional) dimension that makes so many turns over the original length.
    const correctionDim = (turns: number): number =>
      (dim * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
    let low = correctionDim(option(plan, "beta_fast") || 32);
    let high = correctionDim(option(plan, "beta_slow") || 1);
    if (plan.scaling["truncate"] !== false) {
      low = Math.floor(low);
      high = Math.ceil(high);
    }
    low = Math.max(low, 0);
    high = Math.min(high, dim - 1);
    if (low === high) high += 0.001;
    const frequencies = powers(plan, theta).map((frequency, index) => {
      const ramp = Math.min(1, Math.max(0, (index - low) / (high - low)));
      return (frequency / factor) * ramp + frequency * (1 - ramp);
    });
    return { frequencies, attentionFactor };
  },

  // _compute_longrope_parameters
  longrope(plan, sequenceLength) {
    const { maxPositionEmbeddings, originalMaxPositionEmbeddings: original, theta } = plan;
    const factor = option(plan, "factor") ?? maxPositionEmbeddings / original;
    let attentionFactor = 1;
    if (factor > 1) attentionFactor = Math.sqrt(1 + Math.log(factor) / Math.log(original));
    attentionFactor = option(plan, "attention_factor") ?? attentionFactor;
    let name = "short_factor";
    // PhimoeRotaryEmbedding.forward: mscale replaces the attention scaling.
    let mscale = option(plan, "short_mscale");
    if (sequenceLength > original) {
      name = "long_factor";
      mscale = option(plan, "long_mscale");
    }
    attentionFactor = mscale ?? attentionFactor;
    const factors = plan.scaling[name];
    if (!Array.isArray(factors) || factors.length !== plan.rotaryDim / 2) {
      throw new JetonError(`${name} must list ${plan.rotaryDim / 2} numbers`, {
        code: "reference-config",
        details: { name, value: factors },
      });
    }
    const frequencies = powers(plan, theta).map((f, index) => f / Number(factors[index]));
    return { frequencies, attentionFactor };
  },
};

/**
 * Frequencies of a rotation for a sequence of the given length, which `dynamic` and `longrope` depend on.
 * Error: `reference-config`.
 */
export function referenceRope(plan: ReferenceRopePlan, sequenceLength: number): ReferenceRope {
  const compute = ropeFunctions[plan.type];
  if (compute === undefined) {
    throw new JetonError(`rope type ${plan.type} is not known`, {
      code: "reference-config",
      details: { type: plan.type },
    });
  }
  return compute(plan, sequenceLength);
}

function powers({ rotaryDim }: ReferenceRopePlan, base: number): Float64Array {
  return Float64Array.from({ length: rotaryDim / 2 }, (_, i) => 1 / base ** ((2 * i) / rotaryDim));
}

function option({ scaling }: ReferenceRopePlan, name: string): number | null {
  const value = scaling[name];
  if (typeof value === "number") return value;
  return null;
}

function required(plan: ReferenceRopePlan, name: string): number {
  const value = option(plan, name);
  if (value !== null) return value;
  throw new JetonError(`rope type ${plan.type} needs ${name}`, {
    code: "reference-config",
    details: { name, type: plan.type },
  });
}
