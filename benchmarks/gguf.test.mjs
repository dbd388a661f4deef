/**
 * Tests of the GGUF writer; run by `npm test --prefix benchmarks`. The last one asks llama.cpp itself:
 * it needs the peers (`npm ci --prefix benchmarks`) and JETON_DATA, and says so when it is skipped.
 */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { makeRandomCheckpoint } from "./checkpoint-135m.mjs";
import { startHalf } from "./decode/half.mjs";
import {
  interleaveRotaryRows,
  planTensors,
  quantizeQ4,
  quantizeQ8,
  toHalfBits,
  writeGguf,
} from "./gguf.mjs";
import { openSafetensors, widenHalf } from "./safetensors.mjs";

const here = dirname(fileURLToPath(import.meta.url));

/** Values of many magnitudes, with exact ties, zeros and whole blocks of zero. */
function awkwardValues(blocks) {
  let state = 7;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return Float32Array.from({ length: blocks * 32 }, (_, i) => {
    const block = i >> 5;
    if (block % 4 === 0) return (next() / 2 ** 32 - 0.5) * 10 ** ((block % 11) - 5);
    if (block % 4 === 1) return ((next() % 17) - 8) / 2;
    return block % 4 === 2 ? (next() % 255) - 127 : block % 3 === 0 ? 0 : (next() % 3) - 1;
  });
}

test("half precision: every finite half comes back, and every number goes to the nearest one", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  const values = widenHalf(all);
  for (const bits of all) {
    if (Number.isNaN(values[bits])) continue;
    assert.equal(toHalfBits(values[bits]), bits);
  }
  for (let bits = 0; bits < 0x7bff; bits++) {
    const between = (values[bits] + values[bits + 1]) / 2;
    assert.equal(toHalfBits(between), bits % 2 === 0 ? bits : bits + 1, "a tie goes to even");
    assert.equal(toHalfBits(between * (1 + 1e-6)), bits + 1);
    assert.equal(toHalfBits(between * (1 - 1e-6)), bits);
  }
});

test("Q8_0: a value comes back within half a step and the rounding of its scale", () => {
  const values = awkwardValues(256);
  const bytes = quantizeQ8(values);
  assert.equal(bytes.length, 256 * 34);
  for (let block = 0; block < 256; block++) {
    const scale = widenHalf(Uint16Array.of(bytes[block * 34] | (bytes[block * 34 + 1] << 8)))[0];
    const largest = Math.max(...values.subarray(block * 32, block * 32 + 32).map(Math.abs));
    assert.ok(Math.abs(scale - largest / 127) <= (largest / 127) * 2 ** -11 + 2 ** -25);
    for (let i = 0; i < 32; i++) {
      const step = (bytes[block * 34 + 2 + i] << 24) >> 24;
      const error = Math.abs(step * (largest / 127) - values[block * 32 + i]);
      assert.ok(error <= (largest / 127) * 0.5001, `block ${block}, value ${i}: ${error}`);
    }
  }
});

test("Q4_0: a value comes back within half a step, but for the clipped end of the range", () => {
  const values = awkwardValues(256);
  const bytes = quantizeQ4(values);
  assert.equal(bytes.length, 256 * 18);
  for (let block = 0; block < 256; block++) {
    const all = values.subarray(block * 32, block * 32 + 32);
    const extreme = all.reduce(
      (best, value) => (Math.abs(value) > Math.abs(best) ? value : best),
      0,
    );
    const scale = extreme / -8;
    for (let i = 0; i < 32; i++) {
      const packed = bytes[block * 18 + 2 + (i % 16)];
      const nibble = i < 16 ? packed & 15 : packed >>> 4;
      const ideal = scale === 0 ? 0 : all[i] / scale;
      const error = Math.abs(nibble - 8 - Math.min(ideal, 7));
      assert.ok(error <= 0.5001, `block ${block}, value ${i}: ${error}`);
    }
  }
});

test("the rows of a head are interleaved: first half and second half alternate", () => {
  const rows = Float32Array.from({ length: 2 * 6 * 3 }, (_, i) => i); // 2 heads of 6 rows of 3
  const starts = [...interleaveRotaryRows(rows, 2, 6)].filter((_, i) => i % 3 === 0);
  assert.deepEqual(
    starts.map((value) => value / 3),
    [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11],
  );
});

/** An OLMoE of 4 experts, of which 2 compute each token. */
const sparse = {
  architectures: ["OlmoeForCausalLM"],
  model_type: "olmoe",
  attention_bias: false,
  bos_token_id: 0,
  eos_token_id: 0,
  hidden_act: "silu",
  hidden_size: 64,
  intermediate_size: 32,
  max_position_embeddings: 256,
  norm_topk_prob: false,
  num_attention_heads: 2,
  num_experts: 4,
  num_experts_per_tok: 2,
  num_hidden_layers: 2,
  num_key_value_heads: 2,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
  torch_dtype: "bfloat16",
  vocab_size: 512,
};

/** Makes the checkpoint in a folder that is gone afterwards. */
async function withSparse(use) {
  const folder = mkdtempSync(join(tmpdir(), "jeton-gguf-"));
  try {
    makeRandomCheckpoint(sparse, { folder });
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("OLMoE: the experts of a layer are one tensor in their order, heads keep their rows", () =>
  withSparse((folder) => {
    const source = openSafetensors(folder);
    try {
      const plan = new Map(
        planTensors(sparse, 32, source).map((tensor) => [tensor.target, tensor]),
      );
      const down = plan.get("blk.1.ffn_down_exps.weight");
      assert.deepEqual(down.shape, [4, 64, 32]);
      const third = source.read("model.layers.1.mlp.experts.2.down_proj.weight");
      assert.deepEqual(down.read().subarray(2 * 64 * 32, 3 * 64 * 32), third);
      assert.deepEqual(plan.get("blk.0.ffn_gate_inp.weight").shape, [4, 64]);
      assert.deepEqual(
        plan.get("blk.0.attn_q.weight").read(),
        source.read("model.layers.0.self_attn.q_proj.weight"),
      );
      assert.deepEqual(plan.get("blk.0.attn_q_norm.weight").shape, [64]);
      assert.equal(plan.has("blk.0.ffn_gate.weight"), false);
    } finally {
      source.close();
    }
  }));

const data = process.env.JETON_DATA;
const missing =
  data === undefined
    ? "JETON_DATA is not set"
    : existsSync(join(here, "node_modules", "node-llama-cpp"))
      ? false
      : "the peers are not installed (npm ci --prefix benchmarks)";

test("llama.cpp writes the reference's text from the exported checkpoint", {
  skip: missing,
}, async () => {
  const folder = join(data, "models", "tinystories-260k");
  const { greedy_ids: expected } = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8"));
  const scratch = mkdtempSync(join(tmpdir(), "jeton-gguf-"));
  try {
    for (const type of ["F32", "F16"]) {
      const path = join(scratch, `${type}.gguf`);
      writeGguf(folder, path, { type });
      const options = { path, threads: 1, capacity: 256, flashAttention: false };
      const half = await startHalf(join(here, "decode", "llama.mjs"), options);
      try {
        const { value: first } = await half.call("prefill", expected.slice(0, 1));
        const { value: rest } = await half.call("decode", expected.length - 2);
        assert.deepEqual([expected[0], first, ...rest], expected, type);
        await half.call("reset", 50);
        const { value: again } = await half.call("decode", 10);
        assert.deepEqual(again, expected.slice(51, 61), "after a reset to 50 tokens");
      } finally {
        await half.stop();
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});

const unbuilt = existsSync(join(here, "..", "dist", "model", "index.js"))
  ? missing === "JETON_DATA is not set"
    ? false
    : missing
  : "dist/ does not exist (npm run build)";

test("llama.cpp and jeton choose the same ids from one OLMoE checkpoint", { skip: unbuilt }, () =>
  withSparse(async (folder) => {
    const path = join(folder, "F32.gguf");
    writeGguf(folder, path, { type: "F32" });
    const options = { threads: 1, capacity: 128 };
    const halves = [
      await startHalf(join(here, "decode", "jeton.mjs"), { ...options, folder, format: "f32" }),
      await startHalf(join(here, "decode", "llama.mjs"), {
        ...options,
        path,
        flashAttention: false,
      }),
    ];
    try {
      const chosen = [];
      for (const half of halves) {
        const { value: first } = await half.call("prefill", [1, 70, 300, 5, 8, 41, 260, 9]);
        const { value: rest } = await half.call("decode", 23);
        chosen.push([first, ...rest]);
      }
      assert.deepEqual(chosen[1], chosen[0]);
    } finally {
      for (const half of halves) await half.stop();
    }
  }),
);
