#!/usr/bin/env bash
# Unknown words of a word-level tokenizer have no id at all in JavaScript.
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
behaviour: Expected: a word outside the vocabulary gets the id of `unk_token`.
           Happens: @huggingface/tokenizers puts `undefined` into the ids of a WordLevel model; the native
           library gives the unknown token.
           Hurt: users of small word-level models (protein, chemistry, music, translation toys): the
           tensor of ids fails later or holds a zero, far from the cause.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Tokenizer as Script } from "@huggingface/tokenizers";
const { Tokenizer: Native } = createRequire(import.meta.url)("tokenizers");

const file = {
  version: "1.0", truncation: null, padding: null, added_tokens: [],
  normalizer: null, pre_tokenizer: { type: "WhitespaceSplit" }, post_processor: null, decoder: null,
  model: { type: "WordLevel", vocab: { "[UNK]": 0, hello: 1 }, unk_token: "[UNK]" },
};
const native = (await Native.fromString(JSON.stringify(file)).encode("hello there")).getIds();
const script = new Script(file, {}).encode("hello there").ids;
console.log("native:", native, "JavaScript:", script);
assert.deepEqual(native, [1, 0]);
assert.deepEqual(script, [1, undefined]);
JAVASCRIPT
node check.mjs
