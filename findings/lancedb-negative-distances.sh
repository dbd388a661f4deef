#!/usr/bin/env bash
# LanceDB's cosine distance of several query vectors is below zero for a perfect match, and bounds that hold for one drop it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > package.json <<'JSON'
{
  "private": true,
  "type": "module",
  "overrides": { "@huggingface/transformers": "file:../../../absent", "openai": "file:../../../absent" }
}
JSON
# The package's optional ones for embeddings are not wanted.
mkdir absent
printf '{"name": "absent", "version": "9.9.9"}\n' > absent/package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  @lancedb/lancedb@0.31.0 \
  apache-arrow@18.1.0

echo "version:   @lancedb/lancedb 0.31.0"
cat <<'TEXT'
behaviour: Expected: a cosine distance is 0 for equal vectors and at most 2, for a search by several vectors too (a sum or
           a mean of distances); a range of distances that keeps a match keeps a better one.
           Happens: the distance of several vectors is 1 less the sum of the best cosines: a document that equals the query
           is at 1 less the number of vectors, so -3 for four. Only a document that matches nothing is at 1. Asked for
           distances from 0 to 2, the search leaves out the best documents and keeps the worst.
           Hurt: thresholds, colours and fused scores that were set with one vector a document: the better and the longer
           a query, the more of its best hits are cut off.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import * as lancedb from "@lancedb/lancedb";
import { Field, FixedSizeList, Float32, List, Schema, Utf8 } from "apache-arrow";

const axis = (place) => Array.from({ length: 8 }, (_, i) => (i === place ? 1 : 0));
const vector = new FixedSizeList(8, new Field("item", new Float32(), true));
const schema = new Schema([
  new Field("id", new Utf8(), false),
  new Field("tokens", new List(new Field("item", vector, true)), true),
]);
const rows = [
  { id: "equal", tokens: [axis(0), axis(1), axis(2), axis(3)] },
  { id: "half", tokens: [axis(0), axis(1), axis(6), axis(7)] },
  { id: "none", tokens: [axis(4), axis(5), axis(6), axis(7)] },
];
const connection = await lancedb.connect("data");
const table = await connection.createTable("texts", rows, { schema });

const search = async (count, range) => {
  const query = Array.from({ length: count }, (_, place) => Float32Array.from(axis(place)));
  let found = table.vectorSearch(query).column("tokens").distanceType("cosine").limit(3);
  if (range !== undefined) found = found.distanceRange(...range);
  const hits = (await found.toArray()).map(({ id, _distance }) => [id, Number(_distance.toFixed(3))]);
  return hits.sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1));
};
const show = (hits) => hits.map(([id, distance]) => `${id} ${distance}`).join(", ") || "nothing";
for (const count of [1, 2, 4]) {
  console.log(`${count} query vectors: ${show(await search(count))}`);
}
const all = await search(4);
const within = await search(4, [0, 2]);
console.log(`4 query vectors, distances from 0 to 2: ${show(within)}`);
assert.deepEqual(all[0], ["equal", -3]);
assert.deepEqual(all.at(-1), ["none", 1]);
assert.ok(!within.some(([id]) => id === "equal"));
table.close();
connection.close();
JAVASCRIPT
node check.mjs
