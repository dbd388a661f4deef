/** How landmark attention is asked for: its options, and the model that it needs. */
import { JetonError } from "../../core/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type { LandmarkConfig } from "./landmark-config.ts";

/** Which rows retrieve the same blocks. */
export type LandmarkMode = "perTokenAndHead" | "maxOverHeads" | "maxOverTokens";

/** Options of landmark attention, all of them. */
export interface LandmarkOptions {
  /** Blocks that are retrieved. */
  readonly blocks: number;
  readonly mode: LandmarkMode;
  /** Latest complete blocks that may be retrieved; 0: all. */
  readonly capacity: number;
  /** Prompt tokens that see each other besides what they retrieve; 0: as many as the trained window holds. */
  readonly chunk: number;
}

/** Options with the block of the model. */
export interface LandmarkSettings extends LandmarkOptions {
  /** Normal tokens of a block. */
  readonly block: number;
  /**
   * What decides instead of the scores of landmarks, `[heads, time, candidates]`: for controls that choose blocks
   * otherwise. Default: the scores.
   */
  rescore?(scores: Tensor, layer: number): Tensor;
}

/** Options of `landmark` that are not given. */
export const landmarkDefaults: LandmarkOptions = {
  blocks: 4,
  mode: "perTokenAndHead",
  capacity: 0,
  chunk: 0,
};

/** The policy's name. */
export const landmarkName = "landmark";

/**
 * Landmark attention of a model.
 *
 * @throws JetonError `context-policy-unavailable`
 */
export function needLandmarks({
  landmark,
  family,
}: Pick<DecoderConfig, "landmark" | "family">): LandmarkConfig {
  if (landmark) return landmark;
  throw new JetonError(
    `${landmarkName}: this ${family} model was not trained with landmark tokens (config.json has no mem_freq)`,
    {
      code: "context-policy-unavailable",
      details: { policy: landmarkName, family, expected: "mem_freq" },
    },
  );
}
