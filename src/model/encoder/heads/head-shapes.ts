/** The parameters of heads: names and shapes, for encoders that learn a head from nothing. */
import { JetonError } from "../../../core/index.ts";
import type { EncoderConfig } from "../config.ts";
import { biasOf, weightOf } from "../encoder-names.ts";
import { mixerFamily } from "../mixer/mixer-config.ts";
import type { HeadName } from "./heads.ts";

/** Heads that can be made anew. */
export type TrainableHead = Extract<HeadName, "masked" | "sequence" | "tokens">;

/** Collects shapes under stored names. */
interface Shapes {
  /** A matrix with its bias, where it has one. */
  linear(name: string, outputs: number, inputs: number, biased?: boolean): void;
  norm(name: string, width: number): void;
  vector(name: string, width: number): void;
}

type Describe = (config: EncoderConfig, shapes: Shapes) => void;

/** Dense, norm and the bias of the logits; the matrix of the output is the table of tokens where tied. */
const masked =
  (names: { dense: string; norm: string; output: string; bias: string }): Describe =>
  ({ hiddenSize, embeddingSize, vocabSize, tieWordEmbeddings }, { linear, norm, vector }) => {
    linear(names.dense, embeddingSize, hiddenSize);
    norm(names.norm, embeddingSize);
    vector(names.bias, vocabSize);
    if (!tieWordEmbeddings) linear(names.output, vocabSize, embeddingSize, false);
  };

const classesBehind =
  (dense: string, output: string): Describe =>
  ({ hiddenSize, labels }, { linear }) => {
    linear(dense, hiddenSize, hiddenSize);
    linear(output, labels.length, hiddenSize);
  };

const tokenClasses: Describe = ({ hiddenSize, labels }, { linear }) =>
  linear("classifier", labels.length, hiddenSize);

const modernPrediction: Describe = ({ hiddenSize, headOptions }, { linear, norm }) => {
  linear("head.dense", hiddenSize, hiddenSize, headOptions.classifierBias);
  norm("head.norm", hiddenSize);
};

const modernClasses: Describe = (config, shapes) => {
  modernPrediction(config, shapes);
  tokenClasses(config, shapes);
};

type FamilyHeads = Readonly<Record<TrainableHead, Describe>>;

const bert: FamilyHeads = {
  masked: masked({
    dense: "cls.predictions.transform.dense",
    norm: "cls.predictions.transform.LayerNorm",
    output: "cls.predictions.decoder",
    bias: "cls.predictions.bias",
  }),
  sequence: classesBehind("pooler.dense", "classifier"),
  tokens: tokenClasses,
};

const roberta: FamilyHeads = {
  masked: masked({
    dense: "lm_head.dense",
    norm: "lm_head.layer_norm",
    output: "lm_head.decoder",
    bias: "lm_head.bias",
  }),
  sequence: classesBehind("classifier.dense", "classifier.out_proj"),
  tokens: tokenClasses,
};

const families: Readonly<Record<string, FamilyHeads>> = {
  bert,
  nomic_bert: bert,
  [mixerFamily]: {
    ...bert,
    masked: masked({
      dense: "cls.predictions.transform.dense",
      norm: "cls.predictions.transform.LayerNorm",
      output: "cls.predictions.decoder",
      bias: "cls.predictions.decoder.bias",
    }),
  },
  "deberta-v2": bert,
  roberta,
  "xlm-roberta": roberta,
  camembert: roberta,
  mpnet: roberta,
  distilbert: {
    masked: masked({
      dense: "vocab_transform",
      norm: "vocab_layer_norm",
      output: "vocab_projector",
      bias: "vocab_projector.bias",
    }),
    sequence: classesBehind("pre_classifier", "classifier"),
    tokens: tokenClasses,
  },
  albert: {
    masked: masked({
      dense: "predictions.dense",
      norm: "predictions.LayerNorm",
      output: "predictions.decoder",
      bias: "predictions.bias",
    }),
    sequence: classesBehind("pooler", "classifier"),
    tokens: tokenClasses,
  },
  electra: {
    masked: masked({
      dense: "generator_predictions.dense",
      norm: "generator_predictions.LayerNorm",
      output: "generator_lm_head",
      bias: "generator_lm_head.bias",
    }),
    sequence: classesBehind("classifier.dense", "classifier.out_proj"),
    tokens: tokenClasses,
  },
  modernbert: {
    masked(config, shapes) {
      modernPrediction(config, shapes);
      if (config.headOptions.decoderBias) shapes.vector("decoder.bias", config.vocabSize);
      if (!config.tieWordEmbeddings) {
        shapes.linear("decoder", config.vocabSize, config.hiddenSize, false);
      }
    },
    sequence: modernClasses,
    tokens: modernClasses,
  },
};

/**
 * Shapes of a head's parameters by name, as checkpoints of the family store them.
 *
 * @throws JetonError `encoder-head-missing` where the family has no such head
 */
export function encoderHeadShapes(
  config: EncoderConfig,
  head: TrainableHead,
): Map<string, number[]> {
  const describe = families[config.family]?.[head];
  if (!describe) {
    throw new JetonError(`models of the family "${config.family}" have no head "${head}"`, {
      code: "encoder-head-missing",
      details: { family: config.family, output: head, expected: Object.keys(families) },
    });
  }
  const shapes = new Map<string, number[]>();
  describe(config, {
    linear(name, outputs, inputs, biased = true) {
      shapes.set(weightOf(name), [outputs, inputs]);
      if (biased) shapes.set(biasOf(name), [outputs]);
    },
    norm(name, width) {
      shapes.set(weightOf(name), [width]);
      if (config.normBias) shapes.set(biasOf(name), [width]);
    },
    vector: (name, width) => shapes.set(name, [width]),
  });
  return shapes;
}
