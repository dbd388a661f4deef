/** The encoder of an encoder-decoder, with the deletion of MrT5 where the checkpoint has a gate. */
import { add, type Dimension, multiply, range, reshape, type Tensor } from "../../tensor/index.ts";
import { embedEncoderInput, encodeLayers, encoderBias } from "../encoder/encoder.ts";
import { paddingMask } from "../encoder/encoder-graph.ts";
import type { EncoderContext } from "../encoder/encoder-layer.ts";
import { sumsOf } from "../layers/layer-terms.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import type { Seq2SeqConfig } from "./config.ts";
import { scoreWeights } from "./decoder-layer.ts";
import {
  deleteGate,
  type GateOutput,
  type Kept,
  keepPositions,
  keptByGate,
} from "./delete-gate.ts";

/** What an encoder reads. */
export interface SourceInput {
  /** int32 `[batch, time]` */
  readonly ids: Tensor;
  /** 1 for tokens, 0 for padding, float32 `[batch, time]`. */
  readonly attended: Tensor;
}

/** How a gate deletes. */
export interface Deletion {
  /** Positions whose gate value is not above this scalar are deleted. */
  readonly threshold: Tensor;
  /** Factor of the gate value in the scores: 1 softly, 0 hard. */
  readonly soft: Tensor;
}

/** States for the decoder. */
export interface Source {
  /** Behind the final norm, `[batch, kept, hiddenSize]`; `kept` is `time` without a gate. */
  readonly states: Tensor;
  /** Added to scores over them, `[batch, 1, 1, kept]`. */
  readonly mask: Tensor;
  readonly gate: (GateOutput & { readonly kept: Kept }) | undefined;
}

/**
 * The layers' context.
 *
 * @param term added to the scores of all layers
 * @param places positions of the states, int32 `[time]`; `[batch, time]` where some were deleted
 */
export function sourceContext(
  config: Seq2SeqConfig,
  weights: DecoderWeights,
  term: Tensor,
  places: Tensor,
): EncoderContext {
  return {
    config: config.encoder,
    weights,
    rotationRows: undefined,
    rotations: [],
    added: sumsOf(() => term, encoderBias(config.encoder, weights, places)),
    weigh: scoreWeights(config),
  };
}

/** A number for each key as a term of the scores: `[batch, keys]` to `[batch, 1, 1, keys]`. */
export function columnTerm(values: Tensor): Tensor {
  const [batch, keys] = values.shape as [Dimension, Dimension];
  return reshape(values, [batch, 1, 1, keys]);
}

/**
 * Encodes texts. Where the config has a gate, `deletion` says how it deletes.
 */
export function encodeSource(
  config: Seq2SeqConfig,
  weights: DecoderWeights,
  { ids, attended }: SourceInput,
  deletion?: Deletion,
): Source {
  const { encoder, deleteGate: gate } = config;
  const [, time] = ids.shape as [Dimension, Dimension];
  const embeddings = embedEncoderInput(encoder, weights, { ids, positions: ids, types: ids });
  const mask = paddingMask(attended);
  const whole = sourceContext(config, weights, mask, range(time));
  if (!gate || !deletion) {
    return { states: encodeLayers(embeddings, whole), mask, gate: undefined };
  }
  const early = encodeLayers(embeddings, whole, 0, gate.layer);
  const output = deleteGate(gate, weights, early, attended);
  const kept = keepPositions(keptByGate(output.values, attended, deletion.threshold));
  const values = kept.take(output.values);
  const terms = add(paddingMask(kept.attended), columnTerm(multiply(values, deletion.soft)));
  const late = sourceContext(config, weights, terms, kept.positions);
  const states = encodeLayers(kept.take(early), late, gate.layer);
  return { states, mask: terms, gate: { ...output, kept } };
}
