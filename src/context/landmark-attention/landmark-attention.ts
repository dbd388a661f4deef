/**
 * Landmark attention (Mohtashami and Jaggi, 2023) by its name: how a model that was trained with landmark tokens
 * retrieves blocks of its cache. The attention itself belongs to the model: `model/landmark`.
 */
import {
  type ContextPolicy,
  createLandmarkPolicy,
  type LandmarkOptions,
  landmarkDefaults,
} from "../../model/index.ts";
import { definePolicy, type NamedPolicy } from "../policies/define-policy.ts";

const options = {
  // k, M and l_local of the paper.
  blocks: {
    kind: "integer",
    default: landmarkDefaults.blocks,
    min: 0,
    help: "blocks that are retrieved; 0: none, the chunk alone",
  },
  mode: {
    kind: "choice",
    default: landmarkDefaults.mode,
    choices: ["perTokenAndHead", "maxOverHeads", "maxOverTokens"],
    help: "each token and head retrieves for itself, or the heads of a token or the tokens of a pass together",
  },
  capacity: {
    kind: "integer",
    default: landmarkDefaults.capacity,
    min: 0,
    help: "latest complete blocks that may be retrieved; 0: all",
  },
  chunk: {
    kind: "integer",
    default: landmarkDefaults.chunk,
    min: 0,
    help: "prompt tokens that see each other besides what they retrieve; 0: as many as the trained window holds",
  },
} as const;

const defined = definePolicy({
  name: "landmark",
  summary: "blocks that a model trained with landmark tokens opens through them",
  module: import.meta.url,
  createProgram: createLandmarkPolicy(landmarkDefaults).createProgram,
  options,
});

/** The policy by its name. */
export const landmarkPolicy: NamedPolicy = {
  ...defined,
  create: (given) =>
    createLandmarkPolicy(defined.create(given).options as unknown as LandmarkOptions),
};

/** Attention to the blocks that each row retrieves; needs a model with landmarks (`mem_freq`). */
export function landmarkAttention(given: Partial<LandmarkOptions> = {}): ContextPolicy {
  return landmarkPolicy.create(given as Parameters<NamedPolicy["create"]>[0]);
}
