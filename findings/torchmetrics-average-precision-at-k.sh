#!/usr/bin/env bash
# Finding one more relevant document lowers torchmetrics' average precision at k.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check --no-compile \
  torch==2.13.0 torchmetrics==1.9.0 lightning-utilities==0.15.3 numpy==2.4.6 \
  2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   torchmetrics 1.9.0, torch 2.13.0"
cat <<'TEXT'
behaviour: Expected: average precision among the first k documents divides by the relevant documents that there
           are (trec_eval), or by k where there are more; another relevant document among them raises it.
           Happens: with top_k it divides by the relevant documents found among the first k. A single hit in
           first place is 1, however many were missed; a second hit in third place makes it 5/6. The
           same package's recall and nDCG at k count all relevant documents.
           Hurt: comparisons of retrieval by MAP at k: the system that finds less can win, and the numbers are
           far above those of trec_eval, BEIR or a leaderboard.
output:
TEXT

cat > check.py <<'PYTHON'
import torch
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_recall

found = {}
for name, relevant in {"one hit": [1, 0, 0, 1, 1, 1], "two hits": [1, 0, 1, 0, 1, 1]}.items():
    scores = torch.arange(len(relevant), 0, -1).float()
    precision = float(retrieval_average_precision(scores, torch.tensor(relevant), top_k=3))
    recall = float(retrieval_recall(scores, torch.tensor(relevant), top_k=3))
    at = [place for place in range(1, 4) if relevant[place - 1]]
    expected = sum(sum(relevant[:place]) / place for place in at) / sum(relevant)
    found[name] = precision
    print(f"{name} of 4 in the first 3: average precision {precision:.3f} (trec_eval's {expected:.3f}), recall {recall:.2f}")
assert found["one hit"] == 1
assert abs(found["two hits"] - 5 / 6) < 1e-6
PYTHON
python/bin/python check.py
