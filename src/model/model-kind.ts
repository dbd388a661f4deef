/** What kind of model a `config.json` describes. */
import { type ModelConfig, textConfig } from "../checkpoint/text-config.ts";
import { type EncoderConfigOptions, isEncoderConfig } from "./encoder/config.ts";
import { isSeq2SeqConfig } from "./seq2seq/config.ts";

/** Decoders write on (`loadModel`), encoders read (`loadEncoder`), encoder-decoders do both (`loadSeq2Seq`). */
export type ModelKind = "decoder" | "encoder" | "seq2seq";

/**
 * The kind of a checkpoint by its configuration: `decoder` where the family is neither an encoder nor an
 * encoder-decoder that jeton knows, so that loading it says what is wrong. A decoder with a `modules.json` beside it is an
 * encoder.
 */
export function modelKind(config: ModelConfig, options: EncoderConfigOptions = {}): ModelKind {
  if (isSeq2SeqConfig(config)) return "seq2seq";
  if (!isEncoderConfig(config, options)) return "decoder";
  // Decoders with the name of an encoder family would be read from the left.
  const isDecoder = textConfig(config)["is_decoder"] === true;
  return isDecoder ? "decoder" : "encoder";
}
