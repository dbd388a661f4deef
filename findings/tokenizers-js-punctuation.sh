#!/usr/bin/env bash
# The JavaScript tokenizers take ... and ?! for one word each where the tokenizer was trained to cut every mark off.
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
behaviour: Expected: the pre-tokenizer Punctuation does what its field `behavior` says: with the default, Isolated, each
           mark is a word, with Removed marks are left out, and so on.
           Happens: @huggingface/tokenizers (which transformers.js uses) does not read the field. It always keeps marks
           and takes marks in a row together. In a vocabulary of words ... and ?! are not found; WordPiece
           gives pieces for the inside of words; of removed marks each is a token. Single marks come out right.
           Hurt: users of models with word or WordPiece vocabularies of their own: text with "...", "?!" or closing
           brackets and quotes gets other ids in the browser than in training, or none.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Tokenizer as Script } from "@huggingface/tokenizers";
const { Tokenizer: Native } = createRequire(import.meta.url)("tokenizers");

const words = ["[UNK]", "wait", "what", "so", ".", "?", "!", ",", '"', ")", "##.", "##!"];
const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
const wordLevel = { type: "WordLevel", vocab, unk_token: "[UNK]" };
const wordPiece = { type: "WordPiece", vocab, unk_token: "[UNK]", continuing_subword_prefix: "##", max_input_chars_per_word: 100 };
const fileOf = (model, behavior) => ({
  version: "1.0", truncation: null, padding: null, added_tokens: [], normalizer: null,
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [{ type: "WhitespaceSplit" }, { type: "Punctuation", behavior }],
  },
  post_processor: null, decoder: null, model,
});
const found = {};
for (const [model, behavior, text] of [
  [wordLevel, "Isolated", "wait, so what?"],
  [wordLevel, "Isolated", 'wait... "so" what?!'],
  [wordPiece, "Isolated", "wait... what!!"],
  [wordLevel, "Removed", "wait, so what?"],
]) {
  const file = fileOf(model, behavior);
  const native = (await Native.fromString(JSON.stringify(file)).encode(text)).getTokens().join(" ");
  const script = new Script(file, {}).encode(text).tokens.join(" ");
  console.log(`${model.type}, ${behavior}, ${text}\n  natively      ${native}\n  in JavaScript ${script}`);
  found[`${model.type} ${behavior} ${text}`] = [native, script];
}
assert.deepEqual(Object.values(found), [
  ["wait , so what ?", "wait , so what ?"],
  ['wait . . . " so " what ? !', 'wait ... " so " what ?!'],
  ["wait . . . what ! !", "wait . ##. ##. what ! ##!"],
  ["wait so what", "wait , so what ?"],
]);
JAVASCRIPT
node check.mjs
