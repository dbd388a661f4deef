/**
 * Makes a checkpoint of Llama-3.2-1B's shape with random weights in BF16: 2.2 GB below the temporary
 * folder, made once.
 *
 *     node benchmarks/first-load/checkpoint.mjs [--folder F]
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeRandomCheckpoint } from "../checkpoint-135m.mjs";

/** The configuration of Llama-3.2-1B with GPT-2's vocabulary size: 1.08 billion parameters. */
const config = {
  _name_or_path: "random-1b",
  architectures: ["LlamaForCausalLM"],
  attention_bias: false,
  bos_token_id: 0,
  eos_token_id: 0,
  head_dim: 64,
  hidden_act: "silu",
  hidden_size: 2048,
  intermediate_size: 8192,
  max_position_embeddings: 131072,
  model_type: "llama",
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 500000,
  tie_word_embeddings: true,
  torch_dtype: "bfloat16",
  vocab_size: 50257,
};

/**
 * @param {{ folder?: string }} [options] default: a folder of its own below the temporary one
 * @returns {string} the folder
 */
export function makeCheckpoint1b({ folder = join(tmpdir(), "jeton-random-1b") } = {}) {
  makeRandomCheckpoint(config, { folder });
  return folder;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { folder: { type: "string" } } });
  console.log(makeCheckpoint1b(values));
}
