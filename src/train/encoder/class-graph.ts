/** The graph that trains an encoder's head of classes: of texts, or of tokens. */
import {
  type EncoderConfig,
  encoderHeads,
  encoderTableTypes,
  traceFloat32Weights,
} from "../../model/index.ts";
import {
  abs,
  add,
  cast,
  crossEntropyRows,
  equal,
  exp,
  float32,
  int32,
  log,
  maximum,
  multiply,
  negate,
  not,
  reshape,
  sizeValue,
  subtract,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import { type Objective, objectiveGraph, type TrainingGraph } from "../graph/training-graph.ts";
import { encodeSide, textTypes } from "./encoder-inputs.ts";

/** A token whose class is not asked for. */
export const ignoredClass = -1;

/** What the graph is made of. */
export interface ClassGraphOptions {
  /** Says how classes relate (`problemType`), and how many there are (`labels`). */
  readonly config: EncoderConfig;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly trainable: readonly string[];
  readonly head: "sequence" | "tokens";
}

/**
 * Classes of texts or of tokens. Inputs: the texts of the side `text` (`textTypes`) and `targets`: of exclusive classes
 * int32 `[text]`, of others and of scores float32 `[text, labels]`; of tokens int32 `[text, time]`, `ignoredClass` where
 * none is asked for. The loss is a sum of nats (of squares for scores) over texts or tokens.
 */
export function classGraph(options: ClassGraphOptions): TrainingGraph {
  const { config, shapes, trainable, head } = options;
  const { labels, problemType } = config;
  const isTokens = head === "tokens";
  const inputs = {
    ...encoderTableTypes(config),
    ...textTypes("text", config),
    targets: isTokens
      ? int32(["text", "textTime"])
      : problemType === "single-label"
        ? int32(["text"])
        : float32(["text", labels.length]),
  };
  const has = (name: string): boolean => shapes.has(name);
  const task = isTokens ? ("tokens" as const) : ("sequence" as const);
  const { graph } = encoderHeads({ ...config, task }, has).get(head)!;
  return objectiveGraph(inputs, shapes, trainable, (input): Objective => {
    const weights = traceFloat32Weights(shapes);
    const states = encodeSide("text", config, weights, input);
    const logits = graph({ config, weights, states, attended: input["text.attended"]!, has });
    const targets = input["targets"]!;
    if (isTokens) return tokenLoss(logits, targets, labels.length);
    const weight = cast(sizeValue("text"), "float32");
    if (problemType === "single-label")
      return { loss: sum(crossEntropyRows(logits, targets)), weight };
    return {
      loss: problemType === "regression" ? squares(logits, targets) : binary(logits, targets),
      weight,
    };
  });
}

function tokenLoss(logits: Tensor, targets: Tensor, labels: number): Objective {
  const flat = reshape(targets, [-1]);
  const isIgnored = equal(flat, ignoredClass);
  const counts = cast(not(isIgnored), "float32");
  const rows = crossEntropyRows(reshape(logits, [-1, labels]), where(isIgnored, 0, flat));
  return { loss: sum(multiply(rows, counts)), weight: sum(counts) };
}

function squares(scores: Tensor, targets: Tensor): Tensor {
  const difference = subtract(scores, targets);
  return sum(multiply(difference, difference));
}

/** Cross-entropy of each class by itself: max(x, 0) − x·t + log(1 + e^−|x|), which overflows nowhere. */
function binary(logits: Tensor, targets: Tensor): Tensor {
  const tail = log(add(1, exp(negate(abs(logits)))));
  return sum(add(subtract(maximum(logits, 0), multiply(logits, targets)), tail));
}
