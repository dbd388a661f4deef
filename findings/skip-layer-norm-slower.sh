#!/usr/bin/env bash
# ONNX Runtime's optimizer joins a sum and its layer norm into a kernel that takes several times as long.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  onnxruntime-node@1.30.0 \
  onnx-proto@8.0.1

echo "version:   onnxruntime-node 1.30.0, SkipLayerNormFusion, CPU, one thread"
cat <<'TEXT'
behaviour: Expected: the full graph optimization, which is the default, joins Add and LayerNormalization into
           SkipLayerNormalization because one pass over the numbers is faster than two.
           Happens: the joined kernel takes more than twice as long as both apart. In a small BERT a quarter of
           the time of a forward pass goes there. The other fusion of the kind, with SimplifiedLayerNormalization,
           costs nothing.
           Hurt: everyone who runs encoders on processors with default options. Switching that one fusion off
           (optimization.disable_specified_optimizers) brings the time back.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import onnxProto from "onnx-proto";
import ort from "onnxruntime-node";

const { onnx } = onnxProto;
const rows = 512;
const width = 384;
const layers = 12;
const typed = (name, ...sizes) => ({
  name,
  type: { tensorType: { elemType: 1, shape: { dim: sizes.map((dimValue) => ({ dimValue })) } } },
});
const node = [];
for (let layer = 0; layer < layers; layer++) {
  const attribute = [
    { name: "axis", type: 2, i: -1 },
    { name: "epsilon", type: 1, f: 1e-12 },
  ];
  node.push({ opType: "Add", input: [layer === 0 ? "x" : `y${layer - 1}`, "s"], output: [`a${layer}`] });
  node.push({ opType: "LayerNormalization", input: [`a${layer}`, "scale", "bias"], output: [`y${layer}`], attribute });
}
const vector = (name, value) => ({ name, dataType: 1, dims: [width], floatData: Array(width).fill(value) });
const bytes = onnx.ModelProto.encode(
  onnx.ModelProto.fromObject({
    irVersion: 10,
    opsetImport: [{ domain: "", version: 21 }, { domain: "com.microsoft", version: 1 }],
    graph: {
      name: "g",
      node,
      input: [typed("x", 1, rows, width), typed("s", 1, rows, width)],
      output: [typed(`y${layers - 1}`, 1, rows, width)],
      initializer: [vector("scale", 1.1), vector("bias", 0.1)],
    },
  }),
).finish();

const ways = { "default options": {}, "without that fusion": { disable_specified_optimizers: "SkipLayerNormFusion" } };
const data = () =>
  new ort.Tensor("float32", Float32Array.from({ length: rows * width }, (_, at) => Math.sin(at)), [1, rows, width]);
const feeds = { x: data(), s: data() };
const sessions = new Map();
for (const [name, optimization] of Object.entries(ways)) {
  const options = { intraOpNumThreads: 1, logSeverityLevel: 4, extra: { optimization } };
  sessions.set(name, { session: await ort.InferenceSession.create(bytes, options), times: [], result: undefined });
}
for (let round = 0; round < 40; round++) {
  for (const way of sessions.values()) {
    const began = performance.now();
    const results = await way.session.run(feeds);
    way.times.push(performance.now() - began);
    way.result = results[`y${layers - 1}`].data;
  }
}
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const [joined, apart] = sessions.values();
const difference = joined.result.reduce((most, value, at) => Math.max(most, Math.abs(value - apart.result[at])), 0);
const ratio = median(joined.times) / median(apart.times);
console.log(`the same results: ${difference < 1e-4 ? "yes" : `no (${difference})`}`);
console.log(`joined: ${ratio.toFixed(1)} times as long as apart`);
assert.ok(difference < 1e-4);
assert.ok(ratio > 2, `joined takes ${ratio} times as long, expected more than 2`);
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
