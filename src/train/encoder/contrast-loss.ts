/** The contrastive loss over vectors, traced and in plain arithmetic. */
import { maskedScore } from "../../model/index.ts";
import {
  add,
  crossEntropyRows,
  float32,
  int32,
  matmul,
  multiply,
  sum,
  type Tensor,
  type TensorType,
  type TensorValue,
} from "../../tensor/index.ts";

/** Which document answers which query of a batch. */
export interface ContrastTargets {
  /** Number of each query's document. */
  readonly targets: Int32Array;
  /** `[queries, documents]`: 1 where a document is no negative of a query, because it is the same text. */
  readonly excluded: Uint8Array;
}

/** Types of the inputs of the loss. */
export const contrastTypes: Readonly<Record<"targets" | "excluded", TensorType>> = {
  targets: int32(["query"]),
  excluded: float32(["query", "document"]),
};

/** Inputs of the loss. */
export function contrastValues(
  { targets, excluded }: ContrastTargets,
  documents: number,
): Record<string, TensorValue> {
  const scores = Float32Array.from(excluded, (one) => (one === 1 ? maskedScore : 0));
  return {
    targets: { dtype: "int32", shape: [targets.length], data: targets },
    excluded: { dtype: "float32", shape: [targets.length, documents], data: scores },
  };
}

/**
 * InfoNCE (van den Oord et al., 2018): −log of the share that each query's document has in the softmax over all
 * documents of the batch; summed over queries.
 *
 * @param scores `[queries, documents]`
 */
export function contrastFromScores(
  scores: Tensor,
  input: Readonly<Record<string, Tensor>>,
  temperature: number,
): Tensor {
  const scaled = multiply(scores, 1 / temperature);
  return sum(crossEntropyRows(add(scaled, input["excluded"]!), input["targets"]!));
}

/** The same from vectors `[queries, width]` and `[documents, width]`. */
export function contrastFromVectors(
  queries: Tensor,
  documents: Tensor,
  input: Readonly<Record<string, Tensor>>,
  temperature: number,
): Tensor {
  return contrastFromScores(matmul(queries, documents, { transposeB: true }), input, temperature);
}

/** A loss and how it changes with each vector. */
export interface ContrastGradients {
  readonly loss: number;
  /** `[queries, width]` */
  readonly queries: Float32Array;
  /** `[documents, width]` */
  readonly documents: Float32Array;
}

/** The loss of `contrastFromVectors` and its gradients, computed here. */
export function contrastGradients(
  queries: Float32Array,
  documents: Float32Array,
  { targets, excluded }: ContrastTargets,
  { width, temperature }: { readonly width: number; readonly temperature: number },
): ContrastGradients {
  const count = documents.length / width;
  const gradients = {
    queries: new Float32Array(queries.length),
    documents: new Float32Array(documents.length),
  };
  const scores = new Float64Array(count);
  let loss = 0;
  for (const [row, target] of targets.entries()) {
    const query = queries.subarray(row * width, (row + 1) * width);
    const total = scoreRow(query, documents, scores, {
      temperature,
      excluded: excluded.subarray(row * count, (row + 1) * count),
    });
    loss += total - scores[target]!;
    const own = gradients.queries.subarray(row * width, (row + 1) * width);
    for (let at = 0; at < count; at++) {
      const share = Math.exp(scores[at]! - total) - (at === target ? 1 : 0);
      if (share === 0) continue;
      const slope = share / temperature;
      const start = at * width;
      for (let i = 0; i < width; i++) {
        own[i]! += slope * documents[start + i]!;
        gradients.documents[start + i]! += slope * query[i]!;
      }
    }
  }
  return { loss, ...gradients };
}

/** Writes a query's scores; returns the logarithm of the sum of their powers. */
function scoreRow(
  query: Float32Array,
  documents: Float32Array,
  scores: Float64Array,
  { temperature, excluded }: { readonly temperature: number; readonly excluded: Uint8Array },
): number {
  const width = query.length;
  let largest = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < scores.length; at++) {
    let product = 0;
    for (let i = 0; i < width; i++) product += query[i]! * documents[at * width + i]!;
    scores[at] = excluded[at] === 1 ? Number.NEGATIVE_INFINITY : product / temperature;
    largest = Math.max(largest, scores[at]!);
  }
  let powers = 0;
  for (const score of scores) powers += Math.exp(score - largest);
  return largest + Math.log(powers);
}
