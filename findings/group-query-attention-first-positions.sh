#!/usr/bin/env bash
# The position ids of a prompt are not read when the key-value cache is empty.
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
behaviour: Expected: com.microsoft.GroupQueryAttention with `do_rotary` turns each key by the position
           that `position_ids` gives it.
           Happens: with an empty cache only the first id counts and the others go up by one from it; with
           one cached token every id is read.
           Hurt: packed or gapped prompts and draft trees in the first call: other text, no error.
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

const size = 16;
const rows = 32;
const attribute = [["num_heads", 1], ["kv_num_heads", 1], ["do_rotary", 1]].map(([name, i]) => ({ name, type: 2, i }));
const input = ["q", "k", "v", "pastK", "pastV", "last", "total", "cos", "sin", "position"];
const bytes = encodeModel(
  [{ opType: "GroupQueryAttention", domain: "com.microsoft", input, output: ["y", "keys", "values"], attribute }],
  [
    ...["q", "k", "v"].map((name) => [name, 1, [1, "S", size]]),
    ...["pastK", "pastV"].map((name) => [name, 1, [1, 1, "P", size]]),
    ["last", 6, [1]],
    ["total", 6, []],
    ...["cos", "sin"].map((name) => [name, 1, [rows, size / 2]]),
    ["position", 7, [1, "S"]],
  ],
  [["y", 1, [1, "S", size]], ...["keys", "values"].map((name) => [name, 1, [1, 1, "T", size]])],
);
const session = await ort.InferenceSession.create(bytes);
const tensor = (type, data, dims) => new ort.Tensor(type, data, dims);
const numbers = (count, seed) => Float32Array.from({ length: count }, (_, i) => Math.sin(seed + 1.7 * i));
const angle = (index) => Math.floor(index / 8) * 10000 ** (-(index % 8) / 8);
const table = (of) => tensor("float32", Float32Array.from({ length: rows * 8 }, (_, i) => of(angle(i))), [rows, 8]);
async function keysAt(positions, past) {
  const count = positions.length;
  const { keys } = await session.run({
    ...Object.fromEntries(["q", "k", "v"].map((name, i) => [name, tensor("float32", numbers(count * size, i), [1, count, size])])),
    ...Object.fromEntries(["pastK", "pastV"].map((name) => [name, tensor("float32", numbers(past * size, 5), [1, 1, past, size])])),
    last: tensor("int32", Int32Array.of(past + count - 1), [1]),
    total: tensor("int32", Int32Array.of(past + count), []),
    cos: table(Math.cos),
    sin: table(Math.sin),
    position: tensor("int64", BigInt64Array.from(positions, BigInt), [1, count]),
  });
  return [...keys.data.slice(past * size)];
}
const difference = (a, b) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));
const empty = difference(await keysAt([0, 1, 2], 0), await keysAt([0, 9, 1], 0));
const filled = difference(await keysAt([1, 2, 3], 1), await keysAt([1, 9, 1], 1));
console.log(`keys at positions 0,1,2 and at 0,9,1, cache empty: largest difference ${empty}`);
console.log(`keys at positions 1,2,3 and at 1,9,1, one token cached: largest difference ${filled.toFixed(3)}`);
assert.equal(empty, 0);
assert.ok(filled > 0.1);
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
