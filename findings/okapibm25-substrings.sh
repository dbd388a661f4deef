#!/usr/bin/env bash
# The package okapibm25 counts a query word inside longer words.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  okapibm25@1.4.1

echo "version:   okapibm25 1.4.1"
cat <<'TEXT'
behaviour: Expected: BM25 of the word 'art' is zero for a text without that word.
           Happens: 'party' and 'cartoon' count as two occurrences, and this text ranks above the one
           about art; document frequencies are counted in the same way.
           Hurt: retrieval baselines and hybrid searches built on it, most of all with short words and
           identifiers.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
const { default: score } = createRequire(import.meta.url)("okapibm25");

const texts = ["modern art museum", "party with cartoon", "quiet evening"];
const scores = score(texts, ["art"]).map((value) => Number(value.toFixed(3)));
texts.forEach((text, i) => console.log(`art in "${text}": ${scores[i]}`));
assert.ok(scores[1] > scores[0] && scores[0] > 0 && scores[2] === 0);
JAVASCRIPT
node check.mjs
