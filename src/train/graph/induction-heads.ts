/**
 * First values with which a decoder copies before it has learned anything: in the first layer heads that
 * attend to the token before, and to the one before that; in the second layer heads that look for an
 * earlier place where the present token and its forerunner stood, and give what came next there
 * ("induction heads", Olsson et al., 2022). Such heads form by themselves only after far more tokens
 * than a small model trained on a laptop sees; planted, training begins from them and refines them.
 *
 * The residual stream is divided so that the parts do not disturb each other: a code of the token itself,
 * the codes of the two tokens before it, the code that was copied, and one constant, by which heads without
 * biases can look at positions only. Everything stays trainable.
 */
import { createRandom, JetonError } from "../../core/index.ts";
import { type DecoderConfig, decoderNames, ropeFrequencies } from "../../model/index.ts";
import type { ParameterValue } from "./parameters.ts";

/** What the constant entry of every embedding holds; a token's own entries have a deviation of 1. */
const constant = 4;
/** Score by which the token wanted by its position stands out, before the softmax. */
const positionScore = 7.5;
/** Score of a token that matches, likewise; the token before it, if it matches too, gives the same again. */
const matchScore = 9;
/** Logit of a token that was copied with the whole attention. */
const copyLogit = 9;

/** Both kinds of heads come in pairs: for the last token and the one before it. */
const groups = 2;

/**
 * Plants the heads into first values, in place.
 *
 * @param values as `initializeDecoder` makes them, with layers that begin as the identity
 *   (`outputDeviation: 0`)
 * @throws JetonError `option-invalid` for a model whose shape cannot hold them: at least two layers,
 *   two key heads of at least 32 dimensions, a width of at least 128, norms before the layers, and a head with a
 *   table of its own are needed
 */
export function plantInductionHeads(
  values: ReadonlyMap<string, ParameterValue>,
  config: DecoderConfig,
  seed: number,
): void {
  const layout = divideStream(config);
  plantEmbeddings(values, config, { seed, layout });
  plantPositionHeads(values, config, layout);
  plantMatchHeads(values, config, layout);
}

/** How the residual stream and the pairs of a head are divided. */
interface Layout {
  /** First entries of: the token's own code, the codes of the two tokens before it, the copied code. */
  readonly own: number;
  readonly before: readonly [number, number];
  readonly copied: number;
  readonly constantAt: number;
  readonly ownWidth: number;
  readonly matchWidth: number;
  /** Rotary pairs for positions, and those for comparing codes. */
  readonly fast: readonly number[];
  readonly slow: readonly number[];
  readonly frequencies: Float64Array;
  /** What the norms of the first and second layer multiply with. */
  readonly firstNorm: number;
  readonly secondNorm: number;
}

function divideStream(config: DecoderConfig): Layout {
  const { hiddenSize } = config;
  const rope = config.ropes[config.layers[0]!.rope ?? -1];
  if (rope === undefined || !hasCapacity(config)) throw capacityError(config);
  const { frequencies } = ropeFrequencies(rope, config.contextLength);
  const ownWidth = Math.floor((hiddenSize * 5) / 16);
  // Pairs that turn by less than a full circle over the whole context compare codes, not positions.
  const slow = [...frequencies.keys()].filter(
    (pair) => frequencies[pair]! * config.contextLength < 6,
  );
  const fast = [...frequencies.keys()].filter((pair) => !slow.includes(pair)).slice(0, 8);
  const matchWidth = Math.min(2 * Math.floor(slow.length / 2), Math.floor(ownWidth / groups));
  const copied = ownWidth + 2 * groups * matchWidth;
  const constantAt = hiddenSize - 1;
  if (copied + ownWidth > constantAt || matchWidth < 8 || fast.length < 3)
    throw capacityError(config);
  const norm = (entries: number): number => Math.sqrt(hiddenSize / (entries + constant ** 2));
  return {
    own: 0,
    before: [ownWidth, ownWidth + groups * matchWidth],
    copied,
    constantAt,
    ownWidth,
    matchWidth,
    fast,
    slow,
    frequencies,
    firstNorm: norm(ownWidth),
    secondNorm: norm(ownWidth + 2 * groups * matchWidth),
  };
}

/** Embeddings: a code of the token, of equal length in each part that is compared, and the constant. */
function plantEmbeddings(
  values: ReadonlyMap<string, ParameterValue>,
  { hiddenSize, vocabSize }: DecoderConfig,
  { seed, layout }: { seed: number; layout: Layout },
): void {
  const { own, copied, constantAt, ownWidth, matchWidth } = layout;
  const embedding = matrix(values, decoderNames.embedding, hiddenSize);
  const head = matrix(values, decoderNames.head, hiddenSize);
  const random = createRandom(seed, "copy heads");
  const code = new Float64Array(ownWidth);
  for (let token = 0; token < vocabSize; token++) {
    for (let i = 0; i < ownWidth; i++) code[i] = random.normal();
    for (let group = 0; group < groups; group++) {
      const part = code.subarray(group * matchWidth, (group + 1) * matchWidth);
      const scale = Math.sqrt(matchWidth / part.reduce((sum, x) => sum + x * x, 0));
      for (let i = 0; i < part.length; i++) part[i]! *= scale;
    }
    for (let i = own + ownWidth; i < hiddenSize; i++) embedding.set(token, i, 0);
    for (let i = 0; i < ownWidth; i++) {
      embedding.set(token, own + i, code[i]!);
      head.set(token, copied + i, (copyLogit / ownWidth) * code[i]!);
    }
    embedding.set(token, constantAt, constant);
  }
}

/** Heads of the first layer: each attends to the token `group + 1` places back. */
function plantPositionHeads(
  values: ReadonlyMap<string, ParameterValue>,
  config: DecoderConfig,
  layout: Layout,
): void {
  const { own, before, constantAt, matchWidth, fast, frequencies, firstNorm } = layout;
  const { headDim } = config;
  const heads = config.numAttentionHeads / config.numKeyValueHeads;
  const first = attention(values, config, 0);
  for (let group = 0; group < groups; group++) {
    const query = group * heads * headDim;
    const key = group * headDim;
    first.query.clearRows(query, headDim);
    first.key.clearRows(key, headDim);
    // Keys encode their position, the query the position it looks for. Faster pairs weigh more, as they
    // tell neighbours apart; the slower ones tell whole turns apart.
    const weights = fast.map((_, index) => Math.max(0.1, 1 - index / 6));
    const sharpness = weights.reduce(
      (sum, weight, index) => sum + weight * (1 - Math.cos(frequencies[fast[index]!]!)),
      0,
    );
    for (const [index, pair] of fast.entries()) {
      const entry = Math.sqrt((positionScore * Math.sqrt(headDim) * weights[index]!) / sharpness);
      const angle = (group + 1) * frequencies[pair]!;
      const unit = entry / (constant * firstNorm);
      first.key.set(key + pair, constantAt, unit);
      first.query.set(query + pair, constantAt, unit * Math.cos(angle));
      first.query.set(query + pair + headDim / 2, constantAt, -unit * Math.sin(angle));
    }
    for (let i = 0; i < Math.min(headDim, groups * matchWidth); i++) {
      first.value.clearRows(key + i, 1);
      first.value.set(key + i, own + i, 1);
      first.output.set(before[group]! + i, query + i, 1 / firstNorm);
    }
  }
}

/** Heads of the second layer: each finds the earlier place with the same two tokens and copies what followed. */
function plantMatchHeads(
  values: ReadonlyMap<string, ParameterValue>,
  config: DecoderConfig,
  layout: Layout,
): void {
  const { own, before, copied, ownWidth, matchWidth, slow, secondNorm } = layout;
  const { headDim } = config;
  const heads = config.numAttentionHeads / config.numKeyValueHeads;
  const second = attention(values, config, 1);
  const copyWidth = Math.ceil(ownWidth / groups);
  const strength = Math.sqrt((matchScore * Math.sqrt(headDim)) / matchWidth) / secondNorm;
  for (let group = 0; group < groups; group++) {
    const query = group * heads * headDim;
    const key = group * headDim;
    second.query.clearRows(query, headDim);
    second.key.clearRows(key, headDim);
    const from = group * matchWidth;
    for (let slot = 0; slot < matchWidth; slot++) {
      // A pair holds two entries of one comparison; comparisons take turns from the slowest pair on.
      const half = (slot % 2) * (headDim / 2);
      const place = slow.length - 1 - 2 * Math.floor(slot / 2);
      const present = slow[place]! + half;
      const previous = slow[place - 1]! + half;
      // The query's token is compared with the one before the key, whose own token therefore came next.
      second.query.set(query + present, own + from + slot, strength);
      second.key.set(key + present, before[0] + from + slot, strength);
      second.query.set(query + previous, before[0] + from + slot, strength);
      second.key.set(key + previous, before[1] + from + slot, strength);
    }
    const firstCopied = group * copyWidth;
    for (let i = 0; i < Math.min(copyWidth, ownWidth - firstCopied, headDim); i++) {
      second.value.clearRows(key + i, 1);
      second.value.set(key + i, own + firstCopied + i, 1);
      second.output.set(copied + firstCopied + i, query + i, 1 / secondNorm);
    }
  }
}

interface Matrix {
  readonly set: (row: number, column: number, value: number) => void;
  readonly clearRows: (from: number, count: number) => void;
}

function matrix(values: ReadonlyMap<string, ParameterValue>, name: string, width: number): Matrix {
  const { data } = values.get(name)!;
  return {
    set: (row, column, value) => {
      data[row * width + column] = value;
    },
    clearRows: (from, count) => {
      data.fill(0, from * width, (from + count) * width);
    },
  };
}

function attention(
  values: ReadonlyMap<string, ParameterValue>,
  config: DecoderConfig,
  layer: number,
): Record<"query" | "key" | "value" | "output", Matrix> {
  const name = `${decoderNames.layer(layer)}.self_attn`;
  const of = (part: string, width: number) => matrix(values, `${name}.${part}.weight`, width);
  return {
    query: of("q_proj", config.hiddenSize),
    key: of("k_proj", config.hiddenSize),
    value: of("v_proj", config.hiddenSize),
    output: of("o_proj", config.numAttentionHeads * config.headDim),
  };
}

function hasCapacity(config: DecoderConfig): boolean {
  return (
    config.layers.length >= 2 &&
    config.numKeyValueHeads >= 2 &&
    config.headDim >= 32 &&
    config.normPlacement === "pre" &&
    config.qkNorm === "none" &&
    config.qkvLayout === "separate" &&
    config.feedForward === "gated" &&
    !config.tieWordEmbeddings
  );
}

function capacityError(config: DecoderConfig): JetonError {
  const expected =
    "at least 2 layers, 2 key heads of 32 dimensions and a width of 128, norms before the layers only, " +
    "separate projections, and a head with a table of its own";
  return new JetonError(`copying heads cannot be planted into this model: they need ${expected}`, {
    code: "option-invalid",
    details: {
      option: "inductionHeads",
      found: {
        layers: config.layers.length,
        kvHeads: config.numKeyValueHeads,
        headDim: config.headDim,
        width: config.hiddenSize,
        tieWordEmbeddings: config.tieWordEmbeddings,
      },
      expected,
    },
  });
}
