/** What a checkpoint's tensors say of an encoder that its configuration does not. */
import type { StoredShape } from "../weights/trace-weights.ts";
import type { EncoderConfig } from "./config.ts";
import { encoderNames, weightOf } from "./encoder-names.ts";

/**
 * The configuration with the rows of the table of tokens, which the authors of M2-BERT fill up to a multiple of eight
 * and leave `vocab_size` as it was, and with the layout of nomic-bert's projections.
 *
 * @param tensors by the encoder's own names
 */
export function withStoredLayout(
  config: EncoderConfig,
  tensors: ReadonlyMap<string, StoredShape>,
): EncoderConfig {
  if (config.family === "nomic_bert") {
    const separateProjections = tensors.has("encoder.layers.0.attn.q_proj.weight");
    return separateProjections ? { ...config, separateProjections } : config;
  }
  const rows = tensors.get(weightOf(encoderNames(config).tokens))?.shape[0];
  const filled = Math.ceil(config.vocabSize / 8) * 8;
  return config.mixer && rows === filled ? { ...config, vocabSize: filled } : config;
}
