/** Encoders of published shapes with random weights, and texts of a number of tokens. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeSafetensors } from "../safetensors.mjs";

const bundled = fileURLToPath(new URL("../../models/jeton-embed/", import.meta.url));

/** Increased when the bytes of an encoder change. */
const version = 1;

const layers = { minilm: [6, 384, 12, 1536], "bert-base": [12, 768, 12, 3072] };

/** The shapes that are measured: all-MiniLM-L6-v2's and BERT-base's, with the bundled encoder's vocabulary. */
export const shapeNames = Object.keys(layers);

function configOf(shape) {
  const [num_hidden_layers, hidden_size, num_attention_heads, intermediate_size] = layers[shape];
  return {
    architectures: ["BertModel"],
    model_type: "bert",
    ...{ vocab_size: 15680, type_vocab_size: 2, max_position_embeddings: 512, pad_token_id: 0 },
    ...{ hidden_size, num_hidden_layers, num_attention_heads, intermediate_size },
    ...{ hidden_act: "gelu", layer_norm_eps: 1e-12, torch_dtype: "float32" },
  };
}

/**
 * Makes a sentence-transformers folder with random weights, or finds that of an earlier run.
 * @param {string} shape one of `shapeNames`
 * @returns {{ folder: string, config: object }}
 */
export function makeRandomEncoder(shape) {
  const config = configOf(shape);
  const folder = join(tmpdir(), `jeton-random-encoder-${shape}-${version}`);
  const done = join(folder, "done");
  if (existsSync(done)) return { folder, config };
  mkdirSync(join(folder, "1_Pooling"), { recursive: true });
  const json = (name, value) =>
    writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  json("config.json", config);
  for (const name of ["tokenizer.json", "modules.json"]) {
    copyFileSync(join(bundled, name), join(folder, name));
  }
  const read = (name) => JSON.parse(readFileSync(join(bundled, name), "utf8"));
  json("tokenizer_config.json", { ...read("tokenizer_config.json"), model_max_length: 512 });
  json("sentence_bert_config.json", { max_seq_length: 512, do_lower_case: false });
  const pooling = {
    ...read("1_Pooling/config.json"),
    word_embedding_dimension: config.hidden_size,
  };
  json("1_Pooling/config.json", pooling);
  const tensors = tensorShapes(config).map(([name, shape], at) => ({
    ...{ name, type: "F32", shape },
    bytes: 4 * sizeOf(shape),
    data: () => drawTensor(name, shape, at),
  }));
  writeSafetensors(join(folder, "model.safetensors"), tensors);
  writeFileSync(done, "");
  return { folder, config };
}

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

function tensorShapes(config) {
  const { hidden_size: width, intermediate_size: inner } = config;
  const norm = (name) => [
    [`${name}.weight`, [width]],
    [`${name}.bias`, [width]],
  ];
  const linear = (name, rows, columns) => [
    [`${name}.weight`, [rows, columns]],
    [`${name}.bias`, [rows]],
  ];
  const body = Array.from({ length: config.num_hidden_layers }, (_, layer) => {
    const prefix = `encoder.layer.${layer}`;
    return [
      ...["query", "key", "value"].flatMap((part) =>
        linear(`${prefix}.attention.self.${part}`, width, width),
      ),
      ...linear(`${prefix}.attention.output.dense`, width, width),
      ...norm(`${prefix}.attention.output.LayerNorm`),
      ...linear(`${prefix}.intermediate.dense`, inner, width),
      ...linear(`${prefix}.output.dense`, width, inner),
      ...norm(`${prefix}.output.LayerNorm`),
    ];
  }).flat();
  return [
    ["embeddings.word_embeddings.weight", [config.vocab_size, width]],
    ["embeddings.position_embeddings.weight", [config.max_position_embeddings, width]],
    ["embeddings.token_type_embeddings.weight", [config.type_vocab_size, width]],
    ...norm("embeddings.LayerNorm"),
    ...body,
  ];
}

/** Norms near 1, small biases, matrices of deviation 0.04: weights that a model might have. */
function drawTensor(name, shape, seed) {
  const values = new Float32Array(sizeOf(shape));
  const isNorm = /LayerNorm\.weight$/.test(name);
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32 - 0.5;
  };
  for (let i = 0; i < values.length; i++) {
    const draw = 0.08 * (next() + next() + next());
    values[i] = isNorm ? 1 + draw : draw;
  }
  return values;
}

/**
 * Texts of an exact number of tokens: words that are one token each, between [CLS] and [SEP].
 * @param {number} count
 * @param {number} tokens
 */
export function makeTexts(count, tokens) {
  const { model } = JSON.parse(readFileSync(join(bundled, "tokenizer.json"), "utf8"));
  const words = Object.keys(model.vocab).filter((word) => /^[a-z]{3,}$/.test(word));
  return Array.from({ length: count }, (_, text) =>
    Array.from(
      { length: tokens - 2 },
      (_, at) => words[(text * 7919 + at * 104_729 + text * at) % words.length],
    ).join(" "),
  );
}
