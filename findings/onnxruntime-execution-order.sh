#!/usr/bin/env bash
# ONNX Runtime runs independent nodes in the reverse of the file's order.
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
behaviour: Expected: nodes run in the order of the file, which the format demands to be a topological one.
           Happens: four independent nodes a, b, c, d run as d, c, b, a.
           Hurt: those who order nodes to keep memory low or who let an output share the memory of an
           input that another node still reads.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
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

const names = ["a", "b", "c", "d"];
const bytes = encodeModel(
  [
    ...names.map((name) => ({ name, opType: "Exp", input: ["x"], output: [name] })),
    { name: "sum", opType: "Sum", input: names, output: ["y"] },
  ],
  [["x", 1, [2]]],
  [["y", 1, [2]]],
);
const options = { graphOptimizationLevel: "disabled", executionMode: "sequential", enableProfiling: true, profileFilePrefix: "profile" };
const session = await ort.InferenceSession.create(bytes, options);
await session.run({ x: new ort.Tensor("float32", [1, 2], [2]) });
session.endProfiling();
const file = readdirSync(".").find((name) => name.startsWith("profile"));
const events = JSON.parse(readFileSync(file, "utf8")).filter(({ cat, name }) => cat === "Node" && name.endsWith("_kernel_time"));
const order = events.map(({ name }) => name.replace("_kernel_time", "")).join(" ");
console.log(`file: a b c d sum; run: ${order}`);
assert.equal(order, "d c b a sum");
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
