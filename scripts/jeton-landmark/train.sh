#!/usr/bin/env bash
# Trains models/jeton-landmark in OUT: the small model with landmark tokens of the page's demonstration.
#
#     JETON_DATA=path/to/data scripts/jeton-landmark/train.sh OUT
#
# Ten minutes on one core. Its model folder, with the licence in front of its card, is models/jeton-landmark.
set -euo pipefail
out=${1:?usage: train.sh OUT}
jeton() { node --import tsx src/cli/main.ts "$@"; }
node --import tsx scripts/jeton-landmark/prepare.ts "$out/data"
# Each digit is a token of its own, so that a number is copied digit by digit.
jeton train tokenizer --overwrite --corpus "$out/data/prose.jsonl" --vocabulary 512 \
  --regex '\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+' --out "$out/tokenizer"
jeton train lm --resume --name jeton-landmark --out "$out/run" \
  --config scripts/jeton-landmark/config.json --tokenizer "$out/tokenizer" \
  --corpus "$out/data/prose.jsonl" --corpus "$out/data/keys.jsonl" \
  --steps "${STEPS:-1200}" --batch 16 --sequence-length 180 \
  --initialize matrices=0.044 --initialize induction-heads \
  --learning-rate 3e-3 --final-learning-rate 1e-4 --weight-decay 0.05 --seed 1 --threads 1
