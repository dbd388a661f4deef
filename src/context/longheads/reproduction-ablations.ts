/** LongHeads with chunks represented or picked otherwise: what its parts are worth. */
import type {
  ContextPolicy,
  PolicyInput,
  PolicyOptions,
  PolicyProgram,
} from "../../model/index.ts";
import {
  add,
  cast,
  type Dimension,
  multiply,
  range,
  reshape,
  type Tensor,
} from "../../tensor/index.ts";
import { scatterAngles } from "../policies/reproduction-random.ts";
import { type LongHeadsOptions, longHeads, longHeadsProgram } from "./longheads.ts";

/** An ablation: another vector of a chunk, or chunks picked without a look at them. */
export type Ablation = "meanKey" | "rotatedKeys" | "random";

/** The policy with one part replaced. */
export function ablatedLongHeads(ablation: Ablation, given: LongHeadsOptions): ContextPolicy {
  const policy = longHeads(given);
  return {
    ...policy,
    name: `longheads-${ablation}`,
    options: { ...policy.options, representation: ablation },
    module: import.meta.url,
    createProgram: createPolicy,
  };
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const { chunk, length, perHead } = given as { chunk: number; length: number; perHead: boolean };
  const representation = given["representation"] as Ablation;
  const sizes = { chunk, length, perHead };
  return representation === "random"
    ? longHeadsProgram({ ...sizes, representation: "meanKey", rescore: scatter })
    : longHeadsProgram({ ...sizes, representation });
}

/** Numbers in place of scores that depend on token, layer, head and chunk alone. */
function scatter(scores: Tensor, { layer, pass }: PolicyInput): Tensor {
  const [time, heads, chunks] = scores.shape as [Dimension, number, Dimension];
  const scaled = (x: Tensor, factor: number, shape: readonly Dimension[]): Tensor =>
    multiply(reshape(cast(x, "float32"), shape), factor);
  const angle = add(
    add(
      scaled(range(chunks), 12.9898, [1, 1, chunks]),
      scaled(range(heads), 37.719, [1, heads, 1]),
    ),
    add(scaled(pass.places, 4.1414, [time, 1, 1]), 78.233 * (layer + 1)),
  );
  return scatterAngles(angle);
}
