#!/usr/bin/env bash
# llm-chunk puts a space into decimal numbers and takes the one between two paragraphs away.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline llm-chunk@0.0.1

echo "version:   llm-chunk 0.0.1"
cat <<'TEXT'
behaviour: Expected: chunks are pieces of the text, with every number and word as it stands there. These options are those
           of the retrieval guide of Genkit, which uses this package.
           Happens: the splitter "sentence" cuts at every full stop and joins the parts with a space: 3.14 becomes
           "3. 14", example.org "example. org", indented code loses its indentation. The splitter "paragraph" joins
           with nothing: the last word of a heading and the first of its text are one word.
           Hurt: retrieval over prices, versions, measurements and addresses: the number is in no chunk any more, word search
           does not find it, and the model reads and cites another one.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
const { chunk } = createRequire(import.meta.url)("llm-chunk");

const text = "Prices\n\nVersion 3.14 costs 2.50 a month. Write to help@example.org first.\n\nThe end.";
const options = { minLength: 1000, maxLength: 2000, overlap: 100, delimiters: "" };
const [sentences] = chunk(text, { ...options, splitter: "sentence" });
const [paragraphs] = chunk(text, { ...options, splitter: "paragraph" });
console.log("text:     ", JSON.stringify(text));
console.log("sentence: ", JSON.stringify(sentences));
console.log("paragraph:", JSON.stringify(paragraphs));
for (const part of ["3. 14", "2. 50", "help@example. org"]) assert.ok(sentences.includes(part) && !text.includes(part));
for (const part of ["3.14", "2.50", "example.org"]) assert.ok(!sentences.includes(part));
assert.ok(paragraphs.includes("PricesVersion 3.14"));
JAVASCRIPT
node check.mjs
