#!/usr/bin/env bash
# BM25+ of bm25s and rank_bm25 ranks as BM25 does: what the plus adds, it adds to documents without the word too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  bm25s==0.3.11 rank_bm25==0.2.2 numpy==2.4.6 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   bm25s 0.3.11, rank_bm25 0.2.2, numpy 2.4.6"
cat <<'TEXT'
behaviour: Expected: BM25+ (Lv and Zhai, 2011) adds delta for each word of the query that is in the document, so that a long
           document with the word stays clearly above one without it; a document with none of the words scores 0.
           Happens: delta is added for every word of the query to every document. That is the same constant for all, so
           no two documents ever change places: the order is that of delta = 0, whatever delta is.
           Documents with none of the words score above zero.
           Hurt: evaluations in which BM25+ "gains nothing" over BM25, searches for delta, and cut-offs at a score: each
           document passes, and an index without the word at all gives a full page of hits.
output:
TEXT

cat > check.py <<'PYTHON'
import math
import bm25s
from rank_bm25 import BM25Plus

filler = [f"w{number}" for number in range(60)]
documents = [
    ["alpha"] * 4 + ["plain", "text"],
    ["alpha", "beta", *filler],
    ["another", "plain", "text"],
    ["plain", "words", "and", "more"],
    ["nothing", "here"],
]
query = ["alpha", "beta"]
count, mean = len(documents), sum(map(len, documents)) / len(documents)

def published(delta, k1=1.5, b=0.75):
    scores = []
    for document in documents:
        score = 0
        for word in query:
            frequency = document.count(word)
            if frequency:
                idf = math.log((count + 1) / sum(word in other for other in documents))
                length = 1 - b + b * len(document) / mean
                score += idf * (delta + (k1 + 1) * frequency / (k1 * length + frequency))
        scores.append(score)
    return scores

def with_bm25s(delta):
    index = bm25s.BM25(method="bm25+", delta=delta)
    index.index([list(document) for document in documents], show_progress=False)
    return [float(score) for score in index.get_scores(list(query))]

def with_rank_bm25(delta):
    return [float(score) for score in BM25Plus([list(document) for document in documents], delta=delta).get_scores(query)]

first = {}
for name, score in (("published", published), ("bm25s", with_bm25s), ("rank_bm25", with_rank_bm25)):
    none, much = score(0), score(4)
    first[name] = none.index(max(none)), much.index(max(much)), much[-1], [b - a for a, b in zip(none, much)]
    print(f"{name}: delta 0 {[round(s, 2) for s in none]}, delta 4 {[round(s, 2) for s in much]}")
assert first["published"][:2] == (0, 1) and first["published"][2] == 0
for name in ("bm25s", "rank_bm25"):
    before, after, without, gains = first[name]
    assert before == after == 0 and without > 1 and max(gains) - min(gains) < 1e-4, name
PYTHON
python/bin/python check.py
