#!/usr/bin/env bash
# An added token for a whole word is found inside other words by the JavaScript tokenizers.
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
behaviour: Expected: an added token with `single_word: true` is a token only where no letter stands beside
           it.
           Happens: @huggingface/tokenizers (which transformers.js uses) ignores the field and cuts
           'concat' and 'cats'; the native library keeps them whole.
           Hurt: users of vocabularies with added names or terms: other ids in the browser than in
           training, for words that merely contain one.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Tokenizer as Script } from "@huggingface/tokenizers";
const { Tokenizer: Native } = createRequire(import.meta.url)("tokenizers");

const letters = [..." abcdefghijklmnopqrstuvwxyz"];
const cat = { id: 27, content: "cat", single_word: true, lstrip: false, rstrip: false, normalized: false, special: false };
const file = {
  version: "1.0", truncation: null, padding: null, added_tokens: [cat],
  normalizer: null, pre_tokenizer: null, post_processor: null, decoder: { type: "Fuse" },
  model: { type: "BPE", vocab: Object.fromEntries([...letters, "cat"].map((token, id) => [token, id])), merges: [] },
};
const count = (ids) => ids.filter((id) => id === 27).length;
const text = "cat concat cats";
const native = count((await Native.fromString(JSON.stringify(file)).encode(text)).getIds());
const script = count(new Script(file, {}).encode(text).ids);
console.log(`"${text}": the token "cat" ${native} time natively, ${script} times in JavaScript`);
assert.deepEqual([native, script], [1, 3]);
JAVASCRIPT
node check.mjs
