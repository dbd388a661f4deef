#!/usr/bin/env bash
# A cuckoo filter of the package bloom-filters denies a third of what was added to it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline bloom-filters@3.0.4

echo "version:   bloom-filters 3.0.4"
cat <<'TEXT'
behaviour: Expected: a "no" of such a filter is certain, as the package's README says too; only a "yes" can be
           wrong. The filter made for 1000 items takes these.
           Happens: every item is reported as added, and for about every third one the answer is "no" right
           afterwards. Its two places are computed modulo a size that is no power of two, so the second place
           of an item that had to move does not lead back to the first. The Bloom filter of the same package
           has none of this.
           Hurt: removal of duplicates and of test questions from training texts, caches of what was seen: a
           third of the repetitions pass.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import bloomFilters from "bloom-filters";

const items = Array.from({ length: 1000 }, (_, i) => `line ${i}`);
const count = (filter) => {
  const added = items.filter((item) => filter.add(item) !== false).length;
  const denied = items.filter((item) => !filter.has(item)).length;
  return { added, denied };
};
const cuckoo = count(bloomFilters.CuckooFilter.create(items.length, 0.01));
const bloom = count(bloomFilters.BloomFilter.create(items.length, 0.01));
console.log(`cuckoo filter: ${cuckoo.added} of 1000 added, ${cuckoo.denied} of them denied`);
console.log(`Bloom filter:  ${bloom.added} of 1000 added, ${bloom.denied} of them denied`);
assert.equal(cuckoo.added, 1000);
assert.ok(cuckoo.denied > 200);
assert.equal(bloom.denied, 0);
JAVASCRIPT
node check.mjs
