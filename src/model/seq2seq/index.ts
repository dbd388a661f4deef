/** Encoder-decoders: one text in, another out. */
export {
  type DeleteGateConfig,
  isSeq2SeqConfig,
  type Seq2SeqConfig,
  seq2seqConfig,
} from "./config.ts";
export { type LoadSeq2SeqOptions, loadSeq2Seq } from "./load-seq2seq.ts";
export { type OpenSeq2SeqOptions, openSeq2Seq } from "./open-seq2seq.ts";
export { seq2seqParameterShapes } from "./parameter-shapes.ts";
export type { ConditionedModel, LoadedSeq2Seq, ReadOptions, ReadSource } from "./types.ts";
