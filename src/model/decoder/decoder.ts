/**
 * Decoder-only transformers of the Llama family as one traced function of named parameters.
 *
 * One graph serves prefill, decoding of one or several sequences, and verification of drafts: new
 * tokens attend to a cache that is an input, and to each other under a mask that is an input. The
 * graph returns the new keys and values and, for chosen rows, the most probable tokens.
 */
import {
  add,
  bool,
  broadcastTo,
  cast,
  concat,
  conditional,
  float32,
  gather,
  gatherElements,
  gelu,
  geluTanh,
  int32,
  less,
  logSoftmax,
  multiply,
  multiplyDimensions,
  optional,
  overwrite,
  range,
  relu,
  reshape,
  rmsNorm,
  rotary,
  scoped,
  silu,
  slice,
  split,
  subtract,
  type Tensor,
  type TensorType,
  type TypedGraph,
  tanh,
  tensorType,
  topK,
  trace,
  transpose,
  uint8,
} from "../../tensor/index.ts";
import {
  type Attention,
  type JoinedInput,
  joinedAttention,
  sumBlock,
  twoPartAttention,
} from "../layers/attention.ts";
import { addBias, type DecoderWeights } from "../weights/trace-weights.ts";
import type { CacheType } from "../worker/key-value-cache.ts";
import type { DecoderConfig } from "./config.ts";
import { nucleusMass, sampleColumns, sampleTokens } from "./sample-tokens.ts";

/** Names of the weights of one decoder, as checkpoints spell them. */
export interface DecoderNames {
  readonly embedding: string;
  readonly finalNorm: string;
  readonly head: string;
  layer(index: number): string;
}

export const decoderNames: DecoderNames = {
  embedding: "model.embed_tokens.weight",
  finalNorm: "model.norm.weight",
  head: "lm_head.weight",
  layer: (index) => `model.layers.${index}`,
};

/** Stored matrices of a layer, grouped as they are multiplied. */
export interface LayerGroups {
  readonly queryKeyValue: readonly string[];
  readonly attentionOutput: readonly string[];
  readonly gateUp: readonly string[];
  readonly down: readonly string[];
}

export function layerGroups(config: DecoderConfig, index: number): LayerGroups {
  const layer = decoderNames.layer(index);
  const attention = (name: string): string => `${layer}.self_attn.${name}.weight`;
  const feedForward = (name: string): string => `${layer}.mlp.${name}.weight`;
  return {
    queryKeyValue: config.fusedProjections
      ? [attention("qkv_proj")]
      : [attention("q_proj"), attention("k_proj"), attention("v_proj")],
    attentionOutput: [attention("o_proj")],
    gateUp: config.fusedProjections
      ? [feedForward("gate_up_proj")]
      : [feedForward("gate_proj"), feedForward("up_proj")],
    down: [feedForward("down_proj")],
  };
}

/** Every group of matrices of a decoder, the head last. */
export function matrixGroups(config: DecoderConfig): (readonly string[])[] {
  const groups = config.layers.flatMap((_, index) => Object.values(layerGroups(config, index)));
  return [...groups, [headName(config)]];
}

export function headName(config: DecoderConfig): string {
  return config.tieWordEmbeddings ? decoderNames.embedding : decoderNames.head;
}

const biasOf = (names: readonly string[]): string[] =>
  names.map((name) => name.replace(/\.weight$/, ".bias"));

/** What the layers share in one step. */
export interface LayerInputs {
  /** `[batch, time]`: row of each new token in the rotation tables. */
  readonly rotationRows: Tensor;
  /** Cosines and sines of each rotation, `[batch * time, rotated / 2]`. */
  readonly rotations: readonly { readonly cos: Tensor; readonly sin: Tensor }[];
  past(layer: number): { readonly key: Tensor; readonly value: Tensor };
  /** Masks by window (undefined: none), already repeated for the heads of a group. */
  masks(window: number | undefined): {
    readonly past: Tensor;
    readonly fresh: Tensor;
    readonly joined?: JoinedInput;
  };
}

export interface LayerOutput {
  readonly x: Tensor;
  /** New keys (rotated) and values, `[batch, kvHeads, time, headDim]`. */
  readonly key: Tensor;
  readonly value: Tensor;
}

/** A norm of the config's kind. */
function norm(config: DecoderConfig, weights: DecoderWeights, x: Tensor, name: string): Tensor {
  const stored = weights.vector(name);
  const scale = config.normOffset === 0 ? stored : add(stored, config.normOffset);
  return rmsNorm(x, scale, { epsilon: config.rmsNormEps });
}

function project(
  weights: DecoderWeights,
  x: Tensor,
  names: readonly string[],
  biased: boolean,
): Tensor {
  const product = weights.linear(x, names);
  return biased ? addBias(weights, product, biasOf(names)) : product;
}

/** One layer: attention and feed-forward with their norms and residual sums. */
export function decoderLayer(
  config: DecoderConfig,
  weights: DecoderWeights,
  x: Tensor,
  index: number,
  inputs: LayerInputs,
  attend: Attention,
): LayerOutput {
  const prefix = decoderNames.layer(index);
  const groups = layerGroups(config, index);
  const normed = (value: Tensor, name: string): Tensor =>
    norm(config, weights, value, `${prefix}.${name}.weight`);
  const before = config.normPlacement !== "post";
  const after = config.normPlacement !== "pre";

  const attention = scoped("attention", () =>
    selfAttention(
      config,
      weights,
      before ? normed(x, "input_layernorm") : x,
      index,
      inputs,
      attend,
    ),
  );
  const attended = after ? normed(attention.x, "post_attention_layernorm") : attention.x;
  const middle = add(x, attended);

  const fed = scoped("feed-forward", () => {
    // "post_attention_layernorm" is the norm before the feed-forward unless there are norms after.
    const name = after ? "pre_feedforward_layernorm" : "post_attention_layernorm";
    const input = before ? normed(middle, name) : middle;
    const width = config.intermediateSize;
    const both = project(weights, input, groups.gateUp, config.mlpBias);
    const [gate, up] = split(both, [width, width], -1);
    const hidden = multiply(activate(config, gate!), up!);
    return project(weights, hidden, groups.down, config.mlpBias);
  });
  const output = after ? normed(fed, "post_feedforward_layernorm") : fed;
  return { ...attention, x: add(middle, output) };
}

function activate(config: DecoderConfig, x: Tensor): Tensor {
  switch (config.activation) {
    case "silu":
      return silu(x);
    case "gelu":
      return gelu(x);
    case "gelu-tanh":
      return geluTanh(x);
    case "relu":
      return relu(x);
  }
}

function selfAttention(
  config: DecoderConfig,
  weights: DecoderWeights,
  x: Tensor,
  index: number,
  inputs: LayerInputs,
  attend: Attention,
): LayerOutput {
  const { numAttentionHeads, numKeyValueHeads, headDim } = config;
  const [batch, time] = x.shape as [string, string];
  const groups = layerGroups(config, index);
  const group = numAttentionHeads / numKeyValueHeads;
  // The runtime computes what was traced first last: were the conversion of the cache traced later, it
  // would run for all layers before the first, and the processor would have to fetch every cache twice.
  const past = inputs.past(index);
  let joined = project(weights, x, groups.queryKeyValue, config.qkvBias);
  const prefix = `${decoderNames.layer(index)}.self_attn`;
  const normalize = (value: Tensor, name: string): Tensor =>
    norm(config, weights, value, `${prefix}.${name}.weight`);
  if (config.qkNorm === "projection") {
    const sizes = [
      numAttentionHeads * headDim,
      numKeyValueHeads * headDim,
      numKeyValueHeads * headDim,
    ];
    const [q, k, v] = split(joined, sizes, -1) as [Tensor, Tensor, Tensor];
    joined = concat([normalize(q, "q_norm"), normalize(k, "k_norm"), v], -1);
  }
  // Heads come before time once for all three: one transposition instead of three.
  const byHead = transpose(
    reshape(joined, [batch, time, numAttentionHeads + 2 * numKeyValueHeads, headDim]),
    [0, 2, 1, 3],
  );
  let [query, key, value] = split(
    byHead,
    [numAttentionHeads, numKeyValueHeads, numKeyValueHeads],
    1,
  ) as [Tensor, Tensor, Tensor];
  if (config.qkNorm === "head") {
    query = normalize(query, "q_norm");
    key = normalize(key, "k_norm");
  }
  const layer = config.layers[index]!;
  if (layer.rope !== undefined) {
    const { cos, sin } = inputs.rotations[layer.rope]!;
    query = rotary(query, inputs.rotationRows, cos, sin);
    key = rotary(key, inputs.rotationRows, cos, sin);
  }
  const masks = inputs.masks(layer.slidingWindow);
  const { output } = attend({
    // Heads that share a kv head are neighbours: their rows become rows of one product.
    query: reshape(query, [batch, numKeyValueHeads, multiplyDimensions(group, time), headDim]),
    key,
    value,
    pastKey: past.key,
    pastValue: past.value,
    pastMask: masks.past,
    newMask: masks.fresh,
    ...(masks.joined && { joined: masks.joined }),
    scale: config.attentionScale,
    cap: config.attnLogitSoftcap,
    layer: index,
  });
  const attended = transpose(
    reshape(output, [batch, numAttentionHeads, time, headDim]),
    [0, 2, 1, 3],
  );
  const flat = reshape(attended, [batch, time, numAttentionHeads * headDim]);
  return {
    x: project(weights, flat, groups.attentionOutput, config.attentionOutputBias),
    key,
    value,
  };
}

/** Token embeddings of ids. */
export function embed(config: DecoderConfig, weights: DecoderWeights, ids: Tensor): Tensor {
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
  return norm(config, weights, x, decoderNames.finalNorm);
}

function headLogits(config: DecoderConfig, weights: DecoderWeights, normed: Tensor): Tensor {
  const logits = weights.linear(normed, [headName(config)]);
  const cap = config.finalLogitSoftcap;
  return cap === undefined ? logits : multiply(tanh(multiply(logits, 1 / cap)), cap);
}

/** Distinct windows of a decoder's layers, full attention last as `undefined`. */
export function decoderWindows(config: DecoderConfig): (number | undefined)[] {
  return [...new Set(config.layers.map((layer) => layer.slidingWindow))];
}

/** Name of the mask inputs of a window. */
export function maskNames(window: number | undefined): { past: string; fresh: string } {
  const suffix = window === undefined ? "" : `.window${window}`;
  return { past: `mask.past${suffix}`, fresh: `mask.new${suffix}` };
}

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
}

/**
 * The graph of a decoding step.
 *
 * Inputs: `ids` int32 `[batch, time]`; `lengths` int32 `[batch]`, tokens in the cache; `rope.N.cos` and `.sin` `[batch * time, half]`; masks (added to
 * scores: 0 or -infinity) `mask.past` `[batch, 1, 1, capacity]` and `mask.new` `[batch, 1, time, time]`,
 * and for each window its own with a row for every new token; `past.N.key` and `.value`
 * `[batch, kvHeads, capacity, headDim]`; `rows` int32 `[rows]`, flat indices of the rows whose results
 * are wanted; `targets` int32 `[rows]`; `draws` float32 `[rows, drawWidth]`, by which a token of each row
 * is drawn; `candidates` uint8 `[k]`, whose length is the number of tokens to return; switches
 * `want.results`, `want.draws`, `want.nucleus`, `want.logits` and `want.hidden`. Where the switch
 * `from.ids` is off, `embeddings` `[batch, time, width]` stand in place of the rows of the table; where it
 * is on, they may have any size.
 *
 * Outputs: `new` `[2 * layers * batch, kvHeads, time, headDim]`, the new keys and values of one layer
 * after the other (one output, because each costs the runtime's interface as much as a small operator);
 * `top.logits` and `top.ids` `[rows, k]`; `logSumExp`, `targetLogProbability`, `drawn.ids`,
 * `drawn.logits` and `nucleus.mass` `[rows]`; `logits` `[rows, vocabulary]`, also where a nucleus reaches
 * beyond the candidates of some row; `hidden` `[rows, width]`, what the head
 * multiplies.
 */
export function decoderGraph(
  config: DecoderConfig,
  weights: DecoderWeights,
  options: DecoderGraphOptions = {},
): TypedGraph<string, string> {
  const { cacheType = "float32", sumsInBlocks = false } = options;
  const capacity = sumsInBlocks ? multiplyDimensions(sumBlock, "blocks") : "capacity";
  const usual = cacheType === "float32" ? twoPartAttention : joinedAttention;
  const { attention: attend = usual } = options;
  const { numKeyValueHeads, headDim } = config;
  const inputs: Record<string, TensorType> = {
    ids: int32(["batch", "time"]),
    lengths: int32(["batch"]),
    rows: int32(["rows"]),
    targets: int32(["rows"]),
    draws: float32(["rows", sampleColumns]),
    candidates: uint8(["k"]),
    "want.results": bool([]),
    "want.draws": bool([]),
    "want.nucleus": bool([]),
    "want.logits": bool([]),
    "want.hidden": bool([]),
    "from.ids": bool([]),
    embeddings: float32(["given.batch", "given.time", config.hiddenSize]),
  };
  if (sumsInBlocks) inputs["block.ones"] = float32([1, "blocks"]);
  for (const [index, rope] of config.ropes.entries()) {
    inputs[`rope.${index}.cos`] = float32(["batch*time", rope.rotaryDim / 2]);
    inputs[`rope.${index}.sin`] = float32(["batch*time", rope.rotaryDim / 2]);
  }
  for (const index of config.layers.keys()) {
    const shape = ["batch", numKeyValueHeads, capacity, headDim] as const;
    inputs[`past.${index}.key`] = tensorType(cacheType, shape);
    inputs[`past.${index}.value`] = tensorType(cacheType, shape);
  }
  const windows = decoderWindows(config);
  for (const window of windows) {
    const names = maskNames(window);
    inputs[names.past] = float32(["batch", 1, window === undefined ? 1 : "time", capacity]);
    inputs[names.fresh] = float32(["batch", 1, "time", "time"]);
  }

  return trace(inputs, (given): Record<string, Tensor> => {
    const input = given as Readonly<Record<string, Tensor>>;
    const ids = input["ids"]!;
    const group = config.numAttentionHeads / numKeyValueHeads;
    const repeat = (mask: Tensor): Tensor =>
      mask.shape[2] === 1 ? mask : concat(new Array<Tensor>(group).fill(mask), 2);
    const lengths = input["lengths"]!;
    const masks = new Map(
      windows.map((window) => {
        const names = maskNames(window);
        const [past, fresh] = [input[names.past]!, input[names.fresh]!];
        const everyRow = broadcastTo(past, ["batch", 1, "time", capacity]);
        const joined = {
          lengths,
          mask: repeat(overwrite(everyRow, fresh, lengths, 3)),
          ...(sumsInBlocks && { blockOnes: input["block.ones"]! }),
        };
        return [window, { past: repeat(past), fresh: repeat(fresh), joined }] as const;
      }),
    );
    const shared: LayerInputs = {
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

    const fresh: Tensor[] = [];
    let { x } = conditional(
      input["from.ids"]!,
      () => ({ x: embed(config, weights, ids) }),
      () => ({ x: scaleEmbeddings(config, input["embeddings"]!) }),
    );
    for (const index of config.layers.keys()) {
      const layer = scoped(`layers.${index}`, () =>
        decoderLayer(config, weights, x, index, shared, attend),
      );
      x = layer.x;
      fresh.push(layer.key, layer.value);
    }
    const results = optional(input["want.results"]!, () => {
      const chosen = gather(reshape(x, [-1, config.hiddenSize]), input["rows"]!);
      const normed = finalNorm(config, weights, chosen);
      const logits = headLogits(config, weights, normed);
      const top = topK(logits, "k");
      // log sum exp = logit - log probability of any token: cheaper than a reduction of its own.
      const first = { axis: 1, end: 1 };
      const largest = slice(top.values, first);
      const best = gatherElements(logSoftmax(logits), slice(top.indices, first), 1);
      const total = reshape(subtract(largest, best), ["rows"]);
      const targets = reshape(input["targets"]!, ["rows", 1]);
      const targeted = reshape(gatherElements(logits, targets, 1), ["rows"]);
      const drawn = optional(input["want.draws"]!, () => {
        const ids = sampleTokens(logits, { largest, draws: input["draws"]! });
        const chosen = gatherElements(logits, reshape(ids, ["rows", 1]), 1);
        return { ids, logits: reshape(chosen, ["rows"]) };
      });
      const nucleus = optional(input["want.nucleus"]!, () =>
        nucleusMass(logits, { top: top.values, largest, draws: input["draws"]! }),
      );
      const wanted = add(cast(input["want.logits"]!, "int32"), nucleus.missing);
      const whole = optional(less(0, wanted), () => ({ logits }));
      const states = optional(input["want.hidden"]!, () => ({ hidden: normed }));
      return {
        "top.logits": top.values,
        "top.ids": top.indices,
        logSumExp: total,
        targetLogProbability: subtract(targeted, total),
        "drawn.ids": drawn.ids,
        "drawn.logits": drawn.logits,
        "nucleus.mass": nucleus.mass,
        logits: whole.logits,
        hidden: states.hidden,
      };
    });
    return { new: cast(concat(fresh, 0), cacheType), ...results };
  });
}
