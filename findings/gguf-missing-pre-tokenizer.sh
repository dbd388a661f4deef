#!/usr/bin/env bash
# A GGUF file without the name of its pre-tokenizer is read with the cuts of Llama 3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  node-llama-cpp@3.22.1

echo "version:   node-llama-cpp 3.22.1"
cat <<'TEXT'
behaviour: Expected: a file of a GPT-2 vocabulary without `tokenizer.ggml.pre` (as files of the first
           years are) is cut as GPT-2 does, or refused.
           Happens: it loads, and numbers are cut in threes: the same file with the key set to gpt-2 gives
           other ids.
           Hurt: users of older or home-made files: prompts with numbers and code are tokenized otherwise
           than in training, with a line in the log at most.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { getLlama } from "node-llama-cpp";

// The printable characters that byte-level vocabularies use for the 256 bytes.
const printable = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
let next = 256;
const letters = Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
const merges = ["1 2", "12 3", "123 4"];
const tokens = [...letters, ...merges.map((merge) => merge.replace(" ", "")), "<|end|>"];

const uint32 = (value) => Buffer.from(Uint32Array.of(value).buffer);
const uint64 = (value) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const string = (text) => Buffer.concat([uint64(Buffer.byteLength(text)), Buffer.from(text)]);
const codes = { u32: 4, i32: 5, f32: 6, text: 8 };
const write = { u32: uint32, i32: uint32, f32: (value) => Buffer.from(Float32Array.of(value).buffer), text: string };
const padded = (bytes) => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);
function writeGguf(path, pre) {
  const fields = {
    "general.architecture": ["text", "llama"],
    "llama.context_length": ["u32", 64],
    "llama.embedding_length": ["u32", 16],
    "llama.block_count": ["u32", 1],
    "llama.feed_forward_length": ["u32", 32],
    "llama.attention.head_count": ["u32", 1],
    "llama.attention.layer_norm_rms_epsilon": ["f32", 1e-5],
    "tokenizer.ggml.model": ["text", "gpt2"],
    "tokenizer.ggml.tokens": ["text", tokens],
    "tokenizer.ggml.token_type": ["i32", tokens.map((token) => (token === "<|end|>" ? 3 : 1))],
    "tokenizer.ggml.merges": ["text", merges],
    "tokenizer.ggml.eos_token_id": ["u32", tokens.length - 1],
    ...(pre && { "tokenizer.ggml.pre": ["text", pre] }),
  };
  const encodedFields = Object.entries(fields).flatMap(([key, [type, value]]) => [
    string(key),
    ...(Array.isArray(value)
      ? [uint32(9), uint32(codes[type]), uint64(value.length), ...value.map(write[type])]
      : [uint32(codes[type]), write[type](value)]),
  ]);
  const square = ["attn_q", "attn_k", "attn_v", "attn_output"].map((name) => [`blk.0.${name}.weight`, [16, 16]]);
  const shapes = [
    ["token_embd.weight", [16, tokens.length]], ["output.weight", [16, tokens.length]], ["output_norm.weight", [16]],
    ["blk.0.attn_norm.weight", [16]], ["blk.0.ffn_norm.weight", [16]], ...square,
    ["blk.0.ffn_gate.weight", [16, 32]], ["blk.0.ffn_up.weight", [16, 32]], ["blk.0.ffn_down.weight", [32, 16]],
  ];
  let offset = 0;
  const data = [];
  const descriptions = shapes.map(([name, dims]) => {
    const values = padded(Buffer.from(new Float32Array(dims.reduce((a, b) => a * b)).fill(0.1).buffer));
    const parts = [string(name), uint32(dims.length), ...dims.map(uint64), uint32(0), uint64(offset)];
    offset += values.length;
    data.push(values);
    return Buffer.concat(parts);
  });
  const count = [uint64(shapes.length), uint64(Object.keys(fields).length)];
  const head = [Buffer.from("GGUF"), uint32(3), ...count, ...encodedFields, ...descriptions];
  writeFileSync(path, Buffer.concat([padded(Buffer.concat(head)), ...data]));
}

const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, logLevel: "error" });
const cuts = {};
for (const pre of ["gpt-2", "llama-bpe", undefined]) {
  writeGguf(`${pre}.gguf`, pre);
  const model = await llama.loadModel({ modelPath: `${pre}.gguf` });
  cuts[String(pre)] = model.tokenize("1234").map((id) => tokens[id]).join(" | ");
  console.log(`tokenizer.ggml.pre ${pre ?? "absent"}: 1234 is ${cuts[String(pre)]}`);
  await model.dispose();
}
assert.deepEqual(cuts, { "gpt-2": "1234", "llama-bpe": "123 | 4", undefined: "123 | 4" });
await llama.dispose();
JAVASCRIPT
node check.mjs
