#!/usr/bin/env bash
# Trains models/jeton-nano on in OUT, from what train.sh made in TRAINED: pairs told and asked for in wordings that are
# made anew, classes shown by examples, and texts with a gap. Then its draft model.
#
#     JETON_DATA=path/to/data node --import tsx scripts/jeton-nano/prepare.ts OUT --composed
#     scripts/jeton-nano/continue.sh OUT TRAINED
#     node --import tsx scripts/jeton-nano/evaluate.ts OUT/nano-7/model OUT
#
# 54M tokens at a constant rate, 6M while it falls, and 3M in which the tokens of fill-in-the-middle are tokens: before, the
# texts with a gap spelled them. Run again after an interruption, it goes on where it was; the first stage takes three
# hours on two free cores.
set -euo pipefail
out=${1:?usage: continue.sh OUT TRAINED}
trained=${2:?usage: continue.sh OUT TRAINED}
corpus() { echo "--corpus $out/$1.jsonl@$2"; }
train() {
  node --import tsx src/cli/main.ts train lm --resume --threads 2 --evaluate-every 500 --checkpoint-every 50 \
    --held-out "$out/held-out.jsonl" --warmup 20 "$@"
}
# Shares of prose, gaps, labels and pairs.
corpora() {
  echo "$(corpus prose "$1") $(corpus code 0.8) $(corpus gaps "$2") $(corpus labels "$3") $(corpus pairs "$4")" \
    "$(corpus tasks-500 0.4) $(corpus tasks-1200 1.2) $(corpus tasks-2600 0.8)"
}
with_fill_tokens() {
  [ -d "$out/$2" ] || node --import tsx scripts/jeton-nano/add-fill-tokens.ts "$trained/$1/model" "$out/$2"
}

with_fill_tokens nano-4 start
falls="--schedule linear --final-learning-rate 2e-5"
nano="--name jeton-nano --sequence-length 1024 --batch 4"
train $nano --seed 5 --initial-weights "$out/start" --out "$out/nano-5" --steps 13150 \
  --schedule constant --learning-rate 1.2e-3 $(corpora 3.2 0.6 0.8 2.2)
train $nano --seed 5 --initial-weights "$out/nano-5/model" --out "$out/nano-6" --steps 1500 \
  $falls --learning-rate 1.2e-3 $(corpora 3.2 0.6 0.8 2.2)
train $nano --seed 7 --initial-weights "$out/nano-6/model" --out "$out/nano-7" --steps 700 \
  $falls --learning-rate 6e-4 --allow-special $(corpora 2.8 1.8 0.6 2.4)

with_fill_tokens draft draft-start
train --name jeton-nano-draft --seed 5 --initial-weights "$out/draft-start" --out "$out/draft-2" --steps 1500 \
  --sequence-length 256 --batch 16 $falls --learning-rate 2e-3 --allow-special $(corpora 2.8 1.8 0.6 2.4)
