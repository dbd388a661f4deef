/** Graphs that train an encoder's vectors of texts: contrast, distillation, and contrast over cached vectors. */
import {
  type DecoderWeights,
  type EncoderConfig,
  encoderTableTypes,
  traceFloat32Weights,
} from "../../model/index.ts";
import {
  add,
  cast,
  float32,
  gatherElements,
  int32,
  logSoftmax,
  matmul,
  multiply,
  negate,
  sizeValue,
  softmax,
  split,
  stopGradient,
  subtract,
  sum,
  type Tensor,
  type TensorType,
} from "../../tensor/index.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "../graph/training-graph.ts";
import { contrastFromVectors, contrastTypes } from "./contrast-loss.ts";
import { poolTypes, sideVectors, textTypes, type VectorPipeline } from "./encoder-inputs.ts";

/** What the graphs of vectors are made of. */
export interface VectorGraphOptions {
  readonly config: EncoderConfig;
  /** Shapes of all parameters, those of the pipeline's modules among them. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Names of the parameters that learn. */
  readonly trainable: readonly string[];
  readonly pipeline: VectorPipeline;
  /** Scores are divided by it. */
  readonly temperature: number;
}

const sides = ["query", "document"] as const;

function pairTypes(config: EncoderConfig): Record<string, TensorType> {
  return {
    ...encoderTableTypes(config),
    ...Object.assign(
      {},
      ...sides.map((side) => ({ ...textTypes(side, config), ...poolTypes(side) })),
    ),
  };
}

function pairVectors(
  { config, pipeline }: VectorGraphOptions,
  weights: DecoderWeights,
  input: Readonly<Record<string, Tensor>>,
): [queries: Tensor, documents: Tensor] {
  const [queries, documents] = sides.map((side) =>
    sideVectors(side, config, weights, input, pipeline),
  );
  return [queries!, documents!];
}

/**
 * Contrast of queries with documents: their own, hard negatives, and those of the batch's other queries. Inputs: the
 * texts of the sides `query` and `document` (`textTypes`, `poolTypes`), `targets` int32 `[query]` and `excluded`
 * float32 `[query, document]` (`contrastValues`). The loss is a sum of nats over queries.
 */
export function contrastiveGraph(options: VectorGraphOptions): TrainingGraph {
  const { config, shapes, trainable, temperature } = options;
  const inputs = {
    ...pairTypes(config),
    ...contrastTypes,
  };
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const [queries, documents] = pairVectors(options, weights, input);
    return {
      loss: contrastFromVectors(queries, documents, input, temperature),
      weight: countOf("query"),
    };
  });
}

/** Number of a dimension's rows, as a float32 scalar. */
const countOf = (dimension: string): Tensor => cast(sizeValue(dimension), "float32");

/**
 * Distillation from scores of a teacher over each query's own documents, of which all have equally many: the
 * cross-entropy between both softmaxes over them. Inputs: the texts of both sides; `own` int32 `[query, group]`, the
 * numbers of each query's documents; `teacher` float32 likewise, which is divided by no temperature. The loss is a sum
 * over queries.
 *
 * @param group documents of each query
 */
export function distillationGraph(options: VectorGraphOptions, group: number): TrainingGraph {
  const { config, shapes, trainable, temperature } = options;
  const inputs = {
    ...pairTypes(config),
    own: int32(["query", group]),
    teacher: float32(["query", group]),
  };
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const [queries, documents] = pairVectors(options, weights, input);
    const products = matmul(queries, documents, { transposeB: true, alpha: 1 / temperature });
    const scores = gatherElements(products, input["own"]!, 1);
    return {
      loss: negate(sum(multiply(softmax(input["teacher"]!), logSoftmax(scores)))),
      weight: countOf("query"),
    };
  });
}

/**
 * Orthogonal projection (Saad-Falcon et al., 2024): the cosine of a query and its document is pulled to 1, those with
 * negatives to 0, by their squared distances. A document stands once beside each negative, so both halves weigh the
 * same; no other query of the batch counts. Inputs: the texts of both sides; `own` int32 `[query, group]`, the numbers of
 * each query's documents, the right one first. The loss is a sum over queries of means over their pairs.
 *
 * @param options its pipeline ends in vectors of length 1; its temperature is not read
 * @param group documents of each query, at least 2
 */
export function orthogonalProjectionGraph(
  options: VectorGraphOptions,
  group: number,
): TrainingGraph {
  const { config, shapes, trainable } = options;
  const inputs = { ...pairTypes(config), own: int32(["query", group]) };
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const [queries, documents] = pairVectors(options, weights, input);
    const cosines = gatherElements(
      matmul(queries, documents, { transposeB: true }),
      input["own"]!,
      1,
    );
    const [right, wrong] = split(cosines, [1, group - 1], 1) as [Tensor, Tensor];
    const missed = subtract(1, right);
    const positive = multiply(sum(multiply(missed, missed)), 0.5);
    const negative = multiply(sum(multiply(wrong, wrong)), 0.5 / (group - 1));
    return { loss: add(positive, negative), weight: countOf("query") };
  });
}

/**
 * Vectors of one chunk of texts, and a loss whose gradients are those of a batch of many chunks (gradient caching;
 * Gao et al., 2021). Inputs: the texts of the side `text`; `slope` float32 `[text, width]`, how the batch's loss changes
 * with each vector; `share` and `count`, float32 scalars: the chunk's share of the loss and of what counts. The value
 * `vectors` is `[text, width]`.
 */
export function cachedVectorGraph(options: VectorGraphOptions, width: number): TrainingGraph {
  const { config, shapes, trainable, pipeline } = options;
  const inputs = {
    ...encoderTableTypes(config),
    ...textTypes("text", config),
    ...poolTypes("text"),
    slope: float32(["text", width]),
    share: float32([]),
    count: float32([]),
  };
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const vectors = sideVectors("text", config, weights, input, pipeline);
    const first = sum(multiply(vectors, input["slope"]!));
    // Its value is the loss of the batch, its gradient that of the products.
    const loss = add(subtract(first, stopGradient(first)), input["share"]!);
    return { loss, weight: input["count"]!, values: { vectors } };
  });
}
