/**
 * Lexinvariant language models: a decoder without a table of embeddings. Each symbol gets a random
 * vector that is drawn anew for each sequence, so what the model predicts cannot depend on which
 * symbols were used, only on where each of them stands (Huang et al., 2023, arXiv 2305.16349).
 */
import type { Random } from "../../core/index.ts";
import {
  add,
  broadcastTo,
  concat,
  type Dimension,
  float32,
  gather,
  int32,
  less,
  matmul,
  multiply,
  multiplyDimensions,
  pad,
  parameter,
  range,
  reshape,
  rmsNorm,
  slice,
  subtractDimensions,
  type Tensor,
  type TensorType,
  type TensorValue,
  where,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { decoderNames } from "../decoder/decoder-names.ts";
import { decodeFullSequence, rotationTables, rotationTypes } from "../decoder/full-sequence.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";

/**
 * Where a symbol's vector comes from.
 *
 * - `"learned"`: a row of a table, the same in every sequence: the standard model.
 * - `"random"`: a row of a Gaussian table that is drawn anew for each sequence: invariant in
 *   distribution (step 1 of the paper's construction).
 * - `"canonical"`: such a row by order of first appearance, and one learned vector for "a symbol that
 *   has not come yet", whose probability all of these share: invariant bit for bit. An addition of
 *   jeton's, not of the paper.
 */
export type SymbolEmbeddings = "learned" | "random" | "canonical";

/** Names of the parameters that stand where a decoder has its table. */
export const symbolParameterNames: {
  readonly scale: string;
  readonly bias: string;
  readonly unseen: string;
} = { scale: "symbols.scale", bias: "symbols.bias", unseen: "symbols.unseen" };

/**
 * Parameters besides those of the layers and the final norm. Only the learned table has as many rows
 * as there are symbols: the other kinds have nowhere to remember one.
 */
export function symbolParameterShapes(
  config: DecoderConfig,
  embeddings: SymbolEmbeddings,
): Map<string, number[]> {
  const { scale, bias, unseen } = symbolParameterNames;
  const shapes = new Map([
    [scale, [config.hiddenSize]],
    [bias, [config.hiddenSize]],
  ]);
  if (embeddings === "learned") {
    shapes.set(decoderNames.embedding, [config.vocabSize, config.hiddenSize / 2]);
  }
  if (embeddings === "canonical") shapes.set(unseen, [config.hiddenSize / 2]);
  return shapes;
}

/**
 * Inputs of the model: `ids` int32 `[batch, time]`; `table` float32 `[batch, vocabulary, width]` for
 * the random kinds; for `"canonical"` `ids` are ranks of first appearance and `seen` int32
 * `[batch, time]` is the number of distinct symbols up to each position; rotations as in
 * `rotationTypes`. `symbolInputs` makes all of them.
 */
export function symbolInputTypes(
  config: DecoderConfig,
  embeddings: SymbolEmbeddings,
): Record<string, TensorType> {
  const types: Record<string, TensorType> = { ids: int32(["batch", "time"]) };
  if (embeddings !== "learned") {
    types["table"] = float32(["batch", config.vocabSize, config.hiddenSize / 2]);
  }
  if (embeddings === "canonical") types["seen"] = int32(["batch", "time"]);
  return { ...types, ...rotationTypes(config) };
}

/** Outputs of a lexinvariant model. */
export interface SymbolPrediction {
  /** Final activations `[batch, time, width]`, after the last norm. */
  readonly hidden: Tensor;
  /**
   * `[batch, time, vocabulary]`. For `"canonical"` one more at the end: any symbol that has not come
   * yet; the logits of ranks not yet given are -infinity.
   */
  readonly logits: Tensor;
}

/** Traces the model: steps 2 and 3 of the paper's construction. */
export function predictSymbols(
  config: DecoderConfig,
  weights: DecoderWeights,
  input: Readonly<Record<string, Tensor>>,
  embeddings: SymbolEmbeddings,
): SymbolPrediction {
  const { vocabSize } = config;
  const symbolWidth = config.hiddenSize / 2;
  const { scale, bias, unseen } = symbolParameterNames;
  const ids = input["ids"]!;
  const [batch, time] = ids.shape as [Dimension, Dimension];
  const isLearned = embeddings === "learned";
  const table = isLearned ? weights.table(decoderNames.embedding) : input["table"]!;
  const rows = isLearned
    ? gather(table, ids)
    : gather(
        reshape(table, [multiplyDimensions(batch, vocabSize), symbolWidth]),
        add(ids, reshape(multiply(range(batch), vocabSize), [batch, 1])),
      );
  const last = subtractDimensions(time, 1);
  const before = pad(slice(rows, { axis: 1, end: last }), { axis: 1, before: 1 });
  // u = s · E[x] + c lets the network choose how loud the symbols are.
  const x = add(multiply(concat([rows, before], 2), weights.vector(scale)), weights.vector(bias));
  const hidden = rmsNorm(
    decodeFullSequence(config, weights, x, input),
    weights.vector(decoderNames.finalNorm),
    { epsilon: config.rmsNormEps },
  );
  // The readout is the same table: a learned one could memorize which symbols are frequent.
  const alpha = 1 / (2 * Math.sqrt(symbolWidth));
  const answer = slice(hidden, { axis: 2, end: symbolWidth });
  const logits = matmul(answer, table, { transposeB: true, alpha });
  if (embeddings !== "canonical") return { hidden, logits };

  const seen = reshape(input["seen"]!, [batch, time, 1]);
  const ranks = reshape(range(vocabSize), [1, 1, vocabSize]);
  const known = where(less(ranks, seen), logits, Number.NEGATIVE_INFINITY);
  const vector = parameter(unseen, [symbolWidth, 1]);
  const fresh = multiply(matmul(answer, vector), alpha);
  // When every symbol has come, none is left.
  const isLeft = less(seen, vocabSize);
  const rest = where(isLeft, fresh, Number.NEGATIVE_INFINITY);
  return { hidden, logits: concat([known, broadcastTo(rest, [batch, time, 1])], 2) };
}

/** Sequences of symbols of equal length. */
export interface SymbolBatch {
  /** Number of sequences. */
  readonly batch: number;
  /** Symbols of each. */
  readonly time: number;
  /** `[batch * time]` */
  readonly ids: Int32Array;
}

/** Makes the function that turns batches into inputs of the model. */
export function symbolInputs(
  config: DecoderConfig,
  embeddings: SymbolEmbeddings,
  options: { sequenceLength: number },
): (batch: SymbolBatch, random: Random) => Record<string, TensorValue> {
  const rotations = rotationTables(config, options.sequenceLength);
  const { vocabSize } = config;
  const width = config.hiddenSize / 2;
  return ({ batch, time, ids }, random) => {
    const shape = [batch, time];
    const inputs: Record<string, TensorValue> = {
      ids: { dtype: "int32", shape, data: ids },
      ...rotations,
    };
    if (embeddings !== "learned") {
      inputs["table"] = {
        dtype: "float32",
        shape: [batch, vocabSize, width],
        data: sampleSymbols(random, batch * vocabSize * width),
      };
    }
    if (embeddings === "canonical") {
      const { ranks, seen } = rankByAppearance({ batch, time, ids });
      inputs["ids"] = { dtype: "int32", shape, data: ranks };
      inputs["seen"] = { dtype: "int32", shape, data: seen };
    }
    return inputs;
  };
}

/**
 * Independent standard normal numbers. What they are must not depend on the ids of symbols: a table
 * that is seeded by id is an ordinary fixed table.
 */
export function sampleSymbols(random: Random, count: number): Float32Array {
  const values = new Float32Array(count);
  for (let at = 0; at < count; at++) values[at] = random.normal();
  return values;
}

/**
 * The lexical pattern of each sequence: the number of distinct symbols before each symbol first came.
 * `"a big banana"` is 0 1 2 3 4 1 2 0 5 0 5 0.
 *
 * @returns `ranks` and `seen` (distinct symbols up to each position), both `[batch * time]`
 */
export function rankByAppearance({ batch, time, ids }: SymbolBatch): {
  ranks: Int32Array;
  seen: Int32Array;
} {
  const ranks = new Int32Array(batch * time);
  const seen = new Int32Array(batch * time);
  for (let row = 0; row < batch; row++) {
    const known = new Map<number, number>();
    for (let at = row * time; at < (row + 1) * time; at++) {
      const id = ids[at]!;
      let rank = known.get(id);
      if (rank === undefined) {
        rank = known.size;
        known.set(id, rank);
      }
      ranks[at] = rank;
      seen[at] = known.size;
    }
  }
  return { ranks, seen };
}

/**
 * The regularizing variant for a model with a learned table: one permutation of the vocabulary for
 * each sequence, which replaces each occurrence of a symbol with a probability. Targets are taken from
 * the result. Probability 0 changes nothing, 1 renames every symbol.
 */
export function permuteSymbols(
  { batch, time, ids }: SymbolBatch,
  options: { probability: number; vocabSize: number; random: Random },
): SymbolBatch {
  const { probability, vocabSize, random } = options;
  const permuted = new Int32Array(ids);
  for (let row = 0; row < batch; row++) {
    const names = random.shuffle(Array.from({ length: vocabSize }, (_, id) => id));
    for (let at = row * time; at < (row + 1) * time; at++) {
      if (random.uniform() < probability) permuted[at] = names[ids[at]!]!;
    }
  }
  return { batch, time, ids: permuted };
}

/** Targets of next-symbol prediction: each row but its last symbol is read, each but its first asked. */
export function nextSymbols({ batch, time, ids }: SymbolBatch): {
  read: SymbolBatch;
  targets: Int32Array;
} {
  const read = new Int32Array(batch * (time - 1));
  const targets = new Int32Array(batch * (time - 1));
  for (let row = 0; row < batch; row++) {
    const sequence = ids.subarray(row * time, (row + 1) * time);
    read.set(sequence.subarray(0, -1), row * (time - 1));
    targets.set(sequence.subarray(1), row * (time - 1));
  }
  return { read: { batch, time: time - 1, ids: read }, targets };
}

/**
 * Targets as the canonical model counts them: the rank of a symbol that has come before, the class
 * "not yet" (the vocabulary's size) otherwise.
 */
export function canonicalTargets(whole: SymbolBatch, vocabSize: number): Int32Array {
  const { batch, time } = whole;
  const { ranks, seen } = rankByAppearance(whole);
  const targets = new Int32Array(batch * (time - 1));
  for (let row = 0; row < batch; row++) {
    for (let at = 1; at < time; at++) {
      const from = row * time + at;
      const isNew = ranks[from]! >= seen[from - 1]!;
      targets[row * (time - 1) + at - 1] = isNew ? vocabSize : ranks[from]!;
    }
  }
  return targets;
}
