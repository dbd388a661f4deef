#!/usr/bin/env bash
# transformers 5 computes Gemma 2 without the soft cap of its attention, unless it is told to be eager.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check --no-compile \
  transformers==5.18.0 torch==2.13.0 numpy==2.4.6 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   transformers 5.18.0, torch 2.13.0"
cat <<'TEXT'
behaviour: Expected: Gemma 2 squashes the scores of its attention (attn_logit_softcapping, 50 in the published models) with
           every implementation of attention, or one that cannot is not chosen for it.
           Happens: the implementation that is chosen where nothing is said, sdpa, leaves the cap out without a word. Its
           logits are, to the bit, those of the same model whose config.json has no cap. The eager one caps.
           Hurt: who compares another program's Gemma 2 with this library, or trains one here and runs it elsewhere: the
           model is another one, the more so the larger its scores are.
output:
TEXT

cat > check.py <<'PYTHON'
import logging
logging.disable(logging.CRITICAL)
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

torch.manual_seed(1)
sizes = dict(vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
             num_key_value_heads=1, head_dim=16, query_pre_attn_scalar=16, final_logit_softcapping=None)
capped = Gemma2ForCausalLM(Gemma2Config(**sizes, attn_logit_softcapping=2.0)).eval()
for parameter in capped.parameters():
    parameter.data.normal_(0, 0.3)
plain = Gemma2ForCausalLM(Gemma2Config(**sizes, attn_logit_softcapping=None)).eval()
plain.load_state_dict(capped.state_dict())
chosen = capped.config._attn_implementation
ids = torch.arange(3, 23)[None]

def logits(model, implementation):
    model.set_attn_implementation(implementation)
    with torch.no_grad():
        return model(ids).logits

apart = lambda a, b: (a - b).abs().max().item()
with_cap = {name: logits(capped, name) for name in ("eager", "sdpa")}
without = {name: logits(plain, name) for name in ("eager", "sdpa")}
print("chosen where nothing is said:           ", chosen)
print("eager with a cap of 2 and without:       %.1f apart" % apart(with_cap["eager"], without["eager"]))
print("sdpa with a cap of 2 and without:        %.1f apart" % apart(with_cap["sdpa"], without["sdpa"]))
print("eager and sdpa, no cap:                  %.0e apart" % apart(without["eager"], without["sdpa"]))
assert chosen == "sdpa"
assert apart(with_cap["sdpa"], without["sdpa"]) == 0 < 1 < apart(with_cap["eager"], without["eager"])
assert apart(without["eager"], without["sdpa"]) < 1e-4
PYTHON
OMP_NUM_THREADS=1 python/bin/python check.py 2> errors.log || { cat errors.log >&2; exit 1; }
