#!/usr/bin/env bash
# transformers 5 gives both texts of a pair to ALBERT as one: the tokenizer no longer says which is which.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  transformers==5.17.0 tokenizers==0.23.2 huggingface_hub==1.33.0 numpy==2.4.6 packaging==26.3 \
  PyYAML==6.0.3 regex==2026.9.29 safetensors==0.8.0 tqdm==4.70.1 filelock==4.0.8 fsspec==2026.6.0 \
  httpx==0.28.1 httpcore==1.0.9 h11==0.16.0 idna==3.20 certifi==2026.7.22 anyio==4.15.1 \
  typing_extensions==4.16.0 typer==0.27.2 click==8.5.0 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   transformers 5.17.0, tokenizers 0.23.2"
cat <<'TEXT'
behaviour: Expected: of a pair of texts ALBERT's tokenizer gives token types, 0 for the first and 1 for the second, as
           BERT's does: the model has a table of two types and learned from pairs which text comes first.
           Happens: AlbertTokenizer gives no token types, and the model, which then assumes zeros, reads the second text
           as a part of the first. The tokenizer.json in the folder, read by the library tokenizers, gives them, and
           so does AlbertTokenizer itself where return_token_type_ids is passed.
           Hurt: classifiers and rerankers of pairs made of ALBERT (paraphrases, entailment): other scores than in
           training and than in readers that follow the file.
output:
TEXT

cat > check.py <<'PYTHON'
import logging
logging.disable(logging.CRITICAL)
from tokenizers import Tokenizer
from transformers import AlbertConfig, AlbertTokenizer, AutoTokenizer, BertTokenizer

pieces = [("<pad>", 0.0), ("<unk>", 0.0), ("[CLS]", 0.0), ("[SEP]", 0.0), ("[MASK]", 0.0)]
pieces += [(piece, -1.0) for piece in ("▁where", "▁is", "▁he", "▁here")]
AlbertTokenizer(vocab=pieces).save_pretrained("albert")
AlbertConfig().save_pretrained("albert")
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "where", "is", "he", "here"]
BertTokenizer(vocab={word: id for id, word in enumerate(words)}).save_pretrained("bert")

pair = ("where is he", "he is here")
albert, bert = AutoTokenizer.from_pretrained("albert"), BertTokenizer.from_pretrained("bert")
found, asked = albert(*pair), albert(*pair, return_token_type_ids=True)
file = Tokenizer.from_file("albert/tokenizer.json").encode(*pair)
print("types that ALBERT's table has:", AlbertConfig().type_vocab_size)
print("BertTokenizer:               ", bert(*pair)["token_type_ids"])
print("ALBERT's tokenizer.json:     ", file.type_ids)
print("AlbertTokenizer, asked to:   ", asked.get("token_type_ids"))
print("AlbertTokenizer:             ", found.get("token_type_ids"), "beside", sorted(found))
assert found["input_ids"] == file.ids and "token_type_ids" not in found
assert bert(*pair)["token_type_ids"] == file.type_ids == [0] * 5 + [1] * 4
PYTHON
python/bin/python check.py 2> errors.log || { cat errors.log >&2; exit 1; }
