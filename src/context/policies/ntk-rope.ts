/** NTK-scaled rotary positions: full attention with a larger base, so that positions up to a multiple look trained. */
import {
  type ContextPolicy,
  type DecoderConfig,
  type PolicyOptions,
  type PolicyProgram,
  type RopeConfig,
  refuseLearnedPositions,
  refuseScaledRotations,
} from "../../model/index.ts";
import { definePolicy, type NamedPolicy, type PolicyOptionValues } from "./define-policy.ts";

const options = {
  scale: {
    kind: "number",
    default: 4,
    min: 1,
    help: "by how much the trained context is stretched",
  },
} as const;

/** Options of `ntkRope`. */
export type NtkRopeOptions = Partial<PolicyOptionValues<typeof options>>;

/** The policy by its name. */
export const ntkRopePolicy: NamedPolicy = definePolicy({
  name: "ntk",
  summary: "all tokens, with rotary positions stretched by a larger base",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  showsAttended: false,
});

/** Full attention with the base b · scale^(D / (D - 2)), D the rotated width (default scale 4). */
export function ntkRope(given: NtkRopeOptions = {}): ContextPolicy {
  return ntkRopePolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const { scale } = given as PolicyOptionValues<typeof options>;
  return {
    adapt(config: DecoderConfig): DecoderConfig {
      refuseScaledRotations("ntk", config);
      refuseLearnedPositions("ntk", config);
      const stretch = (rope: RopeConfig): RopeConfig => {
        const { theta, rotaryDim: width } = rope;
        return { ...rope, theta: theta * scale ** (width / (width - 2)) };
      };
      return { ...config, ropes: config.ropes.map(stretch) };
    },
  };
}
