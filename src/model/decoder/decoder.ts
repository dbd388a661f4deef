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
  cast,
  concat,
  conditional,
  equal,
  fill,
  float32,
  gather,
  gatherElements,
  logSoftmax,
  matmul,
  multiply,
  multiplyDimensions,
  optional,
  overwrite,
  range,
  reshape,
  scoped,
  slice,
  subtract,
  sum,
  type Tensor,
  type TypedGraph,
  tanh,
  topK,
  trace,
  where,
} from "../../tensor/index.ts";
import {
  type Attention,
  joinedAttention,
  sumBlock,
  twoPartAttention,
} from "../layers/attention.ts";
import { type GroupExpertsOptions, groupExperts } from "../layers/experts.ts";
import type { PolicyAttention } from "../policy/context-policy.ts";
import { never } from "../policy/pass-tensors.ts";
import { policyGraph, type StateName } from "../policy/policy-graph.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { CacheType } from "../worker/key-value-cache.ts";
import type { DecoderConfig } from "./config.ts";
import { type DecoderInput, decoderInputs, policyInputs, sharedInputs } from "./decoder-inputs.ts";
import {
  decoderLayer,
  type LayerContext,
  norm,
  type Projections,
  projectLayer,
  rotateHeads,
} from "./decoder-layer.ts";
import { decoderNames, headName } from "./decoder-names.ts";
import { addPositions, embedIds, scaleEmbeddings } from "./embeddings.ts";
import type { RunningSums } from "./sample-tokens.ts";
import {
  filterParts,
  type HeadState,
  headParts,
  type LayerTap,
  layerParts,
  type PartResults,
  type PartState,
  type PartTable,
  type StepPart,
  type StepPartName,
  type StepResultName,
  type StepSwitch,
  switchOf,
} from "./step-outputs.ts";

/** Final norm, head and cap: logits of the rows of `x`. */
export function decoderHead(config: DecoderConfig, weights: DecoderWeights, x: Tensor): Tensor {
  return headLogits(config, weights, finalNorm(config, weights, x));
}

/** The norm behind the last layer. */
export function finalNorm(config: DecoderConfig, weights: DecoderWeights, x: Tensor): Tensor {
  return norm({ config, weights }, x, decoderNames.finalNorm);
}

function headLogits(config: DecoderConfig, weights: DecoderWeights, normed: Tensor): Tensor {
  const product = weights.linear(normed, [headName(config)]);
  const biased = config.headBias ? add(product, weights.vector(decoderNames.headBias)) : product;
  const logits = config.logitScale === 1 ? biased : multiply(biased, config.logitScale);
  const cap = config.finalLogitSoftcap;
  const capped = cap === undefined ? logits : multiply(tanh(multiply(logits, 1 / cap)), cap);
  if (!config.landmark) return capped;
  // A landmark is inserted, never predicted.
  const isLandmark = equal(range(config.vocabSize), config.landmark.id);
  return where(isLandmark, never, capped);
}

export { type DecoderInput, decoderWindows, type MaskName, maskNames } from "./decoder-inputs.ts";

/** Outputs of a decoder's graph; see `decoderGraph`. */
export type DecoderOutput = "new" | "new.rest" | StateName | StepResultName;

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
  /** How sampling sums up masses. Default float64, which not every device has. */
  runningSums?: RunningSums;
  /** Attention of a context policy: one sequence a pass, see `policyInputTypes`. Default: none. */
  policy?: PolicyAttention;
  /** See `PolicyProgram.filterLayer`. Default: all layers always run. */
  filterLayer?: number;
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
 * the table; where it is on, they may have any size. Decoders with learned positions read `positions` int32
 * `[batch, time]`. Sparse decoders read `counted` float32
 * `[batch * time]`: 1 for rows of steps, 0 for those that only fill up the pass and need no experts.
 *
 * Outputs: `new` `[2 * layers * batch, kvHeads, time, headDim]`, the new keys and values of one layer
 * after the other (one output, because each costs the runtime's interface as much as a small operator),
 * and the results of the step table. With `filterLayer`, those of later layers are `new.rest`, and the
 * switch `want.rest` says whether these layers run. Under a policy with token arenas, `new` ends with their
 * new rows.
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
  const { policy, filterLayer = config.layers.length } = options;
  const capacity = sumsInBlocks ? multiplyDimensions(sumBlock, "blocks") : "capacity";
  const inputs = decoderInputs(config, { cacheType, capacity, policy });
  if (sumsInBlocks) inputs["block.ones"] = float32([1, "blocks"]);
  if (options.filterLayer !== undefined) inputs["want.rest"] = bool([]);
  return trace(inputs, (input): Record<DecoderOutput, Tensor> => {
    const mixing = { rowTile, perBranch: expertsPerBranch };
    const mixExperts = groupExperts({ ...mixing, counted: input.counted });
    const traced = policy && policyGraph(config, policy, input, capacity);
    const shared = traced
      ? { ...policyInputs(config, input), ...traced.context }
      : sharedInputs(config, input, capacity);
    const context: LayerContext = { config, weights, attend, mixExperts, ...shared };
    const { x: tokens } = conditional(
      input["from.ids"],
      () => ({ x: embedIds(config, weights, input.ids) }),
      () => ({ x: scaleEmbeddings(config, input.embeddings) }),
    );
    const embeddings = addPositions(config, weights, tokens, input.positions);
    const first = runLayers(embeddings, { start: 0, end: filterLayer }, context);
    const stateOf = (taps: readonly LayerTap[]): PartState => ({
      ...{ config, rows: input.rows, inputs: input, embeddings, layers: taps },
      runningSums: options.runningSums,
      ...(traced && { policy: traced.tap }),
    });
    const tapResults = (taps: readonly LayerTap[]): Record<string, Tensor> =>
      partOutputs(layerParts, stateOf(taps), input);
    const { x, fresh, results } =
      options.filterLayer === undefined
        ? { ...first, results: tapResults(first.taps) }
        : filterPass(first, filterLayer, { context, input, cacheType, mixing, tapResults });
    const tokenResults = optional(input[switchOf("tokens")], () => {
      const head = headState(weights, stateOf([]), x);
      const { tokens, ...parts } = headParts;
      return { ...tokens.graph(head), ...partOutputs(parts, head, input) };
    });
    const policyOutputs = traced?.outputs();
    return {
      new: cast(concat([...fresh, ...(policyOutputs?.rows ?? [])], 0), cacheType),
      ...policyOutputs?.states,
      ...tokenResults,
      ...results,
    } as Record<DecoderOutput, Tensor>;
  });
}

/** The last residual stream, new keys and values of layers, and results by name. */
interface PassParts {
  /** Arbitrary where the layers behind the filter layer did not run. */
  readonly x: Tensor;
  readonly fresh: readonly Tensor[];
  readonly results: Readonly<Record<string, Tensor>>;
}

/**
 * The filter layer's keys and scores, and the layers behind it where they are wanted. No product with a weight may stand
 * in a branch within a branch: ONNX Runtime does not pack it there, and another kernel would give a single row other
 * bits than several. So the head stands outside, and sparse models, whose experts are branches, have a condition for each
 * part of a layer.
 */
function filterPass(
  before: LayerRun,
  index: number,
  {
    context,
    input,
    cacheType,
    mixing,
    tapResults,
  }: {
    readonly context: LayerContext;
    readonly input: Readonly<Record<DecoderInput, Tensor>>;
    readonly cacheType: CacheType;
    readonly mixing: Omit<GroupExpertsOptions, "counted">;
    tapResults(taps: readonly LayerTap[]): Record<string, Tensor>;
  },
): PassParts {
  const { config } = context;
  const projected = scoped(`layers.${index}`, () => projectLayer(before.x, index, context));
  const key = rotateHeads(projected.key, index, context);
  const scoreSequence = (): Tensor =>
    scoreRows(rotateHeads(projected.query, index, context), key, { index, context, input });
  const range = { start: index, end: config.layers.length };
  const runRest = (later: LayerContext) => {
    const last = runLayers(before.x, range, later, projected);
    const fresh = last.fresh.slice(2);
    return {
      ...tapResults([...before.taps, ...last.taps]),
      "new.rest": cast(fresh.length > 0 ? concat(fresh, 0) : fill([1, 1, 1, 1], 0), cacheType),
      x: last.x,
    };
  };
  const wanted = input["want.rest"];
  const { x, ...rest } = config.experts
    ? runRest({
        ...context,
        runsIf: wanted,
        mixExperts: groupExperts({ ...mixing, counted: countedIf(wanted, input.counted) }),
      })
    : optional(wanted, () => runRest(context));
  return {
    x,
    fresh: [...before.fresh, key, projected.value].map((rows) => cast(rows, cacheType)),
    results: { ...rest, ...partOutputs(filterParts, { config, scoreSequence }, input) },
  };
}

/** Rows that visit experts: those that count, or where none need to, the first alone, as one must. */
function countedIf(wanted: Tensor, counted: Tensor): Tensor {
  const isFirst = cast(equal(range(counted.shape[0]!), 0), "float32");
  return where(wanted, counted, isFirst);
}

/** What some layers give: the residual stream, new keys and values, and what parts of the step table may read. */
interface LayerRun {
  readonly x: Tensor;
  readonly fresh: readonly Tensor[];
  readonly taps: readonly LayerTap[];
}

/**
 * Layers `start` to before `end`.
 *
 * @param projected what the first of them projects, where it is traced already
 */
function runLayers(
  x: Tensor,
  { start, end }: { readonly start: number; readonly end: number },
  context: LayerContext,
  projected?: Projections,
): LayerRun {
  const fresh: Tensor[] = [];
  const taps: LayerTap[] = [];
  for (let index = start; index < end; index++) {
    const known = index === start ? projected : undefined;
    const layer = scoped(`layers.${index}`, () => decoderLayer(x, index, context, known));
    x = layer.x;
    fresh.push(layer.key, layer.value);
    taps.push({ x, ...layer.unrotated, ...(layer.routing && { routing: layer.routing }) });
  }
  return { x, fresh, taps };
}

/**
 * Inner products of the wanted rows' queries with all keys of a layer, rotated, summed over heads:
 * `[rows, capacity]`.
 *
 * @param query `[batch, heads, time, headDim]` of one sequence, rotated
 * @param key `[batch, kvHeads, time, headDim]`, rotated
 */
function scoreRows(
  query: Tensor,
  key: Tensor,
  {
    index,
    context: { config, past },
    input: { lengths, rows },
  }: {
    readonly index: number;
    readonly context: LayerContext;
    readonly input: Readonly<Record<DecoderInput, Tensor>>;
  },
): Tensor {
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = config;
  const [batch, , time] = query.shape as [string, number, string];
  // The sum over the heads of a group is that of their queries.
  const shape = [batch, kvHeads, heads / kvHeads, time, headDim];
  const summed = gather(sum(reshape(query, shape), { axes: [2] }), rows, 2);
  const product = (keys: Tensor): Tensor => matmul(summed, keys, { transposeB: true });
  const scores = overwrite(product(past(index).key), product(key), lengths!, 3);
  // The batch is one sequence.
  return sum(scores, { axes: [0, 1] });
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
  const earlier: Record<string, Tensor> = {};
  const names: StepResultName[] = [];
  for (const [name, part] of Object.entries(parts) as [Part, StepPart<State, never>][]) {
    if (part.exists?.(state as never) === false) continue;
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
