#!/usr/bin/env bash
# The recursive chunker of Chonkie for JavaScript takes indentation away and then gives positions of other text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @chonkiejs/core@0.0.11

echo "version:   @chonkiejs/core 0.0.11"
cat <<'TEXT'
behaviour: Expected: text.slice(chunk.startIndex, chunk.endIndex) is chunk.text, as it is for the other chunkers of the package,
           and the chunks together are the text.
           Happens: where a part is too long for its level and is cut into words, spaces in a row become one. The
           positions are sums of the lengths of what is left, so each lost space moves all later ones.
           Hurt: citations and highlights, which drift more with every code block or table, and code in the chunks, whose
           indentation is gone, which in Python is part of the program.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { RecursiveChunker, SentenceChunker } from "@chonkiejs/core";

const code = "def size(values):\n    total = 0\n    for value in values:\n        total += value\n    return total\n";
const text = `${code}\n${code.replaceAll("total", "product").replace("0", "1").replace("+=", "*=")}\nAfter the code comes one more line, which is to be cited.\n`;
const wrong = {};
for (const [name, chunker] of [
  ["SentenceChunker", await SentenceChunker.create({ chunkSize: 60, chunkOverlap: 0 })],
  ["RecursiveChunker", await RecursiveChunker.create({ chunkSize: 60 })],
]) {
  const chunks = await chunker.chunk(text);
  wrong[name] = chunks.filter((chunk) => text.slice(chunk.startIndex, chunk.endIndex) !== chunk.text);
  const lost = text.length - chunks.map((chunk) => chunk.text).join("").length;
  console.log(`${name}: ${wrong[name].length} of ${chunks.length} chunks are not where they say, ${lost} characters are lost`);
}
const last = wrong.RecursiveChunker.at(-1);
console.log(`the chunk ${JSON.stringify(last.text)}\nis said to be ${JSON.stringify(text.slice(last.startIndex, last.endIndex))}`);
assert.equal(wrong.SentenceChunker.length, 0);
assert.ok(wrong.RecursiveChunker.length >= 2);
JAVASCRIPT
node check.mjs
