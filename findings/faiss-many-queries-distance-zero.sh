#!/usr/bin/env bash
# FAISS calls different vectors equal when enough queries come in one call.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  faiss-cpu==1.15.1 numpy==2.4.6 packaging==26.3 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   faiss-cpu 1.15.1, numpy 2.4.6"
cat <<'TEXT'
behaviour: Expected: IndexFlatL2 is the exact search, the yardstick for all others; a query gets the same distances alone and in
           a batch.
           Happens: from some number of queries on the distance is computed as |x|^2 + |y|^2 - 2xy, whose difference
           drowns in float32 where vectors are long and near each other, and what falls below zero becomes 0. Around 200
           the distances are half as large again; around 1,000 neighbours that differ in every second number are at 0, and
           mostly others than the nearest come first. A query alone is right.
           Hurt: removal of near duplicates (distance 0 means equal) and ground truth for recall over counts, pixels or
           embeddings that are not normalized and not centred: tests with a few queries agree, the full run does not.
output:
TEXT

cat > check.py <<'PYTHON'
import faiss
import numpy

for offset in (200, 1000):
    random = numpy.random.default_rng(0)
    vectors = (offset + random.integers(-1, 2, (4000, 768)) * 0.25).astype(numpy.float32)
    queries = vectors[:1000].copy()
    queries[:, ::2] += numpy.float32(0.25)
    index = faiss.IndexFlatL2(768)
    index.add(vectors)
    exact = numpy.stack([((query.astype(numpy.float64) - vectors) ** 2).sum(-1) for query in queries[:20]])
    right = lambda places: int((places[:20, 0] == exact.argmin(1)).sum())
    alone = [index.search(query[None], 1) for query in queries[:20]]
    alone_distances = numpy.concatenate([distances for distances, _ in alone])[:, 0]
    alone_places = numpy.concatenate([places for _, places in alone])
    together, places = index.search(queries, 5)
    distances = together[:20, 0]
    print(f"numbers around {offset}, true distance to the nearest {exact.min():.0f} for each of 20 queries")
    print(f"  each query alone:      {alone_distances.min():.2f} to {alone_distances.max():.2f}, right neighbour for {right(alone_places)} of 20")
    print(f"  1,000 queries at once: {distances.min():.2f} to {distances.max():.2f}, right neighbour for {right(places)} of 20")
    assert numpy.allclose(alone_distances, exact.min(1), rtol=1e-4) and right(alone_places) == 20
    assert numpy.abs(distances - exact.min(1)).max() > 5
assert (distances == 0).sum() >= 3
PYTHON
python/bin/python check.py
