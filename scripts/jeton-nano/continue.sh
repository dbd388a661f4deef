#!/usr/bin/env bash
# Trains models/jeton-nano on in OUT, from the weights that train.sh made: pairs told and asked for in wordings that are
# made anew, classes shown by examples, and texts with a gap. Then its draft model.
#
#     JETON_DATA=path/to/data node --import tsx scripts/jeton-nano/prepare.ts OUT --composed
#     scripts/jeton-nano/continue.sh OUT
#     node --import tsx scripts/jeton-nano/evaluate.ts OUT/nano-6/model OUT
#
# 54M tokens at a constant rate, then 6M while it falls. Run again after an interruption, it goes on where it was; the
# first stage takes three hours on two free cores.
set -euo pipefail
out=${1:?usage: continue.sh OUT}
corpus() { echo "--corpus $out/$1.jsonl@$2"; }
train() {
  node --import tsx src/cli/main.ts train lm --resume --seed 5 --threads 2 --evaluate-every 500 \
    --checkpoint-every 50 --held-out "$out/held-out.jsonl" --warmup 20 "$@" \
    $(corpus prose 3.2) $(corpus code 0.8) $(corpus gaps 0.6) $(corpus labels 0.8) $(corpus pairs 2.2) \
    $(corpus tasks-500 0.4) $(corpus tasks-1200 1.2) $(corpus tasks-2600 0.8)
}
with_fill_tokens() {
  [ -d "$out/$2" ] || node --import tsx scripts/jeton-nano/add-fill-tokens.ts "models/$1" "$out/$2"
}

with_fill_tokens jeton-nano start
train --name jeton-nano --initial-weights "$out/start" --out "$out/nano-5" --steps 13150 \
  --sequence-length 1024 --batch 4 --schedule constant --learning-rate 1.2e-3
train --name jeton-nano --initial-weights "$out/nano-5/model" --out "$out/nano-6" --steps 1500 \
  --sequence-length 1024 --batch 4 --schedule linear --learning-rate 1.2e-3 --final-learning-rate 2e-5

with_fill_tokens jeton-nano-draft draft-start
train --name jeton-nano-draft --initial-weights "$out/draft-start" --out "$out/draft-2" --steps 1500 \
  --sequence-length 256 --batch 16 --schedule linear --learning-rate 2e-3 --final-learning-rate 2e-5
