#!/usr/bin/env bash
# Trains models/jeton-nano and models/jeton-nano-draft in OUT, from data that prepare.ts made there:
#
#     JETON_DATA=path/to/data node --import tsx scripts/jeton-nano/prepare.ts OUT
#     scripts/jeton-nano/train.sh OUT
#
# Stages: short sequences at a high rate, then whole contexts with more tasks while the rate falls, and
# twice more for a while with longer tasks and with pairs.
# Tokens begin with a deviation of one and layers as the identity: with the usual 0.02 the first layer
# drowned the tokens, and the same held-out loss took twice as many. Heads that copy are planted, as none
# formed by themselves in eight million tokens. Run again after an interruption, it goes on where it was.
set -euo pipefail
out=${1:?usage: train.sh OUT}
train() {
  node --import tsx src/cli/main.ts train lm --resume --seed 1 --threads 2 --evaluate-every 250 \
    --tokenizer "$out/tokenizer" --held-out "$out/held-out.jsonl" "$@"
}
config=scripts/jeton-nano/config.json
corpus() { echo "--corpus $out/$1.jsonl@$2"; }

train --name jeton-nano --config $config --out "$out/nano-1" --steps 1400 \
  --sequence-length 256 --batch 16 \
  --initialize matrices=0.05 --initialize embedding=1 --initialize head=0.02 --initialize outputs=0 \
  --initialize induction-heads \
  --schedule constant --learning-rate 3e-3 --warmup 100 --average-decay 0.97 \
  $(corpus prose 4.5) $(corpus code 1) $(corpus tasks-500 3) $(corpus repeats 0.3)

train --name jeton-nano --config $config --out "$out/nano-2" --initial-weights "$out/nano-1/model" \
  --steps 1500 --sequence-length 1024 --batch 4 \
  --schedule linear --learning-rate 2.5e-3 --final-learning-rate 5e-5 --warmup 20 \
  $(corpus prose 3) $(corpus code 0.8) $(corpus tasks-500 1.2) $(corpus tasks-1200 2.6) \
  $(corpus tasks-2600 1.7) $(corpus repeats 0.2)

train --name jeton-nano --config $config --out "$out/nano-3" --initial-weights "$out/nano-2/model" \
  --steps 450 --sequence-length 1024 --batch 4 \
  --schedule linear --learning-rate 1.2e-3 --final-learning-rate 2e-5 --warmup 20 \
  $(corpus prose 3.5) $(corpus code 0.7) $(corpus tasks-1200 3) $(corpus tasks-2600 2)

train --name jeton-nano --config $config --out "$out/nano-4" --initial-weights "$out/nano-3/model" \
  --steps 450 --sequence-length 1024 --batch 4 \
  --schedule linear --learning-rate 1.5e-3 --final-learning-rate 2e-5 --warmup 20 \
  $(corpus prose 4) $(corpus code 0.7) $(corpus pairs 4) $(corpus tasks-2600 1)

train --name jeton-nano-draft --config scripts/jeton-nano/draft-config.json --out "$out/draft" \
  --steps 800 --sequence-length 256 --batch 16 \
  --schedule linear --learning-rate 4e-3 --final-learning-rate 1e-4 --warmup 60 \
  $(corpus prose 4) $(corpus code 1.5) $(corpus tasks-500 2.5)
