#!/usr/bin/env bash
# Training WordPiece twice on the same lines gives two vocabularies with other ids.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  tokenizers==0.23.2 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   tokenizers 0.23.2"
cat <<'TEXT'
behaviour: Expected: training a vocabulary has no chance in it: the same lines give the same file, as BPE
           does.
           Happens: the ids of WordPiece tokens change from one training to the next in the same process.
           Hurt: those who train again instead of keeping the file: a checkpoint and its tokenizer no
           longer belong together although nothing was changed; caches by content never hit.
output:
TEXT

cat > check.py <<'PYTHON'
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

lines = ["the cat sat on the mat", "a dog ran over the hill", "tokens of words and words of tokens"] * 20
kinds = {
    "BPE": (models.BPE, trainers.BpeTrainer, {"unk_token": "[UNK]"}),
    "WordPiece": (models.WordPiece, trainers.WordPieceTrainer, {"unk_token": "[UNK]"}),
}

def train(kind):
    model, trainer, options = kinds[kind]
    tokenizer = Tokenizer(model(**options))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(lines, trainer(vocab_size=60, show_progress=False, special_tokens=["[UNK]"]))
    return tokenizer

counts = {}
for kind in kinds:
    encoded = {tuple(train(kind).encode("the tokens ran").ids) for _ in range(12)}
    counts[kind] = len(encoded)
    print(f"{kind}: 12 trainings, {'one list' if len(encoded) == 1 else 'several lists'} of ids for 'the tokens ran'")
assert counts["BPE"] == 1 and counts["WordPiece"] > 1
PYTHON
python/bin/python check.py
