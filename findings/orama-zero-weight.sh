#!/usr/bin/env bash
# A weight of zero counts as one half in Orama's hybrid search.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @orama/orama@3.1.18

echo "version:   @orama/orama 3.1.18"
cat <<'TEXT'
behaviour: Expected: hybridWeights { text: 0, vector: 1 } ranks by the vectors alone, as nearly as 0.001 and 0.999 do.
           Happens: if one of the weights is zero both are dropped and the default of one half each is used, without
           a word. The result for 0 is that for 0.5, not that for 0.001.
           Hurt: evaluations that try weights from 0 to 1: both ends, which should be pure text and pure vector search
           as the baselines, show the mixture; and those who turn one half off for some queries with a zero.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { create, insertMultiple, search } from "@orama/orama";

const index = create({ schema: { text: "string", vector: "vector[2]" } });
await insertMultiple(index, [
  { id: "words", text: "blue whale song", vector: [0, 1] },
  { id: "vector", text: "another text", vector: [1, 0] },
]);
const scores = async (vector) => {
  const query = { mode: "hybrid", term: "whale song", vector: { value: [1, 0], property: "vector" }, similarity: 0 };
  const weights = vector === undefined ? {} : { hybridWeights: { text: 1 - vector, vector } };
  const { hits } = await search(index, { ...query, ...weights });
  return Object.fromEntries(hits.map(({ id, score }) => [id, Number(score.toFixed(3))]).sort());
};
const found = {};
for (const weight of [undefined, 0, 0.001, 0.5, 0.999, 1]) {
  found[weight] = await scores(weight);
  console.log(`weight of the vector ${weight ?? "not set"}: ${JSON.stringify(found[weight])}`);
}
assert.deepEqual(found[0.001], { vector: 0.001, words: 0.999 });
assert.deepEqual(found[0.999], { vector: 0.999, words: 0.001 });
for (const end of [0, 1]) assert.deepEqual(found[end], found[0.5]);
assert.deepEqual(found[0.5], { vector: 0.5, words: 0.5 });
JAVASCRIPT
node check.mjs
