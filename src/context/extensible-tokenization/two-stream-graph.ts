/**
 * Two-stream auto-regression, which trains a compressor under a frozen decoder. Stream 1 compresses a sample; stream
 * 2 predicts every chunk but the first from the embeddings of all text before it and its own earlier tokens. Stream 2 is one
 * sequence under a mask of blocks: the embeddings, then the tokens of all chunks.
 */
import { JetonError } from "../../core/index.ts";
import {
  type DecoderConfig,
  decodeFullSequence,
  decoderHead,
  decoderParameterShapes,
  embedIds,
  rotationTables,
  rotationTypes,
  traceStoredWeights,
} from "../../model/index.ts";
import {
  addDimensions,
  bool,
  broadcastTo,
  cast,
  concat,
  crossEntropyRows,
  float32,
  gather,
  int32,
  matmul,
  multiplyDimensions,
  reshape,
  sizeValue,
  sum,
  type TensorValue,
} from "../../tensor/index.ts";
import {
  ignoredTarget,
  type Objective,
  objectiveGraph,
  type TrainingGraph,
} from "../../train/index.ts";
import {
  type CompressorConfig,
  compressorPrefix,
  compressorShapes,
  traceCompressor,
} from "./compressor.ts";
import { keptPlaces } from "./down-scale.ts";

/** What a graph is made of. */
export interface TwoStreamGraphOptions {
  readonly model: DecoderConfig;
  readonly compressor: CompressorConfig;
  /** Names of the compressor's parameters that learn, without a prefix. Default: all. */
  readonly trainable?: ReadonlySet<string>;
  /**
   * How outputs become embeddings: by their places, or, for controls, as products with a matrix `[embeddings, tokens]`.
   * Default `"places"`.
   */
  readonly downScaling?: "places" | "matrix";
}

/** Shapes of all parameters: the decoder's, which stay as they are, and the compressor's behind a prefix. */
export function twoStreamShapes(
  model: DecoderConfig,
  compressor: CompressorConfig,
): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>(decoderParameterShapes(model));
  for (const [name, shape] of compressorShapes(model, compressor)) {
    shapes.set(`${compressorPrefix}${name}`, shape);
  }
  return shapes;
}

/**
 * Traces the objective.
 *
 * Inputs, with `time` = windows of a sample · window: `ids` int32 `[batch, windows, window]`; `kept` int32
 * `[embeddings]`, places of the outputs that are kept, the same in each sample (or `down` float32 `[embeddings, time]`);
 * `raw` int32 `[batch, time]`, the tokens of the chunks; `positions` int32 `[1, embeddings + time]` and `visible`
 * bool `[embeddings + time, embeddings + time]` of a sample; `rows` int32 `[predicted]`, flat places in
 * `[batch, embeddings + time]` that predict something, and `targets` int32 `[predicted]`; those of `rotationTypes`.
 * `twoStreamInputs` makes all of them. The loss is the sum of cross-entropies in nats, its weight the number of
 * targets; its value `logits` is `[predicted, vocabulary]`.
 */
export function twoStreamGraph(options: TwoStreamGraphOptions): TrainingGraph {
  const { model, compressor, downScaling = "places" } = options;
  const shapes = twoStreamShapes(model, compressor);
  const trainable = [...compressorShapes(model, compressor).keys()]
    .filter((name) => options.trainable?.has(name) ?? true)
    .map((name) => `${compressorPrefix}${name}`);
  const { hiddenSize } = model;
  const compressed = multiplyDimensions("count", "window");
  const total = addDimensions("embeddings", compressed);
  const types = {
    ids: int32(["batch", "count", "window"]),
    ...(downScaling === "places"
      ? { kept: int32(["embeddings"]) }
      : { down: float32(["embeddings", compressed]) }),
    raw: int32(["batch", compressed]),
    positions: int32([1, total]),
    visible: bool([total, total]),
    rows: int32(["predicted"]),
    targets: int32(["predicted"]),
    ...rotationTypes(model),
  };
  return objectiveGraph(types, shapes, trainable, (input): Objective => {
    const weights = traceStoredWeights(model, decoderParameterShapes(model));
    const ids = reshape(input["ids"]!, [multiplyDimensions("batch", "count"), "window"]);
    const windows = embedIds(model, weights, ids);
    const outputs = traceCompressor(model, compressor, windows, input);
    const flat = reshape(outputs, ["batch", compressed, hiddenSize]);
    const embeddings =
      downScaling === "places" ? gather(flat, input["kept"]!, 1) : matmul(input["down"]!, flat);
    const raw = embedIds(model, weights, input["raw"]!);
    const states = decodeFullSequence(model, weights, concat([embeddings, raw], 1), input, {
      positions: broadcastTo(input["positions"]!, ["batch", total]),
      visible: input["visible"]!,
    });
    const predicting = gather(reshape(states, [-1, hiddenSize]), input["rows"]!);
    const logits = decoderHead(model, weights, predicting);
    return {
      loss: sum(crossEntropyRows(logits, input["targets"]!)),
      weight: cast(sizeValue("predicted"), "float32"),
      values: { logits },
    };
  });
}

/** Samples of equal length that are read with one factor. */
export interface TwoStreamBatch {
  /** Tokens of each sample: whole windows, then one chunk. */
  readonly samples: readonly ArrayLike<number>[];
  /** The token behind each token; `ignoredTarget` where none is asked for. */
  readonly targets: readonly ArrayLike<number>[];
  readonly factor: number;
}

/** The sizes that samples are cut in. */
export interface TwoStreamSizes {
  readonly window: number;
  /** Tokens that are predicted together (C of the paper). */
  readonly chunk: number;
}

/** How the rows of stream 2 stand to each other, for samples of one length and factor. */
export interface TwoStreamLayout {
  /** Places of the kept outputs. */
  readonly kept: readonly number[];
  /** `[embeddings + time]` */
  readonly positions: Int32Array;
  /** `[embeddings + time, embeddings + time]`: 1 where a row (first) sees another (second). */
  readonly visible: Uint8Array;
  /** For each row that predicts, in order: its place, and the place of the predicted token in the sample. */
  readonly predictions: readonly { readonly row: number; readonly token: number }[];
}

/**
 * Lays a sample out: its embeddings at positions 0, 1, …; then the tokens of each chunk but the first, behind the
 * embeddings of all chunks before it. The last of those embeddings predicts the first token of the chunk.
 *
 * @param length whole windows and one chunk
 */
export function layOutSample(
  length: number,
  { window, chunk, factor }: TwoStreamSizes & { readonly factor: number },
): TwoStreamLayout {
  const kept = keptPlaces(length - chunk, { window, factor });
  const total = kept.length + length - chunk;
  const perChunk = chunk / factor;
  const positions = Int32Array.from({ length: total }, (_, at) => at);
  const visible = new Uint8Array(total * total);
  const predictions: { row: number; token: number }[] = [];
  for (let at = 0; at < kept.length; at++) visible.fill(1, at * total, at * total + at + 1);
  for (let start = chunk; start < length; start += chunk) {
    const before = (start / chunk) * perChunk;
    const first = kept.length + start - chunk;
    predictions.push({ row: before - 1, token: start });
    for (let at = 0; at < chunk; at++) {
      const row = first + at;
      positions[row] = before + at;
      visible.fill(1, row * total, row * total + before);
      visible.fill(1, row * total + first, row * total + row + 1);
      if (at + 1 < chunk) predictions.push({ row, token: start + at + 1 });
    }
  }
  return { kept, positions, visible, predictions };
}

/** A matrix `[embeddings, tokens]` that makes each embedding, for controls. */
export type DownScalingMatrix = (layout: TwoStreamLayout, tokens: number) => Float32Array;

/**
 * Makes the function that turns batches into inputs of `twoStreamGraph`.
 *
 * @param matrix for a graph whose `downScaling` is `"matrix"`
 */
export function twoStreamInputs(
  model: Pick<DecoderConfig, "ropes" | "contextLength">,
  sizes: TwoStreamSizes,
  matrix?: DownScalingMatrix,
): (batch: TwoStreamBatch) => Record<string, TensorValue> {
  const tables = rotationTables(model, model.contextLength);
  const layouts = new Map<string, TwoStreamLayout>();
  return ({ samples, targets, factor }) => {
    const { length } = samples[0]!;
    const key = `${length} ${factor}`;
    const layout = layouts.get(key) ?? layOutSample(length, { ...sizes, factor });
    layouts.set(key, layout);
    const { window, chunk } = sizes;
    const compressed = length - chunk;
    const ids = new Int32Array(samples.length * compressed);
    const raw = new Int32Array(samples.length * compressed);
    const { positions, kept, predictions } = layout;
    const rows: number[] = [];
    const asked: number[] = [];
    for (const [place, sample] of samples.entries()) {
      const tokens = Int32Array.from(sample);
      ids.set(tokens.subarray(0, compressed), place * compressed);
      raw.set(tokens.subarray(chunk), place * compressed);
      for (const { row, token } of predictions) {
        const target = targets[place]![token - 1]!;
        if (target === ignoredTarget) continue;
        rows.push(place * positions.length + row);
        asked.push(target);
      }
    }
    if (rows.length === 0) {
      throw new JetonError("a sample asks for no token: all its documents are one token long", {
        code: "train-batch-empty",
        details: { samples: samples.length, length },
      });
    }
    const total = positions.length;
    const int = (data: Int32Array, shape: readonly number[]): TensorValue => ({
      dtype: "int32",
      shape,
      data,
    });
    return {
      ids: int(ids, [samples.length, compressed / window, window]),
      ...(matrix
        ? {
            down: {
              dtype: "float32" as const,
              shape: [kept.length, compressed],
              data: matrix(layout, compressed),
            },
          }
        : { kept: int(Int32Array.from(kept), [kept.length]) }),
      raw: int(raw, [samples.length, compressed]),
      positions: int(positions, [1, total]),
      visible: { dtype: "bool", shape: [total, total], data: layout.visible },
      rows: int(Int32Array.from(rows), [rows.length]),
      targets: int(Int32Array.from(asked), [asked.length]),
      ...tables,
    };
  };
}
