#!/usr/bin/env bash
# The L1 length of a vector with negative numbers can be negative in transformers.js.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @huggingface/transformers@4.3.2

echo "version:   @huggingface/transformers 4.3.2"
cat <<'TEXT'
behaviour: Expected: norm(p) and normalize(p) of a tensor take absolute values, as PyTorch's functions of the same
           names do whose interface the class follows.
           Happens: the numbers are raised to the power with their signs. For p = 1 the length of (1, -3) is
           -2, normalizing by it turns the vector around, and (1, -1) has length zero; for p = 3 the result is
           NaN as soon as the sum is negative. Even orders are right, so the default never shows it.
           Hurt: ports of models and losses that normalize by L1 or L3: embeddings point the other way, or
           are divided by next to nothing, without an error.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { Tensor } from "@huggingface/transformers";

const vector = new Tensor("float32", Float32Array.of(1, -3), [1, 2]);
const found = {};
for (const order of [1, 2, 3]) {
  const length = vector.norm(order, 1).tolist()[0];
  const scaled = vector.normalize(order, 1).tolist()[0];
  const expected = (1 + 3 ** order) ** (1 / order);
  found[order] = [length, ...scaled];
  console.log(`p = ${order}: length ${length} (expected ${expected.toFixed(4)}), normalized ${scaled.join(", ")}`);
}
assert.deepEqual(found[1], [-2, -0.5, 1.5]);
assert.ok(Math.abs(found[2][0] - Math.sqrt(10)) < 1e-6);
assert.ok(found[3].every(Number.isNaN));
JAVASCRIPT
node check.mjs
