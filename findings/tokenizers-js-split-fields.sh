#!/usr/bin/env bash
# The JavaScript tokenizers delete all text that a pre-tokenizer with `invert` does not match.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  @huggingface/tokenizers@0.2.0 tokenizers@0.23.2

echo "version:   @huggingface/tokenizers 0.2.0, tokenizers 0.23.2"
cat <<'TEXT'
behaviour: Expected: the pre-tokenizer Split with the behavior Isolated or MergedWithPrevious keeps all text; `invert` exchanges
           what counts as the pattern and what as the rest. With Removed the pattern goes, whether it is
           written as a String or as a Regex.
           Happens: with `invert` @huggingface/tokenizers (which transformers.js uses) gives the matches and nothing else,
           with any behavior, and without it a String with Removed stays in the text.
           Hurt: authors of tokenizers of their own (numbers cut from the rest, molecules, logs): in the browser most of the
           text never reaches the model, or has ids for spaces that training removed, and nothing is said.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Tokenizer as Script } from "@huggingface/tokenizers";
const { Tokenizer: Native } = createRequire(import.meta.url)("tokenizers");

const vocab = Object.fromEntries([..."abcdefghijklmnopqrstuvwxyz0123456789 "].map((sign, id) => [sign, id]));
const fileOf = (pattern, behavior, invert) => ({
  version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null,
  pre_tokenizer: { type: "Split", pattern, behavior, invert },
  post_processor: null, decoder: null,
  model: {
    type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null,
    fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges: [],
  },
});
const text = "c6h12 and o2";
const digits = { Regex: "\\d+" };
const expected = [
  [digits, "Isolated", false, text, text],
  [digits, "Removed", true, "6122", "6122"],
  [{ Regex: " " }, "Removed", false, "c6h12ando2", "c6h12ando2"],
  [digits, "Isolated", true, text, "6122"],
  [digits, "MergedWithPrevious", true, text, "6122"],
  [{ String: " " }, "Removed", false, "c6h12ando2", text],
];
for (const [pattern, behavior, invert, nativeText, scriptText] of expected) {
  const file = fileOf(pattern, behavior, invert);
  const native = (await Native.fromString(JSON.stringify(file)).encode(text)).getTokens().join("");
  const script = new Script(file, {}).encode(text).tokens.join("");
  console.log(`${JSON.stringify(pattern)} ${behavior}, invert ${invert}: natively "${native}", in JavaScript "${script}"`);
  assert.deepEqual([native, script], [nativeText, scriptText]);
}
JAVASCRIPT
node check.mjs
