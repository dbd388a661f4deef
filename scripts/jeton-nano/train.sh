#!/usr/bin/env bash
# Trains models/jeton-nano and models/jeton-nano-draft in OUT, from data that prepare.ts made there:
#
#     JETON_DATA=path/to/data node --import tsx scripts/jeton-nano/prepare.ts OUT
#     scripts/jeton-nano/train.sh OUT
#
# Three stages, each from the weights of the one before it: short sequences at a high rate, longer ones,
# whole contexts while the rate falls. Run again after an interruption, it goes on where it was.
set -euo pipefail
out=${1:?usage: train.sh OUT}
train() {
  node --import tsx src/cli/main.ts train lm --resume --seed 1 --threads 2 --evaluate-every 250 \
    --tokenizer "$out/tokenizer" --held-out "$out/held-out.jsonl" \
    --corpus "$out/prose.jsonl@4" --corpus "$out/code.jsonl@1.5" "$@"
}
config=scripts/jeton-nano/config.json

train --name jeton-nano --config $config --out "$out/a" --steps 500 \
  --sequence-length 256 --batch 16 \
  --schedule constant --learning-rate 3e-3 --warmup 60 --average-decay 0.98 \
  --corpus "$out/tasks-500.jsonl@2.5"

train --name jeton-nano-draft --config scripts/jeton-nano/draft-config.json --out "$out/draft" --steps 800 \
  --sequence-length 256 --batch 16 \
  --schedule linear --learning-rate 4e-3 --final-learning-rate 1e-4 --warmup 60 \
  --corpus "$out/tasks-500.jsonl@2.5"

train --name jeton-nano --config $config --out "$out/b" --initial-weights "$out/a/model" --steps 2000 \
  --sequence-length 512 --batch 8 \
  --schedule constant --learning-rate 3e-3 --warmup 40 --average-decay 0.98 \
  --corpus "$out/tasks-500.jsonl@1" --corpus "$out/tasks-1200.jsonl@1.5"

train --name jeton-nano --config $config --out "$out/c" --initial-weights "$out/b/model" --steps 600 \
  --sequence-length 1024 --batch 4 \
  --schedule linear --learning-rate 2.5e-3 --final-learning-rate 5e-5 --warmup 30 \
  --corpus "$out/tasks-1200.jsonl@1" --corpus "$out/tasks-2600.jsonl@1.5"
