/** The graph of a training step of a byte2word encoder: masked words, or classes. */
import type { Random } from "../../core/index.ts";
import {
  type Byte2WordConfig,
  basicWords,
  byte2WordParameterShapes,
  classifyStates,
  encodeWordStates,
  layOutTexts,
  predictPieces,
  targetPieces,
  traceFloat32Weights,
  type WordUnits,
  wordBuckets,
  wordBucketTypes,
  wordUnits,
} from "../../model/index.ts";
import {
  cast,
  crossEntropyRows,
  equal,
  gather,
  int32,
  multiply,
  not,
  reshape,
  slice,
  sum,
  type Tensor,
  type TensorValue,
  where,
} from "../../tensor/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { LanguageModelBatch } from "./language-model-graph.ts";
import { maskRandom } from "./mask-random.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "./training-graph.ts";

/** Target that does not count. */
const ignoredPiece = -1;

/** Share of the words that are asked for, and of those how many are hidden, exchanged and left. */
const masking = { rate: 0.15, hidden: 0.8, exchanged: 0.1 } as const;

/** Options of `byte2WordGraph`. */
export interface Byte2WordGraphOptions {
  /** Names of the parameters that learn. Default: all that the objective uses. */
  trainable?: ReadonlySet<string>;
  /**
   * `"masked"`: the pieces of chosen words; `"classes"`: the class of chosen states, of a text at `[CLS]` or
   * of words. Default `"masked"`.
   */
  objective?: "masked" | "classes";
}

/**
 * Traces the objective with its gradients. Inputs: those of `layOutTexts`, `rows` int32 `[rows]`, flat places
 * of the chosen words in `[batch * words]`, and `targets` int32 `[rows, maxWordPieces]` (pieces, then the end;
 * -1 does not count) or `[rows]` classes. The loss is a sum of nats, its weight the number of chosen words.
 */
export function byte2WordGraph(
  config: Byte2WordConfig,
  options: Byte2WordGraphOptions = {},
): TrainingGraph {
  const { objective = "masked" } = options;
  const isMasked = objective === "masked";
  const shapes = byte2WordParameterShapes(config);
  const isUsed = (name: string): boolean =>
    isMasked ? !name.startsWith("classifier.") : !name.startsWith("head.");
  const trainable = [...shapes.keys()].filter(
    (name) => isUsed(name) && (options.trainable?.has(name) ?? true),
  );
  const inputs = {
    ...wordBucketTypes(config),
    rows: int32(["rows"]),
    targets: int32(isMasked ? ["rows", config.maxWordPieces] : ["rows"]),
  };
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const [order, counts] = [input["order"]!, input["counts"]!];
    const states = encodeWordStates(config, weights, wordBuckets(config, input), { order, counts });
    const chosen = gather(reshape(states, [-1, config.encoder.hiddenSize]), input["rows"]!);
    const targets = input["targets"]!;
    const logits = isMasked
      ? predictPieces(config, weights, chosen)
      : classifyStates(weights, chosen);
    const isIgnored = equal(targets, ignoredPiece);
    const rows = crossEntropyRows(logits, where(isIgnored, 0, targets));
    const first: Tensor = isMasked ? firstSlots(isIgnored) : isIgnored;
    return {
      loss: sum(multiply(rows, cast(not(isIgnored), "float32"))),
      weight: sum(cast(not(first), "float32")),
    };
  });
}

/** Each word counts once: where its first slot counts. */
function firstSlots(isIgnored: Tensor): Tensor {
  return slice(isIgnored, { axis: 1, start: 0, end: 1 });
}

/** A text's words, and those of them that a step asks for. */
interface MaskedText {
  /** As bytes, with the text's signs, chosen words hidden or exchanged. */
  readonly rows: readonly (readonly number[])[];
  /** Places of the chosen words and their pieces. */
  readonly chosen: readonly { readonly at: number; readonly pieces: readonly number[] }[];
}

/**
 * Makes the function that turns batches of pieces into inputs of the masked objective. Texts are decoded and
 * split into words anew; the first and the last word of a sequence may be cut and are left out. What is masked
 * depends on the sequence and the seed alone, so that a resumed run masks the same.
 *
 * @param options `tokenizer`: the target vocabulary, whose ids a batch holds
 */
export function byte2WordInputs(
  config: Byte2WordConfig,
  options: { tokenizer: Tokenizer; seed: number },
): (batch: LanguageModelBatch) => Record<string, TensorValue> {
  const { tokenizer, seed } = options;
  const units = wordUnits(config, tokenizer);
  return ({ batch, time, ids }) => {
    const texts = Array.from({ length: batch }, (_, row) => {
      const own = ids.subarray(row * time, (row + 1) * time);
      const words = basicWords(tokenizer.decode(own)).slice(1, -1);
      return words.slice(0, config.contextLength - 2);
    });
    const pool = texts.flat();
    const masked = texts.map((words, row) => {
      const random = maskRandom(seed, ids.subarray(row * time, (row + 1) * time));
      return maskText(config, { words, pool, random, tokenizer, units });
    });
    return maskedInputs(config, masked);
  };
}

function maskText(
  config: Byte2WordConfig,
  text: {
    readonly words: readonly string[];
    /** Words to exchange others for. */
    readonly pool: readonly string[];
    readonly random: Random;
    readonly tokenizer: Tokenizer;
    readonly units: WordUnits;
  },
): MaskedText {
  const { maxWordPieces, contextLength } = config;
  const { words, pool, random, tokenizer, units } = text;
  const rows: number[][] = [units.sign("cls")];
  const chosen: { at: number; pieces: number[] }[] = [];
  for (const word of words) {
    const isChosen = random.uniform() < masking.rate;
    const kind = random.uniform();
    const other = pool[random.integer(pool.length)]!;
    const pieces = isChosen ? targetPieces(tokenizer, word) : [];
    let parts = units.parts(word);
    if (isChosen && pieces.length < maxWordPieces) {
      if (kind < masking.hidden) parts = [units.sign("mask")];
      else if (kind < masking.hidden + masking.exchanged) parts = units.parts(other);
      chosen.push({ at: rows.length, pieces });
    }
    if (rows.length + parts.length > contextLength - 1) {
      if (chosen.at(-1)?.at === rows.length) chosen.pop();
      break;
    }
    rows.push(...parts);
  }
  rows.push(units.sign("sep"));
  return { rows, chosen };
}

function maskedInputs(
  config: Byte2WordConfig,
  texts: readonly MaskedText[],
): Record<string, TensorValue> {
  const { maxWordPieces, pieceVocabSize } = config;
  const values = layOutTexts(
    texts.map(({ rows }) => rows),
    config,
  );
  const width = values["order"]!.shape[1]!;
  const places = texts.flatMap(({ chosen }, row) =>
    chosen.map(({ at, pieces }) => ({ at: row * width + at, pieces })),
  );
  // Where nothing was chosen, one row that does not count stands for none.
  const count = Math.max(1, places.length);
  const rows = new Int32Array(count);
  const targets = new Int32Array(count * maxWordPieces).fill(ignoredPiece);
  for (const [index, { at, pieces }] of places.entries()) {
    rows[index] = at;
    targets.set([...pieces, pieceVocabSize], index * maxWordPieces);
  }
  return {
    ...values,
    rows: { dtype: "int32", shape: [count], data: rows },
    targets: { dtype: "int32", shape: [count, maxWordPieces], data: targets },
  };
}

/** A text whose words, or which itself, belongs to a class. */
export interface ClassifiedText {
  readonly words: readonly string[];
  /** Class of each word by index, -1 where it does not count; or the class of the text. */
  readonly classes: readonly number[] | number;
}

/**
 * Inputs of the objective `"classes"`: of words, or of texts at `[CLS]`.
 *
 * @param texts words beyond the model's context are left out
 * @param tokenizer the target vocabulary, read where words are made of its pieces
 */
export function classifiedInputs(
  config: Byte2WordConfig,
  texts: readonly ClassifiedText[],
  tokenizer: Tokenizer,
): Record<string, TensorValue> {
  const { contextLength } = config;
  const units = wordUnits(config, tokenizer);
  const rows: number[] = [];
  const targets: number[] = [];
  const laid = texts.map(({ words }) => {
    const parts: number[][] = [units.sign("cls")];
    const starts: number[] = [];
    for (const word of words) {
      const own = units.parts(word);
      if (parts.length + own.length > contextLength - 1) break;
      starts.push(parts.length);
      parts.push(...own);
    }
    parts.push(units.sign("sep"));
    return { parts, starts };
  });
  const width = Math.max(...laid.map(({ parts }) => parts.length));
  for (const [row, { classes }] of texts.entries()) {
    if (typeof classes === "number") {
      rows.push(row * width);
      targets.push(classes);
      continue;
    }
    for (const [index, start] of laid[row]!.starts.entries()) {
      rows.push(row * width + start);
      targets.push(classes[index] ?? ignoredPiece);
    }
  }
  return {
    ...layOutTexts(
      laid.map(({ parts }) => parts),
      config,
    ),
    rows: { dtype: "int32", shape: [rows.length], data: Int32Array.from(rows) },
    targets: { dtype: "int32", shape: [targets.length], data: Int32Array.from(targets) },
  };
}
