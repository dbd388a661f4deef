#!/usr/bin/env bash
# Four tokenizers for the same encoding disagree about a text that begins with a byte-order mark.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  tiktoken@1.0.22 \
  js-tiktoken@1.0.21 \
  gpt-tokenizer@4.0.0 \
  ai-tokenizer@1.0.6

echo "version:   tiktoken 1.0.22, js-tiktoken 1.0.21, gpt-tokenizer 4.0.0, ai-tokenizer 1.0.6"
cat <<'TEXT'
behaviour: Expected: cl100k_base gives one list of ids for a text, whichever library holds it.
           Happens: the mark is one token in tiktoken and js-tiktoken, two in gpt-tokenizer, none in
           ai-tokenizer (the text is gone); within a text js-tiktoken differs too, for JavaScript's \\s
           contains the mark.
           Hurt: those who count or compare tokens of files saved with a mark: limits and prices are off,
           prefixes do not match a server's, a character is lost.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Tokenizer } from "ai-tokenizer";
import * as cl100k from "ai-tokenizer/encoding/cl100k_base";
import { encode } from "gpt-tokenizer/encoding/cl100k_base";
import { getEncoding } from "js-tiktoken";
const { get_encoding } = createRequire(import.meta.url)("tiktoken");

const encoders = {
  tiktoken: get_encoding("cl100k_base"),
  "js-tiktoken": getEncoding("cl100k_base"),
  "gpt-tokenizer": { encode },
  "ai-tokenizer": new Tokenizer(cl100k.default ?? cl100k),
};
const found = {};
for (const [name, encoder] of Object.entries(encoders)) {
  found[name] = ["\uFEFFhello", "x \uFEFFy"].map((text) => [...encoder.encode(text)].join(" "));
  console.log(`${name}: at the start ${found[name][0]}; within ${found[name][1]}`);
}
assert.deepEqual(found, {
  tiktoken: ["3305 15339", "87 76880 88"],
  "js-tiktoken": ["3305 15339", "87 220 3305 88"],
  "gpt-tokenizer": ["171 3299 15339", "87 220 171 3299 88"],
  "ai-tokenizer": ["15339", "87 220 88"],
});
JAVASCRIPT
node check.mjs
