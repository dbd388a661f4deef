/**
 * Monarch Mixer encoders (M2-BERT; Fu et al., 2023; Saad-Falcon et al., 2024) as their `config.json` describes them: BERT's
 * keys, and those of long convolutions in the place of attention.
 */
import {
  checkLayers,
  type Fields,
  flag,
  given,
  invalid,
  positive,
  readActivation,
} from "../../decoder/config-fields.ts";
import type { EncoderConfig } from "../config.ts";
import type { Labels } from "../tasks/encoder-task.ts";

/** The family's name here; files say `bert` or `m2_bert`, and `monarch_mixer_sequence_mixing`. */
export const mixerFamily = "m2-bert";

/** How tokens are mixed along the sequence, and what differs from BERT beside it. */
export interface MixerConfig {
  /** Rows of the kernels' positional features: no text is longer. */
  readonly kernelLength: number;
  /** Width of the small network that makes the kernels. */
  readonly filterWidth: number;
  /** Features of a position that it reads: odd, at least 3. */
  readonly positionFeatures: number;
  /** Factor of the frequencies of its sines. */
  readonly sineFactor: number;
  /** Kernels in both directions; otherwise no token sees a later one. */
  readonly bidirectional: boolean;
  /** A second convolution, over the layer's input. */
  readonly residualConvolution: boolean;
  /** A norm in front of the mixer. */
  readonly inputNorm: boolean;
  /** Diagonal blocks of the feed-forward's matrices; undefined: they are dense. */
  readonly blocks: number | undefined;
  /** The vector of a text is made of the mean of its tokens, and not of the first one. */
  readonly poolsAll: boolean;
  /**
   * Texts are filled up to `kernelLength` with padding that takes part in the mixing, as the published models were
   * trained. False (`mask_padding`, a key of jeton's): padding is no part of a text.
   */
  readonly fillsTexts: boolean;
  /** What only a training reads. */
  readonly training: MixerTraining;
}

/** First values and rates of the kernels' networks. */
export interface MixerTraining {
  /** First value of all frequencies. */
  readonly frequency: number;
  readonly kernelRate: number;
  readonly kernelDecay: number;
  readonly positionRate: number;
}

/** What the authors' configuration and layer classes assume for keys that a file leaves out. */
const defaults: Fields = {
  vocab_size: 30522,
  hidden_size: 768,
  num_hidden_layers: 12,
  intermediate_size: 3072,
  hidden_act: "gelu",
  max_position_embeddings: 512,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  pad_token_id: 0,
  long_conv_l_max: 128,
  long_conv_kernel_learning_rate: 1e-3,
  hyena_lr_pos_emb: 1e-5,
  hyena_w: 10,
  hyena_w_mod: 1,
  hyena_wd: 0.1,
  hyena_emb_dim: 5,
  hyena_filter_order: 64,
  monarch_mlp_nblocks: 4,
};

/** Whether a configuration's layers mix by long convolutions. */
export function isMixerConfig(fields: Fields): boolean {
  return fields["monarch_mixer_sequence_mixing"] === true;
}

/** Describes the encoder of such a `config.json`; what all families share is left to the caller. */
export function mixerEncoderConfig(
  own: Fields,
): Omit<EncoderConfig, "task" | keyof Labels | "headOptions"> {
  const fields: Fields = { ...defaults, ...own };
  const count = (name: string): number => positive(fields, name, Number.isSafeInteger);
  const layers = count("num_hidden_layers");
  checkLayers(layers);
  const activation = readActivation("hidden_act", fields["hidden_act"]);
  const mixer = readMixer(fields, count);
  const hasPositions = flag(fields, "use_positional_encodings");
  const positionRows = hasPositions ? count("max_position_embeddings") : 0;
  const hiddenSize = count("hidden_size");
  const pad = fields["pad_token_id"];
  return {
    family: mixerFamily,
    vocabSize: count("vocab_size"),
    hiddenSize,
    embeddingSize: hiddenSize,
    intermediateSize: count("intermediate_size"),
    // There is no attention.
    numAttentionHeads: 1,
    headDim: hiddenSize,
    attentionScale: 1,
    layers: Array.from({ length: layers }, () => ({
      window: undefined,
      rope: undefined,
      attentionNorm: mixer.inputNorm,
    })),
    sharing: undefined,
    ropes: [],
    positionRows,
    positionIds: "index",
    typeVocabSize: count("type_vocab_size"),
    relativeBias: undefined,
    contextLength: hasPositions ? Math.min(positionRows, mixer.kernelLength) : mixer.kernelLength,
    norm: "layer",
    normEps: positive(fields, "layer_norm_eps", Number.isFinite),
    normBias: true,
    normPlacement: "post",
    embeddingNorm: true,
    finalNorm: false,
    activation,
    gated: flag(fields, "use_glu_mlp", true),
    qkvBias: true,
    attentionOutputBias: true,
    upBias: false,
    downBias: true,
    padTokenId:
      given(pad) && Number.isSafeInteger(pad) && (pad as number) >= 0 ? (pad as number) : 0,
    // Head and table are one, also where a file says otherwise.
    tieWordEmbeddings: true,
    mixer,
  };
}

function readMixer(fields: Fields, count: (name: string) => number): MixerConfig {
  const positionFeatures = count("hyena_emb_dim");
  if (positionFeatures < 3 || positionFeatures % 2 === 0) {
    throw invalid("hyena_emb_dim", positionFeatures, "an odd number from 3");
  }
  const number = (name: string): number => {
    const value = fields[name];
    if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
    throw invalid(name, value, "a number from 0");
  };
  return {
    kernelLength: count("long_conv_l_max"),
    filterWidth: count("hyena_filter_order"),
    positionFeatures,
    sineFactor: positive(fields, "hyena_w_mod", Number.isFinite),
    bidirectional: flag(fields, "bidirectional", true),
    residualConvolution: flag(fields, "residual_long_conv"),
    inputNorm: flag(fields, "hyena_training_additions"),
    blocks: flag(fields, "use_monarch_mlp") ? count("monarch_mlp_nblocks") : undefined,
    poolsAll: flag(fields, "pool_all"),
    fillsTexts: !flag(fields, "mask_padding"),
    training: {
      frequency: number("hyena_w"),
      kernelRate: number("long_conv_kernel_learning_rate"),
      kernelDecay: number("hyena_wd"),
      positionRate: number("hyena_lr_pos_emb"),
    },
  };
}
