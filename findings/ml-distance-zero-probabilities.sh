#!/usr/bin/env bash
# The Jensen-Shannon divergence of ml-distance is NaN as soon as one of the distributions has a zero.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline ml-distance@5.0.0

echo "version:   ml-distance 5.0.0"
cat <<'TEXT'
behaviour: Expected: 0 log 0 counts as 0, as in every definition of entropy. The Jensen-Shannon divergence is then defined for
           any two distributions and at most log 2 (Lin, 1991), which is why it is taken where words are missing from one
           side; the Kullback-Leibler divergence is finite where only the first has zeros.
           Happens: each is NaN with a single zero, in either distribution for Jensen-Shannon. So are topsoe,
           jensenDifference and kdivergence.
           Hurt: comparisons of vocabularies, topics and cut-off token distributions, which nearly always have zeros: NaN fails
           every comparison, so clusterings and nearest neighbours built on it go on with an order that means nothing.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { distance } from "ml-distance";

const term = (p, q) => (p === 0 ? 0 : p * Math.log(p / q));
const divergence = (ps, qs) => ps.reduce((sum, p, index) => sum + term(p, qs[index]), 0);
const exact = {
  jensenShannon(ps, qs) {
    const middle = ps.map((p, index) => (p + qs[index]) / 2);
    return (divergence(ps, middle) + divergence(qs, middle)) / 2;
  },
  kullbackLeibler: divergence,
};
const even = [0.25, 0.25, 0.5];
const found = {};
for (const [name, ps, qs] of [
  ["no zeros", [0.5, 0.4, 0.1], even],
  ["a zero in the first", [0.5, 0.5, 0], even],
  ["a zero in both", [0.5, 0.5, 0], [0.25, 0.75, 0]],
]) {
  for (const [measure, definition] of Object.entries(exact)) {
    const value = distance[measure](ps, qs);
    const expected = definition(ps, qs);
    console.log(`${measure}, ${name}: ${value}, by definition ${expected}`);
    (found[name] ??= []).push([value, expected]);
  }
}
for (const [value, expected] of found["no zeros"]) assert.ok(Math.abs(value - expected) < 1e-12);
for (const name of ["a zero in the first", "a zero in both"]) {
  for (const [value, expected] of found[name]) assert.ok(Number.isNaN(value) && Number.isFinite(expected));
}
for (const measure of ["topsoe", "jensenDifference", "kdivergence"]) {
  assert.ok(Number.isFinite(distance[measure]([0.5, 0.4, 0.1], even)), measure);
  assert.ok(Number.isNaN(distance[measure]([0.5, 0.5, 0], even)), measure);
}
JAVASCRIPT
node check.mjs
