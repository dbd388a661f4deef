/**
 * What a mixture of experts gains from computing its chosen experts alone: random weights of OLMoE's
 * proportions (64 experts, 8 for each token) at about 300 million parameters.
 *
 *     npm run bench -- experts [--json] [--formats int8,int4] [--threads 2] [--runs 5] [--tokens 24]
 *
 * Beside it, in turns: the same weights with all 64 experts for each token, and a dense decoder whose
 * feed-forward has the width of 8 experts, so that both read as many weights for a token.
 *
 * - decode: greedy, one token at a time, from a cache of 64 tokens: tokens per second;
 * - prefill: 64 tokens at once: tokens per second.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadModel } from "../../dist/model/index.js";
import { makeRandomCheckpoint } from "../checkpoint-135m.mjs";
import { describeMachine, formatTable, makeRow } from "../report.mjs";

export const description =
  "a mixture of experts beside all of its experts, and beside a dense model";

const dense = {
  attention_bias: false,
  bos_token_id: 0,
  eos_token_id: 0,
  hidden_act: "silu",
  hidden_size: 512,
  max_position_embeddings: 4096,
  num_attention_heads: 8,
  num_hidden_layers: 10,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
  torch_dtype: "bfloat16",
  vocab_size: 50304,
};
const sparse = {
  ...dense,
  architectures: ["OlmoeForCausalLM"],
  intermediate_size: 256,
  model_type: "olmoe",
  norm_topk_prob: false,
  num_experts: 64,
};

/** The models by name. The first two have the same weights. */
const configs = {
  chosen: { ...sparse, num_experts_per_tok: 8 },
  all: { ...sparse, num_experts_per_tok: 64 },
  dense: {
    ...dense,
    architectures: ["LlamaForCausalLM"],
    intermediate_size: 8 * 256,
    model_type: "llama",
  },
};

const promptLength = 64;

/** @param {{ json: boolean, args: string[] }} options */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      formats: { type: "string", default: "int8,int4" },
      threads: { type: "string", default: "2" },
      runs: { type: "string", default: "5" },
      tokens: { type: "string", default: "24" },
    },
  });
  const [threads, runs, tokens] = [values.threads, values.runs, values.tokens].map(Number);
  if (!json) console.log(`${describeMachine()}\n`);
  const rows = [];
  for (const format of values.formats.split(",")) {
    const halves = new Map();
    try {
      for (const [name, config] of Object.entries(configs)) {
        const folder = join(tmpdir(), `jeton-random-experts-${name}`);
        makeRandomCheckpoint(config, { folder });
        const model = await loadModel(folder, { format, threads, slots: 1 });
        halves.set(name, { model, decode: [], prefill: [] });
      }
      // One unmeasured round warms every model up.
      for (let round = 0; round <= runs; round++) {
        for (const half of halves.values()) await measure(half, round > 0, tokens);
      }
      rows.push(...compare(halves, `${format}, ${threads} threads`));
    } finally {
      for (const { model } of halves.values()) await model.close();
    }
  }
  if (!json) console.log(formatTable(rows));
  return rows;
}

/** One prompt and `tokens` tokens after it. */
async function measure({ model, decode, prefill }, counts, tokens) {
  const sequence = await model.openSequence();
  const ids = Array.from({ length: promptLength }, (_, at) => 1 + ((at * 7919) % 50000));
  const start = performance.now();
  let { topIds } = await sequence.step({ ids });
  const middle = performance.now();
  for (let at = 0; at < tokens; at++) ({ topIds } = await sequence.step({ ids: [topIds[0]] }));
  const end = performance.now();
  await sequence.release();
  if (!counts) return;
  prefill.push((1000 * promptLength) / (middle - start));
  decode.push((1000 * tokens) / (end - middle));
}

function compare(halves, setting) {
  const { decode, prefill } = halves.get("chosen");
  const peers = { all: "all 64 experts", dense: "dense, as many active weights" };
  return Object.entries(peers).flatMap(([name, peerName]) => {
    const peer = halves.get(name);
    const common = { peerName, unit: "tokens/s" };
    return [
      makeRow({ name: `decode, ${setting}`, ours: decode, peer: peer.decode, ...common }),
      makeRow({ name: `prefill, ${setting}`, ours: prefill, peer: peer.prefill, ...common }),
    ];
  });
}
