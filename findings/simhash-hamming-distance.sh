#!/usr/bin/env bash
# simhash-js counts another number of differing bits for nearly every pair of hashes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline simhash-js@1.0.0

echo "version:   simhash-js 1.0.0"
cat <<'TEXT'
behaviour: Expected: Comparator.hammingDistance of two hashes of 32 bits is the number of bits in which they differ, and
           similarity grows as it falls.
           Happens: the count is right for equal hashes only. One bit is 2 or 24, according to its place; all 32 bits
           are 24 or 30; of random pairs about one in a hundred comes out right. similarity is wrong in another way:
           hashes without a common one bit have similarity 0 however near they are (0 and 1).
           Hurt: removal of near duplicates from corpora and crawls by "at most 3 bits": a difference of 2 bits is counted
           as 4 and more, so duplicates stay, and thresholds tuned on the package mean nothing elsewhere.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
const { Comparator, SimHash } = createRequire(import.meta.url)("simhash-js");

const bits = (a, b) => [...((a ^ b) >>> 0).toString(2)].filter((digit) => digit === "1").length;
const hash = new SimHash();
const pairs = [
  [0, 1], [0, 2 ** 31], [0, 0xffff], [0xf0f0f0f0, 0x0f0f0f0f], [0, 0xffffffff],
  [hash.hash("the quick brown fox jumps over the lazy dog"), hash.hash("the quick brown fox jumps over the lazy dogs")],
];
for (const [a, b] of pairs)
  console.log(`${a.toString(16)} and ${b.toString(16)}: ${bits(a, b)} bits differ, counted ${Comparator.hammingDistance(a, b)}, similarity ${Comparator.similarity(a, b).toFixed(2)}`);
let state = 1;
const word = () => {
  let value = 0;
  for (let part = 0; part < 4; part++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    value = ((value << 8) | (state >>> 24)) >>> 0;
  }
  return value;
};
let right = 0;
for (let count = 0; count < 1000; count++) {
  const a = word(), b = word();
  if (bits(a, b) === Comparator.hammingDistance(a, b)) right++;
}
console.log(`right for ${right} of 1,000 random pairs`);
assert.equal(Comparator.hammingDistance(0, 1), 2);
assert.equal(Comparator.hammingDistance(0, 2 ** 31), 24);
assert.equal(Comparator.similarity(0, 1), 0);
assert.ok(right < 100);
JAVASCRIPT
node check.mjs
