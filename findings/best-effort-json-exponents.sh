#!/usr/bin/env bash
# While an answer still streams, best-effort-json-parser reads 1e-4 as 1 and loses the name of the next field.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline best-effort-json-parser@1.5.1

echo "version:   best-effort-json-parser 1.5.1"
cat <<'TEXT'
behaviour: Expected: of JSON that is not complete yet, the fields that are complete have their values.
           Happens: a number ends at its exponent, and the exponent becomes part of the next name: of
           {"rate": 1e-4, "steps": 500, "no the fields are "rate", 1, and 'e-4, "steps"', 500. In a list the exponent is
           an item of its own. Once the text is complete all is right, for then JSON.parse reads it.
           Hurt: interfaces and agents that act on fields as they arrive (that is what the parser is for): small
           probabilities, learning rates and losses are off by powers of ten, the field after is missing, and
           nothing of it is left in the final value.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { parse } from "best-effort-json-parser";

console.error = () => {};
const whole = '{"rate": 1e-4, "steps": 500, "scores": [2.5e-7, 0.5], "note": "small"}';
const parts = [28, 52, whole.length].map((length) => whole.slice(0, length));
const found = parts.map((text) => {
  const value = parse(text);
  console.log(`${text}\n  ${JSON.stringify(value)}`);
  return value;
});
assert.deepEqual(found[0], { rate: 1, 'e-4, "steps"': 500 });
assert.deepEqual(found[1], { rate: 1, 'e-4, "steps"': 500, scores: [2.5, "e-7", 0.5] });
assert.deepEqual(found[2], JSON.parse(whole));
JAVASCRIPT
node check.mjs
