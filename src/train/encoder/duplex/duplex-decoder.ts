/**
 * The decoder of DupMAE that rebuilds a text from its sentence vector (enhanced decoding; Xiao et al., 2022): one layer
 * of a transformer whose queries know the sentence and a position, and whose keys and values are the text's tokens.
 */
import {
  attendBidirectionally,
  type DecoderWeights,
  type EncoderConfig,
  encoderNames,
  joinHeads,
  splitHeads,
} from "../../../model/index.ts";
import {
  add,
  broadcastTo,
  cast,
  concat,
  type Dimension,
  gather,
  gelu,
  layerNorm,
  range,
  reshape,
  slice,
  type Tensor,
} from "../../../tensor/index.ts";

const layer = "duplex";

/** Names of the matrices, without `.weight` and `.bias`. */
const names = {
  query: `${layer}.attention.query`,
  key: `${layer}.attention.key`,
  value: `${layer}.attention.value`,
  output: `${layer}.attention.output.dense`,
  attentionNorm: `${layer}.attention.LayerNorm`,
  up: `${layer}.intermediate.dense`,
  down: `${layer}.output.dense`,
  outputNorm: `${layer}.output.LayerNorm`,
} as const;

/** Whether a parameter belongs to the decoder, which is thrown away after the training. */
export const isDuplexParameter = (name: string): boolean => name.startsWith(`${layer}.`);

/** Shapes of the decoder's parameters. */
export function duplexDecoderShapes({ hiddenSize: width }: EncoderConfig): Map<string, number[]> {
  const shapes = new Map<string, number[]>();
  const linear = (name: string, outputs: number, inputs: number): void => {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    shapes.set(`${name}.bias`, [outputs]);
  };
  for (const name of [names.query, names.key, names.value, names.output])
    linear(name, width, width);
  linear(names.up, 4 * width, width);
  linear(names.down, width, 4 * width);
  for (const name of [names.attentionNorm, names.outputNorm]) {
    shapes.set(`${name}.weight`, [width]);
    shapes.set(`${name}.bias`, [width]);
  }
  return shapes;
}

/** What the decoder reads. */
export interface DuplexDecoderInput {
  /** Sentence vectors, `[batch, hiddenSize]`. */
  readonly sentence: Tensor;
  /** Embeddings of the unmasked tokens, `[batch, time, hiddenSize]`; the first position's is not read. */
  readonly context: Tensor;
  /** Added to the scores of each row: 0, or `maskedScore` where a position is hidden. `[batch, time, time]`. */
  readonly hidden: Tensor;
}

/** States from which each position's token is told, `[batch, time, hiddenSize]`. No row knows its own token. */
export function decodeSentence(
  config: EncoderConfig,
  weights: DecoderWeights,
  { sentence, context, hidden }: DuplexDecoderInput,
): Tensor {
  const { hiddenSize: width, numAttentionHeads: heads } = config;
  const [batch, time] = context.shape as [Dimension, Dimension];
  const first = reshape(sentence, [batch, 1, width]);
  const queries = embedPositions(config, weights, broadcastTo(first, [batch, time, width]), time);
  const seen = concat([first, slice(context, { axis: 1, start: 1 })], 1);
  const project = (x: Tensor, name: string): Tensor =>
    add(weights.linear(x, [`${name}.weight`]), weights.vector(`${name}.bias`));
  const attended = attendBidirectionally({
    query: splitHeads(project(queries, names.query), heads),
    key: splitHeads(project(seen, names.key), heads),
    value: splitHeads(project(seen, names.value), heads),
    added: [reshape(hidden, [batch, 1, time, time])],
    scale: (width / heads) ** -0.5,
  });
  const normed = (x: Tensor, name: string): Tensor => normAs(config, weights, x, name);
  const middle = normed(
    add(queries, project(joinHeads(attended), names.output)),
    names.attentionNorm,
  );
  const fed = project(gelu(project(middle, names.up)), names.down);
  return normed(add(middle, fed), names.outputNorm);
}

/** Vectors in the place of word embeddings: positions and the first type are added, and the encoder's norm follows. */
function embedPositions(
  config: EncoderConfig,
  weights: DecoderWeights,
  x: Tensor,
  time: Dimension,
): Tensor {
  const stored = encoderNames(config);
  const table = (name: string): Tensor => cast(weights.table(`${name}.weight`), "float32");
  const width = config.hiddenSize;
  let sum = add(x, reshape(gather(table(stored.positions), range(time)), [1, time, width]));
  if (config.typeVocabSize > 0) sum = add(sum, slice(table(stored.types), { axis: 0, end: 1 }));
  return normAs(config, weights, sum, stored.embeddingNorm);
}

function normAs(
  { normEps: epsilon }: EncoderConfig,
  weights: DecoderWeights,
  x: Tensor,
  name: string,
): Tensor {
  const scale = weights.vector(`${name}.weight`);
  return layerNorm(x, scale, weights.vector(`${name}.bias`), { epsilon });
}
