#!/usr/bin/env bash
# A number beyond float8's range becomes the largest one in one library and NaN in the other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  onnxruntime-node@1.30.0 \
  onnx-proto@8.0.1
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  ml_dtypes==0.5.4 numpy==2.4.6 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   onnxruntime-node 1.30.0, ml_dtypes 0.5.4"
cat <<'TEXT'
behaviour: Expected: float8 E4M3 has one conversion from float32.
           Happens: ONNX's Cast saturates by default (1000 becomes 448); ml_dtypes, which JAX and the
           Python tools use, gives NaN.
           Hurt: those who quantize with one and check with the other: an outlier in the weights is
           clipped here and poisons the row there.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
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

const cast = (from, to, code) => ({ opType: "Cast", input: [from], output: [to], attribute: [{ name: "to", type: 2, i: code }] });
const bytes = encodeModel([cast("x", "code", 17), cast("code", "y", 1)], [["x", 1, [3]]], [["y", 1, [3]]]);
const session = await ort.InferenceSession.create(bytes, { graphOptimizationLevel: "disabled" });
const { y } = await session.run({ x: new ort.Tensor("float32", [3.3, 448, 1000], [3]) });
const program = `
import ml_dtypes, numpy
print(*numpy.array([3.3, 448, 1000], numpy.float32).astype(ml_dtypes.float8_e4m3fn).astype(numpy.float32))`;
const python = execFileSync("python/bin/python", ["-c", program], { encoding: "utf8" }).trim();
console.log(`3.3, 448, 1000 as E4M3: ONNX Runtime ${[...y.data].join(" ")}; ml_dtypes ${python}`);
assert.deepEqual([...y.data], [3.25, 448, 448]);
assert.equal(python, "3.25 448.0 nan");
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
