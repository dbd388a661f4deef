/** Corpora and trainings of the lexinvariant reproduction. */
import { createRandom } from "../../core/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { trainResumably } from "../../reproduce/index.ts";
import { crossEntropyRows, fill, int32, sum } from "../../tensor/index.ts";
import {
  adamW,
  decayMatricesOnly,
  initializeDecoder,
  objectiveGraph,
  openTrainer,
  type ParameterValue,
} from "../../train/index.ts";
import { type DecoderConfig, decoderConfig } from "../decoder/config.ts";
import { decoderNames } from "../decoder/decoder-names.ts";
import { traceWeights } from "../weights/trace-weights.ts";
import {
  canonicalTargets,
  nextSymbols,
  permuteSymbols,
  predictSymbols,
  type SymbolBatch,
  type SymbolEmbeddings,
  sampleSymbols,
  symbolInputs,
  symbolInputTypes,
  symbolParameterNames,
  symbolParameterShapes,
} from "./lexinvariant.ts";

/** Size of a small decoder over symbols. */
export interface SymbolModelSize {
  readonly symbols: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly context: number;
}

/** A decoder of the Llama family of this size. */
export function symbolDecoder(size: SymbolModelSize): DecoderConfig {
  return decoderConfig({
    model_type: "llama",
    vocab_size: size.symbols,
    hidden_size: size.width,
    num_hidden_layers: size.layers,
    num_attention_heads: size.heads,
    intermediate_size: size.feedForward,
    max_position_embeddings: size.context,
    rope_theta: 1e6,
    tie_word_embeddings: true,
  } as never);
}

/** Parameters of the model: those of the layers, and those of the symbols in place of a table. */
export function initialParameters(
  config: DecoderConfig,
  embeddings: SymbolEmbeddings,
  seed: number,
): Map<string, ParameterValue> {
  const values = new Map(
    initializeDecoder(config, seed, { deviation: 1 / Math.sqrt(config.hiddenSize) / 2 }),
  );
  values.delete(decoderNames.embedding);
  // What attention fetches begins as a faint copy of itself (values are put back by their own
  // transpose): with vectors that are new in every sequence, copying is learned late otherwise.
  for (const layer of config.layers.keys()) {
    const attention = `${decoderNames.layer(layer)}.self_attn`;
    const value = values.get(`${attention}.v_proj.weight`)!.data;
    const output = values.get(`${attention}.o_proj.weight`)!.data;
    const { hiddenSize } = config;
    for (let row = 0; row < hiddenSize; row++) {
      for (let column = 0; column < hiddenSize; column++) {
        output[row * hiddenSize + column] = 2 * value[column * hiddenSize + row]!;
      }
    }
  }
  for (const [name, shape] of symbolParameterShapes(config, embeddings)) {
    const count = shape.reduce((a, b) => a * b, 1);
    const isVector = name === symbolParameterNames.scale || name === symbolParameterNames.bias;
    const data = isVector
      ? new Float32Array(count).fill(name === symbolParameterNames.scale ? 1 : 0)
      : // The learned rows begin as the random ones are: only what follows is different.
        sampleSymbols(createRandom(seed, "initialize", name), count);
    values.set(name, { shape, data });
  }
  return values;
}

export interface SymbolTraining {
  readonly name: string;
  readonly size: SymbolModelSize;
  readonly embeddings: SymbolEmbeddings;
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
  /** Sequences of `time` symbols, drawn by the given random numbers. */
  readonly draw: (count: number, time: number, key: number) => SymbolBatch;
  /** Probability of renaming an occurrence. Default 0. */
  readonly permute?: number;
}

/** Trains a model of symbols; goes on where an earlier run was interrupted. */
export async function trainSymbols(
  context: Pick<
    ReproductionContext,
    "seed" | "signal" | "folder" | "notice" | "progress" | "charge"
  >,
  training: SymbolTraining,
): Promise<{
  config: DecoderConfig;
  parameters: Map<string, ParameterValue>;
  losses: readonly number[];
}> {
  const { name, size, embeddings, steps, batch, learningRate, draw, permute = 0 } = training;
  const { seed, signal } = context;
  const config = symbolDecoder(size);
  const first = initialParameters(config, embeddings, seed);
  const shapes = new Map([...first].map(([key, { shape }]) => [key, shape]));
  const graph = objectiveGraph(
    { ...symbolInputTypes(config, embeddings), targets: int32(["batch", "time"]) },
    shapes,
    [...shapes.keys()],
    (input) => {
      const weights = traceWeights(
        new Map([...shapes].map(([key, shape]) => [key, { dtype: "F32", shape: [...shape] }])),
        "f32",
      );
      const { logits } = predictSymbols(config, weights, input, embeddings);
      const loss = sum(crossEntropyRows(logits, input["targets"]!));
      return { loss, weight: sum(fill(["batch", "time"], 1)) };
    },
  );
  const makeInputs = symbolInputs(config, embeddings, { sequenceLength: size.context });
  const folder = await context.folder(name, { ...training, draw: undefined });
  await using trainer = await openTrainer({
    graph,
    parameters: first,
    optimizer: adamW({ beta2: 0.98, weightDecay: 0.05, maxNorm: 1 }),
    group: decayMatricesOnly,
    schedule: {
      kind: "cosine",
      peak: learningRate,
      warmupSteps: Math.ceil(steps / 20),
      steps,
      final: learningRate / 20,
    },
    // Models this small gain nothing from a second thread, and lose by waiting for one.
    threads: 1,
    inline: true,
  });
  const { losses, earlierSeconds } = await trainResumably(trainer, {
    folder,
    steps,
    signal,
    notice: context.notice,
    batch(step) {
      let whole = draw(batch, size.context + 1, step);
      const random = createRandom(seed, "symbols", name, step);
      if (permute > 0) {
        const options = { probability: permute, vocabSize: size.symbols, random };
        whole = permuteSymbols(whole, options);
      }
      const { read, targets } = nextSymbols(whole);
      const asked = embeddings === "canonical" ? canonicalTargets(whole, size.symbols) : targets;
      const inputs = makeInputs(read, random);
      return [
        { ...inputs, targets: { dtype: "int32", shape: [batch, size.context], data: asked } },
      ];
    },
    onStep: ({ step, loss }) =>
      context.progress(`training ${name}, loss ${loss.toFixed(3)}`, step, steps),
  });
  context.charge(earlierSeconds);
  return { config, parameters: await trainer.parameters(), losses };
}

/** Characters of the folded alphabet: a space and the 26 letters. */
export const letters = " abcdefghijklmnopqrstuvwxyz";

/** A text as ids of `letters`: lower case, each run of other characters becomes one space. */
export function foldText(text: string): Int32Array {
  const folded = text.toLowerCase().replace(/[^a-z]+/g, " ");
  return Int32Array.from(folded, (letter) => letters.indexOf(letter));
}

/** Windows of a text at random places. */
export function sampleWindows(
  text: Int32Array,
  count: number,
  time: number,
  ...keys: (number | string)[]
): SymbolBatch {
  const ids = new Int32Array(count * time);
  const random = createRandom(keys[0]!, "windows", ...keys.slice(1));
  for (let row = 0; row < count; row++) {
    const start = random.integer(text.length - time + 1);
    ids.set(text.subarray(start, start + time), row * time);
  }
  return { batch: count, time, ids };
}
