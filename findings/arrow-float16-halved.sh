#!/usr/bin/env bash
# Numbers just below a power of two are halved when Arrow for JavaScript writes float16.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline apache-arrow@21.2.0

echo "version:   apache-arrow 21.2.0"
cat <<'TEXT'
behaviour: Expected: a number becomes the nearest float16, beyond the range an infinity, next to zero a zero.
           Happens: where rounding carries into the exponent the carry is lost for every second power of two:
           0.4999 becomes 0.25. Most numbers from 65536 on become small ones (70000 becomes 2.13), some
           below 3e-8 become minus infinity or NaN. Reading is right, so the file holds the wrong numbers.
           Hurt: who stores embeddings in half precision from JavaScript, in Arrow files or in LanceDB, whose client
           writes with this package: about one unit vector of 768 numbers in ten has a number that is half of
           what it should be, and large activations come back as ordinary values.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { Float16, vectorFromArray } from "apache-arrow";

const stored = (numbers) => [...vectorFromArray(numbers, new Float16())];
const numbers = [0.4999, 0.49, 0.12499, 1.9999, 7.9999, 65504, 70000, 1e6, 2.9e-8];
const found = stored(numbers);
numbers.forEach((number, i) => console.log(`${number} is stored as ${found[i]}`));
assert.deepEqual(found.slice(0, 5), [0.25, 0.489990234375, 0.0625, 1, 4]);
assert.equal(found[5], 65504);
assert.equal(found[6], 2.134765625);
assert.ok(found[7] < 4);
assert.equal(found[8], -Infinity);

// Unit vectors of normally distributed numbers from a small generator.
let state = 1n;
const uniform = () => {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return (Number(state >> 11n) + 0.5) / 2 ** 53;
};
const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
let damaged = 0;
for (let count = 0; count < 500; count++) {
  const raw = Array.from({ length: 768 }, normal);
  const length = Math.hypot(...raw);
  const vector = raw.map((number) => number / length);
  const read = stored(vector);
  damaged += vector.some((number, i) => Math.abs(read[i] / number) < 0.51 && Math.abs(number) > 1e-4);
}
console.log(`unit vectors of 768 numbers with a halved one: ${damaged} of 500`);
assert.ok(damaged > 20);
JAVASCRIPT
node check.mjs
