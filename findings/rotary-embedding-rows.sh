#!/usr/bin/env bash
# ONNX Runtime's RotaryEmbedding refuses more tokens in a call than its tables have positions, repeated ones too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  onnxruntime-node@1.30.0 \
  onnx-proto@8.0.1

echo "version:   onnxruntime-node 1.30.0, com.microsoft RotaryEmbedding, CPU"
cat <<'TEXT'
behaviour: Expected: tables for 8 positions serve every call whose position ids are below 8. Tokens may share a
           position: the branches of a draft tree and the documents of a packed sequence do.
           Happens: a call with 9 tokens is refused, though all of its position ids are below 8; the number of
           tokens is held against the number of positions. 8 tokens with the same ids are accepted.
           Hurt: exporters who size the tables by the model's context, whose programs then refuse tree verification
           near the end of it and packed sequences longer than it.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import onnxProto from "onnx-proto";
import ort from "onnxruntime-node";

const { onnx } = onnxProto;
const [positions, width] = [8, 4];
const [float, int64] = [1, 7];
const angle = (at) => Math.floor(at / (width / 2)) * 0.1;
const table = (name, of) => ({
  name,
  dims: [positions, width / 2],
  dataType: float,
  rawData: new Uint8Array(
    Float32Array.from({ length: (positions * width) / 2 }, (_, at) => of(angle(at))).buffer,
  ),
});
const typed = (name, elemType, dims) => ({
  name,
  type: { tensorType: { elemType, shape: { dim: dims.map((dim) => (typeof dim === "string" ? { dimParam: dim } : { dimValue: dim })) } } },
});
const model = onnx.ModelProto.encode(
  onnx.ModelProto.fromObject({
    irVersion: 10,
    opsetImport: [{ domain: "", version: 21 }, { domain: "com.microsoft", version: 1 }],
    graph: {
      name: "g",
      node: [
        {
          opType: "RotaryEmbedding",
          domain: "com.microsoft",
          input: ["x", "ids", "cosines", "sines"],
          output: ["y"],
        },
      ],
      input: [typed("x", float, [1, "tokens", width]), typed("ids", int64, [1, "tokens"])],
      output: [typed("y", float, [1, "tokens", width])],
      initializer: [table("cosines", Math.cos), table("sines", Math.sin)],
    },
  }),
).finish();

const session = await ort.InferenceSession.create(model, { logSeverityLevel: 4 });
async function rotate(ids) {
  const x = new ort.Tensor("float32", new Float32Array(ids.length * width).fill(1), [1, ids.length, width]);
  const positionIds = new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
  return (await session.run({ x, ids: positionIds })).y.dims;
}

const shared = [0, 1, 2, 2, 3, 3, 4, 4];
console.log(`  8 tokens at positions ${shared.join(" ")}: accepted, [${await rotate(shared)}]`);
const message = await rotate([...shared, 4]).then(
  () => undefined,
  (error) => error.message,
);
assert.ok(message, "9 tokens are accepted now");
console.log(`  9 tokens at positions ${shared.join(" ")} 4: ${message.split("\n")[0]}`);
JAVASCRIPT
node check.mjs
