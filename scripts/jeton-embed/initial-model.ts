/**
 * First weights of jeton-embed: each token's vector is that of its word, weighted by how rare it is, and the layers
 * begin as the identity; so the untrained model is a weighted mean of word vectors.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically, writeShardedSafetensors } from "../../src/checkpoint/index.ts";
import { createRandom } from "../../src/core/index.ts";
import { encoderConfig, encoderParameterShapes } from "../../src/model/index.ts";
import { createTokenizer, saveTokenizer, trainTokenizer } from "../../src/tokenizer/index.ts";
import { initializeEncoder } from "../../src/train/encoder/encoder-parameters.ts";
import { projectionName } from "../../src/train/encoder/encoder-plans.ts";

const sizes = {
  model_type: "bert",
  architectures: ["BertModel"],
  hidden_size: 128,
  intermediate_size: 384,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 256,
  type_vocab_size: 1,
  hidden_act: "gelu",
  pad_token_id: 0,
} as const;

/** Tokens that the texts are cut into, before the words with vectors are added. */
const ownTokens = 6000;
/** Numbers of a word vector; the others hold what is left of its length. */
const wordWidth = 100;
/** Words as frequent as this count half (Arora et al., 2017). */
const halfWeight = 1e-3;

export interface InitialModelOptions {
  readonly texts: readonly string[];
  /** Row of each word in `vectors`. */
  readonly words: Readonly<Record<string, number>>;
  /** `[words, 100]` */
  readonly vectors: Float32Array;
  readonly seed: number;
}

export async function writeInitialModel(
  folder: string,
  options: InitialModelOptions,
): Promise<void> {
  const { texts, words, vectors, seed } = options;
  const trained = await trainTokenizer({ kind: "wordpiece", texts, vocabSize: ownTokens });
  const json = structuredClone(trained.json) as { model: { vocab: Record<string, number> } };
  const { vocab } = json.model;
  let next = Object.keys(vocab).length;
  for (const word of Object.keys(words)) {
    if (/^[a-z]{2,}$/.test(word) && !Object.hasOwn(vocab, word)) vocab[word] = next++;
  }
  await mkdir(folder, { recursive: true });
  await saveTokenizer(folder, { json, config: { ...trained.config, model_max_length: 256 } });
  const config = encoderConfig({ ...sizes, vocab_size: next } as never);
  const shapes = encoderParameterShapes(config);
  const values = initializeEncoder(config, shapes, seed, { deviation: 0.05, outputDeviation: 0 });
  const table = values.get("embeddings.word_embeddings.weight")!.data;
  const counts = countTokens(texts, createTokenizer(json as never), next);
  for (const [token, id] of Object.entries(vocab)) {
    // Some words are names of what every object has.
    const row = Object.hasOwn(words, token) ? words[token] : undefined;
    const vector =
      row === undefined
        ? randomVector(seed, token)
        : vectors.subarray(row * wordWidth, (row + 1) * wordWidth);
    writeRow(
      table.subarray(id * 128, (id + 1) * 128),
      vector,
      halfWeight / (halfWeight + counts[id]!),
    );
  }
  for (const name of ["position_embeddings", "token_type_embeddings"]) {
    values.get(`embeddings.${name}.weight`)!.data.fill(0);
  }
  // The last norm shrinks the numbers that only fill up the length.
  values.get("encoder.layer.1.output.LayerNorm.weight")!.data.fill(0.05, wordWidth);
  // The projection of tokens begins as the identity.
  const width = sizes.hidden_size;
  const identity = Float32Array.from({ length: width * width }, (_, at) =>
    at % (width + 1) === 0 ? 1 : 0,
  );
  values.set(`${projectionName}.weight`, { shape: [width, width], data: identity });
  await writeShardedSafetensors(
    folder,
    [...values].map(([name, { shape, data }]) => ({ name, dtype: "F32" as const, shape, data })),
  );
  const text = JSON.stringify({ ...sizes, vocab_size: next, torch_dtype: "float32" }, null, 2);
  await writeFileAtomically(join(folder, "config.json"), `${text}\n`);
}

/** Share of each token among all tokens of the texts. */
function countTokens(
  texts: readonly string[],
  tokenizer: ReturnType<typeof createTokenizer>,
  size: number,
): Float64Array {
  const counts = new Float64Array(size);
  let total = 0;
  for (let at = 0; at < texts.length; at += 5) {
    for (const id of tokenizer.encodeIds(texts[at]!, { addSpecialTokens: false })) counts[id]!++;
  }
  // Special tokens stand in every text.
  for (const id of tokenizer.encodeIds("")) counts[id] = texts.length / 5;
  for (const count of counts) total += count;
  return counts.map((count) => count / total);
}

function randomVector(seed: number, token: string): Float32Array {
  const random = createRandom(seed, "token", token);
  return Float32Array.from({ length: wordWidth }, () => random.normal());
}

/** A row of mean 0 and deviation 1, of which the word's direction has the share that its weight says. */
function writeRow(row: Float32Array, vector: Float32Array, weight: number): void {
  const mean = vector.reduce((sum, value) => sum + value, 0) / wordWidth;
  const centred = vector.map((value) => value - mean);
  const length = Math.sqrt(centred.reduce((sum, value) => sum + value * value, 0));
  const size = Math.sqrt(row.length);
  for (let at = 0; at < wordWidth; at++)
    row[at] = (size * weight * centred[at]!) / Math.max(length, 1e-9);
  const rest = row.length - wordWidth;
  const filling = size * Math.sqrt((1 - weight ** 2) / rest);
  for (let at = 0; at < rest; at++) row[wordWidth + at] = at % 2 === 0 ? filling : -filling;
}
