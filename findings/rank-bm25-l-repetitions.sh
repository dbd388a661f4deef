#!/usr/bin/env bash
# BM25L of rank_bm25 counts each repetition of a word in full, so that the text that repeats it most always wins.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  rank_bm25==0.2.2 numpy==2.4.6 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   rank_bm25 0.2.2, numpy 2.4.6"
cat <<'TEXT'
behaviour: Expected: in BM25L (Lv and Zhai, 2011) a word gives at most idf * (k1 + 1), however often it occurs, as in all
           of the BM25 family; the second of two words of the query weighs more than the twentieth repetition of the first.
           Happens: the term, which holds the frequency already, is multiplied by the frequency once more. The score
           grows without bound: 20 repetitions give more than 20 times the score of one.
           Hurt: comparisons of BM25 variants, where BM25L looks poor, and searches built on the class: lists, logs and
           pages stuffed with a word stand above the texts that have all words of the query.
output:
TEXT

cat > check.py <<'PYTHON'
import math
from rank_bm25 import BM25L, BM25Okapi

padding = "one two three four five six seven eight nine ten".split()
documents = [
    ["engine"] * 20 + padding,
    ["engine", "noise"] + padding * 2,
    *([f"other{number}"] + padding * 2 for number in range(6)),
]
query = ["engine", "noise"]
count, mean = len(documents), sum(map(len, documents)) / len(documents)

def published(k1=1.5, b=0.75, delta=0.5):
    scores = []
    for document in documents:
        score = 0
        for word in query:
            frequency = document.count(word)
            if frequency:
                idf = math.log((count + 1) / (sum(word in other for other in documents) + 0.5))
                normal = frequency / (1 - b + b * len(document) / mean)
                score += idf * (k1 + 1) * (normal + delta) / (k1 + normal + delta)
        scores.append(score)
    return scores

rows = {"published BM25L": published(), "rank_bm25 BM25L": BM25L(documents).get_scores(query), "rank_bm25 BM25Okapi": BM25Okapi(documents).get_scores(query)}
for name, scores in rows.items():
    print(f"{name}: {float(scores[0]):.2f} for 'engine' twenty times, {float(scores[1]):.2f} for 'engine noise'")
assert rows["published BM25L"][1] > rows["published BM25L"][0]
assert rows["rank_bm25 BM25Okapi"][1] > rows["rank_bm25 BM25Okapi"][0]
assert rows["rank_bm25 BM25L"][0] > 5 * rows["rank_bm25 BM25L"][1]
limit = math.log((count + 1) / 2.5) * 2.5
assert rows["rank_bm25 BM25L"][0] > 10 * limit
PYTHON
python/bin/python check.py
