#!/usr/bin/env bash
# The same Softmax node sums over other elements when only the file's operator set changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  onnxruntime-node@1.30.0 \
  onnx-proto@8.0.1

echo "version:   onnxruntime-node 1.30.0"
cat <<'TEXT'
behaviour: Expected: raising `opset_import` of a file whose nodes all stay valid leaves its results as
           they are.
           Happens: up to version 12 Softmax without `axis` flattens everything from the second dimension
           on and normalizes over all of it; from 13 on it takes the last dimension.
           Hurt: those who edit or merge models by hand: attention weights that sum to 1 over all heads
           and rows together, without an error.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import onnxProto from "onnx-proto";
import ort from "onnxruntime-node";

// A model of one graph: nodes, then inputs and outputs as [name, element type, dimensions], then constants.
const { onnx } = onnxProto;
const typed = ([name, elemType, dimensions]) => {
  const dim = dimensions.map((size) => (typeof size === "string" ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
};
const encodeModel = (node, inputs, outputs, initializer = [], opset = 13) =>
  onnx.ModelProto.encode(
    onnx.ModelProto.fromObject({
      irVersion: 10,
      opsetImport: [{ domain: "", version: opset }, { domain: "com.microsoft", version: 1 }],
      graph: { name: "g", node, input: inputs.map(typed), output: outputs.map(typed), initializer },
    }),
  ).finish();

const results = {};
for (const opset of [12, 13]) {
  const shape = [1, 2, 2];
  const bytes = encodeModel([{ opType: "Softmax", input: ["x"], output: ["y"] }], [["x", 1, shape]], [["y", 1, shape]], [], opset);
  const session = await ort.InferenceSession.create(bytes);
  results[opset] = [...(await session.run({ x: new ort.Tensor("float32", new Float32Array(4), shape) })).y.data];
  console.log(`operator set ${opset}: softmax of four zeros of shape 1 x 2 x 2 is ${results[opset]}`);
}
assert.deepEqual(results, { 12: [0.25, 0.25, 0.25, 0.25], 13: [0.5, 0.5, 0.5, 0.5] });
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
