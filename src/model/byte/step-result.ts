/** What a step asks of rows of logits, computed where the rows are: a vocabulary of bytes is small. */
import { JetonError } from "../../core/index.ts";
import type { SequenceStep, StepResult } from "../types.ts";
import { byteVocabSize } from "./byte-vocabulary.ts";

/** Parts of a step that only a decoder over tokens can answer. */
const foreignParts = ["embeddings", "hidden", "hiddenLayer", "queryKeyLayer"] as const;

/**
 * Checks that a model of words can answer a step.
 *
 * @throws JetonError `model-request-unsupported`
 */
export function checkWordStep(step: Omit<SequenceStep, "slot">, family: string): void {
  const foreign = foreignParts.find((part) => step[part] !== undefined && step[part] !== false);
  if (foreign === undefined) return;
  throw new JetonError(
    `a ${family} model does not answer "${foreign}": it has no one row of states for each token`,
    { code: "model-request-unsupported", details: { request: foreign, family } },
  );
}

/** The result of a step from the logits of its wanted rows, `[rows, 256]`. */
export function resultOfLogits(
  logits: Float32Array,
  { topK = 1, sample, targets }: Omit<SequenceStep, "slot">,
): StepResult {
  const rows = logits.length / byteVocabSize;
  const kept = Math.min(topK, byteVocabSize);
  const topIds = new Int32Array(rows * kept);
  const topLogits = new Float32Array(rows * kept);
  const logSumExp = new Float32Array(rows);
  const sampledIds = new Int32Array(rows);
  const sampledLogits = new Float32Array(rows);
  const targetLogProbabilities = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const own = logits.subarray(row * byteVocabSize, (row + 1) * byteVocabSize);
    const order = mostProbable(own, kept);
    for (let rank = 0; rank < kept; rank++) {
      topIds[row * kept + rank] = order[rank]!;
      topLogits[row * kept + rank] = own[order[rank]!]!;
    }
    const largest = own[order[0]!]!;
    let sum = 0;
    for (const value of own) sum += Math.exp(value - largest);
    logSumExp[row] = largest + Math.log(sum);
    if (sample) {
      const id = sampleRow(own, largest, sample, sample.uniform[row]!);
      sampledIds[row] = id;
      sampledLogits[row] = own[id]!;
    }
    if (targets) targetLogProbabilities[row] = own[targets[row]!]! - logSumExp[row]!;
  }
  return {
    topIds,
    topLogits,
    logSumExp,
    logits,
    ...(sample && { sampledIds, sampledLogits }),
    ...(targets && { targetLogProbabilities }),
  };
}

/** The `count` ids with the largest logits, ties by lower id; usually one, which needs no sorting. */
function mostProbable(logits: Float32Array, count: number): ArrayLike<number> {
  if (count > 1) return Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return [best];
}

/** The id at which the cumulative distribution passes `uniform`, in ascending order of ids. */
function sampleRow(
  logits: Float32Array,
  largest: number,
  { temperature, minP }: { readonly temperature: number; readonly minP: number },
  uniform: number,
): number {
  const masses = Float64Array.from(logits, (value) => Math.exp((value - largest) / temperature));
  let total = 0;
  for (const [id, mass] of masses.entries()) {
    if (mass < minP) masses[id] = 0;
    else total += mass;
  }
  let sum = 0;
  let last = 0;
  for (const [id, mass] of masses.entries()) {
    if (mass === 0) continue;
    sum += mass;
    last = id;
    if (uniform * total < sum) return id;
  }
  return last;
}
