/**
 * What stands behind an encoder's last layer: the pooled state of the first token, and heads for masked
 * tokens, for classes of sequences and of tokens, and for spans. Each family has its own.
 *
 * Sources: the `modeling_*.py` of the families in transformers 5.18.0.
 */
import {
  add,
  cast,
  type Dimension,
  divide,
  equal,
  matmul,
  max,
  multiply,
  range,
  reshape,
  slice,
  squeeze,
  subtract,
  sum,
  type Tensor,
  where,
} from "../../../tensor/index.ts";
import { decoderNames } from "../../decoder/decoder-names.ts";
import { type Activation, activate } from "../../layers/activation.ts";
import { maskedScore } from "../../layers/bidirectional-attention.ts";
import {
  type ReadStoredRows,
  type Repetition,
  withoutRepeated,
} from "../../weights/repeated-tensor.ts";
import type { DecoderWeights, StoredShape } from "../../weights/trace-weights.ts";
import { eurobertFamily } from "../backbone/backbone-config.ts";
import type { EncoderConfig } from "../config.ts";
import { encoderNorm } from "../encoder-layer.ts";
import { biasOf, encoderNames, weightOf } from "../encoder-names.ts";
import { mixerFamily } from "../mixer/mixer-config.ts";
import { projectStored } from "../project-stored.ts";

/** Results that a head gives. */
export type HeadName =
  /** State of the whole text `[batch, hiddenSize]`, as the base model pools it. */
  | "pooled"
  /** Logits of chosen positions `[rows, vocabSize]`. */
  | "masked"
  /** For every token of the vocabulary its largest logit at any place of the text but the first: `[batch, vocabSize]`. */
  | "lexical"
  /** Logits of the text's classes `[batch, labels]`. */
  | "sequence"
  /** Logits of each token's classes `[batch, time, labels]`. */
  | "tokens"
  /** Logits of beginning and end of a span `[batch, time, 2]`. */
  | "span"
  /** Logits of "follows" and "does not" `[batch, 2]`. */
  | "nextSentence"
  /** Logits of "in order" and "exchanged" `[batch, 2]`. */
  | "sentenceOrder"
  /** One logit a token, above 0 where it was replaced: `[batch, time]`. */
  | "replaced";

/** What a head computes from. */
export interface HeadContext {
  readonly config: EncoderConfig;
  readonly weights: DecoderWeights;
  /** `[batch, time, hiddenSize]` */
  readonly states: Tensor;
  /** 1 for tokens, 0 for padding, float32 `[batch, time]`. */
  readonly attended: Tensor;
  /** Whether a tensor is stored. */
  has(name: string): boolean;
}

/** A head: what it needs to be stored, and its graph. */
export interface Head {
  /** A stored tensor whose presence says that the checkpoint has the head. */
  readonly marker: string;
  /** Logits; of `masked`, from states `[rows, hiddenSize]`. */
  readonly graph: (context: HeadContext) => Tensor;
  /** The stored matrix that may repeat the table of tokens; without it the table is read. */
  readonly table?: string;
}

/** State of the first token, `[batch, hiddenSize]`. */
const firstState = ({ states }: HeadContext): Tensor =>
  squeeze(slice(states, { axis: 1, start: 0, end: 1 }), 1);

/** BERT's pooler: a dense layer with tanh over the first token's state. */
const pooler =
  (name: string, activation: Activation = "tanh") =>
  (context: HeadContext): Tensor =>
    activate(projectStored(context.weights, firstState(context), name), activation);

/** A linear head over another result. */
const linear =
  (name: string, input: (context: HeadContext) => Tensor) =>
  (context: HeadContext): Tensor =>
    projectStored(context.weights, input(context), name);

const allStates = ({ states }: HeadContext): Tensor => states;

/** A dense layer and an activation before the classes, over the first token's state. */
const denseThenLinear =
  (names: { readonly dense: string; readonly output: string }, activation: Activation) =>
  (context: HeadContext): Tensor => {
    const dense = projectStored(context.weights, firstState(context), names.dense);
    return projectStored(context.weights, activate(dense, activation), names.output);
  };

interface MaskedNames {
  readonly dense: string;
  readonly norm: string;
  /** The output matrix where it is stored; otherwise the embedding table. */
  readonly output: string;
  /** The output's bias: the first of these that is stored. */
  readonly bias: readonly string[];
  /** Default: the config's own. */
  readonly activation?: Activation;
}

/** Dense, activation, norm, and a product with the table of tokens. */
const maskedHead = (names: MaskedNames): Head => ({
  marker: weightOf(names.dense),
  table: weightOf(names.output),
  graph(context) {
    const { config, weights, states } = context;
    // nomic-bert's has a bias only where its feed-forward has one.
    const dense = projectStored(weights, states, names.dense, context.has(biasOf(names.dense)));
    const active = activate(dense, names.activation ?? config.activation);
    return vocabularyLogits(context, encoderNorm(context, active, names.norm), names);
  },
});

function vocabularyLogits(
  { config, weights, has }: HeadContext,
  x: Tensor,
  names: Pick<MaskedNames, "output" | "bias">,
): Tensor {
  // A stored matrix counts, also where the config ties it: a tied one is not stored, or the same.
  const table = has(weightOf(names.output)) ? names.output : encoderNames(config).tokens;
  const logits = matmul(x, cast(weights.table(weightOf(table)), "float32"), { transposeB: true });
  const bias = names.bias.find(has);
  return bias === undefined ? logits : add(logits, weights.vector(bias));
}

/** ModernBERT's prediction head: dense, activation, norm. */
function modernPrediction(context: HeadContext, x: Tensor): Tensor {
  const { config, weights } = context;
  const { classifierBias, classifierActivation } = config.headOptions;
  const dense = projectStored(weights, x, "head.dense", classifierBias);
  return encoderNorm(context, activate(dense, classifierActivation), "head.norm");
}

/** Mean of the states of tokens, `[batch, hiddenSize]`. */
function meanState({ states, attended }: HeadContext): Tensor {
  const [batch, time] = states.shape as [Dimension, Dimension];
  const total = squeeze(matmul(reshape(attended, [batch, 1, time]), states), 1);
  return divide(total, sum(attended, { axes: [1], keepAxes: true }));
}

const bertPooled: Head = { marker: "pooler.dense.weight", graph: pooler("pooler.dense") };

const spanHead: Head = { marker: "qa_outputs.weight", graph: linear("qa_outputs", allStates) };
const tokenHead: Head = { marker: "classifier.weight", graph: linear("classifier", allStates) };

const bert: Partial<Record<HeadName, Head>> = {
  pooled: bertPooled,
  masked: maskedHead({
    dense: "cls.predictions.transform.dense",
    norm: "cls.predictions.transform.LayerNorm",
    output: "cls.predictions.decoder",
    bias: ["cls.predictions.decoder.bias", "cls.predictions.bias"],
  }),
  sequence: { marker: "classifier.weight", graph: linear("classifier", bertPooled.graph) },
  tokens: tokenHead,
  span: spanHead,
  nextSentence: {
    marker: "cls.seq_relationship.weight",
    graph: linear("cls.seq_relationship", bertPooled.graph),
  },
};

/** DeBERTa's pooler has an activation of its own. */
const debertaPooled = (context: HeadContext): Tensor =>
  pooler("pooler.dense", context.config.headOptions.poolerActivation)(context);

const roberta: Partial<Record<HeadName, Head>> = {
  pooled: bertPooled,
  masked: maskedHead({
    dense: "lm_head.dense",
    norm: "lm_head.layer_norm",
    output: "lm_head.decoder",
    bias: ["lm_head.decoder.bias", "lm_head.bias"],
    // Of any hidden_act.
    activation: "gelu",
  }),
  sequence: {
    marker: "classifier.out_proj.weight",
    graph: denseThenLinear({ dense: "classifier.dense", output: "classifier.out_proj" }, "tanh"),
  },
  tokens: tokenHead,
  span: spanHead,
};

/** BERT's pooler, over the mean of a text's tokens where the configuration says so. */
const mixerPooled = (context: HeadContext): Tensor => {
  const state = context.config.mixer?.poolsAll ? meanState(context) : firstState(context);
  return activate(projectStored(context.weights, state, "pooler.dense"), "tanh");
};

/** EuroBERT's: dense, gelu and classes, of one state or of each token's. */
const eurobertClasses = (context: HeadContext): Tensor => {
  const { config, weights, states } = context;
  const pooling = config.headOptions.classifierPooling;
  const activated = (x: Tensor): Tensor => activate(projectStored(weights, x, "dense"), "gelu");
  // The last product is linear: of a mean it is the mean of the products.
  const pooled =
    pooling === "late"
      ? meanState({ ...context, states: activated(states) })
      : activated(pooling === "mean" ? meanState(context) : firstState(context));
  return projectStored(weights, pooled, "classifier");
};

const families: Readonly<Record<string, Partial<Record<HeadName, Head>>>> = {
  bert,
  roberta,
  "xlm-roberta": roberta,
  camembert: roberta,
  mpnet: roberta,
  "deberta-v2": {
    ...bert,
    pooled: { marker: "pooler.dense.weight", graph: debertaPooled },
    sequence: { marker: "classifier.weight", graph: linear("classifier", debertaPooled) },
  },
  distilbert: {
    masked: maskedHead({
      dense: "vocab_transform",
      norm: "vocab_layer_norm",
      output: "vocab_projector",
      bias: ["vocab_projector.bias"],
    }),
    sequence: {
      marker: "pre_classifier.weight",
      graph: denseThenLinear({ dense: "pre_classifier", output: "classifier" }, "relu"),
    },
    tokens: tokenHead,
    span: spanHead,
  },
  albert: {
    pooled: { marker: "pooler.weight", graph: pooler("pooler") },
    masked: maskedHead({
      dense: "predictions.dense",
      norm: "predictions.LayerNorm",
      output: "predictions.decoder",
      bias: ["predictions.decoder.bias", "predictions.bias"],
    }),
    sequence: { marker: "classifier.weight", graph: linear("classifier", pooler("pooler")) },
    sentenceOrder: {
      marker: "sop_classifier.classifier.weight",
      graph: linear("sop_classifier.classifier", pooler("pooler")),
    },
    tokens: tokenHead,
    span: spanHead,
  },
  electra: {
    masked: maskedHead({
      dense: "generator_predictions.dense",
      norm: "generator_predictions.LayerNorm",
      output: "generator_lm_head",
      bias: ["generator_lm_head.bias"],
      activation: "gelu",
    }),
    sequence: {
      marker: "classifier.out_proj.weight",
      graph: denseThenLinear({ dense: "classifier.dense", output: "classifier.out_proj" }, "gelu"),
    },
    replaced: {
      marker: "discriminator_predictions.dense.weight",
      graph: ({ config, weights, states }) => {
        const dense = projectStored(weights, states, "discriminator_predictions.dense");
        const active = activate(dense, config.activation);
        return squeeze(
          projectStored(weights, active, "discriminator_predictions.dense_prediction"),
          2,
        );
      },
    },
    tokens: tokenHead,
    span: spanHead,
  },
  modernbert: {
    masked: {
      marker: "head.dense.weight",
      table: "decoder.weight",
      graph: (context) =>
        vocabularyLogits(context, modernPrediction(context, context.states), {
          output: "decoder",
          bias: context.config.headOptions.decoderBias ? ["decoder.bias"] : [],
        }),
    },
    sequence: {
      marker: "classifier.weight",
      graph: (context) => {
        const isMean = context.config.headOptions.classifierPooling === "mean";
        const pooled = isMean ? meanState(context) : firstState(context);
        return projectStored(context.weights, modernPrediction(context, pooled), "classifier");
      },
    },
    tokens: {
      marker: "classifier.weight",
      graph: (context) =>
        projectStored(context.weights, modernPrediction(context, context.states), "classifier"),
    },
    // Its class for answers calls the layer so, too.
    span: {
      marker: "classifier.weight",
      graph: linear("classifier", (context) => modernPrediction(context, context.states)),
    },
  },
  nomic_bert: bert,
  [eurobertFamily]: {
    masked: {
      // The only tensor that tied and separate tables have both.
      marker: decoderNames.embedding,
      table: decoderNames.head,
      graph: (context) =>
        vocabularyLogits(context, context.states, { output: "lm_head", bias: ["lm_head.bias"] }),
    },
    sequence: { marker: "dense.weight", graph: eurobertClasses },
    tokens: tokenHead,
  },
  // Its heads for sequences and answers read the decoder.
  t5: { tokens: tokenHead },
  [mixerFamily]: {
    ...bert,
    pooled: { marker: "pooler.dense.weight", graph: mixerPooled },
    masked: {
      ...bert.masked!,
      graph: (context) =>
        bert.masked!.graph({ ...context, config: { ...context.config, normEps: 1e-12 } }),
    },
    sequence: { marker: "classifier.weight", graph: linear("classifier", mixerPooled) },
  },
};

/**
 * How strongly a text stands for each token of the vocabulary (Xiao et al., 2023): the largest logit that the head for
 * masked tokens gives it at a position of the text, the first one and padding left out.
 */
function lexicalHead({ marker, graph, table }: Head): Head {
  return {
    marker,
    ...(table !== undefined && { table }),
    graph(context) {
      const { states, attended } = context;
      const [batch, time] = states.shape as [Dimension, Dimension];
      const isFirst = equal(reshape(range(time), [1, time]), 0);
      const counts = where(isFirst, 0, attended);
      const hidden = reshape(multiply(subtract(1, counts), maskedScore), [batch, time, 1]);
      return max(add(graph(context), hidden), { axes: [1] });
    },
  };
}

/** Results that each task of a checkpoint gives; the pooled state wherever it is stored. */
const results: Readonly<Record<EncoderConfig["task"], readonly HeadName[]>> = {
  states: [],
  masked: ["masked", "lexical"],
  pretraining: ["masked", "lexical", "nextSentence", "sentenceOrder", "replaced"],
  sequence: ["sequence"],
  tokens: ["tokens"],
  span: ["span"],
  "next-sentence": ["nextSentence"],
};

/** The matrix of a head that may repeat the table of tokens; undefined where the family has none. */
export function repeatedTable(config: EncoderConfig): Repetition | undefined {
  const name = families[config.family]?.masked?.table;
  return name === undefined ? undefined : { name, of: weightOf(encoderNames(config).tokens) };
}

/**
 * The tensors without a head's table that repeats that of the tokens, and the configuration that says so, also where the
 * checkpoint's says that the two are apart.
 */
export async function tieRepeatedHead<T extends StoredShape>(
  config: EncoderConfig,
  stored: ReadonlyMap<string, T>,
  read: ReadStoredRows,
): Promise<{ readonly config: EncoderConfig; readonly tensors: ReadonlyMap<string, T> }> {
  const tensors = await withoutRepeated(stored, repeatedTable(config), read);
  const isRepeated = tensors.size < stored.size;
  return { config: isRepeated ? { ...config, tieWordEmbeddings: true } : config, tensors };
}

/** The heads of a checkpoint: those that its class has and whose weights are stored. */
export function encoderHeads(
  config: EncoderConfig,
  has: (name: string) => boolean,
): ReadonlyMap<HeadName, Head> {
  const own = families[config.family] ?? {};
  const names: readonly HeadName[] = ["pooled", ...results[config.task]];
  return new Map(
    names.flatMap((name) => {
      const head = name === "lexical" ? own.masked && lexicalHead(own.masked) : own[name];
      if (!head || !has(head.marker)) return [];
      // A matrix that should stand beside the table of tokens is missing: the table is none in its place.
      const isWhole = config.tieWordEmbeddings || head.table === undefined || has(head.table);
      return isWhole ? [[name, head] as const] : [];
    }),
  );
}
