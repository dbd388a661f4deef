#!/usr/bin/env bash
# hyparquet-writer stores a Float32Array of every row as a JSON object with a name for each number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  hyparquet-writer@0.17.0 \
  hyparquet@1.33.0

echo "version:   hyparquet-writer 0.17.0, hyparquet 1.33.0"
cat <<'TEXT'
behaviour: Expected: a column whose rows are Float32Arrays, as embeddings are in JavaScript, becomes a list of floats, or
           is refused; a single Float32Array as a column does become floats.
           Happens: each row is text, {"0":0.1,"1":0.2,...}: no list and not even an array. It reads back as an object
           without a length, in other languages as a string, and takes seven times the bytes of the floats.
           Hurt: who hands embeddings from a model to Python, DuckDB or a vector store in Parquet: the file is
           valid and the column is there, but code that loops over the length finds no numbers at all. Rows that are
           Uint8Arrays are bytes, so quantized vectors do not show it; rows of plain arrays are JSON arrays.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";

const roundTrip = async (data) => {
  const file = parquetWriteBuffer({ columnData: [{ name: "vector", data }], codec: "UNCOMPRESSED" });
  const { type, converted_type } = parquetMetadata(file).schema[1];
  const rows = await parquetReadObjects({ file });
  return { type: `${type}${converted_type ? ` as ${converted_type}` : ""}`, first: rows[0].vector, bytes: file.byteLength };
};
const vector = (length, row) => Float32Array.from({ length }, (_, i) => Math.sin(1 + i + 17 * row) / Math.sqrt(length));

const small = Array.from({ length: 3 }, (_, row) => vector(3, row));
const found = {
  "one Float32Array": await roundTrip(small[0]),
  "a Float32Array a row": await roundTrip(small),
  "an array a row": await roundTrip(small.map((row) => [...row])),
};
for (const [name, { type, first }] of Object.entries(found)) {
  console.log(`${name}: ${type}, first row ${JSON.stringify(first)}, its length ${first.length}`);
}
const row = found["a Float32Array a row"];
assert.equal(row.type, "BYTE_ARRAY as JSON");
assert.deepEqual(row.first, { ...small[0] });
assert.equal(row.first.length, undefined);
assert.equal(found["one Float32Array"].type, "FLOAT");
assert.equal(found["an array a row"].first.length, 3);

const { bytes } = await roundTrip(Array.from({ length: 100 }, (_, index) => vector(768, index)));
console.log(`100 rows of 768 numbers: ${bytes} bytes, as floats ${100 * 768 * 4}`);
assert.ok(bytes > 6 * 100 * 768 * 4);
JAVASCRIPT
node check.mjs
