/** Contrast by DupMAE's two-part representation: a dense vector, and the words that a text stands for. */
import {
  applyModules,
  type DecoderWeights,
  type EncoderConfig,
  encoderHeads,
  encoderTableTypes,
  traceFloat32Weights,
  type VectorModule,
} from "../../../model/index.ts";
import {
  add,
  cast,
  less,
  matmul,
  sizeValue,
  slice,
  squeeze,
  stopGradient,
  type Tensor,
  topK,
  where,
} from "../../../tensor/index.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "../../graph/training-graph.ts";
import { contrastFromScores, contrastTypes } from "../contrast-loss.ts";
import { encodeSide, textTypes } from "../encoder-inputs.ts";

/** What the graph is made of. */
export interface HybridContrastOptions {
  readonly config: EncoderConfig;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly trainable: readonly string[];
  /** Applied to the first state. */
  readonly modules: readonly VectorModule[];
  /** Words that a document keeps: those with the largest weights. */
  readonly terms: number;
  readonly temperature: number;
}

/**
 * InfoNCE over the sum of both products: of the dense vectors, and of the lexical weights at the words that the document
 * keeps. Inputs: the texts of the sides `query` and `document` (`textTypes`), `targets` and `excluded` of
 * `contrastValues`. The loss is a sum of nats over queries.
 */
export function hybridContrastGraph(options: HybridContrastOptions): TrainingGraph {
  const { config, shapes, trainable, terms, temperature } = options;
  const inputs = {
    ...encoderTableTypes(config),
    ...textTypes("query", config),
    ...textTypes("document", config),
    ...contrastTypes,
  };
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const [query, document] = (["query", "document"] as const).map((side) =>
      representSide(side, options, weights, input),
    ) as [Representation, Representation];
    const kept = keepLargest(document.lexical, Math.min(terms, config.vocabSize));
    const scores = add(
      matmul(query.dense, document.dense, { transposeB: true }),
      matmul(query.lexical, kept, { transposeB: true }),
    );
    return {
      loss: contrastFromScores(scores, input, temperature),
      weight: cast(sizeValue("query"), "float32"),
    };
  });
}

interface Representation {
  /** `[texts, width]` */
  readonly dense: Tensor;
  /** `[texts, vocabSize]` */
  readonly lexical: Tensor;
}

function representSide(
  side: string,
  { config, shapes, modules }: HybridContrastOptions,
  weights: DecoderWeights,
  input: Readonly<Record<string, Tensor>>,
): Representation {
  const has = (name: string): boolean => shapes.has(name);
  const states = encodeSide(side, config, weights, input);
  const first = squeeze(slice(states, { axis: 1, start: 0, end: 1 }), 1);
  const lexical = encoderHeads({ ...config, task: "masked" }, has).get("lexical")!;
  return {
    dense: applyModules(weights, first, modules),
    lexical: lexical.graph({ config, weights, states, attended: input[`${side}.attended`]!, has }),
  };
}

/** Zeros where a weight is not among the largest of its row; equal ones at the border all stay. */
function keepLargest(weights: Tensor, count: number): Tensor {
  const { values } = topK(weights, count);
  const least = stopGradient(slice(values, { axis: 1, start: count - 1, end: count }));
  return where(less(weights, least), 0, weights);
}
