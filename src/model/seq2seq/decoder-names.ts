/** Names of the stored weights of a T5 decoder, and which of them are multiplied together. */
import { encoderMatrixGroups, t5RelativeBias, weightOf } from "../encoder/encoder-names.ts";
import type { Seq2SeqConfig } from "./config.ts";

/** Names of the weights of one layer of the decoder, without `.weight`. */
export interface Seq2SeqLayerNames {
  readonly selfNorm: string;
  readonly queryKeyValue: readonly string[];
  readonly selfOutput: string;
  readonly crossNorm: string;
  readonly crossQuery: string;
  /** Applied to the encoder's states. */
  readonly crossKeyValue: readonly string[];
  readonly crossOutput: string;
  readonly feedForwardNorm: string;
  readonly up: readonly string[];
  readonly down: string;
}

/** Names of one layer. */
export function seq2seqLayerNames(config: Seq2SeqConfig, index: number): Seq2SeqLayerNames {
  const [self, cross, dense] = [0, 1, 2].map((part) => `decoder.block.${index}.layer.${part}`);
  const up = config.encoder.gated ? ["wi_0", "wi_1"] : ["wi"];
  return {
    selfNorm: `${self}.layer_norm`,
    queryKeyValue: ["q", "k", "v"].map((name) => `${self}.SelfAttention.${name}`),
    selfOutput: `${self}.SelfAttention.o`,
    crossNorm: `${cross}.layer_norm`,
    crossQuery: `${cross}.EncDecAttention.q`,
    crossKeyValue: ["k", "v"].map((name) => `${cross}.EncDecAttention.${name}`),
    crossOutput: `${cross}.EncDecAttention.o`,
    feedForwardNorm: `${dense}.layer_norm`,
    up: up.map((name) => `${dense}.DenseReluDense.${name}`),
    down: `${dense}.DenseReluDense.wo`,
  };
}

/** Names outside of the layers. */
export const seq2seqNames = {
  tokens: "shared",
  finalNorm: "decoder.final_layer_norm",
  head: "lm_head",
} as const;

/** The table of relative positions that a layer of the decoder reads, `[buckets, heads]`. */
export function seq2seqRelativeBias({ encoder }: Seq2SeqConfig, layer: number): string {
  return t5RelativeBias("decoder", encoder.relativeBias!.everyLayer ? layer : 0);
}

/** The stored matrix that gives logits: a head of its own where there is one, otherwise the embeddings. */
export function seq2seqHead(has: (name: string) => boolean): string {
  const { head, tokens } = seq2seqNames;
  return has(weightOf(head)) ? head : tokens;
}

/** Every group of matrices of encoder and decoder: what a packed weight format packs. */
export function seq2seqMatrixGroups(
  config: Seq2SeqConfig,
  has: (name: string) => boolean,
): (readonly string[])[] {
  const layers = Array.from({ length: config.decoderLayers }, (_, index) => {
    const names = seq2seqLayerNames(config, index);
    const groups = [
      names.queryKeyValue,
      [names.selfOutput],
      [names.crossQuery],
      names.crossKeyValue,
      [names.crossOutput],
      names.up,
      [names.down],
    ];
    return groups.map((group) => group.map(weightOf));
  });
  return [...encoderMatrixGroups(config.encoder), ...layers.flat(), [weightOf(seq2seqHead(has))]];
}
