#!/usr/bin/env bash
# voy-search compares no more than the first 768 numbers of an embedding.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline voy-search@0.6.3

echo "version:   voy-search 0.6.3"
cat <<'TEXT'
behaviour: Expected: an index takes embeddings of every length, as it does without an error; a document whose embedding
           equals the query's is the first hit.
           Happens: numbers from the 769th on count for nothing. Vectors that differ only there are all equally
           near: a query's twin loses to a vector of zeros. Of 1,024 random numbers half of the nearest five are
           missed, with 768 none.
           Hurt: search in the browser with embeddings of 1,024, 1,536 or 3,072 numbers, as most hosted models give:
           plausible hits, but not the nearest ones, and no sign that up to three quarters of each vector are cut off.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as voy from "./node_modules/voy-search/voy_search_bg.js";

const wasm = readFileSync("node_modules/voy-search/voy_search_bg.wasm");
const { instance } = await WebAssembly.instantiate(wasm, { "./voy_search_bg.js": voy });
voy.__wbg_set_wasm(instance.exports);

const indexOf = (vectors) =>
  new voy.Voy({
    embeddings: Object.entries(vectors).map(([id, embeddings]) => ({ id, title: id, url: `/${id}`, embeddings })),
  });
const nearest = (index, vector, count) => index.search(Float32Array.from(vector), count).neighbors.map(({ id }) => id);

// A one at a single place; the index holds it, a vector of zeros and a one at the first place.
const axis = (place) => Array.from({ length: 1024 }, (_, i) => (i === place ? 1 : 0));
const found = {};
for (const place of [1, 767, 768, 1023]) {
  const index = indexOf({ first: axis(0), zeros: axis(-1), twin: axis(place) });
  found[place] = nearest(index, axis(place), 1)[0];
  console.log(`a one at place ${place} from zero: the nearest is ${found[place]}`);
}
assert.deepEqual(found, { 1: "twin", 767: "twin", 768: "zeros", 1023: "zeros" });

// Random vectors against all distances.
let state = 1;
const uniform = () => {
  state = (state * 16807) % 2147483647;
  return state / 2147483647 - 0.5;
};
const recall = {};
for (const length of [768, 1024]) {
  const random = () => Array.from({ length }, uniform);
  const vectors = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`d${i}`, random()]));
  const index = indexOf(vectors);
  let hits = 0;
  for (let query = 0; query < 20; query++) {
    const asked = random();
    const distance = (vector) => vector.reduce((sum, number, i) => sum + (number - asked[i]) ** 2, 0);
    const exact = Object.keys(vectors).sort((a, b) => distance(vectors[a]) - distance(vectors[b])).slice(0, 5);
    hits += nearest(index, asked, 5).filter((id) => exact.includes(id)).length;
  }
  recall[length] = hits / 100;
  console.log(`300 random vectors of ${length} numbers: ${hits} of the nearest 100 found`);
}
assert.equal(recall[768], 1);
assert.ok(recall[1024] < 0.7);
JAVASCRIPT
node check.mjs
