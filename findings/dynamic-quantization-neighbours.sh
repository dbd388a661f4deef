#!/usr/bin/env bash
# In the usual int8 export a row's result depends on the other rows of the batch.
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
behaviour: Expected: a sequence gets the same result alone and beside others, up to rounding in the last
           bits.
           Happens: DynamicQuantizeLinear has one scale for the whole tensor, as the format says, so a
           neighbour with large values takes all the resolution: here the row becomes zero.
           Hurt: users of int8 models made by dynamic quantization (the `_quantized` files of many hubs):
           batching, padding and drafts of several tokens change embeddings and texts.
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
const encodeModel = (node, inputs, outputs, initializer = [], opset = 21) =>
  onnx.ModelProto.encode(
    onnx.ModelProto.fromObject({
      irVersion: 10,
      opsetImport: [{ domain: "", version: opset }, { domain: "com.microsoft", version: 1 }],
      graph: { name: "g", node, input: inputs.map(typed), output: outputs.map(typed), initializer },
    }),
  ).finish();

const weights = { name: "w", dataType: 3, dims: [4, 1], rawData: new Uint8Array(Int8Array.of(10, 70, -90, -20).buffer) };
const bytes = encodeModel(
  [
    { opType: "DynamicQuantizeLinear", input: ["x"], output: ["codes", "scale", "zero"] },
    { opType: "MatMulInteger", input: ["codes", "w", "zero"], output: ["sums"] },
    { opType: "Cast", input: ["sums"], output: ["floats"], attribute: [{ name: "to", type: 2, i: 1 }] },
    { opType: "Mul", input: ["floats", "scale"], output: ["y"] },
  ],
  [["x", 1, ["N", 4]]],
  [["y", 1, ["N", 1]]],
  [weights],
);
const session = await ort.InferenceSession.create(bytes);
const row = [0.1, 0.2, -0.3, 0.4];
const exact = 0.1 * 10 + 0.2 * 70 + 0.3 * 90 - 0.4 * 20;
const first = async (...batch) => {
  const x = new ort.Tensor("float32", Float32Array.from(batch.flat()), [batch.length, 4]);
  return (await session.run({ x })).y.data[0];
};
const alone = await first(row);
const beside = await first(row, [200, -100, 3, 4]);
console.log(`exact ${exact.toFixed(2)}, alone ${alone.toFixed(2)}, beside a row with larger values ${beside.toFixed(2)}`);
assert.ok(Math.abs(alone - exact) < 1);
assert.equal(beside, 0);
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
