#!/usr/bin/env bash
# With the dot product as its metric RuVector calls all documents that have anything to do with the query equally near.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @ruvector/core@0.1.32

echo "version:   @ruvector/core 0.1.32"
cat <<'TEXT'
behaviour: Expected: with the metric DotProduct ("dot" in the package ruvector, whose README calls it best for normalized vectors)
           the documents with the largest products come first; for vectors of length 1 these are the hits of Cosine.
           Happens: with a graph index (hnswConfig, which the package ruvector always sets) every distance below zero becomes 0,
           and the distance is the negative product. All documents with a positive product are at 0 in no order: of the
           nearest ten of 1,000 random unit vectors next to none is found. Without an index it is right, with distances
           below zero.
           Hurt: who takes the product for normalized embeddings, since it saves a division: the search answers with documents
           at random and a perfect distance. A small test without an index does not show it.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { join } from "node:path";
import ruvector from "@ruvector/core";

let state = 1;
const random = () => {
  state = (state * 1103515245 + 12345) % 2147483648;
  return state / 2147483648;
};
const unit = () => {
  const vector = Array.from({ length: 32 }, () => random() + random() + random() - 1.5);
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (x) => x / length);
};
const dot = (a, b) => a.reduce((sum, x, index) => sum + x * b[index], 0);
const documents = Array.from({ length: 1000 }, unit);
const queries = Array.from({ length: 20 }, unit);
const nearest = (query) =>
  documents
    .map((document, id) => [dot(document, query), String(id)])
    .sort(([a], [b]) => b - a)
    .slice(0, 10)
    .map(([, id]) => id);

const graph = { m: 16, efConstruction: 200, efSearch: 200, maxElements: 1000 };
const found = {};
for (const [distanceMetric, hnswConfig] of [["Cosine", graph], ["Euclidean", graph], ["DotProduct", graph], ["DotProduct"]]) {
  const name = `${distanceMetric} ${hnswConfig ? "with" : "without"} a graph`;
  const storagePath = join(process.cwd(), `${name}.db`);
  const store = new ruvector.VectorDb({ dimensions: 32, distanceMetric, hnswConfig, storagePath });
  await store.insertBatch(documents.map((vector, id) => ({ id: String(id), vector })));
  let hits = 0;
  for (const query of queries) {
    const exact = nearest(query);
    hits += (await store.search({ vector: query, k: 10 })).filter(({ id }) => exact.includes(id)).length;
  }
  const twins = await store.search({ vector: documents[7], k: 3 });
  found[name] = { share: hits / 200, twins };
  const distances = twins.map(({ score }) => score.toFixed(3)).join(", ");
  console.log(`${name}: ${(hits / 2).toFixed(0)} % of the nearest ten; nearest to document 7 at ${distances}`);
}
for (const [name, { share, twins }] of Object.entries(found)) {
  if (name === "DotProduct with a graph") continue;
  assert.ok(share > 0.9);
  assert.equal(twins[0].id, "7");
}
const { share, twins } = found["DotProduct with a graph"];
assert.ok(share < 0.1);
assert.ok(twins.every(({ score }) => score === 0));
JAVASCRIPT
node check.mjs
