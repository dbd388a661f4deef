#!/usr/bin/env bash
# Converting a tensor to float16 in transformers.js under Node 20 or 22 makes zero of nearly every number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @huggingface/transformers@4.3.2

echo "version:   @huggingface/transformers 4.3.2, node $(node --version | tr -d v)"
cat <<'TEXT'
behaviour: Expected: tensor.to(type) converts as PyTorch's method does, whose interface the class follows: to float16 it
           rounds to the nearest half-precision number, to integers it cuts the fraction off, to bool only 0 is false.
           Happens: where the engine has no Float16Array (Node before 24) float16 is kept in 16-bit integers, and to("float16")
           puts the whole part of each number there as if it were the bits: 1.7 becomes 6e-8 and -1.7
           NaN. Back to float32 the bits are decoded rightly. To int64 -1.7 becomes -2, to bool 0.5 becomes 0.
           Hurt: who feeds float16 models by hand (key-value caches, encoder states, images): the input is zeros and
           NaN without an error, and in a browser with Float16Array the same code is right.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { Tensor } from "@huggingface/transformers";

const numbers = [0.1, 1.7, -1.7, 300.25];
const tensor = new Tensor("float32", Float32Array.from(numbers), [4]);
const half = tensor.to("float16");
const back = [...half.to("float32").data];
const whole = [...tensor.to("int64").data].map(Number);
const truth = [...new Tensor("float32", Float32Array.of(0, 0.5, 2), [3]).to("bool").data];
console.log(`${numbers.join(", ")} to float16 and back: ${back.map((x) => x.toPrecision(3)).join(", ")} (${half.data.constructor.name})`);
console.log(`to int64: ${whole.join(", ")}`);
console.log(`0, 0.5, 2 to bool: ${truth.join(", ")}`);
if (typeof Float16Array === "undefined") {
  assert.equal(half.data.constructor, Uint16Array);
  for (const [index, x] of back.entries()) {
    assert.ok(numbers[index] > 0 ? x < 1e-4 : Number.isNaN(x));
  }
}
assert.deepEqual(whole, [0, 1, -2, 300]);
assert.deepEqual(truth, [0, 0, 2]);
JAVASCRIPT
ORT_DISABLE_TELEMETRY=1 node check.mjs
