#!/usr/bin/env bash
# ONNX Runtime's quantized experts take several times as long where scales belong to blocks of weights.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  onnxruntime-node@1.30.0 \
  onnx-proto@8.0.1

echo "version:   onnxruntime-node 1.30.0, com.microsoft QMoE, CPU, one thread"
cat <<'TEXT'
behaviour: Expected: 4-bit experts with a scale for each block of 32 weights, the usual form of 4-bit files,
           decode a token about as fast as those with one scale a row: the same weights are read.
           Happens: with block_size = 32 or 128 a token takes several times as long.
           Hurt: exporters who choose blocks for their accuracy, and wonder why the model is slow.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import onnxProto from "onnx-proto";
import ort from "onnxruntime-node";

const { onnx } = onnxProto;
const [hidden, width, experts, perToken] = [512, 512, 16, 4];
const [float, uint8] = [1, 2];

// Any weights do: a small generator, so that every run has the same ones.
let state = 1;
const next = () => (state = (state * 48271) % 2147483647) / 2147483647;
const tensor = (name, dims, dataType) => {
  const count = dims.reduce((a, b) => a * b);
  const values = Array.from({ length: count }, next);
  const data =
    dataType === float
      ? new Uint8Array(Float32Array.from(values, (value) => value * 0.01).buffer)
      : Uint8Array.from(values, (value) => value * 256);
  return { name, dims, dataType, rawData: data };
};
const typed = (name) => ({
  name,
  type: { tensorType: { elemType: float, shape: { dim: [{ dimParam: "rows" }, { dimParam: "width" }] } } },
});
const integer = (name, i) => ({ name, type: 2, i });
const text = (name, s) => ({ name, type: 3, s: Buffer.from(s) });

function encodeModel(block) {
  const scales = (rows, columns) => (block ? [experts, rows, columns / block] : [experts, rows]);
  const initializer = [
    tensor("up", [experts, 2 * width, hidden / 2], uint8),
    tensor("up_scales", scales(2 * width, hidden), float),
    tensor("down", [experts, hidden, width / 2], uint8),
    tensor("down_scales", scales(hidden, width), float),
  ];
  const attribute = [
    integer("k", perToken),
    text("activation_type", "swiglu"),
    integer("swiglu_fusion", 1),
    integer("expert_weight_bits", 4),
    ...(block ? [integer("block_size", block)] : []),
  ];
  const node = [
    {
      opType: "QMoE",
      domain: "com.microsoft",
      input: ["x", "router", "up", "up_scales", "", "down", "down_scales"],
      output: ["y"],
      attribute,
    },
  ];
  return onnx.ModelProto.encode(
    onnx.ModelProto.fromObject({
      irVersion: 10,
      opsetImport: [{ domain: "", version: 21 }, { domain: "com.microsoft", version: 1 }],
      graph: { name: "g", node, input: [typed("x"), typed("router")], output: [typed("y")], initializer },
    }),
  ).finish();
}

const sizes = [0, 128, 32];
const sessions = new Map();
for (const block of sizes) {
  const options = { intraOpNumThreads: 1, logSeverityLevel: 4 };
  sessions.set(block, await ort.InferenceSession.create(encodeModel(block), options));
}
const inputs = {
  x: new ort.Tensor("float32", Float32Array.from({ length: hidden }, next), [1, hidden]),
  router: new ort.Tensor("float32", Float32Array.from({ length: experts }, next), [1, experts]),
};
const times = new Map(sizes.map((block) => [block, []]));
for (let round = 0; round < 40; round++) {
  for (const block of sizes) {
    const began = performance.now();
    await sessions.get(block).run(inputs);
    times.get(block).push(performance.now() - began);
  }
}
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const whole = median(times.get(0));
console.log("one scale a row: 1 (the measure)");
for (const block of [128, 32]) {
  const ratio = median(times.get(block)) / whole;
  console.log(`blocks of ${block}: ${ratio.toFixed(1)} times as long`);
  assert.ok(ratio > 2, `blocks of ${block} take ${ratio} times as long, expected more than 2`);
}
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
