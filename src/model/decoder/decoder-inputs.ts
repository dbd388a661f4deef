/** Inputs of a decoder's graph: their names and types, and what layers read of them. */
import { JetonError } from "../../core/index.ts";
import {
  bool,
  broadcastTo,
  cast,
  concat,
  type Dimension,
  float32,
  int32,
  multiplyDimensions,
  overwrite,
  range,
  reshape,
  type Tensor,
  type TensorType,
  tensorType,
  uint8,
} from "../../tensor/index.ts";
import type { PolicyAttention } from "../policy/context-policy.ts";
import { groupedTime, type PolicyInputName, policyInputTypes } from "../policy/policy-graph.ts";
import type { CacheType } from "../worker/key-value-cache.ts";
import type { DecoderConfig } from "./config.ts";
import type { LayerContext } from "./decoder-layer.ts";
import {
  type StepInputName,
  type StepSwitch,
  stepInputs,
  stepParts,
  switchOf,
} from "./step-outputs.ts";

/** Distinct windows of a decoder's layers, full attention as `undefined`. */
export function decoderWindows(config: DecoderConfig): (number | undefined)[] {
  return [...new Set(config.layers.map((layer) => layer.slidingWindow))];
}

/** Mask of the cache or of the new tokens, for one window. */
export type MaskName = `mask.${"past" | "new"}${"" | `.window${number}`}`;

/** Names of the mask inputs of a window. */
export function maskNames(window: number | undefined): { past: MaskName; fresh: MaskName } {
  const suffix = window === undefined ? "" : (`.window${window}` as const);
  return { past: `mask.past${suffix}`, fresh: `mask.new${suffix}` };
}

/** Inputs of a decoder's graph; see `decoderGraph`. */
export type DecoderInput =
  | "ids"
  | "lengths"
  | "rows"
  | "candidates"
  | "from.ids"
  | "embeddings"
  | StepInputName
  | StepSwitch
  | `rope.${number}.${"cos" | "sin"}`
  | `past.${number}.${"key" | "value"}`
  | "block.ones"
  | "counted"
  | "positions"
  | "want.rest"
  | PolicyInputName
  | MaskName;

/** Types of all inputs by name. */
export function decoderInputs(
  config: DecoderConfig,
  {
    cacheType,
    capacity,
    policy,
  }: {
    readonly cacheType: CacheType;
    readonly capacity: Dimension;
    readonly policy: PolicyAttention | undefined;
  },
): Record<DecoderInput, TensorType> {
  const { numKeyValueHeads, headDim } = config;
  const [batch, time] = policy ? [1, groupedTime] : ["batch", "time"];
  // Policies number positions themselves.
  const positions = policy ? "positions" : "batch*time";
  const switches = stepParts.map(({ name }) => [switchOf(name), bool([])] as const);
  const values = Object.entries(stepInputs).map(([name, { type }]) => [name, type] as const);
  type Late = MaskName | "block.ones" | "counted" | "positions" | "want.rest" | PolicyInputName;
  const inputs: Omit<Record<DecoderInput, TensorType>, Late> & Partial<Record<Late, TensorType>> = {
    ids: int32([batch, time]),
    lengths: int32([batch]),
    rows: int32(["rows"]),
    candidates: uint8(["k"]),
    "from.ids": bool([]),
    embeddings: float32(["given.batch", "given.time", config.hiddenSize]),
    ...(Object.fromEntries(values) as Record<StepInputName, TensorType>),
    ...(Object.fromEntries(switches) as Record<StepSwitch, TensorType>),
  };
  if (config.experts) inputs.counted = float32([multiplyDimensions(batch, time)]);
  if (config.learnedPositions !== undefined) inputs.positions = int32([batch, time]);
  for (const [index, rope] of config.ropes.entries()) {
    inputs[`rope.${index}.cos`] = float32([positions, rope.rotaryDim / 2]);
    inputs[`rope.${index}.sin`] = float32([positions, rope.rotaryDim / 2]);
  }
  for (const index of config.layers.keys()) {
    const shape = [batch, numKeyValueHeads, capacity, headDim] as const;
    inputs[`past.${index}.key`] = tensorType(cacheType, shape);
    inputs[`past.${index}.value`] = tensorType(cacheType, shape);
  }
  if (policy) {
    const types = policyInputTypes(config, policy, { cacheType, capacity });
    return { ...inputs, ...types } as Record<DecoderInput, TensorType>;
  }
  for (const window of decoderWindows(config)) {
    const names = maskNames(window);
    inputs[names.past] = float32(["batch", 1, window === undefined ? 1 : "time", capacity]);
    inputs[names.fresh] = float32(["batch", 1, "time", "time"]);
  }
  return inputs as Record<DecoderInput, TensorType>;
}

/** What layers under a policy read: it makes its own masks and positions, and converts the rows that it chose. */
export function policyInputs(
  config: DecoderConfig,
  input: Readonly<Record<DecoderInput, Tensor>>,
): Omit<LayerContext, "config" | "weights" | "attend" | "mixExperts"> {
  return {
    rotationRows: reshape(range(groupedTime), [1, groupedTime]),
    rotations: config.ropes.map((_, index) => ({
      cos: input[`rope.${index}.cos`]!,
      sin: input[`rope.${index}.sin`]!,
    })),
    past: (layer) => ({
      key: input[`past.${layer}.key`]!,
      value: input[`past.${layer}.value`]!,
    }),
    masks() {
      throw new JetonError("a context policy has no masks", { code: "model-policy-masks" });
    },
  };
}

/** Rotations, cached rows and masks of the layers, from the inputs. */
export function sharedInputs(
  config: DecoderConfig,
  input: Readonly<Record<DecoderInput, Tensor>>,
  capacity: Dimension,
): Omit<LayerContext, "config" | "weights" | "attend" | "mixExperts"> {
  const group = config.numAttentionHeads / config.numKeyValueHeads;
  const repeat = (mask: Tensor): Tensor =>
    mask.shape[2] === 1 ? mask : concat(new Array<Tensor>(group).fill(mask), 2);
  const { lengths } = input;
  const masks = new Map(
    decoderWindows(config).map((window) => {
      const names = maskNames(window);
      const [past, fresh] = [input[names.past]!, input[names.fresh]!];
      const everyRow = broadcastTo(past, ["batch", 1, "time", capacity]);
      const joined = {
        lengths,
        mask: repeat(overwrite(everyRow, fresh, lengths, 3)),
        ...(input["block.ones"] && { blockOnes: input["block.ones"] }),
      };
      return [window, { past: repeat(past), fresh: repeat(fresh), joined }] as const;
    }),
  );
  return {
    rotationRows: reshape(range("batch*time"), ["batch", "time"]),
    rotations: config.ropes.map((_, index) => ({
      cos: input[`rope.${index}.cos`]!,
      sin: input[`rope.${index}.sin`]!,
    })),
    past: (layer) => ({
      key: cast(input[`past.${layer}.key`]!, "float32"),
      value: cast(input[`past.${layer}.value`]!, "float32"),
    }),
    masks: (window) => masks.get(window)!,
  };
}
