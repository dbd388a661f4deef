/**
 * What a mixture of experts gains from computing its chosen experts alone, and beside llama.cpp: random weights
 * of OLMoE's proportions (64 experts, 8 for each token) at about 300 million parameters.
 *
 *     npm run bench -- experts [--json] [--pairs int8:Q8_0,int4:Q4_0] [--threads 2] [--runs 5] [--tokens 24]
 *       [--only jeton] [--check]
 *
 * Three models of jeton: the chosen experts, the same weights with all 64 experts for each token, and a dense
 * decoder whose feed-forward has the width of 8 experts, so that both read as many weights for a token.
 * llama.cpp runs the first and the last from GGUF of the same weights (with and without flash attention, the
 * better one counts). Each is a process of its own; they take turns in an order that rotates.
 *
 * - decode: greedy, one token at a time, from a cache of 64 tokens: tokens per second;
 * - prefill: 64 tokens at once, and the choice after them: tokens per second;
 * - share of the dense ratio: how much of what a dense decoder reaches beside llama.cpp the mixture reaches.
 *
 * `--check` compares the greedy ids of both in single precision first. Without node-llama-cpp (`npm ci --prefix
 * benchmarks`) or with `--only jeton`, jeton's own models are compared alone.
 */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { makeRandomCheckpoint, makeRandomGguf } from "../checkpoint-135m.mjs";
import { startHalf } from "../decode/half.mjs";
import { describeMachine, formatTable, makeRow, median } from "../report.mjs";

export const description =
  "a mixture of experts beside all of its experts, beside a dense model, and beside llama.cpp";

const here = dirname(fileURLToPath(import.meta.url));
const decode = join(here, "..", "decode");

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
/** Those that llama.cpp runs too. */
const shared = ["chosen", "dense"];

const promptLength = 64;
const prompt = Array.from({ length: promptLength }, (_, at) => 1 + ((at * 7919) % 50000));

/** One thread in libuv's pool: see `decode/bench.mjs`. */
const llamaEnvironment = { UV_THREADPOOL_SIZE: "1" };

/** @param {string[]} args */
function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      pairs: { type: "string", default: "int8:Q8_0,int4:Q4_0" },
      threads: { type: "string", default: "2" },
      runs: { type: "string", default: "5" },
      tokens: { type: "string", default: "24" },
      only: { type: "string" },
      check: { type: "boolean", default: false },
    },
  });
  const installed = existsSync(join(here, "..", "node_modules", "node-llama-cpp"));
  if (!installed && values.only !== "jeton")
    console.error("node-llama-cpp is not installed (npm ci --prefix benchmarks): jeton alone");
  return {
    pairs: values.pairs.split(",").map((pair) => pair.split(":")),
    threads: Number(values.threads),
    runs: Number(values.runs),
    tokens: Number(values.tokens),
    check: values.check,
    hasPeer: installed && values.only !== "jeton",
  };
}

const folderOf = (name) => join(tmpdir(), `jeton-random-experts-${name}`);

/** Starts every process of one pair of formats. */
async function startHalves([format, type], { threads, tokens, hasPeer }, models) {
  const halves = [];
  const capacity = promptLength + tokens + 16;
  try {
    for (const name of models) {
      const folder = folderOf(name);
      makeRandomCheckpoint(configs[name], { folder });
      const half = await startHalf(join(decode, "jeton.mjs"), { folder, format, threads });
      halves.push({ ...half, side: "jeton", model: name });
    }
    for (const name of hasPeer ? shared : []) {
      const paths = makeRandomGguf(configs[name], { folder: folderOf(name), gguf: [type] });
      for (const flashAttention of [true, false]) {
        const options = { path: paths[type], threads, capacity, flashAttention };
        const half = await startHalf(join(decode, "llama.mjs"), options, llamaEnvironment);
        halves.push({
          ...half,
          side: "llama",
          model: name,
          attention: flashAttention ? "flash" : "plain",
        });
      }
    }
    return halves;
  } catch (error) {
    await stopAll(halves);
    throw error;
  }
}

const stopAll = (halves) => Promise.allSettled(halves.map((half) => half.stop()));

/** Rates of every process, in turns. */
async function measure(halves, { runs, tokens }) {
  const rates = new Map(halves.map((half) => [half, { decode: [], prefill: [] }]));
  const once = async (half) => {
    await half.call("reset", 0);
    const { milliseconds: read } = await half.call("prefill", prompt);
    const { milliseconds: written } = await half.call("decode", tokens);
    return { prefill: (1000 * promptLength) / read, decode: (1000 * tokens) / written };
  };
  // Warm-up: code is compiled, weights are packed, and every expert's weights are read once or more.
  for (const half of halves) {
    await once(half);
    await once(half);
  }
  for (let round = 0; round < runs; round++) {
    for (let turn = 0; turn < halves.length; turn++) {
      const half = halves[(turn + round) % halves.length];
      const found = await once(half);
      for (const [what, rate] of Object.entries(found)) rates.get(half)[what].push(rate);
    }
  }
  return rates;
}

/** The rows of one pair of formats. */
function compare(rates, [format, type], threads) {
  const setting = `${threads} thread${threads === 1 ? "" : "s"}`;
  const of = (side, model, what) => {
    const all = [...rates].filter(([half]) => half.side === side && half.model === model);
    const best = all.toSorted(([, a], [, b]) => median(b[what]) - median(a[what]))[0];
    return best && { rates: best[1][what], attention: best[0].attention };
  };
  const rows = [];
  const ratios = {};
  for (const what of ["decode", "prefill"]) {
    const own = of("jeton", "chosen", what).rates;
    const row = (name, ours, peer, peerName) =>
      makeRow({ name, ours, peer, peerName, unit: "tokens/s" });
    rows.push(
      row(`${what}, ${format}, ${setting}`, own, of("jeton", "all", what).rates, "all 64 experts"),
      row(
        `${what}, ${format}, ${setting}`,
        own,
        of("jeton", "dense", what).rates,
        "dense, as many active weights",
      ),
    );
    for (const model of shared) {
      const peer = of("llama", model, what);
      if (peer === undefined) continue;
      const name = model === "chosen" ? "mixture" : "dense";
      const made = row(
        `${what}, ${name}, ${format} beside ${type}, ${setting}`,
        of("jeton", model, what).rates,
        peer.rates,
        `llama.cpp ${type} (${peer.attention})`,
      );
      rows.push(made);
      ratios[`${what} ${model}`] = made.ratio;
    }
    const [mixture, plain] = shared.map((model) => ratios[`${what} ${model}`]);
    if (mixture === undefined) continue;
    rows.push({
      name: `${what}, share of the dense ratio, ${format} beside ${type}, ${setting}`,
      ours: mixture,
      peer: plain,
      peerName: "dense beside llama.cpp",
      unit: "times llama.cpp",
      ratio: mixture / plain,
      runs: rows.at(-1).runs,
    });
  }
  return rows;
}

/** Whether both sides choose the same ids in single precision. */
async function checkAgreement(options) {
  for (const model of shared) {
    const halves = await startHalves(["f32", "F32"], { ...options, threads: 1 }, [model]);
    try {
      const chosen = [];
      for (const half of halves.filter((half) => half.model === model)) {
        const { value: first } = await half.call("prefill", prompt);
        const { value: others } = await half.call("decode", 31);
        chosen.push([first, ...others]);
      }
      for (const peer of chosen.slice(1)) {
        const differing = chosen[0].findIndex((id, position) => id !== peer[position]);
        const equal = differing < 0 ? chosen[0].length : differing;
        console.error(`check, ${model}: the same ${equal} of ${chosen[0].length} ids`);
      }
    } finally {
      await stopAll(halves);
    }
  }
}

/** @param {{ json: boolean, args: string[] }} options */
export async function run({ json, args }) {
  const options = readOptions(args);
  console.error(describeMachine());
  if (options.check && options.hasPeer) await checkAgreement(options);
  const rows = [];
  for (const pair of options.pairs) {
    const halves = await startHalves(pair, options, Object.keys(configs));
    try {
      rows.push(...compare(await measure(halves, options), pair, options.threads));
    } finally {
      await stopAll(halves);
    }
  }
  if (!json) console.log(formatTable(rows));
  return rows;
}
