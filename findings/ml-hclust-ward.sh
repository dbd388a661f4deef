#!/usr/bin/env bash
# The method "ward" of ml-hclust is not Ward's: a third of its divisions into clusters are others.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline ml-hclust@4.0.0

echo "version:   ml-hclust 4.0.0"
cat <<'TEXT'
behaviour: Expected: agnes(data, { method: "ward" }), the example of the README, joins in each step the two clusters whose union
           adds least to the squared distances from the means (Ward, 1963), as SciPy's "ward" does; "centroid" joins at the
           distance between means.
           Happens: the update formulas for squared distances are applied to plain ones, and the default distance is plain. Of 60
           divisions of random points into 3 and 5 clusters about 20 differ from Ward's; heights of "centroid" are not
           distances of means. "ward2" is Ward's method; for "centroid" and "median" there is no such twin.
           Hurt: clusters of embeddings and topics made in JavaScript, compared with those of a notebook in Python: other
           members, other heights to cut at, and no error. R has the same two under the names ward.D and ward.D2.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { agnes } from "ml-hclust";

let state = 1;
const random = () => {
  state = (state * 1103515245 + 12345) % 2147483648;
  return state / 2147483648;
};
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const cloud = (count, spread) => {
  const center = [2.5 * normal(), 2.5 * normal()];
  return Array.from({ length: count }, () => center.map((x) => x + spread * normal()));
};
const mean = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
const squared = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;

// Ward's criterion itself, without an update formula.
const ward = (points, count) => {
  let clusters = points.map((_, index) => [index]);
  const added = (a, b) => {
    const [left, right] = [a, b].map((cluster) => mean(cluster.map((index) => points[index])));
    return ((a.length * b.length) / (a.length + b.length)) * squared(left, right);
  };
  while (clusters.length > count) {
    let best = [Number.POSITIVE_INFINITY];
    for (let i = 0; i < clusters.length; i++) {
      for (let j = 0; j < i; j++) {
        const cost = added(clusters[i], clusters[j]);
        if (cost < best[0]) best = [cost, i, j];
      }
    }
    const [, i, j] = best;
    clusters = [...clusters.filter((_, index) => index !== i && index !== j), [...clusters[i], ...clusters[j]]];
  }
  return clusters;
};
const named = (clusters) => JSON.stringify(clusters.map((cluster) => cluster.sort((a, b) => a - b)).sort((a, b) => a[0] - b[0]));

const differing = { ward: 0, ward2: 0 };
for (let trial = 0; trial < 30; trial++) {
  const points = [cloud(20, 0.5), cloud(10, 0.8), cloud(6, 0.3)].flat();
  for (const method of Object.keys(differing)) {
    const tree = agnes(points, { method });
    for (const count of [3, 5]) {
      const found = tree.group(count).children.map((cluster) => cluster.indices());
      if (named(found) !== named(ward(points, count))) differing[method]++;
    }
  }
}
console.log(`of 60 divisions differ from Ward's: ${differing.ward} with "ward", ${differing.ward2} with "ward2"`);
const centroid = agnes([[0, 0], [0, 2], [3, 1]], { method: "centroid" }).height;
console.log(`points (0, 0), (0, 2) and (3, 1), whose means are 3 apart: joined at ${centroid.toFixed(3)} with "centroid"`);
assert.ok(differing.ward >= 10);
assert.equal(differing.ward2, 0);
assert.ok(Math.abs(centroid - 3) > 0.3);
JAVASCRIPT
node check.mjs
