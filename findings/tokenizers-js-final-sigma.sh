#!/usr/bin/env bash
# Lower case in JavaScript writes Greek words with another last letter than the tokenizer was trained on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  @huggingface/tokenizers@0.2.0 \
  tokenizers@0.23.2

echo "version:   @huggingface/tokenizers 0.2.0, tokenizers 0.23.2"
cat <<'TEXT'
behaviour: Expected: the Lowercase normalizer gives the same text in every reader of a tokenizer.json.
           Happens: the native library maps each character by itself (a capital sigma always becomes σ);
           JavaScript's toLowerCase knows the final form ς.
           Hurt: Greek text in capitals with uncased models: titles and names get other tokens in
           JavaScript than in training.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Tokenizer as Script } from "@huggingface/tokenizers";
const { Tokenizer: Native } = createRequire(import.meta.url)("tokenizers");

const vocab = Object.fromEntries([..."οδσς"].map((token, id) => [token, id]));
const file = {
  version: "1.0", truncation: null, padding: null, added_tokens: [],
  normalizer: { type: "Lowercase" }, pre_tokenizer: null, post_processor: null, decoder: { type: "Fuse" },
  model: { type: "BPE", vocab, merges: [] },
};
const text = "ΟΔΟΣ";
const native = (await Native.fromString(JSON.stringify(file)).encode(text)).getTokens().join("");
const script = new Script(file, {}).encode(text).tokens.join("");
console.log(`${text}: ${native} natively, ${script} in JavaScript`);
assert.deepEqual([native, script], ["οδοσ", "οδος"]);
JAVASCRIPT
node check.mjs
