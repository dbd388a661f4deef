#!/usr/bin/env bash
# One NaN among the logits makes ONNX Runtime's TopK return the worst token as the best.
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
behaviour: Expected: a NaN shows in the maximum and in the largest values wherever it stands, or it is
           left out wherever it stands.
           Happens: it depends on its place. At index 1 TopK returns the value before it, here the
           smallest of all, and forgets the largest; further behind TopK and ReduceMax return numbers as
           if nothing were wrong, while ArgMax names the NaN.
           Hurt: samplers that take candidates from a TopK in the graph, and checks for overflow that look
           at the maximum only.
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

const two = { name: "k", dataType: 7, dims: [1], rawData: new Uint8Array(BigInt64Array.of(2n).buffer) };
const scalar = [{ name: "keepdims", type: 2, i: 0 }];
const bytes = encodeModel(
  [
    { opType: "TopK", input: ["x", "k"], output: ["values", "indices"] },
    { opType: "ReduceMax", input: ["x"], output: ["max"], attribute: scalar },
    { opType: "ArgMax", input: ["x"], output: ["argmax"], attribute: scalar },
  ],
  [["x", 1, [100]]],
  [["values", 1, [2]], ["indices", 7, [2]], ["max", 1, []], ["argmax", 7, []]],
  [two],
);
const session = await ort.InferenceSession.create(bytes);
const top = {};
for (const place of [0, 1, 50]) {
  const x = Float32Array.from({ length: 100 }, (_, index) => index); // 0 to 99
  x[place] = Number.NaN;
  const { values, max, argmax } = await session.run({ x: new ort.Tensor("float32", x, [100]) });
  top[place] = [...values.data];
  console.log(`0 to 99, NaN at ${place}: two largest ${top[place]}; max ${max.data[0]}; argmax ${argmax.data[0]}`);
  assert.equal(Number(argmax.data[0]), place);
  assert.equal(Number.isNaN(max.data[0]), place === 0);
}
assert.deepEqual(top, { 0: [Number.NaN, 99], 1: [0, Number.NaN], 50: [99, 98] });
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
