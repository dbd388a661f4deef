/** A control: as many blocks as landmark attention retrieves, chosen without a look at their landmarks. */
import {
  type ContextPolicy,
  type DecoderConfig,
  decodeLandmarks,
  type LandmarkOptions,
  needLandmarks,
  type PolicyOptions,
  type PolicyProgram,
} from "../../model/index.ts";
import { add, cast, multiply, range, reshape, type Tensor } from "../../tensor/index.ts";
import { scatterAngles } from "../policies/reproduction-random.ts";
import { landmarkAttention } from "./landmark-attention.ts";

/** Attention to random blocks of the cache, the same ones for all rows and heads of a layer. */
export function randomBlocks(given: Partial<LandmarkOptions>): ContextPolicy {
  const policy = landmarkAttention(given);
  const own = { name: "random-blocks", module: import.meta.url, createProgram: createPolicy };
  return {
    ...policy,
    ...own,
    forModel: (model) => ({ ...policy.forModel!(model)!, ...own }),
  };
}

/** The control's program; called in the model worker. */
export function createPolicy(
  given: PolicyOptions,
  config: DecoderConfig | undefined,
): PolicyProgram {
  const { block } = needLandmarks(config!);
  return {
    attention: decodeLandmarks({
      ...(given as unknown as LandmarkOptions),
      block,
      rescore: scatter,
    }),
  };
}

/** Numbers in place of scores that depend on a candidate's place alone. */
function scatter(scores: Tensor, layer: number): Tensor {
  const count = scores.shape[2]!;
  const at = cast(reshape(range(count), [1, 1, count]), "float32");
  const angles = add(multiply(at, 12.9898), 78.233 * (layer + 1));
  return add(multiply(scores, 0), scatterAngles(angles));
}
