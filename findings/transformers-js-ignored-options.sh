#!/usr/bin/env bash
# transformers.js accepts top_p, min_p, beams and several sequences, and does nothing with them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  @huggingface/transformers@4.3.2 \
  onnx-proto@8.0.1

echo "version:   @huggingface/transformers 4.3.2"
cat <<'TEXT'
behaviour: Expected: `generate({do_sample: true, top_p: 0.35})` draws from the smallest set of tokens that
           holds 35 % of the probability, as documented; `num_return_sequences: 3` gives three.
           Happens: top_p, min_p, typical_p and epsilon_cutoff change nothing, num_return_sequences and
           num_beams give one greedy or sampled sequence, and nothing is said; temperature and top_k work.
           Hurt: everybody who sets the usual top_p of a model card in JavaScript: rare tokens are drawn
           that Python would never draw.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { AutoModelForCausalLM, env, Tensor } from "@huggingface/transformers";
import onnxProto from "onnx-proto";

// A model of one graph: nodes, then inputs and outputs as [name, element type, dimensions], then constants.
const { onnx } = onnxProto;
const typed = ([name, elemType, dimensions]) => {
  const dim = dimensions.map((size) => (typeof size === "string" ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
};
const encodeModel = (node, inputs, outputs, initializer = [], opset = 21) =>
  onnx.ModelProto.encode(
    onnx.ModelProto.fromObject({
      irVersion: 10,
      opsetImport: [{ domain: "", version: opset }, { domain: "com.microsoft", version: 1 }],
      graph: { name: "g", node, input: inputs.map(typed), output: outputs.map(typed), initializer },
    }),
  ).finish();

// After every token the next one is 1 to 5 with these probabilities.
const probabilities = [0, 0.4, 0.3, 0.15, 0.1, 0.05, 0, 0];
const size = probabilities.length;
const row = probabilities.map((p) => (p === 0 ? -30 : Math.log(p)));
const table = Float32Array.from({ length: size * size }, (_, index) => row[index % size]);
const bytes = encodeModel(
  [
    { opType: "Gather", input: ["table", "input_ids"], output: ["logits"] },
    { opType: "Identity", input: ["attention_mask"], output: ["mask"] },
  ],
  [["input_ids", 7, ["B", "S"]], ["attention_mask", 7, ["B", "A"]]],
  [["logits", 1, ["B", "S", size]], ["mask", 7, ["B", "A"]]],
  [{ name: "table", dataType: 1, dims: [size, size], rawData: new Uint8Array(table.buffer) }],
);
mkdirSync("models/tiny/onnx", { recursive: true });
writeFileSync("models/tiny/onnx/model.onnx", bytes);
const config = { model_type: "llama", architectures: ["LlamaForCausalLM"], vocab_size: size, hidden_size: 8, num_hidden_layers: 1 };
writeFileSync("models/tiny/config.json", JSON.stringify({ ...config, num_attention_heads: 1, num_key_value_heads: 1, eos_token_id: 7 }));
writeFileSync("models/tiny/generation_config.json", JSON.stringify({ eos_token_id: 7 }));
env.allowRemoteModels = false;
env.localModelPath = "models/";
const model = await AutoModelForCausalLM.from_pretrained("tiny", { dtype: "fp32", device: "cpu" });
const one = (value) => new Tensor("int64", BigInt64Array.of(value), [1, 1]);

async function draw(options, rounds = 10) {
  const drawn = new Set();
  let sequences = 0;
  for (let round = 0; round < rounds; round++) {
    const result = await model.generate({ inputs: one(0n), attention_mask: one(1n), max_new_tokens: 40, ...options });
    sequences = result.dims[0];
    for (const token of result.tolist().flatMap((ids) => ids.slice(1))) drawn.add(Number(token));
  }
  return { drawn: [...drawn].sort(), sequences };
}
const rare = {};
for (const option of [{ top_k: 1 }, { top_p: 0.35 }, { min_p: 0.9 }, { typical_p: 0.1 }, { epsilon_cutoff: 0.35 }]) {
  const { drawn } = await draw({ do_sample: true, ...option });
  rare[Object.keys(option)[0]] = drawn.length;
  console.log(`${JSON.stringify(option)} leaves one token; drawn: ${drawn.join(" ")}`);
}
assert.deepEqual(rare, { top_k: 1, top_p: 5, min_p: 5, typical_p: 5, epsilon_cutoff: 5 });
for (const option of [{ num_return_sequences: 3, do_sample: true }, { num_beams: 3, num_return_sequences: 3 }]) {
  const { sequences } = await draw(option, 1);
  console.log(`${JSON.stringify(option)}: ${sequences} sequence`);
  assert.equal(sequences, 1);
}
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
