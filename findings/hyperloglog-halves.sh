#!/usr/bin/env bash
# The HyperLogLog of the package bloom-filters counts half of the distinct words that are there.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline bloom-filters@3.0.4

echo "version:   bloom-filters 3.0.4"
cat <<'TEXT'
behaviour: Expected: a sketch of 1,024 registers estimates the number of distinct elements within some 3 percent, as
           accuracy() says, and small numbers almost exactly.
           Happens: up to about as many elements as registers the estimate is around half of the
           number, for words, user names and addresses alike; far above it is right. More registers move the border up:
           with 4,096 of them 5,000 words count as 2,500.
           Hurt: statistics of vocabularies, users or documents after removing duplicates: small shards are
           halved, large ones are not, so their ratios are wrong. An issue about too small counts is closed as solved.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import bloomFilters from "bloom-filters";

const share = {};
for (const [registers, counts] of [[1024, [100, 1000, 5000]], [4096, [1000, 5000]]]) {
  for (const count of counts) {
    const kinds = ["word", "user-", "https://example.org/"].map((prefix) => {
      const sketch = new bloomFilters.HyperLogLog(registers);
      for (let i = 0; i < count; i++) sketch.update(prefix + i);
      return { counted: sketch.count(true), accuracy: sketch.accuracy() };
    });
    share[`${registers}/${count}`] = kinds.map(({ counted }) => counted / count);
    const counted = kinds.map((kind) => kind.counted).join(", ");
    console.log(`${registers} registers (accuracy ${kinds[0].accuracy}), ${count} distinct: ${counted}`);
  }
}
for (const halved of ["1024/100", "1024/1000", "4096/1000", "4096/5000"]) {
  assert.ok(share[halved].every((part) => part > 0.35 && part < 0.6), halved);
}
assert.ok(share["1024/5000"].every((part) => part > 0.9 && part < 1.1));
JAVASCRIPT
node check.mjs
