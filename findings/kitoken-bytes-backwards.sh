#!/usr/bin/env bash
# Kitoken writes the bytes of characters outside a Unigram vocabulary in reverse order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline kitoken@0.10.1
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  sentencepiece==0.2.2 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   kitoken 0.10.1, sentencepiece 0.2.2"
cat <<'TEXT'
behaviour: Expected: a SentencePiece model gives the same ids in both, and decoding gives the text back. A character that the
           vocabulary lacks is written as its UTF-8 bytes, one token each, where the model has byte fallback.
           Happens: for Unigram models Kitoken gives the tokens of the last byte first. Decoding them is no longer UTF-8, so the
           character becomes replacement marks or another letter. BPE models, and text within the vocabulary, are right.
           Hurt: programs for models such as Japanese ones with Unigram vocabularies and byte fallback: rare letters,
           names and symbols reach the model as bytes it has never seen in this order, and only these.
output:
TEXT

cat > train.py <<'PYTHON'
import json
import sentencepiece

lines = ["the cat sat on the mat", "a dog ran over the hill and far away", "tokens of words and words of tokens"] * 30
texts = ["the cat sat", "naïve", "日本", "the word 東京 here"]
found = {}
for kind in ("unigram", "bpe"):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=kind, model_type=kind, vocab_size=340, byte_fallback=True,
        hard_vocab_limit=False, minloglevel=2)
    processor = sentencepiece.SentencePieceProcessor(model_file=f"{kind}.model")
    found[kind] = [{"text": text, "ids": processor.encode(text), "back": processor.decode(processor.encode(text))} for text in texts]
json.dump(found, open("expected.json", "w"))
PYTHON
python/bin/python train.py

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Kitoken } from "kitoken/node";

const wrong = {};
for (const [kind, rows] of Object.entries(JSON.parse(readFileSync("expected.json", "utf8")))) {
  const tokenizer = new Kitoken(readFileSync(`${kind}.model`));
  wrong[kind] = [];
  for (const { text, ids, back } of rows) {
    const own = [...tokenizer.encode(text, false)];
    const decoded = new TextDecoder().decode(tokenizer.decode(own));
    assert.equal(back, text);
    if (own.join() !== ids.join()) {
      wrong[kind].push(text);
      console.log(`${kind} ${JSON.stringify(text)}: sentencepiece ${ids.join(" ")}; kitoken ${own.join(" ")}, decoded ${JSON.stringify(decoded)}`);
      assert.notEqual(decoded, text);
      assert.deepEqual([...own].sort(), [...ids].sort());
    }
  }
  console.log(`${kind}: other ids for ${wrong[kind].length} of ${rows.length} texts`);
}
assert.deepEqual(wrong, { unigram: ["naïve", "日本", "the word 東京 here"], bpe: [] });
JAVASCRIPT
node check.mjs
