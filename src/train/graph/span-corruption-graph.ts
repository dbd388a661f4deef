/**
 * The graph of a training step of an encoder-decoder over bytes (ByT5, MrT5): spans of a text are replaced by
 * sentinels, and the decoder writes them. The gate of an MrT5 is soft, as in its paper's training.
 */
import { JetonError } from "../../core/index.ts";
import {
  corruptSpans,
  createDeletionController,
  type DeletionControllerState,
  gateShortener,
  joinPairs,
  noShortener,
  partitionSpans,
  type Seq2SeqConfig,
  type ShortenedModel,
  seq2seqParameterShapes,
  shortenedTerms,
  spanCounts,
  traceFloat32Weights,
} from "../../model/index.ts";
import { float32, int32, scoped, type TensorType, type TensorValue } from "../../tensor/index.ts";
import type { StepReport, TrainingInputs } from "../run/training-interface.ts";
import type { LanguageModelBatch } from "./language-model-graph.ts";
import { maskRandom } from "./mask-random.ts";
import {
  type InitializationOptions,
  noInductionHeads,
  type ParameterValue,
  readDeviations,
  sampleValues,
} from "./parameters.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "./training-graph.ts";

/** How an MrT5 learns to delete. */
export interface DeletionOptions {
  /** Share of the positions that the gate shall delete, between 0 and 1. Default 0.5. */
  readonly target?: number;
  /** k_p of the controller: how hard the gate is pushed to the target. Default 0.5. */
  readonly proportional?: number;
  /** k_i of the controller. Default 1e-5. */
  readonly integral?: number;
  /** First steps without a push. Default 0. */
  readonly delay?: number;
  /**
   * Weight of the penalty that keeps scores of attention from outgrowing the gate. Default 0.5, and 0 for a run that
   * begins with the weights of a checkpoint.
   */
  readonly scorePenalty?: number;
}

/** What changes a run's batches by what its steps report. */
export interface StepControl {
  /** The inputs of a step with what the controller sets. */
  prepare(inputs: readonly TrainingInputs[]): TrainingInputs[];
  /** Takes the report of the step. */
  update(report: StepReport): void;
  /** Plain JSON, from which `openDeletionControl` goes on. */
  readonly state: DeletionControllerState;
}

/** The encoder's share of the corrupted text that is no sentinel byte: ids of 0xFF down to 0xF5. */
const maxSpans = 11;
/** ByT5's ids below those of the bytes. */
const specialIds = 3;
/** `</s>` of ByT5. */
const endId = 1;
/** Name of the input that the controller sets, and of what steps report to it. */
const pushInput = "penaltyWeight";
const deletedShare = "deletedShare";

/** Shapes of all parameters by name; the head is one with the embeddings where the configuration ties them. */
export function spanCorruptionShapes(config: Seq2SeqConfig): Map<string, number[]> {
  return seq2seqParameterShapes(config, !config.encoder.tieWordEmbeddings);
}

/**
 * Traces span corruption with all gradients. Inputs are those of `spanCorruptionInputs`. The loss is a sum of nats
 * over the ids of the targets: hidden bytes, their sentinels and `</s>`.
 *
 * @param options `trainable`: names of the parameters that learn (default: all); `scorePenalty` as in
 *   `DeletionOptions` (default 0)
 */
export function spanCorruptionGraph(
  config: Seq2SeqConfig,
  options: { readonly trainable?: ReadonlySet<string>; readonly scorePenalty?: number } = {},
): TrainingGraph {
  const shapes = spanCorruptionShapes(config);
  const trainable = [...shapes.keys()].filter((name) => options.trainable?.has(name) ?? true);
  const { deleteGate, encoder } = config;
  const [source, output] = [
    ["batch", "time"],
    ["batch", "output"],
  ] as const;
  const inputs: Record<string, TensorType> = {
    ids: int32(source),
    attended: float32(source),
    decoderIds: int32(output),
    targets: int32(output),
    counted: float32(output),
    ...(deleteGate && { [pushInput]: float32([]) }),
  };
  const shortener = deleteGate ? gateShortener(deleteGate, encoder.hiddenSize) : noShortener();
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const model: ShortenedModel = {
      config,
      weights: traceFloat32Weights(shapes),
      shortener,
      layer: deleteGate?.layer ?? 0,
      has: (name) => shapes.has(name),
    };
    const pairs = {
      ...{ ids: input["ids"]!, attended: input["attended"]!, inputs: {} },
      ...{ decoderIds: input["decoderIds"]!, targets: input["targets"]! },
      counted: input["counted"]!,
    };
    return scoped("loss", () => {
      if (!deleteGate) {
        const { loss, weight } = shortenedTerms(model, pairs, { penalty: pairs.counted });
        return { loss, weight };
      }
      const { loss, weight, penalty, ...terms } = shortenedTerms(model, pairs, {
        penalty: input[pushInput]!,
        scores: options.scorePenalty ?? 0,
      });
      return { loss, weight, penalty: penalty!, reported: { [deletedShare]: terms.deletedShare } };
    });
  });
}

/**
 * Makes the function that turns batches of ByT5's ids into inputs of `spanCorruptionGraph`. Spans depend on the
 * sequence and the seed alone, so that a resumed run hides the same. Ends of documents are left out.
 */
export function spanCorruptionInputs(
  config: Seq2SeqConfig,
  { seed }: { readonly seed: number },
): (batch: LanguageModelBatch) => Record<string, TensorValue> {
  return ({ batch: rows, time: length, ids }) => {
    const pairs = Array.from({ length: rows }, (_, row) => {
      const own = ids.subarray(row * length, (row + 1) * length);
      const text = own.filter((id) => id >= specialIds);
      // A single byte has no span beside itself.
      if (text.length < 2) return { source: [...text, endId], target: [endId] };
      const partition = partitionSpans(text.length, maskRandom(seed, own));
      const { input, labels } = corruptSpans(text, partition);
      return { source: input, target: labels };
    });
    const { batch, time, output, ...data } = joinPairs(pairs, config.decoderStartTokenId);
    const [source, target] = [
      [batch, time],
      [batch, output],
    ];
    return {
      ids: { dtype: "int32", shape: source!, data: data.ids },
      attended: { dtype: "float32", shape: source!, data: data.attended },
      decoderIds: { dtype: "int32", shape: target!, data: data.decoderIds },
      targets: { dtype: "int32", shape: target!, data: data.targets },
      counted: { dtype: "float32", shape: target!, data: data.counted },
      ...(config.deleteGate && { [pushInput]: push(0) }),
    };
  };
}

function push(weight: number): TensorValue {
  return { dtype: "float32", shape: [], data: Float32Array.of(weight) };
}

/**
 * Opens the controller that holds the share of deleted positions at its target.
 *
 * @param state where a run goes on
 * @throws JetonError `option-invalid`
 */
export function openDeletionControl(
  { target = 0.5, proportional, integral, delay }: DeletionOptions,
  state?: DeletionControllerState,
): StepControl {
  const controller = createDeletionController({
    target,
    ...(proportional !== undefined && { proportional }),
    ...(integral !== undefined && { integral }),
    ...(delay !== undefined && { delay }),
    ...(state && { state }),
  });
  return {
    prepare: (inputs) => inputs.map((part) => ({ ...part, [pushInput]: push(controller.weight) })),
    update: ({ reported }) => controller.update(reported[deletedShare]!),
    get state() {
      return controller.state;
    },
  };
}

/** @throws JetonError `option-invalid` for texts of more spans than there are sentinels that no text contains */
export function checkSpans(sequenceLength: number): void {
  const { spans } = spanCounts(sequenceLength);
  if (sequenceLength >= 2 && spans <= maxSpans) return;
  let longest = 2;
  while (spanCounts(longest + 1).spans <= maxSpans) longest++;
  throw new JetonError(
    `sequenceLength is ${sequenceLength}, expected 2 to ${longest} bytes: there are ${maxSpans} sentinels for spans`,
    {
      code: "option-invalid",
      details: { option: "sequenceLength", found: sequenceLength, expected: `2 to ${longest}` },
    },
  );
}

/**
 * First values as T5's: normal, with deviations by the width that a matrix reads; norms neutral, and the gate open
 * (bias 1). Deviations that are given take the place of T5's.
 *
 * @throws JetonError `option-invalid` for a deviation that is no number of at least 0, and for induction heads
 */
export function initializeSeq2Seq(
  config: Seq2SeqConfig,
  shapes: ReadonlyMap<string, readonly number[]>,
  seed: number,
  options: InitializationOptions = {},
): Map<string, ParameterValue> {
  const { inductionHeads } = readDeviations(options);
  if (inductionHeads) throw noInductionHeads(config.family);
  const { deviation, embeddingDeviation, headDeviation, outputDeviation } = options;
  const deviationOf = (name: string): number | undefined =>
    seq2seqDeviation(config, name, shapes.get(name)!);
  const values = sampleValues(shapes, seed, (name) => {
    const own = deviationOf(name);
    if (own === undefined) return undefined;
    if (name === "shared.weight") return embeddingDeviation ?? deviation ?? own;
    if (name === "lm_head.weight") return headDeviation ?? deviation ?? own;
    return (/\.(o|wo)\.weight$/.test(name) ? outputDeviation : undefined) ?? deviation ?? own;
  });
  for (const [name, { data }] of values) if (deviationOf(name) === undefined) data.fill(1);
  return values;
}

/** The deviation of T5's first values of a parameter; undefined for those that begin as ones. */
export function seq2seqDeviation(
  { encoder }: Seq2SeqConfig,
  name: string,
  shape: readonly number[],
): number | undefined {
  const { hiddenSize, headDim } = encoder;
  const inputs = shape[1] ?? 1;
  if (name.endsWith("norm.weight") || name.endsWith("feed_forward.bias")) return undefined;
  if (name.includes("relative_attention_bias")) return hiddenSize ** -0.5;
  if (name === "shared.weight") return 1;
  return (/\.q\.weight$/.test(name) ? inputs * headDim : inputs) ** -0.5;
}
