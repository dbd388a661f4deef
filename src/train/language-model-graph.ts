/**
 * The graph of a training step of a decoder: whole sequences attend to themselves, without a cache.
 */
import {
  type Attention,
  type DecoderConfig,
  decoderHead,
  decoderLayer,
  embed,
  type LayerInputs,
  ropeFrequencies,
  traceWeights,
} from "../model/index.ts";
import {
  add,
  and,
  broadcastTo,
  cast,
  causalMask,
  concat,
  crossEntropyRows,
  equal,
  fill,
  float32,
  int32,
  matmul,
  multiply,
  not,
  or,
  parameter,
  range,
  reshape,
  scoped,
  slice,
  softmax,
  sum,
  type Tensor,
  type TensorType,
  type TensorValue,
  tanh,
  where,
} from "../tensor/index.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "./training-graph.ts";

/** A target that does not count. */
export const ignoredTarget = -1;

export interface LanguageModelGraphOptions {
  /** Shapes of the parameters by name, as `decoderParameterShapes` gives them. */
  parameters: ReadonlyMap<string, readonly number[]>;
  /** Names of the parameters that learn. Default: all. */
  trainable?: ReadonlySet<string>;
  /** Tokens see only their own document: a batch then needs `segments`. Default false. */
  documentMask?: boolean;
  /**
   * Length of a soft prompt: rows of the parameter `softPromptName`, which stand before every
   * sequence as if they were embeddings of tokens. Default 0: none.
   */
  softPrompt?: number;
}

/** Name of the parameter that holds a soft prompt, `[length, width]`. */
export const softPromptName = "prompt.embeddings";

/**
 * Traces next-token prediction with all gradients.
 *
 * Inputs: `ids` and `targets` int32 `[batch, time]`, a target of `ignoredTarget` does not count;
 * `segments` int32 `[batch, time]` with `documentMask`: the number of each token's document;
 * `rope.N.cos` and `.sin` `[positions, half]`. `languageModelInputs` makes all of them.
 * The loss is the sum of cross-entropies in nats, its weight the number of targets that count.
 */
export function languageModelGraph(
  config: DecoderConfig,
  options: LanguageModelGraphOptions,
): TrainingGraph {
  const { parameters, documentMask = false, softPrompt = 0 } = options;
  const inputs: Record<string, TensorType> = {
    ids: int32(["batch", "time"]),
    targets: int32(["batch", "time"]),
  };
  if (documentMask) inputs["segments"] = int32(["batch", "time"]);
  for (const [index, rope] of config.ropes.entries()) {
    inputs[`rope.${index}.cos`] = float32(["positions", rope.rotatedWidth / 2]);
    inputs[`rope.${index}.sin`] = float32(["positions", rope.rotatedWidth / 2]);
  }
  const shapes = new Map(parameters);
  if (softPrompt > 0) shapes.set(softPromptName, [softPrompt, config.width]);
  const trainable = [...shapes.keys()].filter((name) => options.trainable?.has(name) ?? true);

  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceWeights(
      new Map([...shapes].map(([name, shape]) => [name, { dtype: "F32", shape: [...shape] }])),
      "f32",
    );
    const ids = input["ids"]!;
    let x = embed(config, weights, ids);
    let segments = input["segments"];
    if (softPrompt > 0) {
      const prompt = parameter(softPromptName, [softPrompt, config.width]);
      x = concat([broadcastTo(prompt, ["batch", softPrompt, config.width]), x], 1);
    }
    const time = x.shape[1]!;
    if (segments && softPrompt > 0) {
      const prompt = fill(["batch", softPrompt], promptSegment, "int32");
      segments = concat([prompt, segments], 1);
    }
    const shared: LayerInputs = {
      rotationRows: broadcastTo(reshape(range(time), [1, time]), ["batch", time]),
      rotations: config.ropes.map((_, index) => ({
        cos: input[`rope.${index}.cos`]!,
        sin: input[`rope.${index}.sin`]!,
      })),
      // Nothing is cached: `attendWithin` never looks at the past.
      past: () => ({ key: x, value: x }),
      masks: maskMaker(config, time, segments),
    };
    for (const index of config.layers.keys()) {
      x = scoped(`layers.${index}`, () =>
        decoderLayer(config, weights, x, index, shared, attendWithin),
      ).x;
    }
    if (softPrompt > 0) x = slice(x, { axis: 1, start: softPrompt, end: time });
    return scoped("loss", () => {
      const logits = decoderHead(config, weights, x);
      const targets = input["targets"]!;
      const isIgnored = equal(targets, ignoredTarget);
      const counts = cast(not(isIgnored), "float32");
      const rows = crossEntropyRows(logits, where(isIgnored, 0, targets));
      return { loss: sum(multiply(rows, counts)), weight: sum(counts) };
    });
  });
}

/** The number of a soft prompt among documents: all of them see it. */
const promptSegment = -1;

/** Exact attention of a sequence to itself. */
const attendWithin: Attention = ({ query, key, value, newMask, scale, cap }) => {
  const plain = matmul(query, key, { transposeB: true, alpha: cap ? scale / cap : scale });
  const scores = add(cap ? multiply(tanh(plain), cap) : plain, newMask);
  return { output: matmul(softmax(scores), value) };
};

/** Masks by window, made once: `[batch or 1, 1, group * time, time]`, 0 or -infinity. */
function maskMaker(
  config: DecoderConfig,
  time: Tensor["shape"][number],
  segments: Tensor | undefined,
): LayerInputs["masks"] {
  const group = config.heads / config.kvHeads;
  const made = new Map<number | undefined, { past: Tensor; fresh: Tensor }>();
  return (window) => {
    let masks = made.get(window);
    if (!masks) {
      let seen = reshape(causalMask(time, time, window === undefined ? {} : { window }), [
        1,
        1,
        time,
        time,
      ]);
      if (segments) {
        const own = reshape(segments, ["batch", 1, time, 1]);
        const others = reshape(segments, ["batch", 1, 1, time]);
        seen = and(seen, or(equal(own, others), equal(others, promptSegment)));
      }
      const mask = where(seen, 0, Number.NEGATIVE_INFINITY);
      // Rows of the query heads that share a kv head follow each other.
      const fresh = group === 1 ? mask : concat(new Array<Tensor>(group).fill(mask), 2);
      masks = { past: fresh, fresh };
      made.set(window, masks);
    }
    return masks;
  };
}

/** Sequences of equal length for one run of the graph. */
export interface LanguageModelBatch {
  /** Number of sequences. */
  readonly batch: number;
  /** Tokens of each sequence. */
  readonly time: number;
  /** `[batch * time]` */
  readonly ids: Int32Array;
  /** `[batch * time]`, `ignoredTarget` where nothing is asked. */
  readonly targets: Int32Array;
  /** `[batch * time]`: number of the document within its sequence. */
  readonly segments?: Int32Array;
}

/**
 * Makes the function that turns batches into inputs of `languageModelGraph`.
 *
 * @param options `sequenceLength`: the length for which scalings of rotations that depend on one are
 *   computed, and the longest sequence that comes (soft prompt included)
 */
export function languageModelInputs(
  config: DecoderConfig,
  options: { sequenceLength: number; documentMask?: boolean },
): (batch: LanguageModelBatch) => Record<string, TensorValue> {
  const { sequenceLength, documentMask = false } = options;
  const tables: Record<string, TensorValue> = {};
  for (const [index, rope] of config.ropes.entries()) {
    const { frequencies, factor } = ropeFrequencies(rope, sequenceLength);
    const half = frequencies.length;
    const shape = [sequenceLength, half];
    const cos = new Float32Array(sequenceLength * half);
    const sin = new Float32Array(sequenceLength * half);
    for (let position = 0; position < sequenceLength; position++) {
      for (let pair = 0; pair < half; pair++) {
        const angle = position * frequencies[pair]!;
        cos[position * half + pair] = factor * Math.cos(angle);
        sin[position * half + pair] = factor * Math.sin(angle);
      }
    }
    tables[`rope.${index}.cos`] = { dtype: "float32", shape, data: cos };
    tables[`rope.${index}.sin`] = { dtype: "float32", shape, data: sin };
  }
  return ({ batch, time, ids, targets, segments }) => {
    const shape = [batch, time];
    return {
      ids: { dtype: "int32", shape, data: ids },
      targets: { dtype: "int32", shape, data: targets },
      ...(documentMask && {
        segments: { dtype: "int32", shape, data: segments ?? new Int32Array(batch * time) },
      }),
      ...tables,
    };
  };
}
