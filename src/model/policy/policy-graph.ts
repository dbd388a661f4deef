/** The part of a decoder's graph that belongs to a context policy: its inputs, its layers' attention, its outputs. */
import {
  add,
  broadcastTo,
  concat,
  type Dimension,
  fill,
  float32,
  int32,
  multiplyDimensions,
  range,
  reshape,
  rotary,
  slice,
  type Tensor,
  type TensorType,
  tensorType,
  uint8,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type { LayerContext } from "../decoder/decoder-layer.ts";
import type { PolicyTap } from "../decoder/step-outputs.ts";
import type { CacheType } from "../worker/key-value-cache.ts";
import { attendWindow } from "./attend-masked.ts";
import type { PolicyAttention, PolicyInput, PolicyOutput, PolicyState } from "./context-policy.ts";
import { asCached } from "./pass-tensors.ts";

/** Inputs of a policy's graph besides the decoder's own. */
export type PolicyInputName =
  | "policy.place"
  | "policy.groups"
  | `policy.size.${string}`
  | `token.${number}.${number}`
  | StateName;

/** A layer's state, as it was before a pass (input) and is after it (output). */
export type StateName = `state.${number}.${string}`;

/** New rows of a pass in their groups. */
export const groupedTime: Dimension = multiplyDimensions("groups", "span");

/** Name of a layer's state. */
export function stateName(layer: number, { name }: Pick<PolicyState, "name">): StateName {
  return `state.${layer}.${name}`;
}

/** Names of a policy's sizes. */
export function sizeNames({ sizes = {}, passSizes }: PolicyAttention): string[] {
  const later = passSizes?.({ length: 0, count: 1, time: 1, promptLength: 1, capacity: 1 }) ?? {};
  return [...Object.keys(sizes), ...Object.keys(later)];
}

/** Types of the inputs. */
export function policyInputTypes(
  config: DecoderConfig,
  attention: PolicyAttention,
  { cacheType, capacity }: { readonly cacheType: CacheType; readonly capacity: Dimension },
): Record<PolicyInputName, TensorType> {
  const inputs: Partial<Record<PolicyInputName, TensorType>> = {
    "policy.place": int32([3]),
    "policy.groups": float32(["groups", "span"]),
  };
  for (const name of sizeNames(attention)) inputs[`policy.size.${name}`] = uint8([name]);
  const arenas = attention.tokenArenas?.(config) ?? 0;
  const row = [1, config.numKeyValueHeads, capacity, config.headDim];
  for (const layer of config.layers.keys()) {
    for (let arena = 0; arena < arenas; arena++) {
      inputs[`token.${layer}.${arena}`] = tensorType(cacheType, row);
    }
    for (const state of attention.states?.(config) ?? []) {
      const shape = state.shape.map((size) => (size === "capacity" ? capacity : size));
      inputs[stateName(layer, state)] = float32(shape);
    }
  }
  return inputs as Record<PolicyInputName, TensorType>;
}

/** What the decoder's layers and outputs get from a policy. */
export interface PolicyGraph {
  readonly context: Pick<LayerContext, "attendUnrotated">;
  /** Once all layers are traced: new rows of token arenas, layer after layer, and states. */
  outputs(): { readonly rows: readonly Tensor[]; readonly states: Record<StateName, Tensor> };
  readonly tap: PolicyTap;
}

/** Traces a policy into the layers of a decoder. */
export function policyGraph(
  config: DecoderConfig,
  attention: PolicyAttention,
  input: Readonly<Record<string, Tensor>>,
  capacity: Dimension,
): PolicyGraph {
  const place = input["policy.place"]!;
  const number = (at: number): Tensor => slice(place, { axis: 0, start: at, end: at + 1 });
  const length = number(0);
  const pass: PolicyInput["pass"] = {
    length,
    count: number(1),
    promptLength: number(2),
    places: add(range(groupedTime), length),
    groupWeights: input["policy.groups"]!,
    groups: "groups",
    span: "span",
    time: groupedTime,
    capacity,
  };
  const traced: PolicyOutput[] = [];
  const states = attention.states?.(config) ?? [];
  const arenas = attention.tokenArenas?.(config) ?? 0;
  const outputOf = (layer: number): PolicyOutput => traced[layer]!;
  return {
    context: {
      attendUnrotated(layer, rows, past, besideSink) {
        const { rope, slidingWindow } = config.layers[layer]!;
        const [cos, sin] = [input[`rope.${rope}.cos`], input[`rope.${rope}.sin`]];
        const { query } = rows;
        const value = asCached(rows.value, past.value);
        // Rotated keys are rounded after their rotation.
        const key = attention.keys === "raw" ? asCached(rows.key, past.key) : rows.key;
        const given: PolicyInput = {
          query,
          key,
          value,
          config,
          layer,
          pastKey: past.key,
          pastValue: past.value,
          tokenArenas: Array.from({ length: arenas }, (_, at) => input[`token.${layer}.${at}`]!),
          states: Object.fromEntries(
            states.map((state) => [state.name, input[stateName(layer, state)]!]),
          ),
          pass,
          ...(besideSink && { besideSink }),
          rotate: (x, positions) => (rope === undefined ? x : rotary(x, positions, cos!, sin!)),
        };
        const output =
          slidingWindow === undefined
            ? attention.attend(given)
            : attendWindow(given, slidingWindow, attention.keys);
        traced[layer] = output;
        return output.attention;
      },
    },
    outputs: () => ({
      rows: traced.flatMap(({ tokenArenas = [] }) => tokenArenas),
      states: Object.fromEntries(
        traced.flatMap((output, layer) =>
          states.map((state) => [stateName(layer, state), output.states![state.name]!]),
        ),
      ),
    }),
    tap: policyTap(config, outputOf, capacity),
  };
}

/** What all layers tell of a pass. */
function policyTap(
  config: DecoderConfig,
  outputOf: (layer: number) => PolicyOutput,
  capacity: Dimension,
): PolicyTap {
  const layers = [...config.layers.keys()];
  const joined = (of: (output: PolicyOutput) => Tensor): Tensor =>
    concat(
      layers.map((layer) => of(outputOf(layer))),
      0,
    );
  return {
    attended: () =>
      joined((output) => {
        const shape = [1, config.numAttentionHeads, capacity];
        const marks = output.attended();
        return broadcastTo(reshape(marks, [1, marks.shape[0]!, capacity]), shape);
      }),
    report: () => {
      const reports = layers.map((layer) => outputOf(layer).report?.());
      // Layers with a window of their own report nothing.
      const width = reports.find((numbers) => numbers)?.shape[0] ?? 1;
      const rows = reports.map((numbers) => reshape(numbers ?? fill([width], 0), [1, width]));
      return concat(rows, 0);
    },
  };
}
