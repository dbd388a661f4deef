#!/usr/bin/env bash
# transformers 5 divides the logits of umT5 by the root of its width, though its config.json says that it is not tied.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check --no-compile \
  transformers==5.18.0 torch==2.13.0 numpy==2.4.6 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   transformers 5.18.0, torch 2.13.0"
cat <<'TEXT'
behaviour: Expected: a umT5 whose config.json says tie_word_embeddings: false has its own head, which multiplies the final
           states as they are.
           Happens: the configuration drops the key and says true, and the model then divides the final states by the root
           of d_model before the head of its own, which is right only for a head that is the table of embeddings. mT5, of
           the same form, is not divided.
           Hurt: who samples from such a umT5, or reads its probabilities and losses: they are those of a temperature
           of the root of d_model (23 at 512, 64 at 4096). Greedy outputs are the same.
output:
TEXT

cat > check.py <<'PYTHON'
import logging
logging.disable(logging.CRITICAL)
import torch
from transformers import MT5Config, MT5ForConditionalGeneration, UMT5Config, UMT5ForConditionalGeneration

sizes = dict(vocab_size=50, d_model=64, d_kv=8, d_ff=32, num_layers=1, num_heads=2, tie_word_embeddings=False)
ids, starts = torch.arange(3, 23)[None], torch.tensor([[0, 7, 9]])

def ratio(model):
    """Logits over the product of final states and head."""
    model = model.eval()
    torch.manual_seed(1)
    model.lm_head.weight = torch.nn.Parameter(torch.randn(50, 64))
    with torch.no_grad():
        logits = model(input_ids=ids, decoder_input_ids=starts).logits
        states = model.encoder(ids)[0]
        product = model.decoder(input_ids=starts, encoder_hidden_states=states)[0] @ model.lm_head.weight.T
    return (product / logits).median().item()

torch.manual_seed(1)
config = UMT5Config(**sizes)
umt5 = ratio(UMT5ForConditionalGeneration(config))
mt5 = ratio(MT5ForConditionalGeneration(MT5Config(**sizes)))
print("tie_word_embeddings given and read:  False,", config.tie_word_embeddings)
print("umT5, head times states over logits: %.3f" % umt5)
print("mT5, head times states over logits:  %.3f" % mt5)
assert config.tie_word_embeddings is True
assert abs(umt5 - 8) < 1e-3 and abs(mt5 - 1) < 1e-3
PYTHON
OMP_NUM_THREADS=1 python/bin/python check.py 2> errors.log || { cat errors.log >&2; exit 1; }
