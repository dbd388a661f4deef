/** The rows that a checkpoint's table of tokens has. */
import type { StoredShape } from "../../weights/trace-weights.ts";
import type { EncoderConfig } from "../config.ts";
import { encoderNames, weightOf } from "../encoder-names.ts";

/** The authors of M2-BERT fill the table of tokens up to a multiple of eight and leave `vocab_size` as it was. */
export function withStoredRows(
  config: EncoderConfig,
  tensors: ReadonlyMap<string, StoredShape>,
): EncoderConfig {
  const rows = tensors.get(weightOf(encoderNames(config).tokens))?.shape[0];
  const filled = Math.ceil(config.vocabSize / 8) * 8;
  return config.mixer && rows === filled ? { ...config, vocabSize: filled } : config;
}
