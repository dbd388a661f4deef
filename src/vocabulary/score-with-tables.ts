/** How probable a model finds a text in the tokens of another vocabulary, before any checkpoint with its rows is written. */
import { JetonError } from "../core/index.ts";
import type { LoadedModel } from "../model/index.ts";
import type { VocabularyTables } from "./mixture.ts";

/**
 * Scores tokens of another vocabulary: the model reads the rows of its embedding table, and its head is multiplied with what
 * the model makes of them. It equals `score` on a checkpoint that `transfer` wrote, up to rounding.
 *
 * @param tables of the other vocabulary, as `predictTables` gives them
 * @param ids tokens of that vocabulary, at least two; the first is given and not scored
 * @returns log-probabilities in nats, `[ids - 1]`
 *
 * @throws JetonError `transfer-head-unsupported` for a model whose head has more than a matrix, and those of the
 *   model's steps
 */
export async function scoreWithTables(
  model: Pick<LoadedModel, "openSequence" | "config" | "name">,
  { embedding, head = embedding }: VocabularyTables,
  ids: ArrayLike<number>,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<Float64Array> {
  const { hiddenSize: width, headBias, landmark, logitScale, finalLogitSoftcap } = model.config;
  if (headBias || landmark) {
    throw new JetonError(
      `${model.name} has a head of more than one matrix, which has no rows here`,
      {
        code: "transfer-head-unsupported",
        details: { model: model.name, headBias, landmark },
      },
    );
  }
  const count = ids.length - 1;
  const rows = new Float32Array(count * width);
  for (let at = 0; at < count; at++) {
    rows.set(embedding.subarray(ids[at]! * width, (ids[at]! + 1) * width), at * width);
  }
  const how = signal ? { signal } : {};
  const sequence = await model.openSequence({ promptLength: count, ...how });
  let hidden: Float32Array;
  try {
    const read = new Array<number>(count).fill(-1);
    const step = { ids: read, embeddings: rows, results: "all", hidden: true } as const;
    hidden = (await sequence.step(step, how)).hidden!;
  } finally {
    await sequence.release();
  }
  const cap = finalLogitSoftcap;
  const logitOf = (product: number): number => {
    const logit = product * logitScale;
    return cap === undefined ? logit : cap * Math.tanh(logit / cap);
  };
  const logits = new Float64Array(head.length / width);
  return Float64Array.from({ length: count }, (_, at) => {
    const state = hidden.subarray(at * width, (at + 1) * width);
    let largest = Number.NEGATIVE_INFINITY;
    for (let id = 0; id < logits.length; id++) {
      logits[id] = logitOf(dotProduct(state, head, id * width));
      largest = Math.max(largest, logits[id]!);
    }
    let sum = 0;
    for (const logit of logits) sum += Math.exp(logit - largest);
    return logits[ids[at + 1]!]! - largest - Math.log(sum);
  });
}

/** Product of a vector with the row of a table that begins at an index. */
export function dotProduct(vector: Float32Array, table: Float32Array, start: number): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i]! * table[start + i]!;
  return sum;
}
