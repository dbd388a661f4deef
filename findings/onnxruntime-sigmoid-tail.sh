#!/usr/bin/env bash
# ONNX Runtime's Sigmoid is not monotone: a lower score can get the higher probability, and from -18 on all are 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  onnxruntime-node@1.30.0 onnx-proto@8.0.1

echo "version:   onnxruntime-node 1.30.0"
cat <<'TEXT'
behaviour: Expected: 1/(1 + exp(-x)) grows with x and has a few bits of error; in float32 it is above 0 down to x = -88.
           Happens: the kernel for processors has a fixed error of about 5e-8 instead of a relative one. At -10 the
           result is off by 0.02 %, at -14 by some 5 %, near -16 by half and it goes up and down; from about -18 on it is 0,
           so that its logarithm is minus infinity. Softmax over (x, 0) is right. WebAssembly does the same.
           Hurt: rerankers and classifiers that end in a Sigmoid: irrelevant documents are in the wrong order or tied at 0,
           rare labels have no probability, and logarithms (losses, products of scores) are infinite.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import onnxProto from "onnx-proto";
import ort from "onnxruntime-node";

const { onnx } = onnxProto;
const typed = ([name, sizes]) => {
  const dim = sizes.map((size) => (typeof size === "string" ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType: 1, shape: { dim } } } };
};
const sessionOf = (opType, sizes) =>
  ort.InferenceSession.create(
    onnx.ModelProto.encode(
      onnx.ModelProto.fromObject({
        irVersion: 10,
        opsetImport: [{ domain: "", version: 21 }],
        graph: {
          name: "g",
          node: [{ opType, input: ["x"], output: ["y"] }],
          input: [["x", sizes]].map(typed),
          output: [["y", sizes]].map(typed),
        },
      }),
    ).finish(),
  );
const count = 40001;
const xs = Float32Array.from({ length: count }, (_, index) => -30 + index / 1000);
const sigmoid = await sessionOf("Sigmoid", ["n"]);
const { y } = await sigmoid.run({ x: new ort.Tensor("float32", xs, [count]) });
const softmax = await sessionOf("Softmax", ["n", 2]);
const pairs = Float32Array.from({ length: 2 * count }, (_, index) => (index % 2 === 0 ? xs[index >> 1] : 0));
const { y: both } = await softmax.run({ x: new ort.Tensor("float32", pairs, [count, 2]) });

const results = { Sigmoid: (index) => y.data[index], Softmax: (index) => both.data[2 * index] };
const found = {};
for (const [name, at] of Object.entries(results)) {
  let falls = 0;
  let zeros = 0;
  let worst = 0;
  for (let index = 0; index < count; index++) {
    const exact = 1 / (1 + Math.exp(-xs[index]));
    if (index > 0 && at(index) < at(index - 1)) falls++;
    if (at(index) === 0) zeros++;
    if (xs[index] > -15) worst = Math.max(worst, Math.abs(at(index) / exact - 1));
  }
  const some = [-20, -17, -16, -14, -10].map((x) => `${x}: ${at(Math.round((x + 30) * 1000)).toExponential(3)}`);
  console.log(`${name}: ${some.join(", ")}; falls ${falls} times in ${count - 1} steps from -30 to 10, ${zeros} zeros, error above -15 up to ${worst.toExponential(1)}`);
  found[name] = { falls, zeros, worst };
}
console.log(`exact:   ${[-20, -17, -16, -14, -10].map((x) => `${x}: ${(1 / (1 + Math.exp(-x))).toExponential(3)}`).join(", ")}`);
assert.ok(found.Sigmoid.falls > 1000 && found.Sigmoid.zeros > 11000 && found.Sigmoid.worst > 0.05);
assert.ok(found.Softmax.falls < 100 && found.Softmax.zeros === 0 && found.Softmax.worst < 1e-5);
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
