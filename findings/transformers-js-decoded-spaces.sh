#!/usr/bin/env bash
# Decoding in JavaScript takes the space before a path away: cd ../src becomes cd../src.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @huggingface/transformers@4.3.2
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  transformers==5.17.0 tokenizers==0.23.2 huggingface_hub==1.33.0 numpy==2.4.6 packaging==26.3 \
  PyYAML==6.0.3 regex==2026.9.29 safetensors==0.8.0 tqdm==4.70.1 filelock==4.0.8 fsspec==2026.6.0 \
  httpx==0.28.1 httpcore==1.0.9 h11==0.16.0 idna==3.20 certifi==2026.7.22 anyio==4.15.1 \
  typing_extensions==4.16.0 typer==0.27.2 click==8.5.0 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   @huggingface/transformers 4.3.2, transformers 5.17.0, tokenizers 0.23.2"
cat <<'TEXT'
behaviour: Expected: a byte-level tokenizer gives the text back that it was given, in both languages.
           Happens: where tokenizer_config.json says nothing about it, the JavaScript decoder deletes spaces
           before . , ! ? and before n't 'm 's 've 're, which belongs to BERT's spaced-out words; the
           Python one leaves the text alone.
           Hurt: code models in JavaScript: a command that the model wrote right is another one when it is
           shown or run, and prompts that are decoded and encoded again have other token ids.
output:
TEXT

mkdir model
cat > make.py <<'PYTHON'
import json, logging
logging.disable(logging.CRITICAL)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

letters = sorted(pre_tokenizers.ByteLevel.alphabet())
own = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
own.decoder = decoders.ByteLevel()
own.save("model/tokenizer.json")
with open("model/tokenizer_config.json", "w") as file:
    json.dump({"tokenizer_class": "PreTrainedTokenizerFast"}, file)
text = "cd ../src && git add . ; if (a !== b) { f(1 , 2) }"
read = AutoTokenizer.from_pretrained("model")
decoded = read.decode(read(text).input_ids)
print(f"text:       {text}\nPython:     {decoded}")
assert decoded == text
json.dump(text, open("text.json", "w"))
PYTHON
HF_HUB_OFFLINE=1 python/bin/python make.py

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { AutoTokenizer, env } from "@huggingface/transformers";

env.allowRemoteModels = false;
env.localModelPath = "./";
const text = JSON.parse(readFileSync("text.json", "utf8"));
const tokenizer = await AutoTokenizer.from_pretrained("model");
const ids = tokenizer.encode(text);
const decoded = tokenizer.decode(ids);
console.log(`JavaScript: ${decoded}`);
assert.equal(decoded, "cd../src && git add. ; if (a!== b) { f(1, 2) }");
assert.equal(tokenizer.decode(ids, { clean_up_tokenization_spaces: false }), text);
JAVASCRIPT
node check.mjs
