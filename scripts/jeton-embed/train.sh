#!/usr/bin/env bash
# Trains models/jeton-embed in OUT, from data that prepare.ts made there:
#
#     JETON_DATA=path/to/data node --import tsx scripts/jeton-embed/prepare.ts OUT
#     scripts/jeton-embed/train.sh OUT
#
# Run again after an interruption, it goes on where it was. `dense` gives a vector for each text, `tokens` one for
# each token, in the layouts of sentence-transformers and PyLate.
set -euo pipefail
out=${1:?usage: train.sh OUT [dense|tokens]}
kind=${2:-dense}
options=(--negatives 0)
if [ "$kind" = tokens ]; then
  options+=(--objective token-contrastive --scoring max-sim --width 128 --temperature 0.03)
fi
node --import tsx src/cli/main.ts train encoder --resume --name jeton-embed --out "$out/$kind" \
  --initial-weights "$out/initial" --examples "$out/pairs.jsonl" --held-out "$out/held-out.jsonl" \
  --steps 1200 --batch 48 --query-length 24 --document-length 64 \
  --learning-rate 1e-3 --seed 1 --threads 1 --checkpoint-every 100 --evaluate-every 600 \
  "${options[@]}"
