/** Landmark attention as a context policy: what a caller names, and how a model with landmarks is run by default. */
import { JetonError } from "../../core/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type { ContextPolicy, PolicyOptions } from "../policy/context-policy.ts";
import { type LandmarkConfig, rowsOfBlock } from "./landmark-config.ts";
import {
  type LandmarkOptions,
  landmarkDefaults,
  landmarkName,
  needLandmarks,
} from "./landmark-options.ts";
import { createPolicy, programModule } from "./landmark-program.ts";

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
    name: landmarkName,
    options: { ...options } as PolicyOptions,
    module: programModule,
    createProgram: createPolicy,
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

/** Tokens of whole blocks that, with the slots of retrieved ones, stay within the trained positions. */
function trainedChunk(landmark: LandmarkConfig, blocks: number): number {
  const whole = Math.floor(landmark.trainLength / rowsOfBlock(landmark));
  const left = whole - (blocks + 1);
  if (left > 0) return left * landmark.block;
  const expected = `at most ${whole - 2} of ${landmark.block} tokens, as the model was trained on ${landmark.trainLength} rows, or a chunk`;
  throw new JetonError(`${landmarkName}: the option blocks is ${blocks}, expected ${expected}`, {
    code: "context-policy-option",
    details: { policy: landmarkName, option: "blocks", found: blocks, expected },
  });
}
