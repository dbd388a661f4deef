#!/usr/bin/env bash
# A byte-level tokenizer trained on plain English deletes accented letters from every text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  tokenizers==0.23.2 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   tokenizers 0.23.2"
cat <<'TEXT'
behaviour: Expected: byte-level BPE can write any text: 256 byte tokens need no unknown token.
           Happens: the trainer takes only the bytes that it saw unless `initial_alphabet` is given; the
           others vanish while encoding, without an unknown token or an error.
           Hurt: those who train on a small or clean corpus: names and foreign words are lost in training
           data and prompts, and decoding cannot show it.
output:
TEXT

cat > check.py <<'PYTHON'
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

def train(**options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, show_progress=False, **options)
    tokenizer.train_from_iterator(["the cat sat on the mat"] * 5, trainer)
    return tokenizer

text = "the caf\u00e9 cat"
result = {}
for name, options in {"default": {}, "initial_alphabet": {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()}}.items():
    tokenizer = train(**options)
    result[name] = tokenizer.decode(tokenizer.encode(text).ids)
    print(f"{name}: {text!r} encoded and decoded is {result[name]!r}")
assert result == {"default": "the ca cat", "initial_alphabet": text}
PYTHON
python/bin/python check.py
