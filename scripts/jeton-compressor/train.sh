#!/usr/bin/env bash
# Trains models/jeton-compressor in OUT: the compressor of the page's demonstration of extensible tokenization.
#
#     JETON_DATA=path/to/data scripts/jeton-compressor/train.sh OUT
#
# Twenty minutes on one core. Run again after an interruption, it goes on where it was.
set -euo pipefail
out=${1:?usage: train.sh OUT}
[ -e "$out/held-out.jsonl" ] || node --import tsx scripts/jeton-compressor/prepare.ts "$out"
node --import tsx src/cli/main.ts train compressor --resume --out "$out/run" --model models/jeton-nano \
  --corpus "$out/prose.jsonl@2" --corpus "$out/tasks.jsonl@1" --corpus "$out/repeats.jsonl@1" \
  --held-out "$out/held-out.jsonl" \
  --layers 2 --window 128 --windows 4 --chunk 128 --factors 2,4,8,16,32 \
  --steps 1000 --batch 4 --learning-rate 1e-3 --average-decay 0.97 --seed 1 --threads 1
