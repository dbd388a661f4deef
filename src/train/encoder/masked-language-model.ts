/** Masked language modelling of an encoder (Devlin et al., 2019): the graph of a step, and its inputs. */
import {
  type EncoderConfig,
  encode,
  encoderHeadShapes,
  encoderHeads,
  encoderParameterShapes,
  encoderTables,
  encoderTableTypes,
  layOutEncoderTexts,
  maskedScore,
  traceFloat32Weights,
} from "../../model/index.ts";
import {
  cast,
  crossEntropyRows,
  type Dimension,
  equal,
  float32,
  gather,
  greaterOrEqual,
  int32,
  multiply,
  reshape,
  scoped,
  sum,
  type Tensor,
  type TensorType,
  type TensorValue,
  where,
} from "../../tensor/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { LanguageModelBatch } from "../graph/language-model-graph.ts";
import { maskRandom } from "../graph/mask-random.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "../graph/training-graph.ts";
import { hideToken, type MaskVocabulary, requireMask } from "./mask-tokens.ts";

/** Share of the tokens that are asked for (Wettig et al., 2023, find more than BERT's 15 % better). */
const maskingRate = 0.3;

/** Shapes of the parameters of masked language modelling by name. */
export function maskedLanguageModelShapes(config: EncoderConfig): Map<string, number[]> {
  return new Map([...encoderParameterShapes(config), ...encoderHeadShapes(config, "masked")]);
}

/**
 * Traces masked language modelling with all gradients. Inputs are those of `maskedLanguageModelInputs`: `ids`,
 * `positions`, `types` int32 `[batch, time]`; `segments` likewise, the documents that tokens belong to and see;
 * `rows` int32 `[rows]`, flat places of the tokens that are asked for; `targets` int32 `[rows]`, their ids; `counts` float32 `[rows]`, 0 for a
 * row that stands for none; the rotations. The loss is a sum of nats over the tokens that are asked for.
 *
 * @param trainable names of the parameters that learn. Default: all
 */
export function maskedLanguageModelGraph(
  config: EncoderConfig,
  { trainable: chosen }: { readonly trainable?: ReadonlySet<string> } = {},
): TrainingGraph {
  const shapes = maskedLanguageModelShapes(config);
  const trainable = [...shapes.keys()].filter((name) => chosen?.has(name) ?? true);
  const texts = int32(["batch", "time"]);
  const inputs: Record<string, TensorType> = {
    ...{ ids: texts, positions: texts, types: texts, segments: texts },
    rows: int32(["rows"]),
    targets: int32(["rows"]),
    counts: float32(["rows"]),
    ...encoderTableTypes(config),
  };
  const has = (name: string): boolean => shapes.has(name);
  const head = encoderHeads({ ...config, task: "masked" }, has).get("masked")!;
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const { ids, positions, types, segments } = input as Record<
      "ids" | "positions" | "types" | "segments",
      Tensor
    >;
    const mask = documentsMask(segments);
    const present = cast(greaterOrEqual(segments, 0), "float32");
    const all = encode(config, weights, { ids, positions, types, mask, tables: input, present });
    const states = gather(reshape(all, [-1, config.hiddenSize]), input["rows"]!);
    return scoped("loss", () => {
      // Every token of a packed sequence is one of a text.
      const logits = head.graph({ config, weights, states, attended: input["counts"]!, has });
      const counts = input["counts"]!;
      const rows = crossEntropyRows(logits, input["targets"]!);
      return { loss: sum(multiply(rows, counts)), weight: sum(counts) };
    });
  });
}

/** What is added to the scores: nothing within a document. */
function documentsMask(segments: Tensor): Tensor {
  const [batch, time] = segments.shape as [Dimension, Dimension];
  const rows = reshape(segments, [batch, 1, time, 1]);
  const columns = reshape(segments, [batch, 1, 1, time]);
  return where(equal(rows, columns), 0, maskedScore);
}

/**
 * Makes the function that turns batches of tokens into inputs of `maskedLanguageModelGraph`. What is masked depends
 * on the sequence and the seed alone, so that a resumed run masks the same. A sequence begins and ends with the
 * special tokens of the tokenizer's template, as texts do later.
 *
 * @throws JetonError `encoder-mask-missing` where the tokenizer has no mask token
 */
export function maskedLanguageModelInputs(
  config: EncoderConfig,
  options: {
    readonly tokenizer: Tokenizer;
    readonly sequenceLength: number;
    readonly documentMask?: boolean;
    readonly seed: number;
  },
): (batch: LanguageModelBatch) => Record<string, TensorValue> {
  const { tokenizer, seed, documentMask = false } = options;
  const vocabulary = requireMask(tokenizer);
  const signs = tokenizer.encodeIds("");
  const longest = config.mixer?.fillsTexts ? config.contextLength : options.sequenceLength;
  const tables = encoderTables(config, longest + 16);
  const isSpecial = new Set(
    Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter((id) =>
      tokenizer.isSpecial(id),
    ),
  );
  return (batch) => {
    const texts = Array.from({ length: batch.batch }, (_, row) => {
      const ids = batch.ids.slice(row * batch.time, (row + 1) * batch.time);
      if (signs.length > 0) ids[0] = signs[0]!;
      if (signs.length > 1) ids[ids.length - 1] = signs.at(-1)!;
      return maskTokens(ids, { isSpecial, seed, vocabulary });
    });
    const laid = layOutEncoderTexts(
      config,
      texts.map(({ ids }) => ({ ids: fillText(config, ids) })),
    );
    const { time } = laid;
    const chosen = texts.flatMap(({ places }, row) =>
      places.map(({ at, id }) => ({ row: row * time + at, id })),
    );
    const count = Math.max(1, chosen.length);
    const [rows, targets] = [new Int32Array(count), new Int32Array(count)];
    const counts = new Float32Array(count);
    for (const [index, { row, id }] of chosen.entries()) {
      rows[index] = row;
      targets[index] = id;
      counts[index] = 1;
    }
    const shape = [batch.batch, time];
    // Padding that is a part of a sequence is mixed like its tokens.
    const segments = config.mixer
      ? Int32Array.from(laid.present, (present) => present - 1)
      : segmentsOf(batch, time, documentMask);
    return {
      ids: { dtype: "int32", shape, data: laid.ids },
      positions: { dtype: "int32", shape, data: laid.positions },
      types: { dtype: "int32", shape, data: laid.types },
      segments: { dtype: "int32", shape, data: segments },
      rows: { dtype: "int32", shape: [count], data: rows },
      targets: { dtype: "int32", shape: [count], data: targets },
      counts: { dtype: "float32", shape: [count], data: counts },
      ...tables,
    };
  };
}

/** A sequence as the encoder reads texts: filled up with padding where its family does so. */
function fillText(
  { mixer, contextLength, padTokenId }: EncoderConfig,
  ids: Int32Array,
): Int32Array {
  if (!mixer?.fillsTexts || ids.length >= contextLength) return ids;
  const filled = new Int32Array(contextLength).fill(padTokenId);
  filled.set(ids);
  return filled;
}

/** Documents of each token; what a sequence was filled up with is one of its own. */
function segmentsOf(batch: LanguageModelBatch, time: number, documentMask: boolean): Int32Array {
  const segments = new Int32Array(batch.batch * time).fill(-1);
  for (let row = 0; row < batch.batch; row++) {
    const own = batch.segments?.subarray(row * batch.time, (row + 1) * batch.time);
    if (own && documentMask) segments.set(own, row * time);
    else segments.fill(0, row * time, row * time + batch.time);
  }
  return segments;
}

interface MaskedTokens {
  readonly ids: Int32Array;
  /** Places of the chosen tokens, and what stood there. */
  readonly places: readonly { readonly at: number; readonly id: number }[];
}

function maskTokens(
  ids: Int32Array,
  options: {
    readonly isSpecial: ReadonlySet<number>;
    readonly seed: number;
    readonly vocabulary: MaskVocabulary;
  },
): MaskedTokens {
  const { isSpecial, seed, vocabulary } = options;
  const random = maskRandom(seed, ids);
  const places: { at: number; id: number }[] = [];
  const masked = ids.slice();
  for (const [at, id] of ids.entries()) {
    if (isSpecial.has(id) || random.uniform() >= maskingRate) continue;
    places.push({ at, id });
    masked[at] = hideToken(id, vocabulary, random);
  }
  return { ids: masked, places };
}
