/**
 * DupMAE (Xiao et al., 2023): an encoder learns to tell masked tokens, to carry a text in its first state so that a weak
 * decoder rebuilds it, and to carry the text's words in the other states.
 */
import {
  type DecoderWeights,
  type EncoderConfig,
  embedEncoderInput,
  encoderHeads,
  encoderTableTypes,
  traceFloat32Weights,
} from "../../../model/index.ts";
import {
  add,
  cast,
  crossEntropyRows,
  float32,
  gather,
  int32,
  logSoftmax,
  multiply,
  negate,
  reshape,
  sizeValue,
  slice,
  squeeze,
  sum,
  type Tensor,
  type TensorType,
} from "../../../tensor/index.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "../../graph/training-graph.ts";
import { encodeSide, textTypes } from "../encoder-inputs.ts";
import { decodeSentence } from "./duplex-decoder.ts";

/** Factors of the losses; a part of 0 is not computed and has no parameters. */
export interface DuplexWeights {
  /** Of rebuilding the text from its sentence vector. */
  readonly decoding: number;
  /** Of telling its words. */
  readonly lexical: number;
}

/** What the graph is made of. */
export interface DuplexGraphOptions {
  readonly config: EncoderConfig;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly trainable: readonly string[];
  readonly factors: DuplexWeights;
}

/**
 * Inputs: the masked texts of the side `text` (`textTypes`); for `part` of `masked`, `decoded`: `PART.rows` int32, flat
 * places in `[text, time]`, `PART.targets` int32, `PART.shares` float32, 1 over the number of such tokens of the text;
 * `original` int32 `[text, time]`, the ids before masking; `hidden` float32 `[text, time, time]`, what is added to the
 * decoder's scores; `bag.places` int32, flat places in `[text, vocabSize]` of each text's different words, with
 * `bag.shares`. The loss is a sum over texts, of means over their tokens.
 */
export function duplexGraph(options: DuplexGraphOptions): TrainingGraph {
  const { config, shapes, trainable, factors } = options;
  const inputs: Record<string, TensorType> = {
    ...encoderTableTypes(config),
    ...textTypes("text", config),
    ...partTypes("masked"),
    ...(factors.decoding > 0 && {
      ...partTypes("decoded"),
      original: int32(["text", "textTime"]),
      hidden: float32(["text", "textTime", "textTime"]),
    }),
    ...(factors.lexical > 0 && {
      "bag.places": int32(["bag"]),
      "bag.shares": float32(["bag"]),
    }),
  };
  const has = (name: string): boolean => shapes.has(name);
  const heads = encoderHeads({ ...config, task: "masked" }, has);
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const states = encodeSide("text", config, weights, input);
    const context = { config, weights, states, attended: input["text.attended"]!, has };
    const tell = (from: Tensor, part: string): Tensor => {
      const rows = gather(reshape(from, [-1, config.hiddenSize]), input[`${part}.rows`]!);
      const logits = heads.get("masked")!.graph({ ...context, states: rows });
      const losses = crossEntropyRows(logits, input[`${part}.targets`]!);
      return sum(multiply(losses, input[`${part}.shares`]!));
    };
    let loss = tell(states, "masked");
    if (factors.decoding > 0) {
      const decoded = decode(config, weights, states, input);
      loss = add(loss, multiply(tell(decoded, "decoded"), factors.decoding));
    }
    if (factors.lexical > 0) {
      const chosen = gather(
        reshape(logSoftmax(heads.get("lexical")!.graph(context)), [-1]),
        input["bag.places"]!,
      );
      const bag = negate(sum(multiply(chosen, input["bag.shares"]!)));
      loss = add(loss, multiply(bag, factors.lexical));
    }
    return { loss, weight: cast(sizeValue("text"), "float32") };
  });
}

function partTypes(part: string): Record<string, TensorType> {
  return {
    [`${part}.rows`]: int32([part]),
    [`${part}.targets`]: int32([part]),
    [`${part}.shares`]: float32([part]),
  };
}

/** States of the decoder for the texts' first states. */
function decode(
  config: EncoderConfig,
  weights: DecoderWeights,
  states: Tensor,
  input: Readonly<Record<string, Tensor>>,
): Tensor {
  const context = embedEncoderInput(config, weights, {
    ids: input["original"]!,
    positions: input["text.positions"]!,
    types: input["text.types"]!,
  });
  const sentence = squeeze(slice(states, { axis: 1, start: 0, end: 1 }), 1);
  return decodeSentence(config, weights, { sentence, context, hidden: input["hidden"]! });
}
