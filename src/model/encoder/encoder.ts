/**
 * Encoders as one traced function of named parameters: BERT and its relatives over whole sequences that
 * attend to themselves in both directions. Padding is masked in every layer, so that the states of a
 * text do not depend on the texts beside it.
 */
import {
  add,
  broadcastTo,
  cast,
  type Dimension,
  gather,
  multiplyDimensions,
  range,
  reshape,
  scoped,
  type Tensor,
} from "../../tensor/index.ts";
import { embedIds } from "../decoder/embeddings.ts";
import { seesAny, windowMask } from "../layers/bidirectional-attention.ts";
import { onceByKey, sumsOf } from "../layers/layer-terms.ts";
import { relativeBias } from "../layers/relative-bias.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import { encodeBackbone } from "./backbone/backbone.ts";
import type { EncoderConfig } from "./config.ts";
import { addConvolution } from "./deberta/deberta-convolution.ts";
import { type EncoderContext, encoderLayer, encoderNorm } from "./encoder-layer.ts";
import { encoderNames, weightOf } from "./encoder-names.ts";
import { mixerLayer } from "./mixer/mixer-layer.ts";
import { mixerTables } from "./mixer/mixer-tables.ts";
import { projectStored } from "./project-stored.ts";

/** Tensors that an encoder reads. */
export interface EncoderInput {
  /** int32 `[batch, time]` */
  readonly ids: Tensor;
  /** Row of each token in the table of positions, int32 `[batch, time]`. */
  readonly positions: Tensor;
  /** Token types, int32 `[batch, time]`; not read where the encoder has none. */
  readonly types: Tensor;
  /** Added to the scores of keys: 0, or `maskedScore` where no token may look. `[batch, 1, 1, time]`. */
  readonly mask: Tensor;
  /**
   * 1 for the positions of a text and 0 behind it, float32 `[batch, time]`: a Monarch Mixer reads it, whose
   * convolutions know no mask, and a decoder's layers, for which what stands behind a text is a text of its own.
   */
  readonly present?: Tensor | undefined;
  /** How a Monarch Mixer computes its kernels. Default `"float32"`, as trainings do. */
  readonly kernelType?: "float32" | "float64";
  /** Tables by the names of `encoderTableTypes`. */
  readonly tables: Readonly<Record<string, Tensor>>;
}

/** Embeddings of tokens, positions and types, normed and projected: `[batch, time, hiddenSize]`. */
export function embedEncoderInput(
  config: EncoderConfig,
  weights: DecoderWeights,
  { ids, positions, types }: Pick<EncoderInput, "ids" | "positions" | "types">,
): Tensor {
  if (config.backbone) return embedIds(config.backbone, weights, ids);
  const names = encoderNames(config);
  const rows = (name: string, at: Tensor): Tensor =>
    cast(gather(weights.table(weightOf(name)), at), "float32");
  let x = rows(names.tokens, ids);
  if (config.typeVocabSize > 0) x = add(x, rows(names.types, types));
  if (config.positionRows > 0) x = add(x, rows(names.positions, positions));
  const isProjected = config.embeddingSize !== config.hiddenSize || config.family === "albert";
  // DeBERTa projects first, and without a bias.
  const isFirst = config.family === "deberta-v2";
  if (isProjected && isFirst) x = projectStored(weights, x, names.embeddingProjection, false);
  if (config.embeddingNorm) x = encoderNorm({ config, weights }, x, names.embeddingNorm);
  return isProjected && !isFirst ? projectStored(weights, x, names.embeddingProjection) : x;
}

/** All layers over embeddings: states `[batch, time, hiddenSize]`, behind the final norm if there is one. */
export function encodeEmbeddings(
  config: EncoderConfig,
  weights: DecoderWeights,
  embeddings: Tensor,
  input: Pick<EncoderInput, "mask" | "present" | "kernelType" | "tables">,
): Tensor {
  if (config.backbone) return encodeBackbone(config.backbone, weights, embeddings, input);
  const [batch, time] = embeddings.shape as [Dimension, Dimension];
  const context: EncoderContext = {
    config,
    weights,
    rotationRows:
      config.ropes.length > 0
        ? broadcastTo(reshape(range(time), [1, time]), [batch, time])
        : undefined,
    rotations: config.ropes.map((_, index) => ({
      cos: input.tables[`rope.${index}.cos`]!,
      sin: input.tables[`rope.${index}.sin`]!,
    })),
    ...scoreParts(config, weights, input.mask, time),
    ...(config.convolution && {
      convolve: (x, output) =>
        addConvolution(config, weights, { input: x, output, mask: input.mask }),
    }),
    ...(config.mixer && {
      mixer: {
        tables: mixerTables(input.tables),
        present: input.present!,
        kernelType: input.kernelType ?? "float32",
      },
    }),
  };
  return encodeLayers(embeddings, context);
}

/**
 * Some of the layers, by default all of them with the final norm if there is one: `[batch, time, hiddenSize]` to the
 * same.
 *
 * @param from the first layer
 * @param to the layer behind the last; the final norm stands behind all layers
 */
export function encodeLayers(
  x: Tensor,
  context: EncoderContext,
  from = 0,
  to: number = context.config.layers.length,
): Tensor {
  const { config, mixer, convolve } = context;
  const [batch, time, width] = x.shape as [Dimension, Dimension, number];
  const texts = (rows: Tensor): Tensor => reshape(rows, [batch, time, width]);
  // Rows of a matrix, but for layers that mix along the time.
  let states = mixer ? x : reshape(x, [multiplyDimensions(batch, time), width]);
  for (let index = from; index < to; index++) {
    states = scoped(`layers.${index}`, () => {
      if (mixer) return mixerLayer(states, index, { ...context, ...mixer });
      const output = encoderLayer(states, index, context, { batch, time });
      if (index > 0 || !convolve) return output;
      return reshape(convolve(texts(states), texts(output)), output.shape);
    });
  }
  const isLast = to === config.layers.length && config.finalNorm;
  const normed = isLast ? encoderNorm(context, states, encoderNames(config).finalNorm) : states;
  return mixer ? normed : texts(normed);
}

/** Hidden states of the last layer, `[batch, time, hiddenSize]`. */
export function encode(
  config: EncoderConfig,
  weights: DecoderWeights,
  input: EncoderInput,
): Tensor {
  return encodeEmbeddings(config, weights, embedEncoderInput(config, weights, input), input);
}

/** Masks and biases of the layers, made once for all that share a window and a table. */
function scoreParts(
  config: EncoderConfig,
  weights: DecoderWeights,
  mask: Tensor,
  time: Dimension,
): Required<Pick<EncoderContext, "added" | "sees">> {
  const bias = encoderBias(config, weights, range(time));
  const windowOf = (layer: number): number | undefined => config.layers[layer]!.window;
  const masks = onceByKey(windowOf, (window) =>
    window === undefined ? mask : add(mask, windowMask(time, window)),
  );
  // Only behind a window may all that is left be filling that is not attended to.
  const sees = onceByKey(masks, (all) => (all === mask ? undefined : seesAny(all)));
  return { added: sumsOf(masks, bias), sees };
}

/**
 * Scores of a layer by relative positions, `[1, heads, time, time]`, or of a batch where its texts have positions of
 * their own; undefined where the encoder has none.
 *
 * @param places int32 `[time]` or `[batch, time]`
 */
export function encoderBias(
  config: EncoderConfig,
  weights: DecoderWeights,
  places: Tensor,
): (layer: number) => Tensor | undefined {
  const { relativeBias: options } = config;
  if (!options) return () => undefined;
  const names = encoderNames(config);
  return onceByKey(
    (layer) => names.relativeBias(layer),
    (name) => {
      const table = cast(weights.table(weightOf(name)), "float32");
      return relativeBias(table, places, places, { ...options, bidirectional: true });
    },
  );
}
