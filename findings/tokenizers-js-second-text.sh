#!/usr/bin/env bash
# The second text of a pair is dropped in JavaScript by tokenizers of the kind of GPT-2 and Qwen.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  @huggingface/tokenizers@0.2.0 tokenizers@0.23.2

echo "version:   @huggingface/tokenizers 0.2.0, tokenizers 0.23.2"
cat <<'TEXT'
behaviour: Expected: a query and a document given as a pair are both encoded, as without a post-processor or with a template
           they are: the ids of the second text follow those of the first.
           Happens: with the post-processor ByteLevel, which stands in the files of GPT-2, Qwen and others and only
           concerns offsets, @huggingface/tokenizers (which transformers.js uses) returns the first text alone, without
           an error.
           Hurt: rerankers and classifiers of pairs built on such models: all documents of a query get one score, and
           the order of the input looks like a ranking.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Tokenizer as Script } from "@huggingface/tokenizers";
const { Tokenizer: Native } = createRequire(import.meta.url)("tokenizers");

const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };
const template = {
  type: "TemplateProcessing",
  single: [{ Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: {},
};
const vocab = Object.fromEntries([..."abcdefghijklmnopqrstuvwxyz?Ġ"].map((sign, id) => [sign, id]));
const fileOf = (post_processor) => ({
  version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null,
  pre_tokenizer: byteLevel, post_processor, decoder: byteLevel,
  model: {
    type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null,
    fuse_unk: false, byte_fallback: false, ignore_merges: false, vocab, merges: [],
  },
});
const query = "what purrs?";
const found = [];
for (const [name, post] of [["none", null], ["TemplateProcessing", template], ["ByteLevel", byteLevel]]) {
  for (const document of ["a cat", "a stone"]) {
    const file = fileOf(post);
    const native = await Native.fromString(JSON.stringify(file)).encode(query, document);
    const script = new Script(file, {}).encode(query, { text_pair: document });
    console.log(`post-processor ${name}, ${query} + ${document}: natively ${native.getIds().length} ids, in JavaScript ${script.ids.length}`);
    found.push([native.getIds().length, script.ids.length, JSON.stringify(script.ids)]);
  }
}
assert.deepEqual(found.map((row) => row.slice(0, 2)), [[16, 16], [18, 18], [16, 16], [18, 18], [16, 11], [18, 11]]);
assert.equal(found[4][2], found[5][2]);
JAVASCRIPT
node check.mjs
