/** Landmark attention as a context policy: what a caller names, and how a model with landmarks is run by default. */
import { JetonError } from "../../core/index.ts";
import type { Tensor } from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type { ContextPolicy, PolicyOptions } from "../policy/context-policy.ts";
import { type LandmarkConfig, rowsOfBlock } from "./landmark-config.ts";

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

const name = "landmark";
const module = new URL(
  import.meta.url.endsWith(".ts") ? "./landmark-program.ts" : "./landmark-program.js",
  import.meta.url,
).href;

/** The policy with these options. */
export function createLandmarkPolicy(options: LandmarkOptions): ContextPolicy {
  return {
    ...policyOf(options),
    forModel: ({ config }) => policyFor(options, config),
  };
}

function policyFor(options: LandmarkOptions, config: DecoderConfig): ContextPolicy {
  const landmark = needLandmarks(config);
  const chunk = options.chunk || trainedChunk(landmark, options.blocks);
  const inserts = { id: landmark.id, every: landmark.block };
  return { ...policyOf({ ...options, chunk }), inserts };
}

function policyOf(options: LandmarkOptions): ContextPolicy {
  const isShared = options.mode === "maxOverTokens";
  return {
    name,
    options: { ...options } as PolicyOptions,
    module,
    drafting: isShared
      ? { kind: "excluded", why: "with maxOverTokens the tokens of a pass retrieve together" }
      : { kind: "lossless" },
    // Of a chunk whose tokens retrieve together all rows are needed.
    reuse: { chunk: isShared ? Math.max(1, options.chunk) : 1 },
    showsAttended: true,
  };
}

/** The policy under which a model with landmark attention runs unless another is asked for; undefined: none. */
export function ownPolicy(config: DecoderConfig): ContextPolicy | undefined {
  if (!config.landmark) return undefined;
  const whole = Math.floor(config.landmark.trainLength / rowsOfBlock(config.landmark));
  const blocks = Math.min(landmarkDefaults.blocks, whole - 2);
  return policyFor({ ...landmarkDefaults, blocks }, config);
}

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
    `${name}: this ${family} model was not trained with landmark tokens (config.json has no mem_freq)`,
    { code: "context-policy-unavailable", details: { policy: name, family, expected: "mem_freq" } },
  );
}

/** Tokens of whole blocks that, with the slots of retrieved ones, stay within the trained positions. */
function trainedChunk(landmark: LandmarkConfig, blocks: number): number {
  const whole = Math.floor(landmark.trainLength / rowsOfBlock(landmark));
  const left = whole - (blocks + 1);
  if (left > 0) return left * landmark.block;
  const expected = `at most ${whole - 2} of ${landmark.block} tokens, as the model was trained on ${landmark.trainLength} rows, or a chunk`;
  throw new JetonError(`${name}: the option blocks is ${blocks}, expected ${expected}`, {
    code: "context-policy-option",
    details: { policy: name, option: "blocks", found: blocks, expected },
  });
}
