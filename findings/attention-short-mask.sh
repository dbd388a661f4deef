#!/usr/bin/env bash
# ONNX Runtime refuses attention masks that the operator's definition allows.
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
behaviour: Expected: the definition of ai.onnx Attention (from version 24) lets the mask's last dimension
           be shorter than the keys; what is missing counts as masked.
           Happens: the CPU kernel wants the full length and ends the run with an error.
           Hurt: writers of exporters who follow the text of the standard: valid files that do not run.
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
const encodeModel = (node, inputs, outputs, initializer = [], opset = 24) =>
  onnx.ModelProto.encode(
    onnx.ModelProto.fromObject({
      irVersion: 10,
      opsetImport: [{ domain: "", version: opset }, { domain: "com.microsoft", version: 1 }],
      graph: { name: "g", node, input: inputs.map(typed), output: outputs.map(typed), initializer },
    }),
  ).finish();

const outcome = {};
for (const width of [3, 2]) {
  const bytes = encodeModel(
    [{ opType: "Attention", input: ["q", "k", "v", "mask"], output: ["y"] }],
    [["q", 1, [1, 1, 2, 8]], ["k", 1, [1, 1, 3, 8]], ["v", 1, [1, 1, 3, 8]], ["mask", 1, [2, width]]],
    [["y", 1, [1, 1, 2, 8]]],
  );
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4 });
  const filled = (...dims) => new ort.Tensor("float32", new Float32Array(dims.reduce((a, b) => a * b)).fill(1), dims);
  try {
    const { y } = await session.run({ q: filled(1, 1, 2, 8), k: filled(1, 1, 3, 8), v: filled(1, 1, 3, 8), mask: filled(2, width) });
    outcome[width] = `runs, ${y.data.length} values`;
  } catch (error) {
    outcome[width] = `refused (${/inconsistent [a-z_]+/.exec(error.message)?.[0]})`;
  }
  console.log(`3 keys, mask of width ${width}: ${outcome[width]}`);
}
assert.match(outcome[3], /^runs/);
assert.match(outcome[2], /^refused \(inconsistent total_sequence_length\)/);
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
