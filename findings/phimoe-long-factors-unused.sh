#!/usr/bin/env bash
# Long texts of Phi-3.5-MoE are computed in transformers 5 without the factors that the model has for long texts.
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
behaviour: Expected: texts longer than `original_max_position_embeddings` are rotated by `long_factor`, shorter
           ones by `short_factor`, as in Phi-3 and in transformers 4.57.
           Happens: PhiMoE rotates every text by `short_factor`; only the magnitude `long_mscale` follows the
           length. Other long factors give the very same logits.
           Hurt: users of Phi-3.5-MoE with more than 4096 tokens: positions that the model never saw.
output:
TEXT

cat > check.py <<'PYTHON'
import logging
logging.disable(logging.CRITICAL)
import torch
from transformers import Phi3Config, Phi3ForCausalLM, PhimoeConfig, PhimoeForCausalLM

torch.set_num_threads(1)
sizes = dict(vocab_size=60, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
             num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.5)
ids = torch.randint(60, (1, 40), generator=torch.Generator().manual_seed(2))

def logits(kind, **changes):
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 16,
            "short_factor": [1.0] * 8, "long_factor": [4.0] * 8, **changes}
    torch.manual_seed(1)
    if kind == "phi3":
        config = Phi3Config(original_max_position_embeddings=16, rope_parameters=rope, pad_token_id=0, **sizes)
        model = Phi3ForCausalLM(config)
    else:
        config = PhimoeConfig(rope_parameters={**rope, "short_mscale": 1.1, "long_mscale": 1.2}, num_local_experts=4, **sizes)
        model = PhimoeForCausalLM(config)
    with torch.no_grad():
        return model.eval()(ids, use_cache=False).logits

changed = {}
for kind in ["phi3", "phimoe"]:
    usual = logits(kind)
    for name in ["short_factor", "long_factor"]:
        difference = (logits(kind, **{name: [2.0] * 8}) - usual).abs().max().item()
        print(f"{kind}, 40 tokens, original context 16: another {name} moves the logits by {difference:.3g}")
        changed[kind, name] = difference > 0
assert changed == {("phi3", "short_factor"): False, ("phi3", "long_factor"): True,
                   ("phimoe", "short_factor"): True, ("phimoe", "long_factor"): False}
PYTHON
HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 python/bin/python check.py
