/**
 * Decoder-only transformers of the Llama family as one traced function of named parameters.
 *
 * One graph serves prefill, decoding of one or several sequences, and verification of draft trees: new
 * tokens attend to a cache that is an input, and to each other under a mask that is an input. The
 * graph returns the new keys and values and, for chosen rows, the results of the step table.
 */
import {
  add,
  bool,
  broadcastTo,
  cast,
  concat,
  conditional,
  type Dimension,
  float32,
  gather,
  gatherElements,
  int32,
  logSoftmax,
  multiply,
  multiplyDimensions,
  optional,
  overwrite,
  range,
  reshape,
  scoped,
  slice,
  subtract,
  type Tensor,
  type TensorType,
  type TypedGraph,
  tanh,
  tensorType,
  topK,
  trace,
  uint8,
} from "../../tensor/index.ts";
import {
  type Attention,
  joinedAttention,
  sumBlock,
  twoPartAttention,
} from "../layers/attention.ts";
import { groupExperts } from "../layers/experts.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { CacheType } from "../worker/key-value-cache.ts";
import type { DecoderConfig } from "./config.ts";
import { decoderLayer, type LayerContext, norm } from "./decoder-layer.ts";
import { decoderNames, headName } from "./decoder-names.ts";
import {
  type HeadState,
  headParts,
  layerParts,
  type PartResults,
  type PartState,
  type PartTable,
  type StepInputName,
  type StepPart,
  type StepPartName,
  type StepResultName,
  type StepSwitch,
  stepInputs,
  stepParts,
  switchOf,
} from "./step-outputs.ts";

/** Token embeddings of ids. */
export function embedIds(config: DecoderConfig, weights: DecoderWeights, ids: Tensor): Tensor {
  return scaleEmbeddings(
    config,
    cast(gather(weights.table(decoderNames.embedding), ids), "float32"),
  );
}

/** Rows of the embedding table as the first layer gets them. */
function scaleEmbeddings(config: DecoderConfig, rows: Tensor): Tensor {
  return config.embeddingScale === 1 ? rows : multiply(rows, config.embeddingScale);
}

/** Final norm, head and cap: logits of the rows of `x`. */
export function decoderHead(config: DecoderConfig, weights: DecoderWeights, x: Tensor): Tensor {
  return headLogits(config, weights, finalNorm(config, weights, x));
}

function finalNorm(config: DecoderConfig, weights: DecoderWeights, x: Tensor): Tensor {
  return norm({ config, weights }, x, decoderNames.finalNorm);
}

function headLogits(config: DecoderConfig, weights: DecoderWeights, normed: Tensor): Tensor {
  const product = weights.linear(normed, [headName(config)]);
  const biased = config.headBias ? add(product, weights.vector(decoderNames.headBias)) : product;
  const logits = config.logitScale === 1 ? biased : multiply(biased, config.logitScale);
  const cap = config.finalLogitSoftcap;
  return cap === undefined ? logits : multiply(tanh(multiply(logits, 1 / cap)), cap);
}

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
  | MaskName;

/** Outputs of a decoder's graph; see `decoderGraph`. */
export type DecoderOutput = "new" | StepResultName;

/** Options of `decoderGraph`. */
export interface DecoderGraphOptions {
  /** Default: joined where the cache has to be converted, two parts where it would be copied. */
  attention?: Attention;
  /** How the cache holds keys and values. Default float32. */
  cacheType?: CacheType;
  /**
   * True: `exactAttention` sums over values in blocks of `sumBlock` positions. Capacities are multiples
   * of it then, and `block.ones` `[1, capacity / sumBlock]` is an input. Default false.
   */
  sumsInBlocks?: boolean;
  /** Rows that an expert gets are filled up to a multiple of this. Default 1. */
  rowTile?: number;
  /** See `GroupExpertsOptions.perBranch`. Default 1. */
  expertsPerBranch?: number;
}

/**
 * The graph of a decoding step.
 *
 * Inputs: `ids` int32 `[batch, time]`; `lengths` int32 `[batch]`, tokens in the cache; `rope.N.cos` and
 * `.sin` `[batch * time, half]`; masks (added to scores: 0 or -infinity) `mask.past`
 * `[batch, 1, 1, capacity]` and `mask.new` `[batch, 1, time, time]`, and for each window its own with a
 * row for every new token; `past.N.key` and `.value` `[batch, kvHeads, capacity, headDim]`; `rows` int32
 * `[rows]`, flat indices of the wanted rows; `candidates` uint8 `[k]`, whose length is the number of
 * most probable tokens to return; the inputs and the switches of the step table. Where the switch
 * `from.ids` is off, the first layer reads `embeddings` `[batch, time, hiddenSize]` in place of rows of
 * the table; where it is on, they may have any size. Sparse decoders read `counted` float32
 * `[batch * time]`: 1 for rows of steps, 0 for those that only fill up the pass and need no experts.
 *
 * Outputs: `new` `[2 * layers * batch, kvHeads, time, headDim]`, the new keys and values of one layer
 * after the other (one output, because each costs the runtime's interface as much as a small operator),
 * and the results of the step table.
 */
export function decoderGraph(
  config: DecoderConfig,
  weights: DecoderWeights,
  options: DecoderGraphOptions = {},
): TypedGraph<DecoderInput, DecoderOutput> {
  const {
    cacheType = "float32",
    sumsInBlocks = false,
    rowTile = 1,
    expertsPerBranch = 1,
  } = options;
  const usual = cacheType === "float32" ? twoPartAttention : joinedAttention;
  const { attention: attend = usual } = options;
  const capacity = sumsInBlocks ? multiplyDimensions(sumBlock, "blocks") : "capacity";
  const inputs = decoderInputs(config, cacheType, capacity);
  if (sumsInBlocks) inputs["block.ones"] = float32([1, "blocks"]);
  return trace(inputs, (input): Record<DecoderOutput, Tensor> => {
    const mixExperts = groupExperts({
      rowTile,
      counted: input.counted,
      perBranch: expertsPerBranch,
    });
    const shared = sharedInputs(config, input, capacity);
    const context = { config, weights, attend, mixExperts, ...shared };
    const { x: embeddings } = conditional(
      input["from.ids"],
      () => ({ x: embedIds(config, weights, input.ids) }),
      () => ({ x: scaleEmbeddings(config, input.embeddings) }),
    );
    let x = embeddings;
    const fresh: Tensor[] = [];
    const taps = [...config.layers.keys()].map((index) => {
      const layer = scoped(`layers.${index}`, () => decoderLayer(x, index, context));
      x = layer.x;
      fresh.push(layer.key, layer.value);
      return { x, ...layer.unrotated, ...(layer.routing && { routing: layer.routing }) };
    });
    const state: PartState = { config, rows: input.rows, inputs: input, embeddings, layers: taps };
    const results = optional(input[switchOf("tokens")], () => {
      const head = headState(weights, state, x);
      const { tokens, ...behind } = headParts;
      return { ...tokens.graph(head), ...partOutputs(behind, head, input) };
    });
    return {
      new: cast(concat(fresh, 0), cacheType),
      ...results,
      ...partOutputs(layerParts, state, input),
    };
  });
}

/** Types of all inputs by name. */
function decoderInputs(
  config: DecoderConfig,
  cacheType: CacheType,
  capacity: Dimension,
): Record<DecoderInput, TensorType> {
  const { numKeyValueHeads, headDim } = config;
  const switches = stepParts.map(({ name }) => [switchOf(name), bool([])] as const);
  const values = Object.entries(stepInputs).map(([name, { type }]) => [name, type] as const);
  type Late = MaskName | "block.ones" | "counted";
  const inputs: Omit<Record<DecoderInput, TensorType>, Late> & Partial<Record<Late, TensorType>> = {
    ids: int32(["batch", "time"]),
    lengths: int32(["batch"]),
    rows: int32(["rows"]),
    candidates: uint8(["k"]),
    "from.ids": bool([]),
    embeddings: float32(["given.batch", "given.time", config.hiddenSize]),
    ...(Object.fromEntries(values) as Record<StepInputName, TensorType>),
    ...(Object.fromEntries(switches) as Record<StepSwitch, TensorType>),
  };
  if (config.experts) inputs.counted = float32(["batch*time"]);
  for (const [index, rope] of config.ropes.entries()) {
    inputs[`rope.${index}.cos`] = float32(["batch*time", rope.rotaryDim / 2]);
    inputs[`rope.${index}.sin`] = float32(["batch*time", rope.rotaryDim / 2]);
  }
  for (const index of config.layers.keys()) {
    const shape = ["batch", numKeyValueHeads, capacity, headDim] as const;
    inputs[`past.${index}.key`] = tensorType(cacheType, shape);
    inputs[`past.${index}.value`] = tensorType(cacheType, shape);
  }
  for (const window of decoderWindows(config)) {
    const names = maskNames(window);
    inputs[names.past] = float32(["batch", 1, window === undefined ? 1 : "time", capacity]);
    inputs[names.fresh] = float32(["batch", 1, "time", "time"]);
  }
  return inputs as Record<DecoderInput, TensorType>;
}

/** Rotations, cached rows and masks of the layers, from the inputs. */
function sharedInputs(
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

/** Logits of the wanted rows and what is derived from them. */
function headState(weights: DecoderWeights, state: PartState, x: Tensor): HeadState {
  const { config } = state;
  const chosen = gather(reshape(x, [-1, config.hiddenSize]), state.rows);
  const normed = finalNorm(config, weights, chosen);
  return logitsState(state, normed, headLogits(config, weights, normed));
}

/** What parts of the step table read, from final hidden states and logits of the wanted rows. */
export function logitsState(state: PartState, normed: Tensor, logits: Tensor): HeadState {
  const top = topK(logits, "k");
  // log sum exp = logit - log probability of any token: cheaper than a reduction of its own.
  const first = { axis: 1, end: 1 };
  const largest = slice(top.values, first);
  const best = gatherElements(logSoftmax(logits), slice(top.indices, first), 1);
  const logSumExp = reshape(subtract(largest, best), ["rows"]);
  return { ...state, normed, logits, top, largest, logSumExp };
}

/** Outputs of parts of the step table, each computed only where its switch is on. */
export function partOutputs<State, Part extends StepPartName>(
  parts: PartTable<State, Part>,
  state: State & { readonly config: DecoderConfig },
  input: Readonly<Record<StepSwitch, Tensor>>,
): Record<PartResults[Part], Tensor> {
  const { config } = state;
  const earlier: Record<string, Tensor> = {};
  const names: StepResultName[] = [];
  for (const [name, part] of Object.entries(parts) as [Part, StepPart<State, never>][]) {
    if (part.exists?.(config) === false) continue;
    const wanted = input[switchOf(name)];
    const condition = part.runsIf?.(wanted, earlier) ?? wanted;
    Object.assign(
      earlier,
      optional(condition, () => part.graph(state)),
    );
    names.push(...(Object.keys(part.results) as StepResultName[]));
  }
  return Object.fromEntries(names.map((name) => [name, earlier[name]])) as never;
}
