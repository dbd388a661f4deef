#!/usr/bin/env bash
# Trains models/jeton-experts in OUT: the small model with experts of the page's demonstration of routing.
#
#     JETON_DATA=path/to/data scripts/jeton-experts/train.sh OUT
#
# Ten minutes on one core. Its model folder, with the licence in front of its card, is models/jeton-experts.
set -euo pipefail
out=${1:?usage: train.sh OUT}
node --import tsx src/cli/main.ts train lm --resume --name jeton-experts --out "$out" \
  --config scripts/jeton-experts/config.json --tokenizer jeton-nano --corpus data:text/gibbon \
  --steps 1500 --batch 16 --sequence-length 128 --initialize embedding=0.1 \
  --schedule linear --learning-rate 4e-3 --final-learning-rate 1e-4 --seed 1 --threads 1
