/** The graph of a training step of a model of words. */
import {
  type ByteBatch,
  bucketInput,
  bucketLengths,
  ignoredByte,
  layOutWords,
  predictWords,
  rotationTables,
  rotationTypes,
  traceFloat32Weights,
  type WordBucketTensors,
  type WordModelConfig,
  wordEndId,
  wordParameterShapes,
} from "../../model/index.ts";
import {
  add,
  and,
  cast,
  crossEntropyRows,
  equal,
  int32,
  multiply,
  not,
  scoped,
  sum,
  type Tensor,
  type TensorType,
  type TensorValue,
  where,
} from "../../tensor/index.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "./training-graph.ts";

/** Options of `wordModelGraph`. */
export interface WordModelGraphOptions {
  /** Names of the parameters that learn. Default: all. */
  trainable?: ReadonlySet<string>;
  /** Words see only their own document. Default false. */
  documentMask?: boolean;
}

/**
 * Traces next-byte prediction of a model of words with all gradients. Inputs are those of `wordModelInputs`.
 *
 * The loss is the sum of the cross-entropies in nats of all bytes and word ends, its weight the number of
 * bytes alone: their quotient is in nats a byte, as that of any other model.
 */
export function wordModelGraph(
  config: WordModelConfig,
  options: WordModelGraphOptions = {},
): TrainingGraph {
  const { documentMask = false } = options;
  const shapes = wordParameterShapes(config);
  const trainable = [...shapes.keys()].filter((name) => options.trainable?.has(name) ?? true);
  const lengths = bucketLengths(config.maxWordBytes);
  const inputs: Record<string, TensorType> = {
    order: int32(["batch", "words"]),
    ...rotationTypes(config.backbone),
  };
  if (documentMask) inputs["segments"] = int32(["batch", "words"]);
  for (const [bucket, length] of lengths.entries()) {
    const words = `bucket${bucket}`;
    inputs[bucketInput("units", bucket)] = int32([words, length]);
    inputs[bucketInput("lengths", bucket)] = int32([words]);
    inputs[bucketInput("previous", bucket)] = int32([words]);
    inputs[bucketInput("targets", bucket)] = int32([words, length + 1]);
  }
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const buckets = lengths.map(
      (_, bucket): WordBucketTensors => ({
        units: input[bucketInput("units", bucket)]!,
        lengths: input[bucketInput("lengths", bucket)]!,
        previous: input[bucketInput("previous", bucket)]!,
      }),
    );
    const logits = predictWords(config, weights, buckets, {
      order: input["order"]!,
      rotations: input,
      ...(documentMask && { segments: input["segments"]! }),
    });
    return scoped("loss", () => {
      const parts = logits.map((rows, bucket) =>
        bucketLoss(rows, input[bucketInput("targets", bucket)]!),
      );
      return {
        loss: parts.map(({ loss }) => loss).reduce(add),
        weight: parts.map(({ weight }) => weight).reduce(add),
      };
    });
  });
}

function bucketLoss(logits: Tensor, targets: Tensor): { loss: Tensor; weight: Tensor } {
  const isIgnored = equal(targets, ignoredByte);
  const rows = crossEntropyRows(logits, where(isIgnored, 0, targets));
  const isByte = and(not(isIgnored), not(equal(targets, wordEndId)));
  return {
    loss: sum(multiply(rows, cast(not(isIgnored), "float32"))),
    weight: sum(cast(isByte, "float32")),
  };
}

/**
 * Makes the function that turns batches of bytes into inputs of `wordModelGraph`.
 *
 * @param options `sequenceLength`: the most bytes of a sequence
 */
export function wordModelInputs(
  config: WordModelConfig,
  options: { sequenceLength: number; documentMask?: boolean },
): (batch: ByteBatch) => Record<string, TensorValue> {
  const { sequenceLength, documentMask = false } = options;
  const tables = rotationTables(config.backbone, sequenceLength * config.prefixes);
  return (batch) => {
    const { segments, ...values } = layOutWords(batch, config);
    return { ...values, ...(documentMask && { segments: segments! }), ...tables };
  };
}
