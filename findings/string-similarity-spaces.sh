#!/usr/bin/env bash
# string-similarity calls strings equal that differ in their spaces.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  string-similarity@4.0.4

echo "version:   string-similarity 4.0.4"
cat <<'TEXT'
behaviour: Expected: a similarity of 1 means equal strings.
           Happens: all white space is removed first, so '1 12' and '11 2' are equal.
           Hurt: matching of numbers, codes and names in columns, where a score of 1 is taken as an exact
           match.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { compareTwoStrings } from "string-similarity";

for (const [a, b] of [["flat 1 12", "flat 11 2"], ["to day", "today"]]) {
  console.log(`"${a}" and "${b}": ${compareTwoStrings(a, b)}`);
  assert.equal(compareTwoStrings(a, b), 1);
}
JAVASCRIPT
node check.mjs
