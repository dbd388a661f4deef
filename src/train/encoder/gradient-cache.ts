/**
 * A contrastive update over a batch that is too large for one pass (gradient caching; Gao et al., 2021): vectors of all
 * texts chunk by chunk, the loss and its gradients over the vectors, and then the gradients of each chunk.
 */
import type { EncoderConfig } from "../../model/index.ts";
import type { TensorValue } from "../../tensor/index.ts";
import type { Trainer } from "../run/trainer.ts";
import type { StepReport } from "../run/training-interface.ts";
import { type ContrastGradients, contrastGradients } from "./contrast-loss.ts";
import { type RankedBatch, vectorInputs } from "./encoder-batches.ts";
import type { EncodedText, VectorPipeline } from "./encoder-inputs.ts";

/** What a cached update needs to know. */
export interface GradientCacheOptions {
  readonly config: EncoderConfig;
  readonly pipeline: VectorPipeline;
  readonly temperature: number;
  /** Length of the vectors. */
  readonly width: number;
  /** Texts of one pass. */
  readonly chunk: number;
}

/** Texts of one pass, their place among all, and their inputs without slopes. */
interface Chunk {
  readonly from: number;
  readonly count: number;
  readonly inputs: Record<string, TensorValue>;
}

const scalar = (value: number): TensorValue => ({
  dtype: "float32",
  shape: [],
  data: Float32Array.of(value),
});

/** Chunks of texts in the order of their lengths, so that little is filled up; texts keep their numbers. */
function cutIntoChunks(
  texts: readonly EncodedText[],
  { config, pipeline, chunk }: GradientCacheOptions,
): { order: number[]; chunks: Chunk[] } {
  const order = [...texts.keys()].sort(
    (a, b) => texts[a]!.ids.length - texts[b]!.ids.length || a - b,
  );
  const chunks: Chunk[] = [];
  for (let from = 0; from < order.length; from += chunk) {
    const own = order.slice(from, from + chunk).map((index) => texts[index]!);
    chunks.push({ from, count: own.length, inputs: vectorInputs(own, config, pipeline) });
  }
  return { order, chunks };
}

function withSlopes(
  { inputs, count }: Chunk,
  width: number,
  slopes: Float32Array,
  report: { readonly share: number; readonly count: number },
): Record<string, TensorValue> {
  return {
    ...inputs,
    slope: { dtype: "float32", shape: [count, width], data: slopes },
    share: scalar(report.share),
    count: scalar(report.count),
  };
}

const rest = { share: 0, count: 0 };

/** Vectors of all texts of a batch, and the loss over them with its gradients. */
async function computeLoss(
  trainer: Trainer,
  batch: RankedBatch,
  cut: { readonly order: number[]; readonly chunks: Chunk[] },
  { width, temperature, averaged = false }: GradientCacheOptions & { readonly averaged?: boolean },
): Promise<ContrastGradients> {
  const { order, chunks } = cut;
  const read = await trainer.values(
    chunks.map((chunk) => withSlopes(chunk, width, new Float32Array(chunk.count * width), rest)),
    { averaged },
  );
  const vectors = new Float32Array(order.length * width);
  for (const [number, { from, count }] of chunks.entries()) {
    const { data } = read[number]!.get("vectors")!;
    for (let row = 0; row < count; row++) {
      vectors.set(data.subarray(row * width, (row + 1) * width), order[from + row]! * width);
    }
  }
  const end = batch.queries.length * width;
  const [queries, documents] = [vectors.subarray(0, end), vectors.subarray(end)];
  return contrastGradients(queries, documents, batch, { width, temperature });
}

/** The loss of a batch without an update, in nats a query. */
export async function evaluateWithCache(
  trainer: Trainer,
  batch: RankedBatch,
  options: GradientCacheOptions & { readonly averaged: boolean },
): Promise<number> {
  const texts = [...batch.queries, ...batch.documents];
  const { loss } = await computeLoss(trainer, batch, cutIntoChunks(texts, options), options);
  return loss / batch.queries.length;
}

/** One update of a trainer over `cachedVectorGraph`. */
export async function stepWithCache(
  trainer: Trainer,
  batch: RankedBatch,
  options: GradientCacheOptions,
): Promise<StepReport> {
  const { width } = options;
  const texts = [...batch.queries, ...batch.documents];
  const { order, chunks } = cutIntoChunks(texts, options);
  const { loss, queries, documents } = await computeLoss(
    trainer,
    batch,
    { order, chunks },
    options,
  );
  const cut = queries.length;
  const slopes = new Float32Array(texts.length * width);
  slopes.set(queries);
  slopes.set(documents, cut);
  const parts = chunks.map((chunk, number) => {
    const own = new Float32Array(chunk.count * width);
    for (let row = 0; row < chunk.count; row++) {
      const start = order[chunk.from + row]! * width;
      own.set(slopes.subarray(start, start + width), row * width);
    }
    // The whole loss is reported with the first chunk.
    const report = number === 0 ? { share: loss, count: batch.queries.length } : rest;
    return withSlopes(chunk, width, own, report);
  });
  return trainer.step(parts);
}
