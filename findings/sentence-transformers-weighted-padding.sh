#!/usr/bin/env bash
# With weights by position, a vector of sentence-transformers depends on the other texts of its batch where padding is on the left.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check --no-compile \
  sentence-transformers==6.0.1 transformers==5.18.0 torch==2.13.0 numpy==2.4.6 \
  2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   sentence-transformers 6.0.1, transformers 5.18.0, torch 2.13.0"
cat <<'TEXT'
behaviour: Expected: the pooling "weightedmean", made for decoders (SGPT), weighs a text's first token by 1, its second by 2, so
           a text has one vector, alone or in a batch. Decoders' tokenizers pad on the left.
           Happens: the weights count from the beginning of the padded row. Behind padding on the left a text's first token weighs
           as much as the padding is long, and its vector moves with the longest text of the batch. Other poolings, and
           padding on the right, give one vector.
           Hurt: indexes made in batches of unequal lengths and asked with single queries: the vectors are not of one kind.
output:
TEXT

cat > check.py <<'PYTHON'
import logging
logging.disable(logging.CRITICAL)
import numpy as np
import torch
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer, models as vocabularies, pre_tokenizers
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

torch.manual_seed(0)
words = ["<pad>", "<unk>"] + [f"w{number}" for number in range(40)]
file = Tokenizer(vocabularies.WordLevel({word: id for id, word in enumerate(words)}, unk_token="<unk>"))
file.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
model = LlamaModel(LlamaConfig(vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2))
text, longer = "w1 w2 w3", " ".join(words[2:32])
for side in ("right", "left"):
    model.save_pretrained(side)
    PreTrainedTokenizerFast(tokenizer_object=file, unk_token="<unk>", pad_token="<pad>", padding_side=side).save_pretrained(side)
    for pooling in ("mean", "lasttoken", "weightedmean"):
        encoder = SentenceTransformer(modules=[models.Transformer(side), models.Pooling(32, pooling_mode=pooling)])
        alone, beside = encoder.encode([text])[0], encoder.encode([text, longer])[0]
        apart = np.abs(alone - beside).max()
        moves = side == "left" and pooling == "weightedmean"
        print("padding on the %-5s %-13s alone and beside a longer text: %s" % (side + ",", pooling, "%.2f apart" % apart if moves else "equal"))
        assert apart > 0.1 if moves else apart < 1e-5
PYTHON
OMP_NUM_THREADS=1 python/bin/python check.py 2> errors.log || { cat errors.log >&2; exit 1; }
