#!/usr/bin/env bash
# Where a text of Phi-3 reaches its original context, generate in transformers sees the last token alone from then on.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check --no-compile \
  transformers==5.18.0 torch==2.13.0 numpy==2.4.6 \
  2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   transformers 5.18.0, torch 2.13.0"
cat <<'TEXT'
behaviour: Expected: each token that `generate` writes greedily is the one that the model gives the highest
           logit after the whole text so far, with a key-value cache as without one.
           Happens: with the long and short factors of Phi-3's 128k models the cache is dropped where a text
           passes `original_max_position_embeddings`, but the model still gets the newest token alone. So
           from there on every token is written as if it were the first of a text. `use_cache=False` is right.
           Hurt: whoever lets Phi-3 or Phi-4-mini write across token 4096: the text goes on without its prompt.
output:
TEXT

cat > check.py <<'PYTHON'
import logging
logging.disable(logging.CRITICAL)
import torch
from transformers import Phi3Config, Phi3ForCausalLM

torch.set_num_threads(1)
torch.manual_seed(1)
original, prompt_length, steps = 16, 10, 14
config = Phi3Config(
    vocab_size=60, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    max_position_embeddings=64, original_max_position_embeddings=original, initializer_range=0.5,
    bos_token_id=None, eos_token_id=None, pad_token_id=0,
    rope_parameters={"rope_type": "longrope", "rope_theta": 10000.0,
                     "short_factor": [1.0] * 8, "long_factor": [2.0] * 8},
)
model = Phi3ForCausalLM(config).eval()
prompt = torch.randint(60, (1, prompt_length))

def written(use_cache):
    out = model.generate(prompt, max_new_tokens=steps, do_sample=False, use_cache=use_cache,
                         return_dict_in_generate=True, output_logits=True)
    return out.sequences[0], torch.cat(out.logits)

with torch.no_grad():
    tokens, logits = written(True)
    print("with a cache:   ", tokens[prompt_length:].tolist())
    print("without a cache:", written(False)[0][prompt_length:].tolist())
    whole, alone = [], []
    for step in range(steps):
        length = prompt_length + step
        after_all = model(tokens[None, :length], use_cache=False).logits[0, -1]
        after_last = model(tokens[None, length - 1:length], use_cache=False).logits[0, -1]
        whole.append((logits[step] - after_all).abs().max().item() < 1e-3)
        alone.append((logits[step] - after_last).abs().max().item() < 1e-3)
lengths = range(prompt_length, prompt_length + steps)
print("lengths at which the logits are those after the whole text:", [n for n, yes in zip(lengths, whole) if yes])
print("lengths at which they are those after the last token alone:", [n for n, yes in zip(lengths, alone) if yes])
assert whole == [length <= original for length in lengths]
assert alone == [length > original for length in lengths]
PYTHON
HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 python/bin/python check.py
