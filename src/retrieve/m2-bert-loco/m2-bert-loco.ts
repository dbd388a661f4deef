/**
 * Encoders of long texts: the configuration of a Monarch Mixer, and the same for texts several times as long, which
 * begins with the weights of the shorter one (Saad-Falcon et al., 2024).
 */
import type { ModelConfig } from "../../checkpoint/text-config.ts";
import { JetonError } from "../../core/index.ts";

/** Sizes of `longEncoderConfig`. */
export interface LongEncoderSizes {
  /** Longest text in tokens. */
  readonly length: number;
  readonly hiddenSize: number;
  readonly layers: number;
  /** Default: four times the hidden size, as the published models have it. */
  readonly intermediateSize?: number;
  /** Width of the networks that make the kernels. Default 64. */
  readonly filterWidth?: number;
  /**
   * Whether padding is no part of a text. The published models read every text filled up to `length`, so that a query of
   * ten tokens costs as much as a report. Default true.
   */
  readonly masksPadding?: boolean;
}

/**
 * `config.json` of a Monarch Mixer encoder with the switches of the published retrieval models; the tokenizer's facts
 * are added by the training.
 *
 * @example
 * const config = longEncoderConfig({ length: 2048, hiddenSize: 256, layers: 4 });
 */
export function longEncoderConfig(sizes: LongEncoderSizes): ModelConfig {
  const { length, hiddenSize, layers, filterWidth = 64, masksPadding = true } = sizes;
  const { intermediateSize = 4 * hiddenSize } = sizes;
  return {
    model_type: "bert",
    monarch_mixer_sequence_mixing: true,
    hidden_size: hiddenSize,
    num_hidden_layers: layers,
    intermediate_size: intermediateSize,
    max_position_embeddings: length,
    long_conv_l_max: length,
    hyena_filter_order: filterWidth,
    bidirectional: true,
    residual_long_conv: true,
    use_glu_mlp: true,
    use_monarch_mlp: true,
    monarch_mlp_nblocks: 4,
    use_positional_encodings: true,
    mask_padding: masksPadding,
  };
}

/**
 * The configuration for longer texts. A training that is given it beside the shorter model's weights repeats the rows of
 * their tables.
 *
 * @param length a multiple of the length that `config` has
 * @throws JetonError `option-invalid`
 */
export function stretchConfig(config: ModelConfig, length: number): ModelConfig {
  const from = config["long_conv_l_max"];
  if (typeof from !== "number" || !(length > 0) || length % from !== 0) {
    throw new JetonError(`length is ${length}, expected a multiple of ${String(from)}`, {
      code: "option-invalid",
      details: { option: "length", found: length, expected: `a multiple of ${String(from)}` },
    });
  }
  return { ...config, max_position_embeddings: length, long_conv_l_max: length };
}
