/** Graphs that train an encoder's vectors of texts: contrast, distillation, and contrast over cached vectors. */
import {
  type DecoderWeights,
  type EncoderConfig,
  encoderRotationTypes,
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
  stopGradient,
  subtract,
  sum,
  type Tensor,
  type TensorType,
} from "../../tensor/index.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "../graph/training-graph.ts";
import { contrastFromVectors } from "./contrast-loss.ts";
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
    ...encoderRotationTypes(config),
    ...Object.assign({}, ...sides.map((side) => ({ ...textTypes(side), ...poolTypes(side) }))),
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
    targets: int32(["query"]),
    excluded: float32(["query", "document"]),
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
 * Vectors of one chunk of texts, and a loss whose gradients are those of a batch of many chunks (gradient caching;
 * Gao et al., 2021). Inputs: the texts of the side `text`; `slope` float32 `[text, width]`, how the batch's loss changes
 * with each vector; `share` and `count`, float32 scalars: the chunk's share of the loss and of what counts. The value
 * `vectors` is `[text, width]`.
 */
export function cachedVectorGraph(options: VectorGraphOptions, width: number): TrainingGraph {
  const { config, shapes, trainable, pipeline } = options;
  const inputs = {
    ...encoderRotationTypes(config),
    ...textTypes("text"),
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
