#!/usr/bin/env bash
# A tensor handed over to receive an output stays as it was in the browser's runtime.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  onnxruntime-node@1.30.0 \
  onnxruntime-web@1.30.0 \
  onnx-proto@8.0.1

echo "version:   onnxruntime-node 1.30.0, onnxruntime-web 1.30.0"
cat <<'TEXT'
behaviour: Expected: `run(feeds, {y: tensor})` fills the tensor that is given for the output, in Node and
           in WebAssembly alike.
           Happens: WebAssembly returns the given tensor with its old content and no error; Node fills it,
           and returns one more copy in another buffer.
           Hurt: programs that reuse buffers (key-value caches, logits) and were tested in Node: in a
           browser they go on with stale numbers.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import onnxProto from "onnx-proto";
import native from "onnxruntime-node";
import web from "onnxruntime-web";

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

web.env.wasm.numThreads = 1;
const bytes = encodeModel([{ opType: "Add", input: ["x", "x"], output: ["y"] }], [["x", 1, [3]]], [["y", 1, [3]]]);
for (const [name, ort, provider] of [["node", native, "cpu"], ["web", web, "wasm"]]) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: [provider] });
  const mine = new Float32Array([7, 7, 7]);
  const x = new ort.Tensor("float32", new Float32Array([1, 2, 3]), [3]);
  const { y } = await session.run({ x }, { y: new ort.Tensor("float32", mine, [3]) });
  console.log(`${name}: given ${mine}, returned ${y.data}, same buffer: ${y.data.buffer === mine.buffer}`);
  assert.deepEqual([...y.data], name === "node" ? [2, 4, 6] : [7, 7, 7]);
  assert.equal(y.data.buffer === mine.buffer, name === "web");
  const fresh = await session.run({ x });
  assert.deepEqual([...fresh.y.data], [2, 4, 6]);
}
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
