#!/usr/bin/env bash
# Jaro-Winkler similarities of the usual JavaScript packages differ, so thresholds do not carry over.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  natural@8.1.1 \
  talisman@1.1.4 \
  jaro-winkler@0.2.8

echo "version:   natural 8.1.1, talisman 1.1.4, jaro-winkler 0.2.8"
cat <<'TEXT'
behaviour: Expected: one measure with one value for a pair of names.
           Happens: natural raises the score of a common prefix for all pairs, the others only from a
           similarity of 0.7 on; two empty names are equal for two of them and nothing alike for the
           third.
           Hurt: record linkage with a threshold from a paper or another tool: at 0.75 one package links
           names that the others do not, and empty fields match or not.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
const require = createRequire(import.meta.url);
const write = process.stdout.write;
process.stdout.write = () => true;
const natural = require("natural");
process.stdout.write = write;
const talisman = require("talisman/metrics/jaro-winkler");
const measures = {
  natural: (a, b) => natural.JaroWinklerDistance(a, b, {}),
  talisman: talisman.default ?? talisman,
  "jaro-winkler": require("jaro-winkler"),
};
const found = {};
for (const [name, measure] of Object.entries(measures)) {
  found[name] = [["martha", "marhta"], ["abcdefgh", "abcdwxyz"], ["", ""]].map(([a, b]) => Number(measure(a, b).toFixed(3)));
  console.log(`${name}: martha/marhta ${found[name][0]}, abcdefgh/abcdwxyz ${found[name][1]}, two empty names ${found[name][2]}`);
}
assert.deepEqual(found, { natural: [0.961, 0.8, 1], talisman: [0.961, 0.667, 1], "jaro-winkler": [0.961, 0.667, 0] });
JAVASCRIPT
node check.mjs
