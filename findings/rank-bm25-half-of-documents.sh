#!/usr/bin/env bash
# rank_bm25 gives zero to every document when a word occurs in half of them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  rank_bm25==0.2.2 numpy==2.4.6 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   rank_bm25 0.2.2, numpy 2.4.6"
cat <<'TEXT'
behaviour: Expected: of two documents the one with the word of the query scores higher.
           Happens: the inverse document frequency log((N - n + 0.5) / (n + 0.5)) is zero at half of the
           documents; all scores are equal and the order is that of the input.
           Hurt: tests and examples with a handful of documents, and per-user indexes that are small:
           search seems to ignore the query. Lucene's formula, with 1 added inside the logarithm, has no
           such point.
output:
TEXT

cat > check.py <<'PYTHON'
from rank_bm25 import BM25Okapi

found = []
for documents in [["about dogs", "about cats"], ["about dogs", "about cats", "birds", "fish"]]:
    scores = BM25Okapi([text.split() for text in documents]).get_scores(["cats"])
    found.append([round(float(score), 3) for score in scores])
    print(f"cats in {documents}: {found[-1]}")
assert found[0] == [0, 0]
assert found[1][1] > 0 and found[1][0] == 0
PYTHON
python/bin/python check.py
