#!/usr/bin/env bash
# Embeddings stored as u8 in USearch lose every negative number, and two thirds of the nearest documents with them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline usearch@2.25.3

echo "version:   usearch 2.25.3"
cat <<'TEXT'
behaviour: Expected: the README lists u8 beside i8 as a storage to which vectors of floats are converted by themselves, and
           limits only i8 (to cosine-like metrics). With metric "cos" both take one byte a number.
           Happens: u8 keeps only what is above zero. Documents that differ in their negative numbers are equally near, at
           distance 0. Of the nearest ten of 2,000 random unit vectors of 64 numbers u8 finds about a third, i8 nearly all.
           Hurt: who halves or quarters an index of text embeddings, whose numbers have both signs: distances look
           normal, nothing is refused, and most hits are other documents than before.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import usearch from "usearch";

const build = (quantization, vectors) => {
  const index = new usearch.Index({
    metric: "cos", dimensions: vectors[0].length, quantization,
    connectivity: 16, expansion_add: 128, expansion_search: 256,
  });
  vectors.forEach((vector, id) => index.add(BigInt(id), new Float32Array(vector)));
  return index;
};
const nearest = (index, query, count) => {
  const found = index.search(new Float32Array(query), count, 1);
  return [...found.keys].map((key, place) => ({ id: Number(key), distance: found.distances[place] }));
};

let state = 1;
const uniform = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
const normal = () => Math.sqrt(-2 * Math.log(uniform() + 1e-12)) * Math.cos(2 * Math.PI * uniform());
const vectors = Array.from({ length: 2000 }, () => {
  const vector = Array.from({ length: 64 }, normal);
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
});
const queries = vectors.slice(0, 50).map((vector) => vector.map((value) => value + 0.1 * normal()));
const recall = {};
for (const quantization of ["f32", "i8", "u8"]) {
  const index = build(quantization, vectors);
  let hits = 0;
  for (const query of queries) {
    const exact = vectors
      .map((vector, id) => ({ id, product: vector.reduce((sum, value, place) => sum + value * query[place], 0) }))
      .sort((a, b) => b.product - a.product).slice(0, 10).map(({ id }) => id);
    hits += nearest(index, query, 10).filter(({ id }) => exact.includes(id)).length;
  }
  recall[quantization] = hits / 10 / queries.length;
}
console.log(`recall of the nearest ten: ${Object.entries(recall).map(([name, value]) => `${name} ${value.toFixed(2)}`).join(", ")}`);

const documents = [[0.6, -0.8, 0], [0.6, 0, -0.8]];
const distances = {};
for (const quantization of ["i8", "u8"])
  distances[quantization] = nearest(build(quantization, documents), documents[1], 2).map(({ distance }) => distance);
console.log(`distances of (0.6, 0, -0.8) to itself and to (0.6, -0.8, 0): i8 ${distances.i8.map((d) => d.toFixed(2)).join(", ")}; u8 ${distances.u8.map((d) => d.toFixed(2)).join(", ")}`);
assert.ok(recall.f32 > 0.95 && recall.i8 > 0.9 && recall.u8 < 0.5);
assert.ok(distances.i8[1] > 0.6 && Math.abs(distances.u8[1]) < 0.01);
JAVASCRIPT
node check.mjs
