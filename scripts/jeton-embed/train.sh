#!/usr/bin/env bash
# Trains models/jeton-embed in OUT, from data that prepare.ts made there:
#
#     JETON_DATA=path/to/data node --import tsx scripts/jeton-embed/prepare.ts OUT
#     scripts/jeton-embed/train.sh OUT
#
# Run again after an interruption, it goes on where it was.
set -euo pipefail
out=${1:?usage: train.sh OUT}
node --import tsx src/cli/main.ts train encoder --resume --name jeton-embed --out "$out/embed" \
  --initial-weights "$out/initial" --examples "$out/pairs.jsonl" --held-out "$out/held-out.jsonl" \
  --steps 1200 --batch 48 --negatives 0 --query-length 24 --document-length 64 \
  --learning-rate 1e-3 --seed 1 --threads 1 --checkpoint-every 100 --evaluate-every 600
