/** Contrast by vectors of tokens: ColBERT's sum of maxima, and XTR's over tokens retrieved from the batch. */
import {
  applyModules,
  type EncoderConfig,
  encoderTableTypes,
  maskedScore,
  traceFloat32Weights,
  type VectorModule,
} from "../../model/index.ts";
import {
  add,
  cast,
  type Dimension,
  divide,
  float32,
  greaterOrEqual,
  int32,
  matmul,
  max,
  maximum,
  min,
  multiply,
  multiplyDimensions,
  reshape,
  sizeValue,
  stopGradient,
  subtract,
  sum,
  type Tensor,
  type TensorType,
  type TensorValue,
  topK,
  where,
} from "../../tensor/index.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "../graph/training-graph.ts";
import { contrastFromScores, contrastTypes } from "./contrast-loss.ts";
import { type EncodedText, encodeSide, textTypes } from "./encoder-inputs.ts";

/** What the graph is made of. */
export interface TokenContrastOptions {
  readonly config: EncoderConfig;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly trainable: readonly string[];
  /** Applied to each token's state; the last gives vectors of length 1. */
  readonly modules: readonly VectorModule[];
  /** `"max-sim"`: the best token of a document counts; `"xtr"`: only if it is among the best of the batch. */
  readonly scoring: "max-sim" | "xtr";
  readonly temperature: number;
}

/** Where a query's tokens retrieved none of a document's, the number of those that did is taken for this. */
const leastCount = 1e-3;

const sides = ["query", "document"] as const;

/**
 * Contrast of queries with the documents of a batch. Inputs: the texts of both sides (`textTypes`), `SIDE.kept`
 * float32 `[side, time]`: 1 for tokens whose vectors count; `targets`, `excluded` as of `contrastiveGraph`; with
 * `"xtr"` also `candidates` int32 `[candidates]`, whose length says how many tokens of the batch each token of a
 * query retrieves. The loss is a sum of nats over queries.
 */
export function tokenContrastGraph(options: TokenContrastOptions): TrainingGraph {
  const { config, shapes, trainable, modules, scoring, temperature } = options;
  const inputs: Record<string, TensorType> = {
    ...encoderTableTypes(config),
    ...Object.assign(
      {},
      ...sides.map((side) => ({ ...textTypes(side, config), ...keptTypes(side) })),
    ),
    ...(scoring === "xtr" && { candidates: int32(["candidates"]) }),
    ...contrastTypes,
  };
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const [queries, documents] = sides.map((side) =>
      applyModules(weights, encodeSide(side, config, weights, input), modules),
    ) as [Tensor, Tensor];
    const kept = { queries: input["query.kept"]!, documents: input["document.kept"]! };
    const scores =
      scoring === "xtr"
        ? xtrScores(queries, documents, kept)
        : maxSimScores(queries, documents, kept);
    return {
      loss: contrastFromScores(scores, input, temperature),
      weight: cast(sizeValue("query"), "float32"),
    };
  });
}

function keptTypes(side: string): Record<string, TensorType> {
  return { [`${side}.kept`]: float32([side, `${side}Time`]) };
}

/** Which tokens of a side count, in texts that were laid out to `time` tokens. */
export function keptValues(
  side: string,
  texts: readonly EncodedText[],
  time: number,
): Record<string, TensorValue> {
  const data = new Float32Array(texts.length * time);
  for (const [row, { ids, attended, kept = attended }] of texts.entries()) {
    if (kept) data.set(kept, row * time);
    else data.fill(1, row * time, row * time + ids.length);
  }
  return { [`${side}.kept`]: { dtype: "float32", shape: [texts.length, time], data } };
}

interface Kept {
  /** `[queries, time]`, 1 for tokens that count. */
  readonly queries: Tensor;
  /** `[documents, time]` */
  readonly documents: Tensor;
}

/** Products of all tokens of all queries with all tokens of all documents, `[queries · time, documents · time]`. */
function tokenProducts(queries: Tensor, documents: Tensor): Tensor {
  const flat = (x: Tensor): Tensor => {
    const [texts, time, width] = x.shape as [Dimension, Dimension, number];
    return reshape(x, [multiplyDimensions(texts, time), width]);
  };
  return matmul(flat(queries), flat(documents), { transposeB: true });
}

/** For each token of a query its best of each document, `[queries, time, documents]`. */
function bestOfDocuments(values: Tensor, queries: Tensor, documents: Tensor): Tensor {
  const [texts, time] = queries.shape as [Dimension, Dimension];
  const [others, otherTime] = documents.shape as [Dimension, Dimension];
  return max(reshape(values, [texts, time, others, otherTime]), { axes: [3] });
}

/** Added to products with tokens that do not count: `[1, documents · time]`. */
function hiddenTokens(kept: Tensor): Tensor {
  const [documents, time] = kept.shape as [Dimension, Dimension];
  const flat = reshape(kept, [1, multiplyDimensions(documents, time)]);
  return multiply(subtract(1, flat), maskedScore);
}

/** Sums over the tokens of a query that count, `[queries, documents]`. */
function sumOverQuery(values: Tensor, kept: Tensor): Tensor {
  const [queries, time] = kept.shape as [Dimension, Dimension];
  return sum(multiply(values, reshape(kept, [queries, time, 1])), { axes: [1] });
}

/** The mean over a query's tokens of the best product with a document's (Khattab and Zaharia, 2020). */
export function maxSimScores(queries: Tensor, documents: Tensor, kept: Kept): Tensor {
  const products = add(tokenProducts(queries, documents), hiddenTokens(kept.documents));
  const best = bestOfDocuments(products, kept.queries, kept.documents);
  const count = maximum(sum(kept.queries, { axes: [1], keepAxes: true }), 1);
  return divide(sumOverQuery(best, kept.queries), count);
}

/**
 * XTR's score of training (Lee et al., 2023): each token of a query retrieves the best tokens of the whole batch, A of
 * the paper; the best retrieved product with a document's tokens counts, and the sum is divided by Z, the number of
 * tokens that retrieved one of the document.
 */
export function xtrScores(queries: Tensor, documents: Tensor, kept: Kept): Tensor {
  const products = tokenProducts(queries, documents);
  const visible = add(products, hiddenTokens(kept.documents));
  const { values } = topK(stopGradient(visible), "candidates");
  const last = min(values, { axes: [1], keepAxes: true });
  const isRetrieved = greaterOrEqual(stopGradient(visible), last);
  // What was not retrieved counts 0; hidden tokens stay below everything.
  const counted = where(isRetrieved, visible, hiddenTokens(kept.documents));
  const best = bestOfDocuments(counted, kept.queries, kept.documents);
  const found = bestOfDocuments(cast(isRetrieved, "float32"), kept.queries, kept.documents);
  const count = maximum(sumOverQuery(found, kept.queries), leastCount);
  return divide(sumOverQuery(best, kept.queries), count);
}
