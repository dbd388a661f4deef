/** Trainings of the mrt5 reproduction: one model for each way to shorten, on equal texts and steps. */
import type { ModelConfig } from "../../checkpoint/index.ts";
import { createRandom, type Random } from "../../core/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import {
  argmax,
  compile,
  type DataType,
  float32,
  int32,
  type Program,
  parameter,
  type Tensor,
  trace,
} from "../../tensor/index.ts";
import {
  adamW,
  decayMatricesOnly,
  objectiveGraph,
  openTrainer,
  type ParameterValue,
  seq2seqDeviation,
} from "../../train/index.ts";
import { type Seq2SeqConfig, seq2seqConfig } from "../seq2seq/config.ts";
import { seq2seqParameterShapes } from "../seq2seq/parameter-shapes.ts";
import { traceFloat32Weights } from "../weights/trace-weights.ts";
import { createDeletionController } from "./deletion-controller.ts";
import { keepRandomly } from "./keep-masks.ts";
import { runShortened, type ShortenedModel, shortenedLoss, type TextPairs } from "./mrt5.ts";
import { gateShortener, givenShortener, noShortener, type Shortener } from "./shortener.ts";
import { type IdPair, joinPairs, type PairBatch } from "./tasks.ts";

/** Size of a small MrT5. */
export interface SmallSize {
  readonly width: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  /** The shortener reads the input of this layer. */
  readonly layer: number;
  readonly vocabSize: number;
}

/** `config.json` of a small MrT5. */
export function smallConfigFile(size: SmallSize): ModelConfig {
  return {
    model_type: "mrt5",
    architectures: ["MrT5ForConditionalGeneration"],
    vocab_size: size.vocabSize,
    d_model: size.width,
    d_kv: size.width / size.heads,
    d_ff: size.feedForward,
    num_heads: size.heads,
    num_layers: size.encoderLayers,
    num_decoder_layers: size.decoderLayers,
    feed_forward_proj: "gated-gelu",
    tie_word_embeddings: false,
    use_softmax1: true,
    delete_gate_layer: size.layer,
    decoder_start_token_id: 0,
  } as unknown as ModelConfig;
}

/** How a model shortens. */
export type Way = "none" | "gate" | "random";

/** One training. */
export interface PairTraining {
  readonly name: string;
  readonly size: SmallSize;
  readonly way: Way;
  readonly seed: number;
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
  /** Share of positions to be deleted. */
  readonly target: number;
  /** k_p of the controller: how hard the gate is pushed to the target. */
  readonly proportional: number;
  /** Weight of the scores' penalty. */
  readonly scores: number;
  /** First steps without the gate's term, so that the task is learned first. */
  readonly delay: number;
  readonly draw: (random: Random) => IdPair;
  /** Values from another training; what it lacks begins anew. */
  readonly start?: ReadonlyMap<string, ParameterValue>;
}

const inputTypes = {
  ids: int32(["batch", "time"]),
  attended: float32(["batch", "time"]),
  decoderIds: int32(["batch", "output"]),
  targets: int32(["batch", "output"]),
  counted: float32(["batch", "output"]),
  keep: float32(["batch", "time"]),
  weight: float32([]),
};

function shortenerOf(config: Seq2SeqConfig, way: Way, hard: boolean): Shortener {
  if (way === "none") return noShortener();
  if (way === "random") return givenShortener("random");
  return gateShortener(config.deleteGate!, config.encoder.hiddenSize, { hard });
}

function shapesOf(config: Seq2SeqConfig, way: Way): Map<string, readonly number[]> {
  const plain = seq2seqParameterShapes({ ...config, deleteGate: undefined }, true);
  return new Map<string, readonly number[]>([
    ...plain,
    ...shortenerOf(config, way, false).parameters,
  ]);
}

function openModel(config: Seq2SeqConfig, way: Way, hard: boolean): ShortenedModel {
  const shapes = shapesOf(config, way);
  return {
    config,
    weights: traceFloat32Weights(shapes),
    shortener: shortenerOf(config, way, hard),
    layer: config.deleteGate!.layer,
    has: (name) => shapes.has(name),
  };
}

const pairsOf = (input: Readonly<Record<string, Tensor>>): TextPairs => ({
  ids: input["ids"]!,
  attended: input["attended"]!,
  decoderIds: input["decoderIds"]!,
  targets: input["targets"]!,
  counted: input["counted"]!,
  inputs: { keep: input["keep"]! },
});

/** First values as T5's: deviations by the width that a matrix reads; the gate begins open (bias 1). */
export function initialValues(
  config: Seq2SeqConfig,
  way: Way,
  seed: number,
): Map<string, ParameterValue> {
  const values = new Map<string, ParameterValue>();
  for (const [name, shape] of shapesOf(config, way)) {
    const random = createRandom(seed, "first values", name);
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    const scale = seq2seqDeviation(config, name, shape);
    if (scale === undefined) data.fill(1);
    else for (let at = 0; at < data.length; at++) data[at] = scale * random.normal();
    values.set(name, { shape, data });
  }
  return values;
}

/** First values with those of another training in their place; both keep theirs. */
function startValues(
  values: Map<string, ParameterValue>,
  start: ReadonlyMap<string, ParameterValue> | undefined,
): Map<string, ParameterValue> {
  for (const [name, { shape, data }] of start ?? []) {
    if (values.has(name)) values.set(name, { shape, data: data.slice() });
  }
  return values;
}

/** Inputs of one batch. */
function inputsOf(batch: PairBatch, keep: Float32Array, weight: number) {
  const value = (data: Int32Array | Float32Array, shape: readonly number[]) => ({
    dtype: (data instanceof Int32Array ? "int32" : "float32") as DataType,
    shape,
    data,
  });
  const [source, output] = [
    [batch.batch, batch.time],
    [batch.batch, batch.output],
  ];
  return {
    ids: value(batch.ids, source!),
    attended: value(batch.attended, source!),
    decoderIds: value(batch.decoderIds, output!),
    targets: value(batch.targets, output!),
    counted: value(batch.counted, output!),
    keep: value(keep, source!),
    weight: value(Float32Array.of(weight), []),
  };
}

function keepMask(batch: PairBatch, way: Way, target: number, random: Random): Float32Array {
  const keep = new Float32Array(batch.batch * batch.time).fill(1);
  if (way !== "random") return keep;
  for (let row = 0; row < batch.batch; row++) {
    const start = row * batch.time;
    const length = batch.attended.subarray(start, start + batch.time).reduce((a, b) => a + b, 0);
    keep.set(keepRandomly(length, target, random), start);
  }
  return keep;
}

/** A trained model. */
export interface TrainedPairs {
  readonly parameters: ReadonlyMap<string, ParameterValue>;
  readonly config: Seq2SeqConfig;
  /** Share deleted in the last batches of the training. */
  readonly rate: number;
  readonly losses: readonly number[];
}

/** Trains one model. */
export async function trainPairs(
  context: Pick<ReproductionContext, "signal" | "progress">,
  training: PairTraining,
): Promise<TrainedPairs> {
  const { size, way, seed, steps, batch, target, scores, delay, draw } = training;
  const config = seq2seqConfig(smallConfigFile(size));
  const shapes = shapesOf(config, way);
  const objective = objectiveGraph(inputTypes, shapes, [...shapes.keys()], (input) =>
    shortenedLoss(openModel(config, way, false), pairsOf(input), {
      penalty: input["weight"]!,
      scores,
    }),
  );
  const { proportional } = training;
  const controller = createDeletionController({ target, delay, proportional, integral: 1e-5 });
  await using trainer = await openTrainer({
    graph: objective,
    parameters: startValues(initialValues(config, way, seed), training.start),
    optimizer: adamW({ beta2: 0.98, weightDecay: 0.01, maxNorm: 1 }),
    group: decayMatricesOnly,
    schedule: {
      kind: "cosine",
      peak: training.learningRate,
      warmupSteps: Math.ceil(steps / 20),
      steps,
      final: training.learningRate / 20,
    },
    threads: 1,
    inline: true,
    sameSizes: false,
  });
  await using evaluation = way === "gate" ? await openEvaluation(config, way, false) : undefined;
  const losses: number[] = [];
  const rates: number[] = [];
  for (let step = 1; step <= steps; step++) {
    context.signal.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
    const random = createRandom(seed, "pairs", step);
    const joined = joinPairs(Array.from({ length: batch }, () => draw(random)));
    const keep = keepMask(joined, way, target, random);
    const inputs = inputsOf(joined, keep, controller.weight);
    // Every few steps: a second pass through the first layers for the share that is deleted.
    if (evaluation && step % rateEvery === 0) {
      const rate = await deletedShare(evaluation, await trainer.parameters(), inputs);
      rates.push(rate);
      for (let times = 0; times < rateEvery; times++) controller.update(rate);
    }
    const { loss } = await trainer.step([inputs]);
    losses.push(loss);
    if (step % 50 === 0)
      context.progress(`training ${training.name}, loss ${loss.toFixed(3)}`, step, steps);
  }
  const last = rates.slice(-20);
  const rate =
    last.length > 0 ? last.reduce((a, b) => a + b) / last.length : way === "none" ? 0 : target;
  return { parameters: await trainer.parameters(), config, rate, losses };
}

/** Steps between two measurements of the share that the gate deletes; the controller gets it for each. */
const rateEvery = 5;

type EvaluationOutput = "predicted" | "kept" | "counts" | "deletedShare" | "logits";

async function deletedShare(
  program: Program<string, EvaluationOutput>,
  parameters: ReadonlyMap<string, ParameterValue>,
  inputs: ReturnType<typeof inputsOf>,
): Promise<number> {
  const { deletedShare: share } = await program.run(
    { ...inputs, ...Object.fromEntries(parameters) } as never,
    ["deletedShare"],
  );
  return share.data[0]!;
}

/** A program that predicts under teacher forcing; parameters are inputs. */
export function openEvaluation(
  config: Seq2SeqConfig,
  way: Way,
  hard: boolean,
): Promise<Program<string, EvaluationOutput>> {
  const { weight: _, ...types } = inputTypes;
  const graph = trace<string, EvaluationOutput>(types, (input) => {
    for (const [name, shape] of shapesOf(config, way)) parameter(name, [...shape]);
    const { logits, shortened } = runShortened(openModel(config, way, hard), pairsOf(input));
    const { positions, attended, deletedShare: share } = shortened;
    return {
      predicted: argmax(logits),
      kept: positions,
      counts: attended,
      deletedShare: share,
      logits,
    };
  });
  return compile(graph, { inline: true, threads: 1, sameSizes: false }) as never;
}

/** What a trained model does with held-out texts. */
export interface Evaluated {
  /** 1 for texts whose whole target is right. */
  readonly right: readonly number[];
  /** Bits of each target. */
  readonly bits: readonly number[];
  /** Bytes of each target, the end apart. */
  readonly bytes: readonly number[];
  /** Positions of each source that were kept. */
  readonly kept: readonly ReadonlySet<number>[];
  readonly deleted: readonly number[];
}

/** Evaluates in hard mode, text by text. */
export async function evaluatePairs(
  { config, parameters }: TrainedPairs,
  way: Way,
  pairs: readonly IdPair[],
  target: number,
): Promise<Evaluated> {
  await using program = await openEvaluation(config, way, true);
  const found = {
    right: [] as number[],
    bits: [] as number[],
    bytes: [] as number[],
    kept: [] as Set<number>[],
    deleted: [] as number[],
  };
  for (const [index, pair] of pairs.entries()) {
    const joined = joinPairs([pair]);
    const keep = keepMask(joined, way, target, createRandom(1, "evaluation", index));
    const { weight: _, ...inputs } = inputsOf(joined, keep, 0);
    const results = await program.run({ ...inputs, ...Object.fromEntries(parameters) } as never);
    const predicted = results.predicted.data;
    found.right.push(joined.targets.every((id, at) => id === predicted[at]) ? 1 : 0);
    found.bits.push(targetBits(results.logits.data as Float32Array, joined));
    found.bytes.push(pair.target.length - 1);
    found.deleted.push(results.deletedShare.data[0]!);
    const counts = results.counts.data;
    found.kept.push(
      new Set(Array.from(results.kept.data).filter((_place, at) => counts[at] === 1)),
    );
  }
  return found;
}

function targetBits(logits: Float32Array, { targets, output }: PairBatch): number {
  const width = logits.length / output;
  let bits = 0;
  for (const [at, id] of targets.entries()) {
    const row = logits.subarray(at * width, (at + 1) * width);
    const largest = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const total = row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
    bits += (Math.log(total) - (row[id]! - largest)) / Math.LN2;
  }
  return bits;
}
