/**
 * Makes a checkpoint of SmolLM2-135M's shape with random weights, and the same weights as GGUF, for
 * the benchmarks: speed does not depend on what the weights say, and nothing has to be downloaded.
 *
 *     node benchmarks/checkpoint-135m.mjs [--folder F] [--seed N] [--gguf Q4_0,Q8_0,F32]
 *
 * The same seed gives the same bytes. The folder (by default below the system's temporary one) is an
 * ordinary checkpoint: `config.json`, `model.safetensors` in BF16, and a byte-level `tokenizer.json`
 * of the right size whose merges are synthetic.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeGguf } from "./gguf.mjs";
import { toBrainBits, writeSafetensors } from "./safetensors.mjs";

/** The configuration, field by field that of SmolLM2-135M. */
const config = {
  _name_or_path: "random-135m",
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  bos_token_id: 0,
  eos_token_id: 0,
  hidden_act: "silu",
  hidden_size: 576,
  intermediate_size: 1536,
  max_position_embeddings: 8192,
  model_type: "llama",
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 100000,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  vocab_size: 49152,
};

/** Increased when the bytes of a checkpoint change for the same seed. */
const version = 1;

/** A xorshift generator of 32-bit words; good enough for weights that mean nothing. */
function createWords(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** 65,536 draws of a standard normal distribution (Box and Muller), of which weights are samples. */
function normalTable(seed) {
  const next = createWords(seed);
  for (let i = 0; i < 16; i++) next();
  const table = new Float64Array(65536);
  for (let i = 0; i < table.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log((next() + 1) / 2 ** 32));
    const angle = (2 * Math.PI * next()) / 2 ** 32;
    table[i] = radius * Math.cos(angle);
    table[i + 1] = radius * Math.sin(angle);
  }
  return table;
}

/** The tensors of the architecture, in the order of the file: a matrix is `[out, in]`. */
function shapes(config) {
  const { hidden_size: width, intermediate_size: inner, vocab_size: vocabulary } = config;
  const headDim = width / config.num_attention_heads;
  const keyWidth = config.num_key_value_heads * headDim;
  const tensors = [["model.embed_tokens.weight", [vocabulary, width]]];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const prefix = `model.layers.${layer}`;
    tensors.push(
      [`${prefix}.input_layernorm.weight`, [width]],
      [`${prefix}.self_attn.q_proj.weight`, [width, width]],
      [`${prefix}.self_attn.k_proj.weight`, [keyWidth, width]],
      [`${prefix}.self_attn.v_proj.weight`, [keyWidth, width]],
      [`${prefix}.self_attn.o_proj.weight`, [width, width]],
      [`${prefix}.post_attention_layernorm.weight`, [width]],
    );
    for (const of of feedForwards(config, `${prefix}.mlp`)) {
      tensors.push(
        [`${of}.gate_proj.weight`, [inner, width]],
        [`${of}.up_proj.weight`, [inner, width]],
        [`${of}.down_proj.weight`, [width, inner]],
      );
    }
    if (config.num_experts === undefined) continue;
    tensors.push(
      [`${prefix}.mlp.gate.weight`, [config.num_experts, width]],
      [`${prefix}.self_attn.q_norm.weight`, [width]],
      [`${prefix}.self_attn.k_norm.weight`, [keyWidth]],
    );
  }
  tensors.push(["model.norm.weight", [width]]);
  if (config.tie_word_embeddings === false) tensors.push(["lm_head.weight", [vocabulary, width]]);
  return tensors;
}

/** Names of a layer's feed-forwards: one, or those of OLMoE's experts. */
function feedForwards({ num_experts: experts }, prefix) {
  if (experts === undefined) return [prefix];
  return Array.from({ length: experts }, (_, expert) => `${prefix}.experts.${expert}`);
}

/** One tensor in BF16: matrices of variance 1 / in, norms around one. */
function drawTensor(table, seed, shape) {
  const next = createWords(seed);
  const isMatrix = shape.length === 2;
  const deviation = isMatrix ? 1 / Math.sqrt(shape[1]) : 0.1;
  const centre = isMatrix ? 0 : 1;
  const bits = Uint16Array.from(table, (draw) => toBrainBits(centre + deviation * draw));
  const tensor = new Uint16Array(shape.reduce((product, size) => product * size, 1));
  for (let i = 0; i < tensor.length; i += 2) {
    const word = next();
    tensor[i] = bits[word & 0xffff];
    if (i + 1 < tensor.length) tensor[i + 1] = bits[word >>> 16];
  }
  return tensor;
}

/** The 256 characters by which byte-level vocabularies write bytes. */
function byteCharacters() {
  const printable = (byte) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let extra = 256;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : extra++),
  );
}

/**
 * A byte-level BPE tokenizer of the configuration's size: the end-of-text token, the bytes, then all
 * words of letters, shortest first, with and without a leading space, until the vocabulary is full.
 */
function syntheticTokenizer(vocabularySize) {
  const endOfText = "<|endoftext|>";
  const vocabulary = { [endOfText]: 0 };
  let size = 1;
  for (const character of byteCharacters()) vocabulary[character] = size++;
  const letters = [..."etaoinshrdlucmfwypvbgkjqxz"];
  const merges = [];
  const words = ["Ġ", ...letters];
  for (let i = 0; size < vocabularySize; i++) {
    for (const letter of letters) {
      if (size === vocabularySize) break;
      merges.push(`${words[i]} ${letter}`);
      words.push(words[i] + letter);
      vocabulary[words[i] + letter] = size++;
    }
  }
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [
      {
        id: 0,
        content: endOfText,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Digits", individual_digits: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: vocabulary,
      merges,
    },
  };
}

/**
 * Makes a Llama or OLMoE checkpoint of random weights, or finds that of an earlier run.
 * @param {object} config what `config.json` says
 * @param {{ folder: string, seed?: number }} options
 * @returns {boolean} whether it was made now
 */
export function makeRandomCheckpoint(config, { folder, seed = 0 }) {
  mkdirSync(folder, { recursive: true });
  const stamp = JSON.stringify({ version, seed });
  const stampPath = join(folder, "made-by-jeton-benchmarks.json");
  if (existsSync(stampPath) && readFileSync(stampPath, "utf8") === stamp) return false;
  const table = normalTable(seed);
  const tensors = shapes(config).map(([name, shape], index) => ({
    name,
    type: "BF16",
    shape,
    bytes: 2 * shape.reduce((product, size) => product * size, 1),
    data: () => drawTensor(table, seed * 1000 + index + 1, shape),
  }));
  writeFileSync(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  const { bos_token_id, eos_token_id } = config;
  writeFileSync(
    join(folder, "generation_config.json"),
    `${JSON.stringify({ bos_token_id, eos_token_id }, null, 2)}\n`,
  );
  const tokenizer = syntheticTokenizer(config.vocab_size);
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  writeSafetensors(join(folder, "model.safetensors"), tensors);
  writeFileSync(`${stampPath}.partial`, stamp);
  renameSync(`${stampPath}.partial`, stampPath);
  return true;
}

/**
 * Makes the checkpoint and the asked GGUF files, or finds those of an earlier run.
 * @param {{ folder?: string, seed?: number, gguf?: string[] }} [options] `folder` (default: one of its
 *   own below the temporary folder), `seed` (default 0), GGUF types (default `["Q4_0", "Q8_0"]`)
 * @returns {{ folder: string, gguf: Record<string, string>, vocabSize: number }}
 */
export function makeCheckpoint135m({ folder, seed = 0, gguf = ["Q4_0", "Q8_0"] } = {}) {
  folder ??= join(tmpdir(), `jeton-random-135m-${seed}`);
  const paths = makeRandomGguf(config, { folder, seed, gguf });
  return { folder, gguf: paths, vocabSize: config.vocab_size };
}

/**
 * Makes a checkpoint of random weights and the asked GGUF files, or finds those of an earlier run.
 * @param {object} config what `config.json` says
 * @param {{ folder: string, seed?: number, gguf: string[] }} options GGUF types
 * @returns {Record<string, string>} paths by type
 */
export function makeRandomGguf(config, { folder, seed = 0, gguf }) {
  if (makeRandomCheckpoint(config, { folder, seed }))
    for (const file of readdirSync(folder))
      if (/^model-\w+\.gguf$/.test(file)) rmSync(join(folder, file)); // of other weights
  const paths = {};
  for (const type of gguf) {
    paths[type] = join(folder, `model-${type}.gguf`);
    if (!existsSync(paths[type])) writeGguf(folder, paths[type], { type });
  }
  return paths;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      folder: { type: "string" },
      seed: { type: "string", default: "0" },
      gguf: { type: "string", default: "Q4_0,Q8_0,F32" },
    },
  });
  const { folder, gguf } = makeCheckpoint135m({
    ...(values.folder === undefined ? {} : { folder: values.folder }),
    seed: Number(values.seed),
    gguf: values.gguf.split(",").filter(Boolean),
  });
  console.log([folder, ...Object.values(gguf)].join("\n"));
}
